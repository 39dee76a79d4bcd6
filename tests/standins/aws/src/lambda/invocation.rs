//! One invocation, and how it can end.

use core::time::Duration;

use serde_json::Value;
use thiserror::Error;
use tokio::sync::oneshot;

/// An invocation that has no answer.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum InvocationError {
    /// The function has answered with an error.
    #[error("the function failed: {kind}: {message}")]
    Function {
        /// `errorType`.
        kind: String,
        /// `errorMessage`.
        message: String,
    },
    /// The function has told that it cannot start.
    #[error("the function could not start: {kind}: {message}")]
    Init {
        /// `errorType`.
        kind: String,
        /// `errorMessage`.
        message: String,
    },
    /// The deadline is over. The process has been killed.
    #[error("the function did not answer within {0:?}")]
    TimedOut(Duration),
    /// Nobody has asked for the invocation within the ten seconds that Lambda gives a function to start.
    #[error("the function did not ask for work within {0:?}; look at what it has written")]
    NotStarted(Duration),
    /// The process ended.
    #[error("the process ended ({status}) without answering; look at what it has written")]
    Exited {
        /// How: `exit status: 2`.
        status: String,
    },
    /// The answer is not JSON.
    #[error("the function's answer is not JSON: {0}")]
    NotJson(String),
}

/// An invocation on its way to the function.
pub(crate) struct Invocation {
    pub(crate) id: String,
    pub(crate) payload: Value,
    pub(crate) deadline: Duration,
    /// Told when the function has taken it.
    pub(crate) taken: oneshot::Sender<()>,
    pub(crate) outcome: oneshot::Sender<Result<Value, InvocationError>>,
}

/// What a runtime sends to `/error`.
pub(crate) fn error_in(body: &[u8]) -> (String, String) {
    let document: Value = serde_json::from_slice(body).unwrap_or_default();
    let text = |name: &str| document.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    (text("errorType"), text("errorMessage"))
}
