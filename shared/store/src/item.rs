//! Values as items: their fields are attributes, so that conditions can name them.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use rollcall_domain::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::StoreError;
use crate::keys::Key;

pub(crate) type Attributes = HashMap<String, AttributeValue>;

/// The item of a value.
pub(crate) fn write<T: Serialize>(
    key: &Key,
    value: &T,
    ttl: Option<Timestamp>,
) -> Result<Attributes, StoreError> {
    let unwritable =
        |error: serde_dynamo::Error| StoreError::Malformed { key: key.to_string(), why: error.to_string() };
    let mut item: Attributes = serde_dynamo::to_item(value).map_err(unwritable)?;
    item.extend(key.attributes());
    if let Some(ttl) = ttl {
        item.insert("ttl".to_owned(), AttributeValue::N(ttl.as_seconds().to_string()));
    }
    Ok(item)
}

/// The value of an item.
pub(crate) fn read<T: DeserializeOwned>(mut item: Attributes) -> Result<T, StoreError> {
    let mut take =
        |name: &str| item.remove(name).and_then(|value| value.as_s().ok().cloned()).unwrap_or_default();
    let key = Key { pk: take("pk"), sk: take("sk") };
    item.remove("ttl");
    serde_dynamo::from_item(item)
        .map_err(|error| StoreError::Malformed { key: key.to_string(), why: error.to_string() })
}
