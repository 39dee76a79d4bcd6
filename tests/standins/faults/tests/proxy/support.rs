//! An embedded `DynamoDB` behind the proxy, and the real SDK before it.

use std::time::Duration;

use aws_config::BehaviorVersion;
use aws_config::Region;
use aws_config::retry::RetryConfig;
use aws_config::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, KeySchemaElement, KeyType, Put, PutRequest,
    ScalarAttributeType, TransactWriteItem, WriteRequest,
};
use dynoxide::Database;
use standin_faults::{Running, start};
use tokio::net::TcpListener;

pub(crate) const TABLE: &str = "rollcall";

pub(crate) struct Rig {
    pub(crate) proxy: Running,
    /// Tries everything once.
    pub(crate) once: Client,
    /// Tries up to four times, as shipped code does.
    pub(crate) patient: Client,
    /// Past the proxy.
    pub(crate) direct: Client,
}

pub(crate) async fn rig() -> Rig {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let upstream = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(dynoxide::server::serve_on(listener, Database::memory().unwrap()));
    let proxy = start(&upstream, "127.0.0.1:0".parse().unwrap()).await.unwrap();
    let direct = client(&upstream, 1).await;
    direct
        .create_table()
        .table_name(TABLE)
        .billing_mode(BillingMode::PayPerRequest)
        .attribute_definitions(
            AttributeDefinition::builder()
                .attribute_name("pk")
                .attribute_type(ScalarAttributeType::S)
                .build()
                .unwrap(),
        )
        .key_schema(KeySchemaElement::builder().attribute_name("pk").key_type(KeyType::Hash).build().unwrap())
        .send()
        .await
        .unwrap();
    Rig { once: client(proxy.url(), 1).await, patient: client(proxy.url(), 4).await, direct, proxy }
}

async fn client(endpoint: &str, attempts: u32) -> Client {
    let config = aws_config::defaults(BehaviorVersion::latest())
        .endpoint_url(endpoint)
        .region(Region::new("eu-west-1"))
        .test_credentials()
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        .retry_config(
            RetryConfig::standard()
                .with_max_attempts(attempts)
                .with_initial_backoff(Duration::from_millis(1)),
        )
        .load()
        .await;
    Client::new(&config)
}

pub(crate) fn key(name: &str) -> AttributeValue {
    AttributeValue::S(name.to_owned())
}

/// Puts an item, and says what came of it.
pub(crate) async fn put(
    client: &Client,
    name: &str,
) -> Result<(), aws_sdk_dynamodb::operation::put_item::PutItemError> {
    client
        .put_item()
        .table_name(TABLE)
        .item("pk", key(name))
        .send()
        .await
        .map(|_| ())
        .map_err(aws_sdk_dynamodb::error::SdkError::into_service_error)
}

pub(crate) fn in_batch(name: &str) -> WriteRequest {
    WriteRequest::builder().put_request(PutRequest::builder().item("pk", key(name)).build().unwrap()).build()
}

pub(crate) fn in_transaction(name: &str) -> TransactWriteItem {
    TransactWriteItem::builder()
        .put(Put::builder().table_name(TABLE).item("pk", key(name)).build().unwrap())
        .build()
}

impl Rig {
    /// The keys that are really in the table, sorted.
    pub(crate) async fn stored(&self) -> Vec<String> {
        let items = self.direct.scan().table_name(TABLE).send().await.unwrap().items.unwrap_or_default();
        let mut names: Vec<String> =
            items.into_iter().map(|mut item| item.remove("pk").unwrap().as_s().unwrap().clone()).collect();
        names.sort();
        names
    }
}
