//! Who asks: by a bearer token or, for people in a browser, by the session's cookie.
//!
//! | credential | checked against |
//! |---|---|
//! | bootstrap token | its SHA-256 in the deployment secret |
//! | admin token (`rca_…`) | its SHA-256 in the table, its end, and whether it is still there |
//! | machine's access token | our own signature, its end, and the client as it is registered at this moment |
//! | session cookie | the session and the member, both read at this moment; writes have to come from our own pages |
//!
//! A member's access token is none of these: an application that holds one would otherwise have all that its users may do here.

use core::time::Duration;

use axum::extract::{FromRequestParts, OptionalFromRequestParts};
use http::HeaderMap;
use http::header::COOKIE;
use http::request::Parts;
use rollcall_domain::authority::{Access, Principal};
use rollcall_domain::{Secret, Timestamp, TokenHash};
use rollcall_identity::FailedCheck as _;
use rollcall_identity::provider::Client;
use rollcall_identity::session::{CookieName, SessionLimits, SessionRecord, SessionToken, read_cookie};
use rollcall_service::rate::{self, Attempt};
use rollcall_service::web::{Bearer, ClientAddress, Problem, same_site, unauthorized};

use crate::Admin;
use crate::failure::Failure;
use crate::keys::Keys;

/// What an admin token begins with, so that people and secret scanners recognise it.
pub const TOKEN_PREFIX: &str = "rca_";
/// The use of an admin token is written down at most this often.
const NOTE_USE_AFTER: Duration = Duration::from_hours(1);

/// Nobody is recognised. The name of the check is for the log; the caller is told the same for all of them.
enum Refused {
    Credential(&'static str),
    Told(Failure),
}

impl<F: Into<Failure>> From<F> for Refused {
    fn from(failure: F) -> Self {
        Self::Told(failure.into())
    }
}

/// Finds out who asks. Credentials that are refused are counted for each address; after too many the answer is to wait.
pub(crate) async fn authenticate(
    admin: &Admin,
    parts: &mut Parts,
    access: Access,
) -> Result<Principal, Failure> {
    let bearer = <Bearer as OptionalFromRequestParts<()>>::from_request_parts(parts, &()).await?;
    let keys = admin.keys().await?;
    let now = admin.now();
    let recognised = match (bearer, session_cookie(&parts.headers)) {
        (Some(Bearer(token)), _) => by_token(admin, &keys, &token, now).await,
        (None, Ok(Some(cookie))) => by_session(admin, &parts.headers, &cookie, access, now).await,
        (None, Err(check)) => Err(Refused::Credential(check)),
        (None, Ok(None)) => {
            // Says what is missing.
            let missing = <Bearer as FromRequestParts<()>>::from_request_parts(parts, &()).await;
            Err(missing.err().map_or(Refused::Credential("credential.missing"), Refused::from))
        }
    };
    match recognised {
        Ok(principal) => Ok(principal),
        Err(Refused::Told(failure)) => Err(failure),
        Err(Refused::Credential(check)) => {
            tracing::warn!(check, "a credential was refused");
            let address = parts.extensions.get::<ClientAddress>().and_then(|address| address.0);
            let key = keys.rates.of_address(Attempt::Admin, address, now);
            let count = admin.store().count_attempt(&key.to_string(), key.expires_at()).await?;
            let allowed = rate::is_allowed(count, admin.config().sign_in_rate);
            let wait = key.retry_after(now).as_secs();
            Err(if allowed { unauthorized() } else { Problem::too_many_requests(wait) }.into())
        }
    }
}

async fn by_token(admin: &Admin, keys: &Keys, token: &Secret, now: Timestamp) -> Result<Principal, Refused> {
    let hash = TokenHash::of(token);
    if keys.bootstrap.is_some_and(|bootstrap| bootstrap.matches(&hash)) {
        return Ok(Principal::Bootstrap);
    }
    if token.expose().starts_with(TOKEN_PREFIX) {
        return by_admin_token(admin, hash, now).await;
    }
    by_machine_token(admin, keys, token, now).await
}

async fn by_admin_token(admin: &Admin, hash: TokenHash, now: Timestamp) -> Result<Principal, Refused> {
    let token = admin.store().admin_token(hash, now).await?;
    let token = token.ok_or(Refused::Credential("admin_token.unknown"))?;
    if token.used_at.is_none_or(|used| now.since(used) >= NOTE_USE_AFTER)
        && let Err(error) = admin.store().note_admin_token_use(&token, now).await
    {
        // Revoked a moment ago, or written down by another request: neither is a reason to say no to this one.
        tracing::info!(%error, token = %token.id, "the use of an admin token was not written down");
    }
    Ok(Principal::Token { id: token.id, reach: token.reach, access: token.access })
}

async fn by_machine_token(
    admin: &Admin,
    keys: &Keys,
    token: &Secret,
    now: Timestamp,
) -> Result<Principal, Refused> {
    let token = keys
        .issuer
        .machine_token(token.expose(), now)
        .map_err(|refused| Refused::Credential(refused.check()))?;
    let client: Client =
        admin.store().openid_client(token.client).await?.ok_or(Refused::Credential("client.unknown"))?;
    // What the client may do now, where that is less than what it could when the token was issued.
    let present = client.machine.ok_or(Refused::Credential("client.machine"))?;
    if present.reach != token.machine.reach {
        return Err(Refused::Credential("client.reach"));
    }
    Ok(Principal::Client {
        id: client.id,
        reach: present.reach,
        access: token.machine.access.min(present.access),
    })
}

fn session_cookie(headers: &HeaderMap) -> Result<Option<SessionToken>, &'static str> {
    let cookies = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    match read_cookie(cookies, CookieName::Session) {
        Ok(Some(value)) => SessionToken::parse(value.expose()).map(Some).ok_or("session.form"),
        Ok(None) => Ok(None),
        Err(ambiguous) => Err(ambiguous.check()),
    }
}

async fn by_session(
    admin: &Admin,
    headers: &HeaderMap,
    cookie: &SessionToken,
    access: Access,
    now: Timestamp,
) -> Result<Principal, Refused> {
    if access == Access::Write {
        same_site(headers, &admin.config().public_url).map_err(Problem::from)?;
    }
    let session: Option<SessionRecord> = admin.store().session(cookie.hash()).await?;
    let session = session.ok_or(Refused::Credential("session.unknown"))?;
    let member = admin.store().member(session.workspace, session.member).await?;
    let member = member.ok_or(Refused::Credential("session.member"))?;
    let limits = SessionLimits::default();
    session.check(member.epoch, limits, now).map_err(|ended| Refused::Credential(ended.check()))?;
    if !member.is_let_in(now) {
        return Err(Refused::Credential("member.not_let_in"));
    }
    if session.is_use_due(limits, now) {
        let used = SessionRecord { used_at: now, ..session.clone() };
        if let Err(error) = admin.store().touch_session(cookie.hash(), &used, used.ends_at(limits)).await {
            tracing::info!(%error, "the use of a session was not written down");
        }
    }
    Ok(Principal::Member { id: member.id, workspace: member.workspace, role: member.role })
}
