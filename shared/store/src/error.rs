//! What can go wrong with the table.

use aws_sdk_dynamodb::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
use thiserror::Error;

/// What went wrong, and what it means for the caller.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum StoreError {
    /// A condition did not hold: somebody else was faster. Nothing was written; read again and decide again.
    #[error("{what} has changed in the meantime; nothing was written")]
    Conflict {
        /// Which item.
        what: &'static str,
    },
    /// The table refuses for lack of capacity, after all retries.
    #[error(
        "the table takes no more requests at the moment; it passes by itself, or the table's limits are to be raised"
    )]
    Throttled,
    /// The table does not answer, or something is wrong with the way to it. Whether a write landed is not known: read again.
    #[error("the table cannot be used: {0}")]
    Unavailable(String),
    /// A row cannot be read. It is kept, and named here.
    #[error("the row {key} cannot be read ({why}); it was written by another version, or by hand")]
    Malformed {
        /// Its key.
        key: String,
        /// What is wrong with it.
        why: String,
    },
    /// A value cannot be written: it is larger than a row can be, or than a transaction can be.
    #[error("{what} is too large for the table")]
    TooLarge {
        /// What.
        what: &'static str,
    },
}

impl StoreError {
    /// Whether it is somebody else's write that was in the way.
    pub const fn is_conflict(&self) -> bool {
        matches!(self, Self::Conflict { .. })
    }
}

/// What a failed call comes down to in a word: the error's code, or where it broke. All of it goes to the log: it may end up in a
/// run's record, which admins of a workspace read, and says more of the deployment than is theirs to know.
pub(crate) fn in_short<E, R>(error: &SdkError<E, R>) -> String
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
    R: std::fmt::Debug,
{
    tracing::warn!(error = %DisplayErrorContext(error), "a call to the table failed");
    let code = error.as_service_error().and_then(ProvideErrorMetadata::code);
    let way = match error {
        SdkError::TimeoutError(_) => "it took too long",
        SdkError::DispatchFailure(_) => "it cannot be reached",
        SdkError::ConstructionFailure(_) => "the call could not be made",
        SdkError::ResponseError(_) | SdkError::ServiceError(_) => "it answers with something else",
        _ => "unknown",
    };
    code.unwrap_or(way).to_owned()
}

/// From a failed call.
pub(crate) fn failed<E, R>(error: &SdkError<E, R>) -> StoreError
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
    R: std::fmt::Debug,
{
    let code = error.as_service_error().and_then(ProvideErrorMetadata::code);
    match code {
        Some("ThrottlingException" | "ProvisionedThroughputExceededException" | "RequestLimitExceeded") => {
            StoreError::Throttled
        }
        _ => StoreError::Unavailable(in_short(error)),
    }
}
