//! Invites: one row each, one for its present token, one for its address; and the barriers that void those issued before.

use std::collections::BTreeSet;
use std::fmt::Display;

use aws_sdk_dynamodb::types::AttributeValue;
use rollcall_domain::audit::Actor;
use rollcall_domain::identity::EmailAddress;
use rollcall_domain::invite::{Invite, InviteState};
use rollcall_domain::member::Member;
use rollcall_domain::{InviteId, MemberId, Timestamp, TokenHash, WorkspaceId};
use serde::{Deserialize, Serialize};

use crate::error::StoreError;
use crate::issuing::check_issuer;
use crate::reading::{Page, Position};
use crate::transaction::{Record, Transaction, When};
use crate::{Store, keys};

/// Invites issued before this moment, to or by whom the key names, are void.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Barrier {
    pub(crate) who: String,
    pub(crate) at: Timestamp,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct TokenRow {
    pub(crate) workspace: WorkspaceId,
    pub(crate) invite: InviteId,
}

impl Store {
    /// Changes an invite: revoked, or issued anew with another token. `before` is it as it was read, and `issuer` the member who issues
    /// it anew as they were when it was decided that they may: a [`StoreError::Conflict`] about [`crate::ISSUER`] if they are not that any
    /// more.
    pub async fn update_invite(
        &self,
        invite: &Invite,
        before: &Invite,
        issuer: Option<&Member>,
        record: Record,
    ) -> Result<(), StoreError> {
        let mut transaction = self.transaction();
        check_issuer(&mut transaction, issuer)?;
        put(&mut transaction, invite)?;
        if invite.token != before.token || invite.state != InviteState::Pending {
            transaction.delete("former link", &keys::invite_token(before.token), When::Always)?;
        }
        if invite.token != before.token && invite.state == InviteState::Pending {
            put_token(&mut transaction, invite, Some(invite.id))?;
        }
        transaction.record(record)?;
        transaction.commit().await
    }

    /// An invite.
    pub async fn invite(
        &self,
        workspace: WorkspaceId,
        invite: InviteId,
    ) -> Result<Option<Invite>, StoreError> {
        self.get(&keys::invite(workspace, invite)).await
    }

    /// The invite whose present token has this hash, unless it was voided with everything issued to the same person before.
    pub async fn invite_by_token(&self, token: TokenHash) -> Result<Option<Invite>, StoreError> {
        let Some(row) = self.get::<TokenRow>(&keys::invite_token(token)).await? else { return Ok(None) };
        let Some(invite) = self.invite(row.workspace, row.invite).await? else { return Ok(None) };
        for who in barriers(&invite) {
            let barrier: Option<Barrier> = self.get(&keys::barrier(invite.workspace, &who)).await?;
            if barrier.is_some_and(|barrier| invite.issued_at <= barrier.at) {
                return Ok(None);
            }
        }
        if let Some(first) = invite.together
            && self.get_item(&keys::issued_together(invite.workspace, first)).await?.is_none()
        {
            return Ok(None);
        }
        Ok((invite.token == token).then_some(invite))
    }

    /// Until when what a member issues is void, because of what ended their right to issue the last time. One read.
    pub async fn issuing_void_until(
        &self,
        workspace: WorkspaceId,
        member: MemberId,
    ) -> Result<Option<Timestamp>, StoreError> {
        let barrier: Option<Barrier> = self.get(&keys::barrier(workspace, &keys::issuer(member))).await?;
        Ok(barrier.map(|barrier| barrier.at))
    }

    /// The pending invite to an address, if there is one.
    pub async fn invite_to(
        &self,
        workspace: WorkspaceId,
        email: &EmailAddress,
    ) -> Result<Option<Invite>, StoreError> {
        match self.get::<TokenRow>(&keys::pending_invite(workspace, email)).await? {
            Some(row) => self.invite(workspace, row.invite).await,
            None => Ok(None),
        }
    }

    /// A page of the invites, newest first. One query.
    pub async fn invites(
        &self,
        workspace: WorkspaceId,
        after: Option<&Position>,
        limit: usize,
    ) -> Result<Page<Invite>, StoreError> {
        self.query_page(&keys::of(workspace, "invites"), "", after, limit, false).await
    }
}

/// Whose barriers void an invite: the address, the pinned identity, and the member or machine that issued it.
pub(crate) fn barriers(invite: &Invite) -> Vec<String> {
    let mut who = vec![invite.email.to_string()];
    who.extend(invite.pinned.iter().map(keys::identity_partition));
    who.extend(match &invite.issued_by {
        Actor::Member { id } => Some(keys::issuer(*id)),
        Actor::Token { id } => Some(keys::machine(id)),
        Actor::Client { id } => Some(keys::machine(id)),
        Actor::Bootstrap | Actor::Sync { .. } | Actor::Visitor | Actor::System => None,
    });
    who
}

/// Voids every pending invite that a machine has issued, in whatever workspace: its token was revoked, or it was deleted.
pub(crate) fn void_issued_by_machine(
    transaction: &mut Transaction<'_>,
    id: impl Display,
    at: Timestamp,
) -> Result<(), StoreError> {
    let who = keys::machine(id);
    let key = keys::machine_barrier(&who);
    transaction.put("invite barrier", &key, &Barrier { who, at }, None, When::Always)
}

/// Consumes an invite within the transaction that lets its person in: on condition that it is pending, was not replaced, and was not
/// voided with everything that was issued to or by somebody, a moment ago. It may have been sent to another address of the person's than
/// the one that we know: what voids one of their identities voids it as well.
pub(crate) fn consume(
    transaction: &mut Transaction<'_>,
    accepted: &Invite,
    member: &Member,
) -> Result<(), StoreError> {
    put(transaction, accepted)?;
    let issued = AttributeValue::N(accepted.issued_at.to_string());
    let mut who = BTreeSet::from_iter(barriers(accepted));
    who.extend(member.identities.iter().map(keys::identity_partition));
    for who in who {
        let key = keys::barrier(accepted.workspace, &who);
        transaction.check("invite", &key, When::NewOrLess("at", issued.clone()))?;
    }
    if let Some(first) = accepted.together {
        transaction.check("invite", &keys::issued_together(accepted.workspace, first), When::Exists)?;
    }
    let mine = AttributeValue::S(accepted.id.to_string());
    transaction.delete("invite's link", &keys::invite_token(accepted.token), When::Is("invite", mine))
}

/// Writes an invite. `version` in it is the one it was read at; it rises by one.
pub(crate) fn put(transaction: &mut Transaction<'_>, invite: &Invite) -> Result<(), StoreError> {
    let changed = Invite { version: invite.version + 1, ..invite.clone() };
    transaction.put(
        "invite",
        &keys::invite(invite.workspace, invite.id),
        &changed,
        None,
        When::Version(invite.version),
    )
}

/// Writes the link, and makes the invite the one that its address was last invited by, on condition that `last` was it until now.
pub(crate) fn put_token(
    transaction: &mut Transaction<'_>,
    invite: &Invite,
    last: Option<InviteId>,
) -> Result<(), StoreError> {
    let row = TokenRow { workspace: invite.workspace, invite: invite.id };
    transaction.put("link", &keys::invite_token(invite.token), &row, Some(invite.expires_at), When::New)?;
    let address = keys::pending_invite(invite.workspace, &invite.email);
    let when = last.map_or(When::New, |last| When::NewOrIs("invite", AttributeValue::S(last.to_string())));
    transaction.put("invitee", &address, &row, Some(invite.expires_at), when)
}
