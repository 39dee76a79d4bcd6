//! Conditions of a write: `If-Match` (RFC 9110 §13.1.1) and `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header).

use axum::extract::{FromRequestParts, OptionalFromRequestParts};
use axum::response::{IntoResponseParts, ResponseParts};
use core::convert::Infallible;
use http::StatusCode;
use http::header::{ETAG, HeaderMap, HeaderName, HeaderValue, IF_MATCH};
use http::request::Parts;

use super::Problem;

/// A strong entity tag: one version of one thing. As a part of a response it is the header `ETag`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntityTag(String);

impl EntityTag {
    /// The tag of a version number, as the table counts them.
    pub fn of_version(version: u64) -> Self {
        Self(format!("v{version}"))
    }

    /// The version number, if the tag is that of one.
    pub fn version(&self) -> Option<u64> {
        let digits = self.0.strip_prefix('v')?;
        digits.parse().ok().filter(|version| Self::of_version(*version) == *self)
    }
}

impl IntoResponseParts for EntityTag {
    type Error = Infallible;

    fn into_response_parts(self, mut parts: ResponseParts) -> Result<ResponseParts, Infallible> {
        if let Ok(value) = HeaderValue::from_str(&format!("\"{}\"", self.0)) {
            parts.headers_mut().insert(ETAG, value);
        }
        Ok(parts)
    }
}

/// What the caller believes to be changing. As an extractor it is required (428 without it); wrapped in `Option` it is not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IfMatch {
    /// `*`: whatever is there.
    Any,
    /// One of these versions. Weak tags are left out, because they never match here.
    OneOf(Vec<EntityTag>),
}

impl IfMatch {
    /// Whether the condition holds for what is there.
    pub fn holds(&self, present: &EntityTag) -> bool {
        match self {
            Self::Any => true,
            Self::OneOf(tags) => tags.contains(present),
        }
    }

    /// 412 unless the condition holds for what is there.
    pub fn check(&self, present: &EntityTag) -> Result<(), Problem> {
        if self.holds(present) { Ok(()) } else { Err(Problem::precondition_failed()) }
    }

    fn read(headers: &HeaderMap) -> Result<Option<Self>, Problem> {
        let malformed =
            || Problem::bad_request("The If-Match header must be * or a list of quoted entity tags.");
        let mut tags = Vec::new();
        let mut any = false;
        let mut found = false;
        for value in headers.get_all(IF_MATCH) {
            found = true;
            for tag in value.to_str().map_err(|_| malformed())?.split(',').map(str::trim) {
                if tag == "*" {
                    any = true;
                    continue;
                }
                let (weak, quoted) = tag.strip_prefix("W/").map_or((false, tag), |quoted| (true, quoted));
                let opaque = quoted
                    .strip_prefix('"')
                    .and_then(|rest| rest.strip_suffix('"'))
                    .filter(|opaque| opaque.bytes().all(|byte| byte > b' ' && byte != b'"' && byte < 0x7f))
                    .ok_or_else(malformed)?;
                if !weak {
                    tags.push(EntityTag(opaque.to_owned()));
                }
                if tags.len() > 16 {
                    return Err(malformed());
                }
            }
        }
        match (found, any, tags.is_empty()) {
            (false, ..) => Ok(None),
            (true, true, true) => Ok(Some(Self::Any)),
            (true, true, false) => Err(malformed()),
            (true, false, _) => Ok(Some(Self::OneOf(tags))),
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for IfMatch {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Self::read(&parts.headers)?.ok_or_else(|| {
            Problem::new(StatusCode::PRECONDITION_REQUIRED, "if-match-required", "Say what you are changing")
                .detail("Send the ETag that you have read in the If-Match header, so that nobody's change is lost.")
        })
    }
}

impl<S: Send + Sync> OptionalFromRequestParts<S> for IfMatch {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, Problem> {
        Self::read(&parts.headers)
    }
}

/// The caller's own name for one attempt, under which a repetition is answered and not done again.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct IdempotencyKey(String);

impl IdempotencyKey {
    /// The key, 1 to 255 visible ASCII characters.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn read(headers: &HeaderMap) -> Result<Option<Self>, Problem> {
        let malformed = || {
            Problem::bad_request(
                "The Idempotency-Key header must be sent once, with 1 to 255 visible characters.",
            )
        };
        let mut values = headers.get_all(HeaderName::from_static("idempotency-key")).iter();
        let Some(value) = values.next() else { return Ok(None) };
        if values.next().is_some() {
            return Err(malformed());
        }
        let text = value.to_str().map_err(|_| malformed())?;
        // The draft writes a quoted string, most clients leave the quotes out: both name the same key.
        let key = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(text);
        if !(1..=255).contains(&key.len()) || !key.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"')
        {
            return Err(malformed());
        }
        Ok(Some(Self(key.to_owned())))
    }
}

impl<S: Send + Sync> OptionalFromRequestParts<S> for IdempotencyKey {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, Problem> {
        Self::read(&parts.headers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: &'static str, values: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(name, HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    #[test]
    fn if_match_holds_for_the_version_that_was_read_and_no_other() {
        let read =
            |values: &[&str]| IfMatch::read(&headers("if-match", values)).map_err(|problem| problem.status());
        let present = EntityTag::of_version(7);
        for (values, holds) in [
            (&["\"v7\""][..], true),
            (&["\"v6\", \"v7\""], true),
            (&["\"v6\"", "\"v7\""], true),
            (&["*"], true),
            (&["\"v6\""], false),
            (&["W/\"v7\""], false),
        ] {
            assert_eq!(read(values).unwrap().unwrap().holds(&present), holds, "{values:?}");
        }
        assert_eq!(read(&[]), Ok(None));
        for bad in [&["v7"][..], &["\"v7"], &[""], &["*, \"v7\""], &["\"a b\""], &["\"v7\","]] {
            assert_eq!(read(bad), Err(StatusCode::BAD_REQUEST), "{bad:?}");
        }
    }

    #[test]
    fn a_tag_gives_its_version_back_only_in_its_own_spelling() {
        assert_eq!(EntityTag::of_version(7).version(), Some(7));
        for other in ["v07", "v+7", "7", "v", "w7"] {
            assert_eq!(EntityTag(other.to_owned()).version(), None, "{other}");
        }
    }

    #[test]
    fn an_idempotency_key_is_the_same_with_and_without_quotes() {
        let read = |values: &[&str]| {
            IdempotencyKey::read(&headers("idempotency-key", values))
                .map(|key| key.map(|key| key.0))
                .map_err(|problem| problem.status())
        };
        assert_eq!(read(&["\"abc\""]), Ok(Some("abc".to_owned())));
        assert_eq!(read(&["abc"]), Ok(Some("abc".to_owned())));
        assert_eq!(read(&[]), Ok(None));
        for bad in [&[""][..], &["\"\""], &["a b"], &["a\"b"], &["a", "a"], &[&"x".repeat(256)]] {
            assert_eq!(read(bad), Err(StatusCode::BAD_REQUEST), "{bad:?}");
        }
    }
}
