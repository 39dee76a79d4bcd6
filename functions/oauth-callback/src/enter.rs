//! Letting somebody in: the member, the session, the audit entry and the event, in one transaction.

use axum::response::{IntoResponse as _, Response};
use rollcall_domain::admission::Ground;
use rollcall_domain::audit::{Actor, AuditEntry};
use rollcall_domain::connection::Connection;
use rollcall_domain::event::{Event, EventKind, about_member};
use rollcall_domain::identity::Visitor;
use rollcall_domain::invite::Invite;
use rollcall_domain::member::{Member, Origin, Role, State};
use rollcall_domain::{EventId, MemberId, SessionId, Timestamp, TokenHash, WorkspaceId};
use rollcall_identity::session::{CookieName, SessionRecord, SessionToken};
use rollcall_service::random::new_id;
use rollcall_service::web::see_other;
use rollcall_store::StoreError;
use rollcall_store::members::{CONNECTION, Entering};
use serde_json::json;

use crate::audit::What;
use crate::callback::Return;
use crate::cookies;
use crate::failure::Failure;

/// Why somebody is let in.
#[derive(Clone)]
pub enum Entry<'a> {
    /// The rule of the connection lets them in, at this moment.
    ByBitbucket {
        /// The connection.
        connection: &'a Connection,
        /// The member they are already, if they are.
        member: Option<Member>,
        /// The rule.
        ground: Ground,
    },
    /// They are a member whom an invite lets in.
    Known {
        /// The member.
        member: Member,
    },
}

impl Entry<'_> {
    const fn workspace(&self) -> WorkspaceId {
        match self {
            Self::ByBitbucket { connection, .. } => connection.workspace,
            Self::Known { member } => member.workspace,
        }
    }

    /// The same, now that the member has been changed while they were on their way in. `None`: what was decided may not hold any more,
    /// as where a run of the sync has just suspended them, which may know what is newer than what was asked for here.
    fn anew(self, member: Member, now: Timestamp) -> Option<Self> {
        match self {
            Self::ByBitbucket { connection, ground, .. } if member.state == State::Active => {
                Some(Self::ByBitbucket { connection, member: Some(member), ground })
            }
            Self::Known { .. } if member.is_let_in(now) && member.has_valid_invite(now) => {
                Some(Self::Known { member })
            }
            Self::ByBitbucket { .. } | Self::Known { .. } => None,
        }
    }
}

/// Lets somebody in and sends the browser on.
///
/// Where the member is changed by somebody else at this moment, as by the same person in another tab, they are looked at once more.
pub async fn enter(back: &Return<'_>, visitor: &Visitor, mut entry: Entry<'_>) -> Result<Response, Failure> {
    let mut attempt = 0;
    loop {
        match Box::pin(once(back, visitor, entry.clone())).await {
            Err(Stopped::Raced) if attempt < ATTEMPTS => {
                attempt += 1;
                let member =
                    back.app.store().member_by_identity(entry.workspace(), &visitor.identity).await?;
                let anew = member.and_then(|member| entry.anew(member, back.app.now()));
                entry = anew.ok_or_else(|| raced(visitor))?;
            }
            written => return written.map_err(|stopped| stopped.or(raced(visitor))),
        }
    }
}

async fn once(back: &Return<'_>, visitor: &Visitor, entry: Entry<'_>) -> Result<Response, Stopped> {
    let app = back.app;
    let now = app.now();
    let connection = match &entry {
        Entry::ByBitbucket { connection, .. } => Some(*connection),
        Entry::Known { .. } => None,
    };
    let (mut member, known, change, ground) = match entry {
        Entry::Known { member } => {
            let before = member.clone();
            (member, Some(before), None, None)
        }
        Entry::ByBitbucket { member: Some(member), ground, .. } => {
            let before = member.clone();
            let mut member = member;
            let restored = member
                .admit_by_bitbucket()
                .map_err(|_| Failure::check(Some(visitor.identity.provider), "member.disabled"))?;
            (member, Some(before), restored.then_some(EventKind::MemberRestored), Some(ground))
        }
        Entry::ByBitbucket { connection, member: None, ground } => {
            let member = new_member(back, connection, visitor);
            (member, None, Some(EventKind::MemberOnboarded), Some(ground))
        }
    };
    member.display_name.clone_from(&visitor.display_name);
    member.email = visitor.verified_emails.first().cloned().or(member.email);
    member.signed_in_at = Some(now);
    let is_renamed = known
        .as_ref()
        .is_some_and(|known| (&known.display_name, &known.email) != (&member.display_name, &member.email));

    let detail = json!({ "identity": visitor.identity, "ground": ground });
    let action = change.map_or("sign_in.succeeded", EventKind::as_str);
    let actor = Actor::Member { id: member.id };
    let why = match change {
        Some(EventKind::MemberOnboarded) => "signed in and is let in by the connection's policy",
        Some(_) => "signed in again and is let in by the connection's policy",
        None => "signed in",
    };
    let audit = back.trail.entry(
        app,
        What {
            workspace: Some(member.workspace),
            actor,
            action,
            target: Some(member.id.to_string()),
            why,
            detail,
        },
    );
    let told = change.or_else(|| is_renamed.then_some(EventKind::MemberUpdated));
    let events = told.map(|kind| Event {
        id: new_id::<EventId>(app.clock(), app.random()),
        workspace: member.workspace,
        kind,
        at: now,
        subject: member.id.to_string(),
        data: about_member(&member, json!({})),
    });
    let by = By { connection, ..By::default() };
    write(back, visitor, member, known, by, audit, events.into_iter().collect()).await
}

/// Opens the session and writes it with everything that belongs to it; then sends the browser on.
pub async fn session(
    back: &Return<'_>,
    visitor: &Visitor,
    member: Member,
    before: Option<Member>,
    audit: AuditEntry,
    events: Vec<Event>,
) -> Result<Response, Failure> {
    let written = write(back, visitor, member, before, By::default(), audit, events).await;
    written.map_err(|stopped| stopped.or(raced(visitor)))
}

/// The same, with the invite that is accepted by it.
pub async fn by_invite(
    back: &Return<'_>,
    visitor: &Visitor,
    member: Member,
    before: Option<Member>,
    accepted: &Invite,
    audit: AuditEntry,
    events: Vec<Event>,
) -> Result<Response, Failure> {
    let by = By { invite: Some(accepted), ..By::default() };
    let written = write(back, visitor, member, before, by, audit, events).await;
    written.map_err(|stopped| stopped.or(Failure::invalid_invite("invite.raced")))
}

/// Why nothing was written.
enum Stopped {
    /// Somebody else was faster: the same person in another tab, another accept of the invite, or an admin.
    Raced,
    /// It cannot be.
    Failed(Failure),
}

impl Stopped {
    fn or(self, raced: Failure) -> Failure {
        match self {
            Self::Raced => raced,
            Self::Failed(failure) => failure,
        }
    }
}

impl From<Failure> for Stopped {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl From<StoreError> for Stopped {
    fn from(error: StoreError) -> Self {
        Self::Failed(error.into())
    }
}

/// The member has been changed again and again.
fn raced(visitor: &Visitor) -> Failure {
    Failure::check(Some(visitor.identity.provider), "member.raced")
}

/// By what somebody is let in that may be taken away while they sign in.
#[derive(Default)]
struct By<'a> {
    invite: Option<&'a Invite>,
    connection: Option<&'a Connection>,
}

async fn write(
    back: &Return<'_>,
    visitor: &Visitor,
    member: Member,
    before: Option<Member>,
    by: By<'_>,
    audit: AuditEntry,
    events: Vec<Event>,
) -> Result<Response, Stopped> {
    let app = back.app;
    let now = app.now();
    let token = SessionToken::new(app.bytes());
    let record = SessionRecord {
        id: new_id::<SessionId>(app.clock(), app.random()),
        member: member.id,
        workspace: member.workspace,
        epoch: member.epoch,
        provider: visitor.identity.provider,
        created_at: now,
        used_at: now,
        ended_at: None,
    };
    // A new sign-in is a new session; the browser's old one ends with it.
    let replaces = cookies::read(back.headers, CookieName::Session)?.map(|old| TokenHash::of(&old));
    let (mut connection, mut attempt) = (by.connection.cloned(), 0);
    loop {
        let entering = Entering {
            member: &member,
            before: before.as_ref(),
            invite: by.invite,
            connection: connection.as_ref(),
            session: (token.hash(), &record, record.ends_at(app.session_limits())),
            replaces,
            audit: vec![audit.clone()],
            events: events.clone(),
        };
        match (app.store().enter(entering).await, connection) {
            (Ok(()), _) => break,
            // Each run of the sync writes into the connection how it fared: that is nobody's decision.
            (Err(StoreError::Conflict { what: CONNECTION }), Some(asked)) if attempt < ATTEMPTS => {
                attempt += 1;
                connection = Some(still_stands(back, &asked).await?);
            }
            (Err(error), _) if error.is_conflict() => return Err(Stopped::Raced),
            (Err(error), _) => return Err(error.into()),
        }
    }
    app.metrics().record().count("SignIns", 1).write();
    let mut response = see_other(back.login.return_to.as_str()).into_response();
    cookies::set(response.headers_mut(), cookies::keep_session(app, token.secret())?);
    Ok(response)
}

/// How often a sign-in is written anew because a row that it was decided by has changed, but not what it says about sign-ins.
const ATTEMPTS: u32 = 3;

/// The connection as it is now, if everything by which somebody has just been admitted is as it was.
async fn still_stands(back: &Return<'_>, asked: &Connection) -> Result<Connection, Failure> {
    let now = back.app.store().connection(asked.workspace).await?.map(|connected| connected.connection);
    let same = |now: &Connection| {
        now.is_connected()
            && (now.bitbucket, now.created_at) == (asked.bitbucket, asked.created_at)
            && now.settings == asked.settings
    };
    now.filter(same).ok_or(Failure::check(Some(back.login.provider), "connection.changed"))
}

fn new_member(back: &Return<'_>, connection: &Connection, visitor: &Visitor) -> Member {
    let app = back.app;
    // The account that the connection names begins as an admin. Who is demoted later stays so.
    let is_first_admin = connection.settings.first_admin.is_some()
        && connection.settings.first_admin == visitor.identity.account();
    Member {
        id: new_id::<MemberId>(app.clock(), app.random()),
        workspace: connection.workspace,
        identities: vec![visitor.identity.clone()],
        origin: Origin::Bitbucket,
        by_bitbucket: true,
        by_invite: None,
        role: if is_first_admin { Role::Admin } else { Role::Member },
        state: State::Active,
        display_name: visitor.display_name.clone(),
        email: visitor.verified_emails.first().cloned(),
        created_at: app.now(),
        signed_in_at: None,
        epoch: 0,
        version: 0,
    }
}

#[cfg(test)]
mod tests {
    use rollcall_domain::InviteId;
    use rollcall_domain::bitbucket::{AccountUuid, BitbucketWorkspaceUuid};
    use rollcall_domain::connection::{CredentialKind, Health, Settings};
    use rollcall_domain::identity::Identity;
    use rollcall_domain::member::{InviteEntitlement, SuspensionReason};
    use uuid::Uuid;

    use super::*;

    const NOW: Timestamp = Timestamp::from_seconds(1_000);
    const ACCOUNT: AccountUuid = AccountUuid::new(Uuid::from_u128(1));

    fn member(change: impl FnOnce(&mut Member)) -> Member {
        let mut member = Member {
            id: MemberId::new(NOW, [1; 10]),
            workspace: WorkspaceId::new(NOW, [1; 10]),
            identities: vec![Identity::bitbucket("https://bitbucket.org", ACCOUNT)],
            origin: Origin::Bitbucket,
            by_bitbucket: true,
            by_invite: None,
            role: Role::Member,
            state: State::Active,
            display_name: "Ada".to_owned(),
            email: None,
            created_at: NOW,
            signed_in_at: None,
            epoch: 0,
            version: 1,
        };
        change(&mut member);
        member
    }

    fn suspended(member: &mut Member) {
        assert!(member.suspend(SuspensionReason::LeftWorkspace, None, NOW));
    }

    fn invited_until(until: Timestamp) -> impl FnOnce(&mut Member) {
        move |member| {
            member.by_bitbucket = false;
            member.by_invite = Some(InviteEntitlement {
                invite: InviteId::new(NOW, [1; 10]),
                until: Some(until),
                teams: Vec::new(),
                warned_at: None,
            });
        }
    }

    #[test]
    fn who_is_changed_on_their_way_in_goes_on_only_if_they_are_still_let_in() {
        let connection = Connection {
            workspace: WorkspaceId::new(NOW, [1; 10]),
            bitbucket: BitbucketWorkspaceUuid::new(Uuid::from_u128(2)),
            slug: "acme".parse().unwrap_or_else(|_| unreachable!()),
            name: "Acme".to_owned(),
            credential: CredentialKind::AccessToken,
            settings: Settings::default(),
            health: Health::Healthy,
            created_at: NOW,
            version: 1,
        };
        let by_bitbucket =
            |member| Entry::ByBitbucket { connection: &connection, member, ground: Ground::Owner };
        let known = || Entry::Known { member: member(invited_until(Timestamp::from_seconds(2_000))) };
        let seen = member(|member| member.signed_in_at = Some(NOW));
        for (entry, now_as, goes_on) in [
            (by_bitbucket(None), seen.clone(), true),
            (by_bitbucket(Some(member(|_| ()))), seen.clone(), true),
            (by_bitbucket(Some(member(suspended))), seen.clone(), true),
            (by_bitbucket(Some(member(|_| ()))), member(suspended), false),
            (by_bitbucket(None), member(suspended), false),
            (known(), member(invited_until(Timestamp::from_seconds(2_000))), true),
            (known(), member(invited_until(NOW)), false),
            (known(), member(suspended), false),
            (known(), member(|_| ()), false),
        ] {
            let anew = entry.anew(now_as.clone(), NOW);
            assert_eq!(anew.is_some(), goes_on, "{now_as:#?}");
        }
    }
}
