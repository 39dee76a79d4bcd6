//! The AWS SDK, set up once: pinned behaviour, deadlines below the function's, retries.

mod connector;

use core::time::Duration;
use std::env;

use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::timeout::TimeoutConfig;
use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region, SharedCredentialsProvider};
use aws_types::SdkConfig;
use aws_types::service_config::{LoadServiceConfig, ServiceConfigKey};
use thiserror::Error;

use self::connector::Connector;

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
    /// There are no credentials. On Lambda, those of the function's role always are there.
    #[error(
        "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not set: the credentials of the function's role"
    )]
    NoCredentials,
}

/// Reads AWS's own variables (region, credentials, `AWS_ENDPOINT_URL`) and sets deadlines and retries.
///
/// Its requests go over `http`. Without this the SDK has no deadline for an operation, and would wait until Lambda kills the function. The SDK's own chain of
/// credential sources is left out: on Lambda the role's credentials are in the environment and nowhere else, and the chain brings
/// clients of three more services with it, which every cold start would have to load.
pub fn sdk_config(http: &reqwest::Client) -> Result<SdkConfig, AwsError> {
    let region =
        variable("AWS_REGION").or_else(|| variable("AWS_DEFAULT_REGION")).ok_or(AwsError::NoRegion)?;
    let key = variable("AWS_ACCESS_KEY_ID").zip(variable("AWS_SECRET_ACCESS_KEY"));
    let (key, secret) = key.ok_or(AwsError::NoCredentials)?;
    let credentials = Credentials::new(key, secret, variable("AWS_SESSION_TOKEN"), None, "environment");
    let mut config = SdkConfig::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::new(region))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .service_config(Environment)
        .http_client(Connector(http.clone()))
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
        );
    config.set_endpoint_url(variable("AWS_ENDPOINT_URL"));
    Ok(config.build())
}

fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

/// What is set for one service, as in `AWS_ENDPOINT_URL_DYNAMODB`. See "Service-specific endpoints" in AWS's reference for SDKs and tools.
#[derive(Debug)]
struct Environment;

impl LoadServiceConfig for Environment {
    fn load_config(&self, key: ServiceConfigKey<'_>) -> Option<String> {
        let service = key.service_id().to_uppercase().replace(' ', "_");
        variable(&format!("{}_{service}", key.env()))
    }
}

/// The `DynamoDB` client. Once, at start: it holds the connections.
pub fn dynamodb(config: &SdkConfig) -> aws_sdk_dynamodb::Client {
    aws_sdk_dynamodb::Client::new(config)
}

/// The Secrets Manager client.
pub fn secrets_manager(config: &SdkConfig) -> aws_sdk_secretsmanager::Client {
    aws_sdk_secretsmanager::Client::new(config)
}
