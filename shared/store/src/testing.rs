//! A table for tests: DynamoDB, embedded, in memory, on a socket of its own.

#![allow(clippy::expect_used, clippy::missing_panics_doc, reason = "a test that has no table cannot go on")]

use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region};

use crate::{Store, schema};

/// A client for an endpoint without AWS behind it. It repeats as often as the real one, and waits less.
pub fn client(endpoint: &str) -> Client {
    let config = aws_sdk_dynamodb::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-west-1"))
        .credentials_provider(Credentials::new("test", "test", None, None, "test"))
        .endpoint_url(endpoint)
        .retry_config(RetryConfig::standard().with_initial_backoff(Duration::from_millis(5)))
        .build();
    Client::from_conf(config)
}

/// Starts an embedded database; its endpoint.
pub async fn database() -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let endpoint = format!("http://{}", listener.local_addr().expect("an address"));
    tokio::spawn(dynoxide::server::serve_on(listener, dynoxide::Database::memory().expect("a database")));
    endpoint
}

/// A store in a new table of a new database.
pub async fn store() -> Store {
    let client = client(&database().await);
    schema::create(&client, "rollcall").await.expect("a table");
    Store::new(client, "rollcall")
}
