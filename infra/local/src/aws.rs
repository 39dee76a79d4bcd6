//! AWS on this machine: an embedded DynamoDB, and stand-ins for the other services, each on a socket for the unmodified AWS SDK.

use core::time::Duration;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_dynamodb::config::Credentials;
use dynoxide::Database;
use rollcall_store::{StoreError, schema};
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// Larger than on Lambda: a debug build on a busy machine is slow, and nobody waits for a gateway here.
const CALL_DEADLINE: Duration = Duration::from_secs(30);

/// AWS could not be played.
#[derive(Debug, Error)]
pub enum AwsError {
    /// The file of the table.
    #[error("--data: {} cannot be used as a database: {why}", .path.display())]
    Data {
        /// Which.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// The database in memory.
    #[error("the embedded database does not start: {0}")]
    Database(String),
    /// No port.
    #[error("no port is free for the embedded database: {0}")]
    Port(std::io::Error),
    /// The table.
    #[error("the table cannot be created: {0}")]
    Table(StoreError),
    /// The stand-ins.
    #[error(transparent)]
    StandIn(#[from] standin_aws::StartError),
}

/// The embedded DynamoDB, with the table in it.
pub struct DynamoDb {
    endpoint: String,
    stop: Option<oneshot::Sender<()>>,
    server: JoinHandle<()>,
}

impl DynamoDb {
    /// Opens the database, in a file or in memory, and creates the table if it is not there.
    pub async fn start(file: Option<&Path>, table: &str) -> Result<Self, AwsError> {
        let database = match file {
            Some(path) => {
                let unusable = |why: String| AwsError::Data { path: path.to_owned(), why };
                let name = path.to_str().ok_or_else(|| unusable("its name is not valid UTF-8".to_owned()))?;
                Database::new(name).map_err(|error| unusable(one_line(&error.to_string())))?
            }
            None => Database::memory().map_err(|error| AwsError::Database(one_line(&error.to_string())))?,
        };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(AwsError::Port)?;
        let endpoint = format!("http://{}", listener.local_addr().map_err(AwsError::Port)?);
        let (stop, stopped) = oneshot::channel::<()>();
        let server = tokio::spawn(async move {
            let ended = async {
                let _ = stopped.await;
            };
            if let Err(error) = dynoxide::server::serve_with_shutdown(listener, database, ended).await {
                tracing::error!(error, "the embedded database has ended");
            }
        });
        let started = Self { endpoint, stop: Some(stop), server };
        let client = rollcall_service::aws::dynamodb(&started.sdk_config().await);
        let tables = client.list_tables().send().await;
        let is_there = tables.is_ok_and(|tables| tables.table_names().iter().any(|name| name == table));
        if !is_there {
            schema::create(&client, table).await.map_err(AwsError::Table)?;
        }
        Ok(started)
    }

    /// Where it is: the value of `AWS_ENDPOINT_URL_DYNAMODB`.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// The SDK's configuration for it.
    pub async fn sdk_config(&self) -> SdkConfig {
        sdk_config(&self.endpoint).await
    }

    /// Ends it, and waits until everything is written.
    pub async fn stop(mut self) {
        drop(self.stop.take());
        // Kept connections of clients that nobody closes are no reason to hang.
        let _ = tokio::time::timeout(Duration::from_secs(2), &mut self.server).await;
        self.server.abort();
    }
}

/// Starts the stand-ins for Secrets Manager, SQS, SES and EventBridge on a free port.
pub async fn start_stand_ins() -> Result<standin_aws::Running, AwsError> {
    Ok(standin_aws::start(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await?)
}

/// The SDK's configuration for an endpoint on this machine. What the environment says about AWS changes nothing.
pub async fn sdk_config(endpoint: &str) -> SdkConfig {
    let credentials = Credentials::new("AKIDLOCAL", "not-a-secret", None, None, "local stack");
    aws_config::defaults(BehaviorVersion::v2026_01_12())
        .region(Region::new(standin_aws::REGION))
        .credentials_provider(credentials)
        .endpoint_url(endpoint)
        .timeout_config(TimeoutConfig::builder().operation_timeout(CALL_DEADLINE).build())
        .retry_config(RetryConfig::standard().with_max_attempts(4))
        .load()
        .await
}

fn one_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_owned()
}
