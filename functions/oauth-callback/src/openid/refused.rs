//! How an application is told that its request is refused (RFC 6749 §5.2).

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::header::{HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, StatusCode};
use rollcall_identity::FailedCheck as _;
use rollcall_identity::parameters::RefusedParameters;
use rollcall_identity::provider::{SigningFailed, TokenError};
use rollcall_store::StoreError;
use serde_json::json;

use crate::failure::{Failure, Shown};

/// A request of an application that is refused.
#[derive(Debug)]
pub enum Refused {
    /// As the protocol knows it.
    Error(TokenError),
    /// Too many requests; how many seconds to wait.
    TooMany(u64),
}

impl Refused {
    /// The code or the token is not valid, for whichever reason: the log has it, the application does not.
    pub(super) fn grant(check: &'static str) -> Self {
        tracing::warn!(check, "a code or token was refused");
        Self::Error(TokenError::InvalidGrant)
    }
}

impl From<TokenError> for Refused {
    fn from(error: TokenError) -> Self {
        Self::Error(error)
    }
}

impl From<RefusedParameters> for Refused {
    fn from(refused: RefusedParameters) -> Self {
        Self::Error(refused.into())
    }
}

impl From<StoreError> for Refused {
    fn from(error: StoreError) -> Self {
        tracing::error!(%error, "the table did not answer an application's request");
        Self::Error(TokenError::TemporarilyUnavailable)
    }
}

impl From<SigningFailed> for Refused {
    fn from(error: SigningFailed) -> Self {
        tracing::error!(%error, "no token could be issued");
        Self::Error(TokenError::TemporarilyUnavailable)
    }
}

impl From<Failure> for Refused {
    fn from(failure: Failure) -> Self {
        match failure.shown {
            Shown::TooMany(seconds) => Self::TooMany(seconds),
            _ => Self::Error(TokenError::TemporarilyUnavailable),
        }
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        match self {
            Self::Error(error) => {
                tracing::info!(
                    check = error.check(),
                    error = error.code(),
                    "an application's request is refused"
                );
                let status = StatusCode::from_u16(error.status()).unwrap_or(StatusCode::BAD_REQUEST);
                let challenge =
                    error.challenge().map(|text| (WWW_AUTHENTICATE, HeaderValue::from_static(text)));
                let headers: HeaderMap = challenge.into_iter().collect();
                (status, headers, Json(error.body())).into_response()
            }
            Self::TooMany(seconds) => {
                tracing::warn!(check = "rate.token", "an application's request is refused");
                let headers = [(RETRY_AFTER, HeaderValue::from(seconds))];
                let body = json!({
                    "error": "temporarily_unavailable",
                    "error_description": "there were too many requests; wait as long as Retry-After says",
                });
                (StatusCode::TOO_MANY_REQUESTS, headers, Json(body)).into_response()
            }
        }
    }
}
