//! The services, and the SDK's configuration to call them.

use aws_config::retry::RetryConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use standin_aws::{Running, start};
use std::time::Duration;

pub(crate) async fn services() -> (Running, SdkConfig) {
    let aws = start("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let config = aws_config::defaults(BehaviorVersion::latest())
        .endpoint_url(aws.endpoint())
        .region(Region::new("eu-west-1"))
        .test_credentials()
        .retry_config(
            RetryConfig::standard().with_max_attempts(3).with_initial_backoff(Duration::from_millis(1)),
        )
        .load()
        .await;
    (aws, config)
}
