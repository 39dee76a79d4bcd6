//! How an invite looks from outside. Never its link.

use std::collections::BTreeSet;

use rollcall_admin::schema;
use rollcall_domain::identity::Provider;
use rollcall_domain::invite::{Delivery, Invite, InviteState, InviteStatus};
use rollcall_domain::member::Role;
use rollcall_domain::{InviteId, MemberId, TeamId, Timestamp};
use rollcall_service::rfc3339;
use serde::Serialize;
use utoipa::ToSchema;

/// An invite.
#[derive(Serialize, ToSchema)]
#[schema(as = Invite)]
pub(crate) struct InviteView {
    /// Its id.
    #[schema(value_type = schema::InviteId)]
    id: InviteId,
    /// The address that the provider has to vouch for.
    email: String,
    /// Whether only one identity can accept it, whatever its address.
    pinned: bool,
    /// As what.
    #[schema(value_type = schema::Role)]
    role: Role,
    /// Into which teams.
    #[schema(value_type = Vec<schema::TeamId>)]
    teams: Vec<TeamId>,
    /// By which providers it can be accepted.
    #[schema(value_type = Vec<schema::Provider>)]
    providers: BTreeSet<Provider>,
    /// What has become of it.
    #[schema(value_type = schema::InviteStatus)]
    status: InviteStatus,
    /// How the mail fared.
    #[schema(value_type = schema::Delivery)]
    delivery: Delivery,
    /// When it was issued, or issued anew.
    #[serde(with = "rfc3339::serde")]
    #[schema(value_type = schema::Time)]
    issued_at: Timestamp,
    /// Until when it can be accepted.
    #[serde(with = "rfc3339::serde")]
    #[schema(value_type = schema::Time)]
    expires_at: Timestamp,
    /// When the membership it gives ends.
    #[serde(with = "rfc3339::serde::option")]
    #[schema(value_type = Option<schema::Time>, required)]
    membership_until: Option<Timestamp>,
    /// What the inviter is called.
    inviter_name: String,
    /// What the inviter wrote.
    #[schema(required)]
    note: Option<String>,
    /// When it was accepted.
    #[serde(with = "rfc3339::serde::option")]
    #[schema(value_type = Option<schema::Time>, required)]
    accepted_at: Option<Timestamp>,
    /// Who accepted it.
    #[schema(value_type = Option<schema::MemberId>, required)]
    accepted_by: Option<MemberId>,
}

impl InviteView {
    /// `void`: it was voided with everything that was issued to or by the same person before.
    pub(crate) fn new(invite: &Invite, void: bool, now: Timestamp) -> Self {
        let (accepted_at, accepted_by) = match invite.state {
            InviteState::Accepted { at, member } => (Some(at), Some(member)),
            InviteState::Pending | InviteState::Revoked { .. } => (None, None),
        };
        Self {
            id: invite.id,
            email: invite.email.to_string(),
            pinned: invite.pinned.is_some(),
            role: invite.role,
            teams: invite.teams.clone(),
            providers: invite.providers.clone(),
            status: status(invite, void, now),
            delivery: invite.delivery,
            issued_at: invite.issued_at,
            expires_at: invite.expires_at,
            membership_until: invite.membership_until,
            inviter_name: invite.inviter_name.clone(),
            note: invite.note.clone(),
            accepted_at,
            accepted_by,
        }
    }
}

/// What has become of an invite.
pub(crate) fn status(invite: &Invite, void: bool, now: Timestamp) -> InviteStatus {
    if void { InviteStatus::Revoked } else { invite.status(now) }
}
