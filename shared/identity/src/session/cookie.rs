//! Cookies with the `__Host-` prefix (RFC 6265bis §4.1.3.2): sent over TLS only, to this very host only, and not to be overwritten by
//! another subdomain. Browsers take `http://localhost` for secure, so that the same cookies serve the local stack.

use core::time::Duration;

use rollcall_domain::Secret;
use thiserror::Error;

use crate::FailedCheck;

/// The cookies that Rollcall sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CookieName {
    /// The session of somebody who is signed in.
    Session,
    /// The logins that are under way, sealed.
    Login,
}

impl CookieName {
    /// Its name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Session => "__Host-rollcall-session",
            Self::Login => "__Host-rollcall-login",
        }
    }
}

/// The same cookie came twice: one of them is not ours, and nothing tells which.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the browser sent the same cookie twice; clear this site's cookies and sign in again")]
pub struct AmbiguousCookie;

impl FailedCheck for AmbiguousCookie {
    fn check(&self) -> &'static str {
        "cookie.repeated"
    }
}

/// A `Set-Cookie` header. The value has to be free of the characters that end one, as base64url is.
///
/// `Lax` and not `Strict`: coming back from a provider is a navigation from another site, and has to bring the cookie along.
pub fn set_cookie(name: CookieName, value: &Secret, lifetime: Duration) -> String {
    attributes(name, value.expose(), lifetime.as_secs())
}

/// A `Set-Cookie` header that removes a cookie.
pub fn remove_cookie(name: CookieName) -> String {
    attributes(name, "", 0)
}

fn attributes(name: CookieName, value: &str, seconds: u64) -> String {
    format!("{}={value}; Max-Age={seconds}; Path=/; Secure; HttpOnly; SameSite=Lax", name.as_str())
}

/// Finds a cookie in the `Cookie` headers of a request (HTTP/2 may split them into several, RFC 9113 §8.2.3).
pub fn read_cookie<'a>(
    headers: impl IntoIterator<Item = &'a str>,
    name: CookieName,
) -> Result<Option<Secret>, AmbiguousCookie> {
    let mut found = None;
    for pair in headers.into_iter().flat_map(|header| header.split(';')) {
        let Some((key, value)) = pair.trim_matches([' ', '\t']).split_once('=') else { continue };
        if key == name.as_str() && found.replace(Secret::new(value)).is_some() {
            return Err(AmbiguousCookie);
        }
    }
    Ok(found.filter(|value| !value.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::super::SessionToken;
    use super::*;
    use proptest::prelude::*;

    fn read(headers: &[&str]) -> Result<Option<String>, AmbiguousCookie> {
        read_cookie(headers.iter().copied(), CookieName::Session)
            .map(|found| found.map(|value| value.expose().to_owned()))
    }

    #[test]
    fn a_cookie_has_every_attribute_and_no_domain() {
        let cookie = set_cookie(CookieName::Session, &Secret::new("abc"), Duration::from_mins(1));
        assert_eq!(cookie, "__Host-rollcall-session=abc; Max-Age=60; Path=/; Secure; HttpOnly; SameSite=Lax");
        assert!(remove_cookie(CookieName::Login).starts_with("__Host-rollcall-login=; Max-Age=0; "));
    }

    #[test]
    fn a_cookie_is_found_by_its_exact_name() {
        assert_eq!(read(&["a=b; __Host-rollcall-session=abc; c"]), Ok(Some("abc".into())));
        assert_eq!(read(&["a=b", "__Host-rollcall-session=abc=="]), Ok(Some("abc==".into())));
        for other in [
            "",
            "rollcall-session=abc",
            "__host-rollcall-session=abc",
            "x__Host-rollcall-session=abc",
            "__Host-rollcall-session=",
        ] {
            assert_eq!(read(&[other]), Ok(None), "{other}");
        }
    }

    #[test]
    fn the_same_cookie_twice_is_nobodys() {
        let twice = "__Host-rollcall-session=a; __Host-rollcall-session=a";
        assert_eq!(read(&[twice]), Err(AmbiguousCookie));
        assert_eq!(read(&["__Host-rollcall-session=a", "__Host-rollcall-session=b"]), Err(AmbiguousCookie));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(10_000))]
        #[test]
        fn a_mutated_header_gives_no_other_session(at in 0_usize..67, byte in 0_u8..128, junk in "\\PC{0,20}") {
            let token = SessionToken::new([5; 32]);
            let mut header = format!("__Host-rollcall-session={}", token.secret().expose()).into_bytes();
            prop_assert_eq!(header.len(), 67);
            let unchanged = header[at] == byte;
            header[at] = byte;
            let header = String::from_utf8(header).unwrap();
            let found = read_cookie([header.as_str()], CookieName::Session).unwrap();
            if let Some(presented) = found.and_then(|value| SessionToken::parse(value.expose())) {
                prop_assert_eq!(presented.hash().matches(&token.hash()), unchanged);
            } else {
                prop_assert!(!unchanged);
            }
            let _ = read_cookie([junk.as_str(), header.as_str()], CookieName::Session);
        }
    }
}
