//! The call budget of a Bitbucket credential, shared by all functions that use it.
//!
//! One item holds the book of the last hour ([`rollcall_domain::budget::CallBook`]). A chunk of calls is taken by one conditional
//! write that names the version it was reckoned from, so that two processes never take the same calls. What was last seen is kept,
//! so that taking a chunk costs one write and no read while nobody else takes from the same book.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValuesOnConditionCheckFailure};
use futures_util::future::BoxFuture;
use rollcall_bitbucket::{
    BudgetLedger, CallBudget, ChunkSizes, Clock, CredentialId, LedgerError, Pause, Refusal,
};
use rollcall_domain::Timestamp;
use rollcall_domain::budget::{Allowance, CallBook, Chunk, Purpose};
use tokio::sync::Mutex;

use crate::error::in_short;

/// How often a change is tried against others who change the same book.
const ATTEMPTS: u32 = 24;

/// Kept beyond the last moment that the book speaks of: clocks differ, and TTL deletes late anyway.
const KEEP: Duration = Duration::from_hours(1);

/// The book of one credential in the table.
pub struct BudgetTable {
    client: Client,
    table: String,
    key: String,
    allowance: Allowance,
    known: Mutex<Option<Known>>,
}

/// The book as it was last seen. Version 0 is a book that is not there yet.
#[derive(Clone, Default)]
struct Known {
    version: u64,
    book: CallBook,
}

impl BudgetTable {
    /// The book of a credential. All who use the credential must give it the same allowance.
    pub fn new(
        client: Client,
        table: impl Into<String>,
        credential: CredentialId,
        allowance: Allowance,
    ) -> Self {
        let key = format!("budget#{credential}");
        Self { client, table: table.into(), key, allowance, known: Mutex::new(None) }
    }

    /// Changes the book. A change that comes to nothing on what was last seen is tried on what is really there before it is
    /// believed.
    async fn change<T, E>(
        &self,
        now: Timestamp,
        change: impl Fn(&mut CallBook) -> Result<T, E> + Send,
    ) -> Result<Result<T, E>, LedgerError> {
        let mut known = self.known.lock().await;
        // A book that says nothing any more may have been thrown away and begun anew since, and have come to the same version.
        if known.as_ref().is_some_and(|seen| seen.book.expires().has_passed(now)) {
            *known = None;
        }
        let mut fresh = false;
        for attempt in 0..ATTEMPTS {
            let seen = if let Some(seen) = known.take() {
                seen
            } else {
                fresh = true;
                self.read().await?
            };
            let mut book = seen.book.clone();
            match change(&mut book) {
                Err(nothing) if fresh => {
                    *known = Some(seen);
                    return Ok(Err(nothing));
                }
                Err(_) => {}
                Ok(done) => match self.write(seen.version, &book).await? {
                    Written::Yes => {
                        *known = Some(Known { version: seen.version + 1, book });
                        return Ok(Ok(done));
                    }
                    Written::Overtaken(there) => {
                        fresh = there.is_some();
                        *known = there;
                        tokio::time::sleep(pause(attempt)).await;
                    }
                },
            }
        }
        Err(LedgerError("too many processes take from the same call budget at once".to_owned()))
    }

    async fn read(&self) -> Result<Known, LedgerError> {
        let item = self
            .client
            .get_item()
            .table_name(&self.table)
            .set_key(Some(self.item_key()))
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| failed("read", &error))?
            .item;
        item.as_ref().map_or_else(|| Ok(Known::default()), parse)
    }

    async fn write(&self, version: u64, book: &CallBook) -> Result<Written, LedgerError> {
        let json = serde_json::to_string(book).map_err(|error| LedgerError(error.to_string()))?;
        let ttl = book.expires().plus(KEEP).as_seconds();
        let put = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(self.item_key()))
            .item("version", AttributeValue::N((version + 1).to_string()))
            .item("book", AttributeValue::S(json))
            .item("ttl", AttributeValue::N(ttl.to_string()))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let put = if version == 0 {
            put.condition_expression("attribute_not_exists(pk)")
        } else {
            put.condition_expression("#version = :seen")
                .expression_attribute_names("#version", "version")
                .expression_attribute_values(":seen", AttributeValue::N(version.to_string()))
        };
        match put.send().await {
            Ok(_) => Ok(Written::Yes),
            Err(error) => match error.as_service_error() {
                Some(PutItemError::ConditionalCheckFailedException(overtaken)) => {
                    Ok(Written::Overtaken(overtaken.item().map(parse).transpose()?))
                }
                // A transaction has the item in hand at this moment.
                Some(PutItemError::TransactionConflictException(_)) => Ok(Written::Overtaken(None)),
                _ => Err(failed("write", &error)),
            },
        }
    }

    fn item_key(&self) -> HashMap<String, AttributeValue> {
        HashMap::from([
            ("pk".to_owned(), AttributeValue::S(self.key.clone())),
            ("sk".to_owned(), AttributeValue::S("budget".to_owned())),
        ])
    }
}

enum Written {
    Yes,
    /// Somebody else wrote first; what they wrote, if it was told.
    Overtaken(Option<Known>),
}

fn parse(item: &HashMap<String, AttributeValue>) -> Result<Known, LedgerError> {
    let version = item.get("version").and_then(|version| version.as_n().ok()?.parse().ok());
    let book = item.get("book").and_then(|book| serde_json::from_str(book.as_s().ok()?).ok());
    // Nothing is called on the strength of a book that cannot be read. Deleting the item starts a new one.
    let known = version.zip(book).map(|(version, book)| Known { version, book });
    known.ok_or_else(|| LedgerError("the item of the call budget cannot be read".to_owned()))
}

fn failed<E, R>(what: &str, error: &SdkError<E, R>) -> LedgerError
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
    R: std::fmt::Debug,
{
    LedgerError(format!("could not {what} the call budget: {}", in_short(error)))
}

/// Between nothing and some hundredths of a second, longer with each attempt, so that those who compete do not march in step.
fn pause(attempt: u32) -> Duration {
    let random = RandomState::new().build_hasher().finish();
    Duration::from_millis(random % u64::from(4 + 4 * attempt.min(10)))
}

impl crate::Store {
    /// The budget of a credential, its book kept in this table.
    pub fn call_budget(&self, credential: CredentialId, allowance: Allowance, clock: Clock) -> CallBudget {
        let table = BudgetTable::new(self.client().clone(), self.table(), credential, allowance);
        CallBudget::new(std::sync::Arc::new(table), ChunkSizes::default(), clock)
    }
}

impl BudgetLedger for BudgetTable {
    fn take(&self, purpose: Purpose, wanted: u32, now: Timestamp) -> BoxFuture<'_, Result<Chunk, Refusal>> {
        Box::pin(async move {
            let taken = self.change(now, move |book| book.take(self.allowance, purpose, wanted, now)).await;
            taken.map_err(Refusal::Unavailable)?.map_err(Refusal::Wait)
        })
    }

    fn give_back(&self, chunk: Chunk, now: Timestamp) -> BoxFuture<'_, Result<(), LedgerError>> {
        Box::pin(async move {
            let given = self.change(now, |book| {
                book.give_back(&chunk);
                Ok::<(), std::convert::Infallible>(())
            });
            given.await.map(|_| ())
        })
    }

    fn pause(&self, pause: Pause, now: Timestamp) -> BoxFuture<'_, Result<(), LedgerError>> {
        Box::pin(async move {
            let paused = self.change(now, move |book| {
                match pause {
                    Pause::Everybody(until) => book.pause(until),
                    Pause::Syncs(until) => book.pause_sync(until),
                }
                Ok::<(), std::convert::Infallible>(())
            });
            paused.await.map(|_| ())
        })
    }
}
