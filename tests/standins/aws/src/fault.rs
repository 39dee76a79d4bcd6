//! Troubles of a service, put before one of its operations.

use core::time::Duration;

use serde::{Deserialize, Serialize};

use crate::protocol::AwsError;

/// A trouble of an operation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// It refuses, without doing anything.
    Error {
        /// The status.
        status: u16,
        /// The name of the error: `ThrottlingException`, `InternalServiceError`, `AccessDeniedException`.
        kind: String,
        /// What the error says.
        message: String,
    },
    /// It does what it should, and then answers with status 500.
    ErrorAfterwards,
    /// It answers well, but so many milliseconds later.
    Delay(u64),
    /// It takes the request and never answers.
    Silence,
}

/// How often a trouble happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Times {
    /// To the next so many calls.
    Next(u32),
    /// To every call, until it is taken away.
    Always,
}

impl Fault {
    /// The service has no capacity left: the SDK tries again.
    pub fn throttled() -> Self {
        Self::Error { status: 400, kind: "ThrottlingException".into(), message: "Rate exceeded".into() }
    }

    /// The service is broken: the SDK tries again.
    pub fn broken() -> Self {
        Self::Error {
            status: 500,
            kind: "InternalServiceError".into(),
            message: "An error occurred on the server side.".into(),
        }
    }

    /// The caller may not: the SDK does not try again.
    pub fn denied() -> Self {
        Self::Error {
            status: 400,
            kind: "AccessDeniedException".into(),
            message: "User is not authorized to perform this operation.".into(),
        }
    }

    /// Waits where the trouble is one of waiting, and gives the error where it is refused at once.
    pub(crate) async fn before(&self) -> Result<(), AwsError> {
        match self {
            Self::Error { status, kind, message } => Err(AwsError::new(*status, kind, message.clone())),
            Self::ErrorAfterwards => Ok(()),
            Self::Delay(milliseconds) => {
                tokio::time::sleep(Duration::from_millis(*milliseconds)).await;
                Ok(())
            }
            Self::Silence => std::future::pending().await,
        }
    }

    /// The error that stands in the place of the answer, if any.
    pub(crate) fn after(&self) -> Result<(), AwsError> {
        match self {
            Self::ErrorAfterwards => {
                Err(AwsError::new(500, "InternalServiceError", "An error occurred on the server side."))
            }
            _ => Ok(()),
        }
    }
}
