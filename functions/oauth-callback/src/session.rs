//! Who is signed in in a browser.

use core::time::Duration;

use axum::response::Response;
use futures_util::future::join;
use http::HeaderMap;
use rollcall_domain::member::Member;
use rollcall_domain::{Secret, Timestamp, TokenHash};
use rollcall_identity::FailedCheck as _;
use rollcall_identity::session::{CookieName, SessionRecord};
use rollcall_service::web::see_other;

use crate::app::App;
use crate::cookies;
use crate::failure::Failure;

/// A session that holds at this moment, and the member it belongs to, read strongly consistent.
#[derive(Debug, Clone)]
pub struct Current {
    /// The hash of the session's token: its key in the table.
    pub hash: TokenHash,
    /// The session.
    pub record: SessionRecord,
    /// The member.
    pub member: Member,
}

/// How old a sign-in may be for what would give somebody else a way in that lasts: linking and unlinking an account.
const FRESH: Duration = Duration::from_mins(5);

impl Current {
    /// Whether the person has signed in a moment ago: a session that was left open, or stolen, has not.
    pub fn is_fresh(&self, now: Timestamp) -> bool {
        !self.record.created_at.plus(FRESH).has_passed(now)
    }
}

/// To sign in anew, and back to the page where accounts are linked.
pub fn sign_in_anew() -> Response {
    see_other("/login?choose=true&fresh=true&return_to=%2Flogin")
}

/// Who is signed in in the browser that sent these headers: nobody, if the session or the member does not hold any more.
pub async fn current(app: &App, headers: &HeaderMap) -> Result<Option<Current>, Failure> {
    match cookies::read(headers, CookieName::Session)? {
        Some(token) => of_token(app, &token).await,
        None => Ok(None),
    }
}

async fn of_token(app: &App, token: &Secret) -> Result<Option<Current>, Failure> {
    let hash = TokenHash::of(token);
    let Some(record) = app.store().session::<SessionRecord>(hash).await? else { return Ok(None) };
    let Some(member) = app.store().member(record.workspace, record.member).await? else { return Ok(None) };
    let (limits, now) = (app.session_limits(), app.now());
    if let Err(ended) = record.check(member.epoch, limits, now) {
        tracing::info!(check = ended.check(), session = %record.id, "a session is refused");
        return Ok(None);
    }
    if !member.is_let_in(now) {
        tracing::info!(check = "session.member", session = %record.id, "a session is refused");
        return Ok(None);
    }
    let current = Current { hash, record, member };
    if current.record.is_use_due(limits, now) {
        let used = SessionRecord { used_at: now, ..current.record.clone() };
        let (kept, ()) = join(app.store().touch_session(hash, &used, used.ends_at(limits)), async {}).await;
        // Not noting a use ends a session earlier, never later.
        if let Err(error) = kept {
            tracing::warn!(%error, "the use of a session was not noted");
        }
    }
    Ok(Some(current))
}
