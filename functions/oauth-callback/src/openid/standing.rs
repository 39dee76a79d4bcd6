//! Whether what was once given still stands: the member, the grant, the session and the client, read again at this moment.
//!
//! Everything is read strongly consistent from the base table, so that whoever was suspended, disabled or voided is refused from
//! the next request on, whatever their tokens say.

use futures_util::future::{join, join3};
use rollcall_domain::member::Member;
use rollcall_domain::{SessionId, Timestamp, TokenHash};
use rollcall_identity::FailedCheck;
use rollcall_identity::provider::{About, Client, Grant, MemberToken};
use rollcall_identity::session::{SessionEnded, SessionRecord};
use rollcall_store::StoreError;
use thiserror::Error;

use crate::app::App;
use rollcall_identity::provider::GrantRow;

/// Why something that was once given does not stand any more.
#[derive(Debug, Error)]
pub enum Fallen {
    /// There is no such member.
    #[error("the member does not exist any more")]
    Member,
    /// Suspended or disabled, or the invite has ended.
    #[error("the member is not let in any more")]
    NotLetIn,
    /// All that was issued to the member before has been voided.
    #[error("what was issued to the member has been voided since")]
    Voided,
    /// The grant was revoked, or has ended.
    #[error("the grant was revoked or has ended")]
    Grant,
    /// The browser session was ended, or is another one.
    #[error("the browser session was ended")]
    NoSession,
    /// The browser session does not hold any more.
    #[error("the browser session does not hold any more: {0}")]
    Session(SessionEnded),
    /// The client was deleted, or is not for this workspace any more.
    #[error("the client was deleted, or is not for this workspace any more")]
    Client,
    /// The table does not say.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl FailedCheck for Fallen {
    fn check(&self) -> &'static str {
        match self {
            Self::Member => "standing.member",
            Self::NotLetIn => "standing.state",
            Self::Voided => "standing.epoch",
            Self::Grant => "standing.grant",
            Self::NoSession => "standing.session",
            Self::Session(ended) => ended.check(),
            Self::Client => "standing.client",
            Self::Store(_) => "standing.unavailable",
        }
    }
}

/// What an access token stands on.
#[derive(Debug, Clone)]
pub struct Standing {
    /// The member.
    pub member: Member,
    /// The grant.
    pub row: GrantRow,
}

/// The member of a grant, if they are let in and nothing was voided.
pub async fn member(app: &App, grant: &Grant, now: Timestamp) -> Result<Member, Fallen> {
    let member = app.store().member(grant.workspace, grant.member).await?;
    judge(member, grant.epoch, now)
}

/// The member and the browser session of a code.
pub async fn member_in_session(
    app: &App,
    grant: &Grant,
    hash: TokenHash,
    now: Timestamp,
) -> Result<Member, Fallen> {
    let (member, session) = join(member(app, grant, now), app.store().session::<SessionRecord>(hash)).await;
    let member = member?;
    session_holds(app, session?, grant.session, &member, now)?;
    Ok(member)
}

/// All that a member's access token stands on. Two round trips at most, one after the other.
pub async fn of_token(app: &App, token: &MemberToken, now: Timestamp) -> Result<Standing, Fallen> {
    let (member, row, client) = join3(
        app.store().member(token.workspace, token.member),
        app.store().family::<GrantRow>(token.grant),
        app.store().openid_client::<Client>(token.client),
    )
    .await;
    let member = judge(member?, token.epoch, now)?;
    let row = row?.filter(|row| {
        let grant = &row.family.grant;
        grant.member == member.id && grant.client == token.client && grant.epoch == token.epoch
    });
    let row = row.filter(|row| row.family.revoked_at.is_none()).ok_or(Fallen::Grant)?;
    let client = client?.ok_or(Fallen::Client)?;
    serves(&client, &row.family.grant)?;
    if row.is_offline() {
        not_ended(app, &row.family.grant).await?;
    } else {
        let session = app.store().session::<SessionRecord>(row.session_hash).await?;
        session_holds(app, session, row.family.grant.session, &member, now)?;
    }
    Ok(Standing { member, row })
}

/// Whether the browser session of a grant was not ended by its owner: a grant for use without the person outlives its limits, not its
/// end.
pub async fn not_ended(app: &App, grant: &Grant) -> Result<(), Fallen> {
    if app.store().is_session_ended(grant.session).await? { Err(Fallen::NoSession) } else { Ok(()) }
}

/// Whether a client still is for the workspace of a grant.
pub fn serves(client: &Client, grant: &Grant) -> Result<(), Fallen> {
    let fits = client.workspace.is_none_or(|workspace| workspace == grant.workspace);
    if fits { Ok(()) } else { Err(Fallen::Client) }
}

/// What tokens say about a member, as it is now.
pub async fn about(app: &App, member: &Member) -> Result<About, StoreError> {
    let teams = app.store().teams_of(member).await?;
    Ok(About {
        role: member.role,
        teams: teams.into_iter().map(|team| team.id).collect(),
        name: member.display_name.clone(),
        email: member.email.clone(),
    })
}

fn judge(member: Option<Member>, epoch: u64, now: Timestamp) -> Result<Member, Fallen> {
    let member = member.ok_or(Fallen::Member)?;
    if !member.is_let_in(now) {
        return Err(Fallen::NotLetIn);
    }
    if member.epoch != epoch {
        return Err(Fallen::Voided);
    }
    Ok(member)
}

fn session_holds(
    app: &App,
    session: Option<SessionRecord>,
    id: SessionId,
    member: &Member,
    now: Timestamp,
) -> Result<(), Fallen> {
    let session = session.filter(|session| session.id == id && session.member == member.id);
    let session = session.ok_or(Fallen::NoSession)?;
    session.check(member.epoch, app.session_limits(), now).map_err(Fallen::Session)
}
