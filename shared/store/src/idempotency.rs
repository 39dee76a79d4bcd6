//! Requests that were answered under an `Idempotency-Key`.

use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use rollcall_domain::Timestamp;
use serde::{Deserialize, Serialize};

use crate::error::StoreError;
use crate::transaction::When;
use crate::{Store, keys};

/// How long an answer is remembered.
const KEEP: Duration = Duration::from_hours(24);

/// A request that was answered, or is being answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remembered {
    /// The hash of the request's body: another body under the same key is a mistake of the caller.
    pub request: String,
    /// The status of the answer; `None`: it is being worked on, or was given up.
    pub status: Option<u16>,
    /// The answer, sealed: it can hold what is shown once.
    pub body: String,
    /// Until when nobody else takes it up. An answer holds until it is forgotten.
    pub locked_until: Timestamp,
}

impl Store {
    /// What is remembered under a key.
    pub async fn remembered(
        &self,
        scope: &str,
        key: &str,
        now: Timestamp,
    ) -> Result<Option<Remembered>, StoreError> {
        self.get_unexpired(&keys::idempotency(scope, key), now).await
    }

    /// Takes a key up that nobody holds, or of which whoever held it has died: of many who try at the same time, one.
    /// `false`: somebody else has it.
    pub async fn remember_start(
        &self,
        scope: &str,
        key: &str,
        start: &Remembered,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let mut transaction = self.transaction();
        let place = keys::idempotency(scope, key);
        let when = When::NewOrLess("locked_until", AttributeValue::N(now.as_millis().to_string()));
        transaction.put("idempotency key", &place, start, Some(now.plus(KEEP)), when)?;
        match transaction.commit().await {
            Ok(()) => Ok(true),
            Err(error) if error.is_conflict() => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Remembers the answer, for a day.
    pub async fn remember_answer(
        &self,
        scope: &str,
        key: &str,
        answer: &Remembered,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let ends = now.plus(KEEP);
        let answer = Remembered { locked_until: ends, ..answer.clone() };
        let mut transaction = self.transaction();
        let place = keys::idempotency(scope, key);
        transaction.put("idempotency key", &place, &answer, Some(ends), When::Always)?;
        transaction.commit().await
    }

    /// Forgets a key whose request changed nothing.
    pub async fn forget_request(&self, scope: &str, key: &str) -> Result<(), StoreError> {
        let mut transaction = self.transaction();
        transaction.delete("idempotency key", &keys::idempotency(scope, key), When::Always)?;
        transaction.commit().await
    }
}
