//! Counts of attempts, shared by all functions.

use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue};
use rollcall_domain::Timestamp;
use serde::Deserialize;

use crate::error::{StoreError, failed};
use crate::{Store, keys};

#[derive(Deserialize)]
struct Count {
    count: u64,
}

impl Store {
    /// How many attempts were counted under a key. One read.
    pub async fn attempts(&self, key: &str) -> Result<u64, StoreError> {
        Ok(self.get::<Count>(&keys::rate(key)).await?.map_or(0, |found| found.count))
    }

    /// Counts one more attempt under a key that names its minute; how many there are now. One write.
    pub async fn count_attempt(&self, key: &str, ends: Timestamp) -> Result<u64, StoreError> {
        let answer = self
            .client()
            .update_item()
            .table_name(self.table())
            .set_key(Some(keys::rate(key).attributes()))
            .update_expression("ADD #count :one SET #ttl = :ttl")
            .expression_attribute_names("#count", "count")
            .expression_attribute_names("#ttl", "ttl")
            .expression_attribute_values(":one", AttributeValue::N("1".to_owned()))
            .expression_attribute_values(":ttl", AttributeValue::N(ends.as_seconds().to_string()))
            .return_values(ReturnValue::UpdatedNew)
            .send()
            .await
            .map_err(|error| failed(&error))?;
        let count = answer.attributes.as_ref().and_then(|attributes| attributes.get("count"));
        let count = count.and_then(|count| count.as_n().ok()?.parse().ok());
        count.ok_or_else(|| StoreError::Malformed {
            key: keys::rate(key).to_string(),
            why: "no count".to_owned(),
        })
    }
}
