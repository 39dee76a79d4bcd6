//! Who has asked, as far as handlers need to know.

use core::net::IpAddr;

use axum::extract::FromRequestParts;
use http::request::Parts;
use rollcall_domain::audit::AuditEntry;
use rollcall_domain::authority::{Access, Denied, Principal, Subject};
use rollcall_domain::{AuditId, Timestamp, WorkspaceId};
use rollcall_service::web::Problem;
use serde_json::Value;

/// A principal that has been authenticated, and what it has been authorised for.
///
/// Only the [gate](crate::gate) makes one, so a handler that takes it cannot have been reached without being authorised.
#[derive(Debug, Clone)]
pub struct Caller {
    pub(crate) principal: Principal,
    pub(crate) address: Option<IpAddr>,
    pub(crate) granted: (Access, Subject),
}

impl Caller {
    /// Who it is.
    pub fn principal(&self) -> &Principal {
        &self.principal
    }

    /// The workspace that was authorised: the one in the path, or the one that the credential is bound to.
    pub fn workspace(&self) -> Option<WorkspaceId> {
        match self.granted.1 {
            Subject::Workspace(workspace) => Some(workspace),
            Subject::Deployment => None,
        }
    }

    /// The audit entry of something that the caller has done.
    pub fn audit(&self, id: AuditId, at: Timestamp, act: Act<'_>) -> AuditEntry {
        AuditEntry {
            id,
            workspace: act.workspace,
            at,
            actor: self.principal.actor(),
            action: act.action.to_owned(),
            target: act.target,
            why: act.why,
            from: self.address.map(|address| address.to_canonical().to_string()),
            detail: act.detail,
        }
    }
}

/// What was done, for the audit trail.
#[derive(Debug, Clone)]
pub struct Act<'a> {
    /// In which workspace; `None` for what concerns the whole deployment.
    pub workspace: Option<WorkspaceId>,
    /// What: `member.disabled`, `invite.issued` and so on.
    pub action: &'a str,
    /// To whom or what.
    pub target: Option<String>,
    /// Why, for a person to read.
    pub why: String,
    /// The rest. Never a secret.
    pub detail: Value,
}

/// What is out of reach is answered exactly as what is not there.
pub(crate) fn denied(denied: Denied) -> Problem {
    match denied {
        Denied::OutOfReach => Problem::not_found(),
        Denied::ReadOnly => {
            Problem::forbidden("This credential may read but not change. Use one with write access.")
        }
        Denied::NotAdmin => Problem::forbidden("Only an admin of the workspace may do this."),
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        parts.extensions.get::<Self>().cloned().ok_or_else(|| {
            tracing::error!("a bug: a route is not behind the gate");
            Problem::internal()
        })
    }
}

/// The workspace in the path, authorised.
#[derive(Debug, Clone)]
pub struct InWorkspace {
    /// Who asks.
    pub caller: Caller,
    /// About which workspace.
    pub workspace: WorkspaceId,
}

impl<S: Send + Sync> FromRequestParts<S> for InWorkspace {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let caller = Caller::from_request_parts(parts, state).await?;
        let workspace = caller.workspace().ok_or_else(Problem::not_found)?;
        Ok(Self { caller, workspace })
    }
}
