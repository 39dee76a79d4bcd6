//! Members, and the identities by which they are found.

use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use rollcall_domain::audit::AuditEntry;
use rollcall_domain::connection::Connection;
use rollcall_domain::event::Event;
use rollcall_domain::identity::Identity;
use rollcall_domain::invite::Invite;
use rollcall_domain::member::{Member, Role, State};
use rollcall_domain::mirror::{Person, Team};
use rollcall_domain::{MemberId, Timestamp, TokenHash, WorkspaceId};
use serde::{Deserialize, Serialize};

use crate::error::StoreError;
use crate::reading::{Page, Position};
use crate::transaction::{Record, Transaction, When};
use crate::{Store, invites, keys, sessions};

/// A membership of an identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Membership {
    /// In which workspace.
    pub workspace: WorkspaceId,
    /// As which member.
    pub member: MemberId,
}

/// The row of an identity: a membership, and the member as they are, so that a sign-in reads one row.
#[derive(Serialize, Deserialize)]
struct IdentityRow {
    #[serde(flatten)]
    membership: Membership,
    copy: Member,
}

/// Somebody who is let in at this moment: everything that is written for it, together or not at all.
pub struct Entering<'a, S> {
    /// The member as they are to be. `version` in it is the one they were read at, 0 for a new one.
    pub member: &'a Member,
    /// The member as they were, if they were.
    pub before: Option<&'a Member>,
    /// The invite that is accepted by it, as it is to be.
    pub invite: Option<&'a Invite>,
    /// The connection by whose policy they are let in, as it was read: if it is another by now, nothing is written, and the
    /// [`StoreError::Conflict`] is about [`CONNECTION`].
    pub connection: Option<&'a Connection>,
    /// The session: the hash of its token, its record, its end.
    pub session: (TokenHash, &'a S, Timestamp),
    /// The browser's former session, which ends.
    pub replaces: Option<TokenHash>,
    /// The audit entries.
    pub audit: Vec<AuditEntry>,
    /// The events.
    pub events: Vec<Event>,
}

/// The name of the connection in a conflict: it has been changed since somebody was admitted by it.
pub const CONNECTION: &str = "connection";

impl Store {
    /// A member.
    pub async fn member(
        &self,
        workspace: WorkspaceId,
        member: MemberId,
    ) -> Result<Option<Member>, StoreError> {
        self.get(&keys::member(workspace, member)).await
    }

    /// The member that an identity signs in as. One read: the identity's row has a copy, written with every change of the member.
    pub async fn member_by_identity(
        &self,
        workspace: WorkspaceId,
        identity: &Identity,
    ) -> Result<Option<Member>, StoreError> {
        Ok(self.get::<IdentityRow>(&keys::identity(workspace, identity)).await?.map(|row| row.copy))
    }

    /// Every membership of an identity, in whatever workspace. One query.
    pub async fn memberships_of(&self, identity: &Identity) -> Result<Vec<Membership>, StoreError> {
        self.query_all(&keys::identity_partition(identity)).await
    }

    /// A page of a workspace's members. One query.
    pub async fn members(
        &self,
        workspace: WorkspaceId,
        after: Option<&Position>,
        limit: usize,
    ) -> Result<Page<Member>, StoreError> {
        self.query_page(&keys::of(workspace, "members"), "", after, limit, true).await
    }

    /// All members of a workspace.
    pub async fn all_members(&self, workspace: WorkspaceId) -> Result<Vec<Member>, StoreError> {
        self.query_all(&keys::of(workspace, "members")).await
    }

    /// The account of the Bitbucket workspace that a member has, as mirrored.
    pub async fn person_of(&self, member: &Member) -> Result<Option<Person>, StoreError> {
        match member.account() {
            Some(account) => self.get(&keys::person(member.workspace, account)).await,
            None => Ok(None),
        }
    }

    /// The teams of a member: those of their Bitbucket groups, and those an invite named. Removed teams are left out.
    pub async fn teams_of(&self, member: &Member) -> Result<Vec<Team>, StoreError> {
        let person = self.person_of(member).await?;
        let mut ids: Vec<_> =
            person.into_iter().filter(|person| !person.left).flat_map(|person| person.teams).collect();
        ids.extend(member.by_invite.iter().flat_map(|invite| invite.teams.iter().copied()));
        ids.sort_unstable();
        ids.dedup();
        let team_keys: Vec<_> = ids.into_iter().map(|team| keys::team(member.workspace, team)).collect();
        let mut teams: Vec<Team> = self.get_many(&team_keys).await?;
        teams.retain(|team| !team.removed);
        teams.sort_by_key(|team| team.id);
        Ok(teams)
    }

    /// Writes a sign-in: the member, the identity, the session, the accepted invite, the audit entries and the events.
    pub async fn enter<S: Serialize>(&self, entering: Entering<'_, S>) -> Result<(), StoreError> {
        let Entering { member, before, invite, connection, session, replaces, audit, events } = entering;
        let (hash, session, ends) = session;
        let mut transaction = self.transaction();
        put_member(&mut transaction, member, before)?;
        if let Some(connection) = connection {
            let key = keys::connection(connection.workspace);
            transaction.check(CONNECTION, &key, When::Version(connection.version))?;
        }
        if let Some(invite) = invite {
            invites::consume(&mut transaction, invite, member)?;
        }
        sessions::put_session(&mut transaction, hash, session, member, ends)?;
        if let Some(former) = replaces.filter(|former| *former != hash) {
            transaction.delete("former session", &keys::session(former), When::Always)?;
        }
        transaction.record(Record { audit, events })?;
        transaction.commit().await
    }

    /// Changes a member. `version` in it is the one it was read at; it rises by one.
    ///
    /// A change that would leave the workspace without an active admin has to be kept from happening by the caller, who names the
    /// admins that stay in `staying`: one of them is checked to be still there, so that two such changes cannot pass each other.
    pub async fn update_member(
        &self,
        member: &Member,
        before: &Member,
        staying: Option<&Member>,
        record: Record,
    ) -> Result<(), StoreError> {
        let mut transaction = self.transaction();
        put_member(&mut transaction, member, Some(before))?;
        if let Some(staying) = staying {
            let key = keys::member(staying.workspace, staying.id);
            transaction.check("the other admin", &key, When::Version(staying.version))?;
        }
        let at = record.audit.first().map(|entry| entry.at);
        if member.epoch != before.epoch {
            void_invites(&mut transaction, member, at)?;
        } else if member.role < before.role {
            void_issued(&mut transaction, member, at)?;
        }
        transaction.record(record)?;
        transaction.commit().await
    }

    /// The active admins of a workspace.
    pub async fn active_admins(&self, workspace: WorkspaceId) -> Result<Vec<Member>, StoreError> {
        let mut members = self.all_members(workspace).await?;
        members.retain(|member| member.role == Role::Admin && member.state == State::Active);
        Ok(members)
    }
}

/// Writes a member and the rows of their identities.
pub(crate) fn put_member(
    transaction: &mut Transaction<'_>,
    member: &Member,
    before: Option<&Member>,
) -> Result<(), StoreError> {
    let changed = Member { version: member.version + 1, ..member.clone() };
    let key = keys::member(member.workspace, member.id);
    transaction.put("member", &key, &changed, None, When::Version(member.version))?;
    let membership = Membership { workspace: member.workspace, member: member.id };
    let row = IdentityRow { membership, copy: changed };
    let had = before.map(|before| before.identities.as_slice()).unwrap_or_default();
    let mine = AttributeValue::S(member.id.to_string());
    for identity in &member.identities {
        let when = if had.contains(identity) { When::Is("member", mine.clone()) } else { When::New };
        transaction.put("identity", &keys::identity(member.workspace, identity), &row, None, when)?;
    }
    for identity in had.iter().filter(|identity| !member.identities.contains(identity)) {
        transaction.delete("identity", &keys::identity(member.workspace, identity), When::Exists)?;
    }
    Ok(())
}

/// Voids every pending invite to a member's identities and address, and every one they have issued, at once, however many there are:
/// those issued before are void.
pub(crate) fn void_invites(
    transaction: &mut Transaction<'_>,
    member: &Member,
    at: Option<Timestamp>,
) -> Result<(), StoreError> {
    let mut who: Vec<String> = member.identities.iter().map(keys::identity_partition).collect();
    who.extend(member.email.iter().map(ToString::to_string));
    for who in who {
        put_barrier(transaction, member.workspace, who, at)?;
    }
    void_issued(transaction, member, at)
}

/// How long after the end of an issuer's right their invites are void as well: an invite has the time at which somebody asked for it, and
/// a transaction that is in others' way comes later than the time that is written in it.
const ISSUING_TAKES: Duration = Duration::from_mins(1);

/// Voids every pending invite that a member has issued: they may not issue any more.
fn void_issued(
    transaction: &mut Transaction<'_>,
    member: &Member,
    at: Option<Timestamp>,
) -> Result<(), StoreError> {
    let at = at.map(|at| at.plus(ISSUING_TAKES));
    put_barrier(transaction, member.workspace, keys::issuer(member.id), at)
}

fn put_barrier(
    transaction: &mut Transaction<'_>,
    workspace: WorkspaceId,
    who: String,
    at: Option<Timestamp>,
) -> Result<(), StoreError> {
    let Some(at) = at else { return Ok(()) };
    let key = keys::barrier(workspace, &who);
    transaction.put("invite barrier", &key, &invites::Barrier { who, at }, None, When::Always)
}
