//! Bearer tokens (RFC 6750).

use axum::extract::{FromRequestParts, OptionalFromRequestParts};
use http::header::{AUTHORIZATION, HeaderValue, WWW_AUTHENTICATE};
use http::request::Parts;
use http::{HeaderMap, StatusCode};
use rollcall_domain::Secret;

use super::Problem;

/// The longest token that is looked at. An access token that names a hundred teams has about 6,000 characters; Lambda's HTTP API takes
/// 10,240 bytes of headers in all.
const LIMIT: usize = 8_192;

/// The token of `Authorization: Bearer …`. Not a token in the body or the query: those end in logs.
#[derive(Clone)]
pub struct Bearer(pub Secret);

/// 401 for a token that is missing, unknown, expired or revoked: which of these, only the log says.
pub fn unauthorized() -> Problem {
    let challenge = HeaderValue::from_static("Bearer realm=\"rollcall\", error=\"invalid_token\"");
    Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", "You are not signed in")
        .detail("The token is unknown, expired or revoked.")
        .header(WWW_AUTHENTICATE, challenge)
}

/// 401 without an error code, because the request carried no credentials (RFC 6750 §3.1).
fn missing() -> Problem {
    Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", "You are not signed in")
        .detail("Send a token in the header `Authorization: Bearer …`.")
        .header(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"rollcall\""))
}

fn malformed() -> Problem {
    Problem::bad_request("The Authorization header must be sent once, and be written `Bearer` and the token.")
        .header(
            WWW_AUTHENTICATE,
            HeaderValue::from_static("Bearer realm=\"rollcall\", error=\"invalid_request\""),
        )
}

/// The token, `None` if there is no header at all; a header of another scheme counts as none of ours.
fn read(headers: &HeaderMap) -> Result<Option<Bearer>, Problem> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(malformed());
    }
    let text = value.to_str().map_err(|_| malformed())?;
    let (scheme, token) = text.split_once(' ').ok_or_else(malformed)?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Ok(None);
    }
    let token = token.trim_start_matches(' ');
    // b64token, RFC 6750 §2.1
    let letters = token.trim_end_matches('=');
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte);
    if letters.is_empty() || token.len() > LIMIT || !letters.bytes().all(allowed) {
        return Err(malformed());
    }
    Ok(Some(Bearer(Secret::new(token))))
}

impl<S: Send + Sync> FromRequestParts<S> for Bearer {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        read(&parts.headers)?.ok_or_else(missing)
    }
}

impl<S: Send + Sync> OptionalFromRequestParts<S> for Bearer {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, Problem> {
        read(&parts.headers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: &[&str]) -> Result<Option<String>, StatusCode> {
        let headers = values.iter().map(|value| (AUTHORIZATION, HeaderValue::from_str(value).unwrap())).fold(
            HeaderMap::new(),
            |mut headers, (name, value)| {
                headers.append(name, value);
                headers
            },
        );
        read(&headers)
            .map(|token| token.map(|token| token.0.expose().to_owned()))
            .map_err(|problem| problem.status())
    }

    #[test]
    fn only_a_single_well_formed_bearer_token_is_a_token() {
        assert_eq!(of(&["Bearer abc.DEF-_~+/="]), Ok(Some("abc.DEF-_~+/=".to_owned())));
        assert_eq!(of(&["bearer  abc"]), Ok(Some("abc".to_owned())));
        let longest = "a".repeat(LIMIT);
        assert_eq!(of(&[&format!("Bearer {longest}")]), Ok(Some(longest)));
        assert_eq!(of(&[]), Ok(None));
        assert_eq!(of(&["Basic dXNlcjpwYXNz"]), Ok(None));
        for bad in [
            &["Bearer"][..],
            &["Bearer "],
            &["Bearer ="],
            &["Bearer a b"],
            &["Bearer a\"b"],
            &["Bearer a", "Bearer b"],
            &[&format!("Bearer {}", "a".repeat(LIMIT + 1))],
        ] {
            assert_eq!(of(bad), Err(StatusCode::BAD_REQUEST), "{bad:?}");
        }
    }
}
