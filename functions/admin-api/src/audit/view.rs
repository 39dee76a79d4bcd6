//! How the audit trail looks from outside.

use rollcall_admin::schema;
use rollcall_domain::audit::{Actor, AuditEntry};
use rollcall_domain::{AuditId, Timestamp, WorkspaceId};
use rollcall_service::rfc3339;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

/// Who did it.
#[derive(Serialize, ToSchema)]
#[schema(as = Actor)]
pub(crate) struct ActorView {
    /// `bootstrap`, `token`, `client`, `member`, `sync`, `visitor` or `system`.
    #[schema(pattern = "^(bootstrap|token|client|member|sync|visitor|system)$")]
    kind: &'static str,
    /// Which one, where there are several.
    #[schema(required)]
    id: Option<String>,
}

impl From<&Actor> for ActorView {
    fn from(actor: &Actor) -> Self {
        let (kind, id) = match actor {
            Actor::Bootstrap => ("bootstrap", None),
            Actor::Token { id } => ("token", Some(id.to_string())),
            Actor::Client { id } => ("client", Some(id.to_string())),
            Actor::Member { id } => ("member", Some(id.to_string())),
            Actor::Sync { run } => ("sync", Some(run.to_string())),
            Actor::Visitor => ("visitor", None),
            Actor::System => ("system", None),
        };
        Self { kind, id }
    }
}

/// An entry of the audit trail. Written together with what it tells of, and never changed.
#[derive(Serialize, ToSchema)]
#[schema(as = AuditEntry)]
pub(crate) struct AuditView {
    /// Its id.
    #[schema(value_type = schema::AuditId)]
    id: AuditId,
    /// Of which workspace.
    #[schema(value_type = Option<schema::WorkspaceId>, required)]
    workspace: Option<WorkspaceId>,
    /// When.
    #[serde(with = "rfc3339::serde")]
    #[schema(value_type = schema::Time)]
    at: Timestamp,
    /// Who.
    actor: ActorView,
    /// What, as in `member.onboarded`.
    action: String,
    /// To whom or what.
    #[schema(required)]
    target: Option<String>,
    /// Why, in words.
    why: String,
    /// From which address.
    #[schema(required)]
    from: Option<String>,
    /// The rest.
    #[schema(value_type = Value)]
    detail: Value,
}

impl From<&AuditEntry> for AuditView {
    fn from(entry: &AuditEntry) -> Self {
        Self {
            id: entry.id,
            workspace: entry.workspace,
            at: entry.at,
            actor: ActorView::from(&entry.actor),
            action: entry.action.clone(),
            target: entry.target.clone(),
            why: entry.why.clone(),
            from: entry.from.clone(),
            detail: entry.detail.clone(),
        }
    }
}
