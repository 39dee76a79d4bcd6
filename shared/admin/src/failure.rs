//! How a handler fails: with problem details, whatever it was.

use axum::response::{IntoResponse, Response};
use rollcall_service::web::{BadCursor, Problem};
use rollcall_store::StoreError;

use crate::keys::KeysError;

/// A request that was not done, as the caller is told. What an operator has to know besides stands in the log.
#[derive(Debug, Clone)]
pub struct Failure(Problem);

impl Failure {
    /// As the caller is told.
    pub fn problem(&self) -> &Problem {
        &self.0
    }

    /// As the caller is told.
    pub fn into_problem(self) -> Problem {
        self.0
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        self.0.into_response()
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self(problem)
    }
}

impl From<BadCursor> for Failure {
    fn from(bad: BadCursor) -> Self {
        Self(bad.into())
    }
}

impl From<KeysError> for Failure {
    fn from(error: KeysError) -> Self {
        Self(error.into())
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self(match &error {
            StoreError::Conflict { what } => {
                tracing::info!(what, "somebody else was faster");
                Problem::conflict(
                    "Somebody else has changed it at the same time. Read it again, and repeat the change if it still makes sense.",
                )
            }
            StoreError::Throttled | StoreError::Unavailable(_) => {
                tracing::error!(%error, "the table cannot be used");
                Problem::unavailable("The table does not answer at the moment.")
                    .header(http::header::RETRY_AFTER, http::HeaderValue::from_static("5"))
            }
            StoreError::TooLarge { what } => {
                tracing::error!(what, "too large for the table");
                Problem::conflict("This is too large to be stored.")
            }
            StoreError::Malformed { .. } => {
                tracing::error!(%error, "a row cannot be read");
                Problem::internal()
            }
        })
    }
}
