//! The audit trail: who did what to whom, when, why and from where.

use serde::{Deserialize, Serialize};

use crate::{AuditId, ClientId, MemberId, RunId, Timestamp, TokenId, WorkspaceId};

/// Who did it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Actor {
    /// The bootstrap token of the deployment.
    Bootstrap,
    /// An admin token.
    Token {
        /// Which.
        id: TokenId,
    },
    /// A machine that signed in with its own credentials.
    Client {
        /// Which.
        id: ClientId,
    },
    /// A member, by signing in or with a session.
    Member {
        /// Who.
        id: MemberId,
    },
    /// A sync run.
    Sync {
        /// Which.
        run: RunId,
    },
    /// Somebody who was not let in, or has not been yet.
    Visitor,
    /// Rollcall itself, on a schedule.
    System,
}

/// An entry of the audit trail. Written in the same transaction as what it tells of, and never changed.
///
/// `detail` carries ids, names, rules and evidence; never a token, code, password or key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditEntry {
    /// Its id.
    pub id: AuditId,
    /// Of which workspace; `None` for what concerns the whole deployment.
    pub workspace: Option<WorkspaceId>,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub actor: Actor,
    /// What: `member.onboarded`, `sign_in.refused`, `invite.issued` and so on.
    pub action: String,
    /// To whom or what: an id.
    pub target: Option<String>,
    /// Why, for a person to read.
    pub why: String,
    /// From which address, where the action came over the network.
    pub from: Option<String>,
    /// The rest, in data.
    pub detail: serde_json::Value,
}
