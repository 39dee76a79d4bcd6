//! Troubles of the network and of servers, put before an endpoint.

use core::time::Duration;

use axum::body::Body;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use futures_util::{StreamExt as _, stream};
use serde::{Deserialize, Serialize};

/// A trouble of an endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// It answers well, but so many milliseconds later.
    Delay(u64),
    /// It takes the request and never answers.
    Silence,
    /// It answers this, without doing anything.
    Answer {
        /// The status.
        status: u16,
        /// The body.
        body: String,
    },
    /// It sends the request elsewhere, without doing anything.
    Redirect {
        /// The status: 302, 303, 307 or 308.
        status: u16,
        /// Where to.
        location: String,
    },
    /// Its good answer comes after so many bytes of white space, which JSON allows, and without a length in advance.
    Padding(u64),
    /// Half of its good answer comes, then the connection breaks.
    Cut,
}

/// How often a trouble happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Times {
    /// To the next so many requests.
    Next(u32),
    /// To every request, until it is taken away.
    Always,
}

impl Fault {
    /// The OAuth error of a token endpoint (RFC 6749 §5.2).
    pub fn oauth_error(code: &str) -> Self {
        let status = if code == "invalid_client" { 401 } else { 400 };
        Self::Answer { status, body: format!(r#"{{"error":"{code}"}}"#) }
    }

    /// What is answered instead, if the endpoint itself is not to be asked.
    pub(crate) async fn before(&self) -> Option<Response> {
        match self {
            Self::Delay(milliseconds) => {
                tokio::time::sleep(Duration::from_millis(*milliseconds)).await;
                None
            }
            Self::Silence => std::future::pending().await,
            Self::Answer { status, body } => Some(
                (status_code(*status), [(header::CONTENT_TYPE, "application/json")], body.clone())
                    .into_response(),
            ),
            Self::Redirect { status, location } => {
                Some((status_code(*status), [(header::LOCATION, location.clone())]).into_response())
            }
            Self::Padding(_) | Self::Cut => None,
        }
    }

    /// What becomes of the endpoint's good answer.
    pub(crate) async fn after(&self, response: Response) -> Response {
        let (mut parts, body) = response.into_parts();
        let body = match self {
            Self::Padding(bytes) => {
                parts.headers.remove(header::CONTENT_LENGTH);
                let good = axum::body::to_bytes(body, usize::MAX).await.expect("the body is in memory");
                padded(*bytes, good)
            }
            Self::Cut => {
                let good = axum::body::to_bytes(body, usize::MAX).await.expect("the body is in memory");
                parts.headers.insert(header::CONTENT_LENGTH, good.len().into());
                cut(&good)
            }
            _ => body,
        };
        Response::from_parts(parts, body)
    }
}

fn status_code(status: u16) -> StatusCode {
    StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

fn padded(bytes: u64, good: axum::body::Bytes) -> Body {
    const CHUNK: u64 = 64 * 1024;
    let blank = axum::body::Bytes::from(vec![b' '; usize::try_from(CHUNK).unwrap()]);
    let whole = usize::try_from(bytes / CHUNK).unwrap();
    let rest = blank.slice(..usize::try_from(bytes % CHUNK).unwrap());
    let chunks = std::iter::repeat_n(blank, whole).chain([rest, good]);
    Body::from_stream(stream::iter(chunks.map(Ok::<_, std::convert::Infallible>)))
}

fn cut(good: &axum::body::Bytes) -> Body {
    let half = good.slice(..good.len() / 2);
    let broken = async {
        // The server sends what it has while the body makes it wait.
        tokio::task::yield_now().await;
        Err(std::io::Error::from(std::io::ErrorKind::ConnectionReset))
    };
    Body::from_stream(stream::iter([Ok(half)]).chain(stream::once(broken)))
}
