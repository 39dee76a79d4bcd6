//! Events: what the application is told.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::member::{Member, State};
use crate::{EventId, Timestamp, WorkspaceId};

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)+) => {
        /// What an event tells of.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum EventKind {
            $($(#[$doc])* #[serde(rename = $text)] $name,)+
        }

        impl EventKind {
            /// Every kind there is.
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            /// As the application sees it: the CloudEvents `type` without its prefix.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)+ }
            }
        }
    };
}

kinds! {
    /// Somebody became a member.
    MemberOnboarded = "member.onboarded",
    /// A member is no longer let in.
    MemberSuspended = "member.suspended",
    /// A suspended member is let in again.
    MemberRestored = "member.restored",
    /// An admin shut a member out.
    MemberDisabled = "member.disabled",
    /// An admin let a member in again.
    MemberEnabled = "member.enabled",
    /// A member's role, name, address or end date changed.
    MemberUpdated = "member.updated",
    /// A team appeared.
    TeamCreated = "team.created",
    /// A team's name or slug changed.
    TeamUpdated = "team.updated",
    /// A team is gone.
    TeamRemoved = "team.removed",
    /// A member joined a team.
    TeamMemberAdded = "team.member_added",
    /// A member left a team.
    TeamMemberRemoved = "team.member_removed",
    /// A team's responsibilities changed.
    TeamResponsibilitiesChanged = "team.responsibilities_changed",
    /// An invite was issued, or issued anew.
    InviteIssued = "invite.issued",
    /// An invite was accepted.
    InviteAccepted = "invite.accepted",
    /// An invite was revoked.
    InviteRevoked = "invite.revoked",
    /// A run changed something and ended well.
    SyncCompleted = "sync.completed",
    /// A run holds removals back.
    SyncFrozen = "sync.frozen",
    /// A run could not read what it needs.
    SyncFailed = "sync.failed",
}

/// An event as it is kept: the outbox of the change that it tells of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Its id: the same however often it is delivered.
    pub id: EventId,
    /// Of which workspace.
    pub workspace: WorkspaceId,
    /// What it tells of.
    pub kind: EventKind,
    /// When it happened.
    pub at: Timestamp,
    /// The id of what it is about.
    pub subject: String,
    /// The rest. Never a secret.
    pub data: Value,
}

/// The data of an event about a member: who they are and where they stand afterwards, so that whoever reads all events knows everybody
/// without asking; and what else is to be said of this one.
pub fn about_member(member: &Member, more: Value) -> Value {
    let reason = match &member.state {
        State::Suspended { reason, .. } => Some(reason),
        State::Active | State::Disabled { .. } => None,
    };
    let mut data = json!({
        "member": member.id,
        "display_name": member.display_name,
        "email": member.email,
        "role": member.role,
        "origin": member.origin,
        "state": member.state.as_str(),
        "reason": reason,
    });
    if let (Value::Object(data), Value::Object(more)) = (&mut data, more) {
        data.extend(more);
    }
    data
}
