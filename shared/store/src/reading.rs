//! Reading: always strongly consistent, to the end or page by page.

use std::collections::BTreeSet;

use aws_sdk_dynamodb::types::{AttributeValue, KeysAndAttributes, Select};
use futures_util::future::try_join_all;
use rollcall_domain::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::Store;
use crate::error::{StoreError, failed};
use crate::item::{self, Attributes};
use crate::keys::Key;

/// Keys that a batch takes.
const MOST_IN_BATCH: usize = 100;

/// Where a page ended: the `sk` of its last entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Position(pub String);

/// A page of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// Its entries.
    pub items: Vec<T>,
    /// Where the next one begins, if there is one.
    pub next: Option<Position>,
}

impl<T> Page<T> {
    /// Changes the entries.
    pub fn map<U>(self, change: impl FnMut(T) -> U) -> Page<U> {
        Page { items: self.items.into_iter().map(change).collect(), next: self.next }
    }
}

impl Store {
    /// An item, if it is there. One read.
    pub async fn get<T: DeserializeOwned>(&self, key: &Key) -> Result<Option<T>, StoreError> {
        self.get_item(key).await?.map(item::read).transpose()
    }

    /// An item that expires, if it is there and has not.
    pub async fn get_unexpired<T: DeserializeOwned>(
        &self,
        key: &Key,
        now: Timestamp,
    ) -> Result<Option<T>, StoreError> {
        let Some(found) = self.get_item(key).await? else { return Ok(None) };
        let ends =
            found.get("ttl").and_then(|ttl| ttl.as_n().ok()?.parse().ok()).map(Timestamp::from_seconds);
        if ends.is_some_and(|ends| ends.has_passed(now)) { Ok(None) } else { item::read(found).map(Some) }
    }

    pub(crate) async fn get_item(&self, key: &Key) -> Result<Option<Attributes>, StoreError> {
        let answer = self
            .client
            .get_item()
            .table_name(self.table())
            .set_key(Some(key.attributes()))
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| failed(&error))?;
        Ok(answer.item)
    }

    /// Every item of a partition, in the order of `sk`.
    pub async fn query_all<T: DeserializeOwned>(&self, pk: &str) -> Result<Vec<T>, StoreError> {
        self.query_prefix(pk, "").await
    }

    /// Every item of a partition whose `sk` begins like this.
    pub async fn query_prefix<T: DeserializeOwned>(
        &self,
        pk: &str,
        prefix: &str,
    ) -> Result<Vec<T>, StoreError> {
        let mut items = Vec::new();
        let mut start = None;
        loop {
            let (page, next) = self.query(pk, prefix, start, None, true).await?;
            for found in page {
                items.push(item::read(found)?);
            }
            start = next;
            if start.is_none() {
                return Ok(items);
            }
        }
    }

    /// One page of a partition, after a position, oldest or newest first.
    pub async fn query_page<T: DeserializeOwned>(
        &self,
        pk: &str,
        prefix: &str,
        after: Option<&Position>,
        limit: usize,
        ascending: bool,
    ) -> Result<Page<T>, StoreError> {
        let start = after.map(|position| Key::new(pk, position.0.clone()).attributes());
        let (found, next) = self.query(pk, prefix, start, Some(limit), ascending).await?;
        let next = next.and_then(|key| key.get("sk").and_then(|sk| sk.as_s().ok()).cloned()).map(Position);
        Ok(Page { items: found.into_iter().map(item::read).collect::<Result<_, _>>()?, next })
    }

    async fn query(
        &self,
        pk: &str,
        prefix: &str,
        start: Option<Attributes>,
        limit: Option<usize>,
        ascending: bool,
    ) -> Result<(Vec<Attributes>, Option<Attributes>), StoreError> {
        let condition = if prefix.is_empty() { "pk = :pk" } else { "pk = :pk AND begins_with(sk, :prefix)" };
        let mut query = self
            .client
            .query()
            .table_name(self.table())
            .consistent_read(true)
            .scan_index_forward(ascending)
            .key_condition_expression(condition)
            .expression_attribute_values(":pk", AttributeValue::S(pk.to_owned()))
            .set_exclusive_start_key(start)
            .set_limit(limit.map(|limit| i32::try_from(limit).unwrap_or(i32::MAX)));
        if !prefix.is_empty() {
            query = query.expression_attribute_values(":prefix", AttributeValue::S(prefix.to_owned()));
        }
        let answer = query.send().await.map_err(|error| failed(&error))?;
        Ok((answer.items.unwrap_or_default(), answer.last_evaluated_key.filter(|key| !key.is_empty())))
    }

    /// Every item of a partition whose `sk` is in a range, both ends included.
    pub(crate) async fn query_between<T: DeserializeOwned>(
        &self,
        pk: &str,
        from: &str,
        to: &str,
    ) -> Result<Vec<T>, StoreError> {
        let mut items = Vec::new();
        let mut start = None;
        loop {
            let query = self
                .client
                .query()
                .table_name(self.table())
                .consistent_read(true)
                .key_condition_expression("pk = :pk AND sk BETWEEN :from AND :to")
                .expression_attribute_values(":pk", AttributeValue::S(pk.to_owned()))
                .expression_attribute_values(":from", AttributeValue::S(from.to_owned()))
                .expression_attribute_values(":to", AttributeValue::S(to.to_owned()))
                .set_exclusive_start_key(start);
            let answer = query.send().await.map_err(|error| failed(&error))?;
            for found in answer.items.unwrap_or_default() {
                items.push(item::read(found)?);
            }
            start = answer.last_evaluated_key.filter(|key| !key.is_empty());
            if start.is_none() {
                return Ok(items);
            }
        }
    }

    /// How many items a partition has.
    pub(crate) async fn count(&self, pk: &str) -> Result<usize, StoreError> {
        let mut count = 0;
        let mut start = None;
        loop {
            let query = self
                .client
                .query()
                .table_name(self.table())
                .consistent_read(true)
                .select(Select::Count)
                .key_condition_expression("pk = :pk")
                .expression_attribute_values(":pk", AttributeValue::S(pk.to_owned()))
                .set_exclusive_start_key(start);
            let answer = query.send().await.map_err(|error| failed(&error))?;
            count += usize::try_from(answer.count).unwrap_or_default();
            start = answer.last_evaluated_key.filter(|key| !key.is_empty());
            if start.is_none() {
                return Ok(count);
            }
        }
    }

    /// The items of these keys that are there, in no order. A key that is named twice is read once.
    pub async fn get_many<T: DeserializeOwned>(&self, keys: &[Key]) -> Result<Vec<T>, StoreError> {
        let keys: BTreeSet<&Key> = keys.iter().collect();
        let keys: Vec<Attributes> = keys.into_iter().map(Key::attributes).collect();
        let batches = keys.chunks(MOST_IN_BATCH).map(|batch| self.get_batch(batch.to_vec()));
        Ok(try_join_all(batches).await?.into_iter().flatten().collect())
    }

    /// One batch, to the end: what DynamoDB leaves unprocessed is asked for again.
    async fn get_batch<T: DeserializeOwned>(
        &self,
        mut wanted: Vec<Attributes>,
    ) -> Result<Vec<T>, StoreError> {
        let mut items = Vec::new();
        let mut attempt = 0;
        while !wanted.is_empty() {
            let asked = wanted.len();
            let keys = KeysAndAttributes::builder().set_keys(Some(wanted)).consistent_read(true).build();
            let keys = keys.map_err(|error| StoreError::Unavailable(error.to_string()))?;
            let answer = self.client.batch_get_item().request_items(self.table(), keys).send().await;
            let answer = answer.map_err(|error| failed(&error))?;
            for found in answer.responses.unwrap_or_default().into_values().flatten() {
                items.push(item::read(found)?);
            }
            let left = answer.unprocessed_keys.unwrap_or_default().into_values();
            wanted = left.flat_map(|left| left.keys).collect();
            if wanted.len() < asked {
                attempt = 0;
            }
            if !wanted.is_empty() {
                crate::transaction::back_off(&mut attempt).await?;
            }
        }
        Ok(items)
    }
}
