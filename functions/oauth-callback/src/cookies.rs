//! The two cookies: the sealed logins that are under way, and the session.

use http::HeaderMap;
use http::header::{COOKIE, HeaderValue, SET_COOKIE};
use rollcall_domain::Secret;
use rollcall_identity::relying_party::{BrowserBinding, PendingLogins};
use rollcall_identity::session::{CookieName, read_cookie, remove_cookie, set_cookie};

use crate::app::{App, Derived};
use crate::failure::Failure;

/// What the login cookie is sealed for: no other sealed text can take its place.
const CONTEXT: &str = "login-cookie";

/// The cookie that a browser sent, if it sent one.
pub(crate) fn read(headers: &HeaderMap, name: CookieName) -> Result<Option<Secret>, Failure> {
    let values = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    read_cookie(values, name).map_err(|ambiguous| Failure::denied(None, &ambiguous))
}

/// The logins that a browser has under way. A cookie that cannot be opened counts as none: the login it held fails at its state.
pub(crate) fn pending(app: &App, derived: &Derived, headers: &HeaderMap) -> Result<PendingLogins, Failure> {
    let opened = read(headers, CookieName::Login)?
        .and_then(|sealed| derived.transactions.open(CONTEXT, sealed.expose()).ok())
        .and_then(|bytes| PendingLogins::from_unsealed(&bytes));
    Ok(opened.unwrap_or_else(|| PendingLogins::new(BrowserBinding::new(app.bytes()))))
}

/// The login cookie with these logins, or without any.
pub(crate) fn keep_pending(derived: &Derived, pending: &PendingLogins) -> Result<HeaderValue, Failure> {
    if pending.is_empty() {
        return header(&remove_cookie(CookieName::Login));
    }
    let sealed = derived.transactions.seal(CONTEXT, &pending.to_sealable());
    let sealed = sealed.map_err(|error| Failure::unavailable("login cookie", &error))?;
    header(&set_cookie(CookieName::Login, &Secret::new(sealed), core::time::Duration::from_mins(10)))
}

/// The session cookie.
pub(crate) fn keep_session(app: &App, token: &Secret) -> Result<HeaderValue, Failure> {
    header(&set_cookie(CookieName::Session, token, app.session_limits().absolute))
}

/// Adds a cookie to an answer.
pub(crate) fn set(headers: &mut HeaderMap, cookie: HeaderValue) {
    headers.append(SET_COOKIE, cookie);
}

fn header(text: &str) -> Result<HeaderValue, Failure> {
    HeaderValue::from_str(text).map_err(|_| Failure::defect("a cookie is no valid header"))
}
