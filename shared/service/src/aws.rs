//! The AWS SDK, set up once: pinned behaviour, deadlines below the function's, retries.

use core::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, SdkConfig};
use thiserror::Error;

/// How long one attempt of a call may take. `DynamoDB` and Secrets Manager answer in milliseconds; what takes longer is lost.
const ATTEMPT_DEADLINE: Duration = Duration::from_millis(2_500);
/// How long a call may take with all its attempts: well below the shortest function's timeout of 15 seconds.
const CALL_DEADLINE: Duration = Duration::from_secs(8);
/// How long a connection may take to come up.
const CONNECT_DEADLINE: Duration = Duration::from_millis(1_500);
/// Attempts of a call, the first one included.
const ATTEMPTS: u32 = 4;

/// AWS cannot be called at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum AwsError {
    /// No region is configured. On Lambda it always is.
    #[error("AWS_REGION is not set: the AWS region of the table and the secret, for example eu-west-1")]
    NoRegion,
}

/// Reads AWS's own variables (region, credentials, `AWS_ENDPOINT_URL`) and sets deadlines and retries.
///
/// Without this the SDK has no deadline for an operation, and would wait until Lambda kills the function.
pub async fn sdk_config() -> Result<SdkConfig, AwsError> {
    let config = aws_config::defaults(BehaviorVersion::v2026_01_12())
        .timeout_config(
            TimeoutConfig::builder()
                .connect_timeout(CONNECT_DEADLINE)
                .operation_attempt_timeout(ATTEMPT_DEADLINE)
                .operation_timeout(CALL_DEADLINE)
                .build(),
        )
        .retry_config(
            RetryConfig::standard()
                .with_max_attempts(ATTEMPTS)
                .with_initial_backoff(Duration::from_millis(50)),
        )
        .load()
        .await;
    if config.region().is_none() {
        return Err(AwsError::NoRegion);
    }
    Ok(config)
}

/// The `DynamoDB` client. Once, at start: it holds the connections.
pub fn dynamodb(config: &SdkConfig) -> aws_sdk_dynamodb::Client {
    aws_sdk_dynamodb::Client::new(config)
}

/// The Secrets Manager client.
pub fn secrets_manager(config: &SdkConfig) -> aws_sdk_secretsmanager::Client {
    aws_sdk_secretsmanager::Client::new(config)
}
