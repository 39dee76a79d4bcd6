//! What the table looks like: what the template declares and what tests create.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType,
};

use crate::error::{StoreError, failed};

/// The partition key.
pub const PARTITION_KEY: &str = "pk";
/// The sort key.
pub const SORT_KEY: &str = "sk";
/// The attribute that DynamoDB deletes expired items by, in seconds since 1970.
pub const TTL: &str = "ttl";

/// Creates the table, where no template does.
pub async fn create(client: &Client, table: &str) -> Result<(), StoreError> {
    let incomplete = |error: aws_sdk_dynamodb::error::BuildError| StoreError::Unavailable(error.to_string());
    let mut call = client.create_table().table_name(table).billing_mode(BillingMode::PayPerRequest);
    for (name, key_type) in [(PARTITION_KEY, KeyType::Hash), (SORT_KEY, KeyType::Range)] {
        let attribute =
            AttributeDefinition::builder().attribute_name(name).attribute_type(ScalarAttributeType::S);
        let element = KeySchemaElement::builder().attribute_name(name).key_type(key_type);
        call = call.attribute_definitions(attribute.build().map_err(incomplete)?);
        call = call.key_schema(element.build().map_err(incomplete)?);
    }
    call.send().await.map_err(|error| failed(&error))?;
    Ok(())
}
