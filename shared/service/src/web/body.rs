//! Bodies, strictly: the right media type, a bounded size, and errors that say where.

use axum::extract::{FromRequest, Request};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use http::{HeaderMap, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::query::from_pairs;
use super::strict::Strict;
use super::{FieldError, Problem};

/// The largest body of a request: 256 KiB.
pub const BODY_LIMIT: usize = 256 * 1024;

/// A JSON body, of a request or of an answer. Types that are read should `deny_unknown_fields`.
#[derive(Debug, Clone, Copy)]
pub struct Json<T>(pub T);

/// A body of `application/x-www-form-urlencoded`, no parameter twice.
#[derive(Debug, Clone, Copy)]
pub struct Form<T>(pub T);

/// 413.
pub(super) fn too_large() -> Problem {
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", "The body is too large")
        .detail(format!("A body may have at most {BODY_LIMIT} bytes."))
}

/// 415, with the media type that would be right (RFC 9110 §15.5.16).
fn unsupported(expected: &'static str) -> Problem {
    Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "media-type", "The body's media type is not understood")
        .detail(format!("Send the body as {expected}."))
        .header(HeaderName::from_static("accept"), HeaderValue::from_static(expected))
}

/// Whether the body is declared as the expected media type, in UTF-8.
fn declared_as(headers: &HeaderMap, expected: &str) -> bool {
    let mut values = headers.get_all(CONTENT_TYPE).iter();
    let (Some(Ok(value)), None) = (values.next().map(HeaderValue::to_str), values.next()) else {
        return false;
    };
    let mut parts = value.split(';').map(str::trim);
    let name = parts.next().unwrap_or_default();
    let utf8 = parts.all(|parameter| {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        !name.eq_ignore_ascii_case("charset") || value.trim_matches('"').eq_ignore_ascii_case("utf-8")
    });
    name.eq_ignore_ascii_case(expected) && utf8
}

async fn bytes<S: Send + Sync>(request: Request, state: &S) -> Result<Bytes, Problem> {
    Bytes::from_request(request, state).await.map_err(|rejection| {
        if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
            too_large()
        } else {
            Problem::bad_request("The body broke off.")
        }
    })
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        const EXPECTED: &str = "application/json";
        if !declared_as(request.headers(), EXPECTED) {
            return Err(unsupported(EXPECTED));
        }
        json(&bytes(request, state).await?).map(Self)
    }
}

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        axum::Json(self.0).into_response()
    }
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Form<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        const EXPECTED: &str = "application/x-www-form-urlencoded";
        if !declared_as(request.headers(), EXPECTED) {
            return Err(unsupported(EXPECTED));
        }
        from_pairs(&bytes(request, state).await?).map(Self)
    }
}

/// Reads JSON: 400 if it is none, 422 with a pointer if it is not what was expected.
fn json<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    let not_json = |error: &serde_json::Error| {
        Problem::new(StatusCode::BAD_REQUEST, "not-json", "The body is not JSON").detail(format!(
            "The JSON cannot be read at line {}, column {}.",
            error.line(),
            error.column()
        ))
    };
    if body.is_empty() {
        return Err(Problem::new(StatusCode::BAD_REQUEST, "not-json", "The body is not JSON")
            .detail("The body is empty."));
    }
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let value = serde_path_to_error::deserialize(Strict(&mut deserializer)).map_err(|error| {
        let pointer = pointer(error.path());
        let error = error.into_inner();
        if error.is_data() {
            Problem::invalid(vec![FieldError::at(pointer, without_position(&error.to_string()))])
        } else {
            not_json(&error)
        }
    })?;
    deserializer.end().map_err(|error| not_json(&error))?;
    Ok(value)
}

/// A JSON Pointer (RFC 6901) to where reading stopped. The whole document is the empty pointer.
fn pointer(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    path.iter().fold(String::new(), |pointer, segment| match segment {
        Segment::Seq { index } => format!("{pointer}/{index}"),
        Segment::Map { key } => format!("{pointer}/{}", key.replace('~', "~0").replace('/', "~1")),
        Segment::Enum { .. } | Segment::Unknown => pointer,
    })
}

/// serde's message without the position, which the pointer tells better.
fn without_position(message: &str) -> String {
    message.rsplit_once(" at line ").map_or(message, |(message, _)| message).to_owned()
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Invites {
        #[allow(dead_code, reason = "read by serde")]
        invites: Vec<Invite>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Invite {
        #[allow(dead_code, reason = "read by serde")]
        email: String,
    }

    fn refused(body: &str) -> serde_json::Value {
        json::<Invites>(body.as_bytes()).unwrap_err().to_json(None)
    }

    #[test]
    fn what_is_not_json_is_400_and_what_is_not_expected_is_422_with_a_pointer() {
        for body in ["", "{", "{\"invites\":[]} trailing", "\u{feff}{}", "{\"invites\":[}"] {
            assert_eq!(refused(body)["status"], 400, "{body}");
        }
        for (body, pointer) in [
            ("[]", ""),
            ("{}", ""),
            ("{\"invites\":[{\"email\":1}]}", "/invites/0/email"),
            ("{\"invites\":[{\"email\":\"a\"},{}]}", "/invites/1"),
            ("{\"invites\":[],\"a/b\":1}", "/a~1b"),
            ("{\"invites\":[],\"invites\":[]}", ""),
        ] {
            let problem = refused(body);
            assert_eq!(
                (&problem["status"], &problem["errors"][0]["pointer"]),
                (&422.into(), &pointer.into()),
                "{body}"
            );
            assert!(!problem["errors"][0]["detail"].as_str().unwrap().contains("line"), "{problem}");
        }
    }

    #[test]
    fn deep_nesting_is_refused_and_does_not_overflow_the_stack() {
        assert_eq!(refused(&"[".repeat(100_000))["status"], 422);
        assert_eq!(
            json::<serde_json::Value>("{\"a\":".repeat(100_000).as_bytes()).unwrap_err().status(),
            400
        );
    }

    #[test]
    fn only_the_declared_media_type_in_utf8_is_read() {
        for (value, accepted) in [
            ("application/json", true),
            ("Application/JSON; charset=UTF-8", true),
            ("application/json; charset=\"utf-8\"", true),
            ("application/json; charset=latin1", false),
            ("text/plain", false),
            ("application/jsonx", false),
            ("", false),
        ] {
            let headers = HeaderMap::from_iter([(CONTENT_TYPE, value.parse().unwrap())]);
            assert_eq!(declared_as(&headers, "application/json"), accepted, "{value}");
        }
        assert!(!declared_as(&HeaderMap::new(), "application/json"));
    }
}
