//! What a sign-in leaves in the audit trail: who tried, from where, and which check decided.

use core::net::IpAddr;

use axum::response::Response;
use rollcall_domain::audit::{Actor, AuditEntry};
use rollcall_domain::identity::{Provider, Visitor};
use rollcall_domain::{AuditId, Timestamp, WorkspaceId};
use rollcall_service::random::new_id;
use serde_json::{Value, json};

use crate::app::App;
use crate::failure::{Failure, Shown};
use crate::pages::Reason;

/// What the audit trail has to know of a request.
#[derive(Debug, Clone)]
pub struct Trail {
    /// When it came.
    pub at: Timestamp,
    /// From where.
    pub from: Option<String>,
}

/// What was done, for an entry.
pub struct What<'a> {
    /// In which workspace.
    pub workspace: Option<WorkspaceId>,
    /// By whom.
    pub actor: Actor,
    /// What.
    pub action: &'a str,
    /// To whom or what.
    pub target: Option<String>,
    /// Why, for a person to read.
    pub why: &'a str,
    /// The rest, in data. Never a secret.
    pub detail: Value,
}

/// Who was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whom {
    /// Somebody of the Bitbucket workspace, or a member.
    Known,
    /// Somebody from anywhere: what they call themselves is shown to nobody who might believe it.
    Stranger,
}

impl Trail {
    /// Of a request that comes in now.
    pub fn new(app: &App, address: Option<IpAddr>) -> Self {
        Self { at: app.now(), from: address.map(|address| address.to_string()) }
    }

    /// An entry of this request: what was done.
    pub fn entry(&self, app: &App, what: What<'_>) -> AuditEntry {
        AuditEntry {
            id: new_id::<AuditId>(app.clock(), app.random()),
            workspace: what.workspace,
            at: self.at,
            actor: what.actor,
            action: what.action.to_owned(),
            target: what.target,
            why: what.why.to_owned(),
            from: self.from.clone(),
            detail: what.detail,
        }
    }

    /// A request that failed a check. The visitor is told nothing of it; the trail and the log name the check.
    pub async fn denied(&self, app: &App, failure: &Failure) {
        tracing::warn!(
            check = failure.check,
            provider = failure.provider.map(Provider::as_str),
            "a sign-in was denied"
        );
        app.metrics().record().count("SignInsDenied", 1).write();
        let detail = json!({ "check": failure.check, "provider": failure.provider });
        let entry = self.entry(
            app,
            What {
                workspace: None,
                actor: Actor::Visitor,
                action: "sign_in.denied",
                target: None,
                why: "a check failed",
                detail,
            },
        );
        // The denial stands whether or not it can be noted.
        if let Err(error) = app.store().note_of_stranger(&entry).await {
            tracing::error!(%error, "a denied sign-in could not be noted in the audit trail");
        }
    }

    /// The answer to a request that has been counted against a limit: a denial is noted before. What is merely not there, or over the
    /// limit, is no denial.
    pub async fn settle(&self, app: &App, outcome: Result<Response, Failure>) -> Result<Response, Failure> {
        if let Err(failure) = &outcome
            && !matches!(failure.shown, Shown::NotFound | Shown::TooMany(_))
        {
            self.denied(app, failure).await;
        }
        outcome
    }

    /// Somebody who was refused by the rule, with the reason: of people they know, admins see it, and can invite them.
    pub async fn refused(
        &self,
        app: &App,
        workspace: Option<WorkspaceId>,
        visitor: &Visitor,
        whom: Whom,
        reason: &Reason,
    ) -> Result<(), Failure> {
        app.metrics().record().count("SignInsRefused", 1).write();
        let detail = json!({
            "identity": visitor.identity,
            "display_name": visitor.display_name,
            "email": visitor.verified_emails.first(),
            "reason": reason.as_str(),
            "missing": reason.named(),
        });
        let entry = self.entry(
            app,
            What {
                workspace,
                actor: Actor::Visitor,
                action: "sign_in.refused",
                target: None,
                why: reason.as_str(),
                detail: detail.clone(),
            },
        );
        match workspace.filter(|_| whom == Whom::Known) {
            Some(workspace) => {
                app.store().note_refusal(workspace, &visitor.identity, &detail, &entry).await?;
            }
            None => app.store().note_of_stranger(&entry).await?,
        }
        Ok(())
    }
}
