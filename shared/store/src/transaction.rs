//! One transaction: a change, its audit entries and its events, or none of them.

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap};
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::iter::repeat;
use std::time::Duration;

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{
    AttributeValue, CancellationReason, ConditionCheck, Delete, Put, TransactWriteItem, Update,
};
use rollcall_domain::audit::AuditEntry;
use rollcall_domain::event::Event;
use rollcall_domain::{Timestamp, WorkspaceId};
use serde::{Deserialize, Serialize};

use crate::Store;
use crate::error::{StoreError, failed};
use crate::events::StoredEvent;
use crate::item;
use crate::keys::{self, Key};

/// What DynamoDB takes in one transaction.
pub(crate) const MOST_ITEMS: usize = 100;

/// How often a transaction is tried that was only in somebody's way.
const ATTEMPTS: u32 = 12;

/// How often a request is repeated of which it is not known whether it landed. The SDK has repeated it already, within its own time.
const REPETITIONS: u32 = 4;

/// How long events are kept for replay.
const KEEP_EVENTS: Duration = Duration::from_hours(30 * 24);

/// What has to hold of an item for it to be written.
#[derive(Debug, Clone, PartialEq)]
pub enum When {
    /// There is none.
    New,
    /// There is one.
    Exists,
    /// It has this version, or, for version 0, there is none.
    Version(u64),
    /// An attribute has this value.
    Is(&'static str, AttributeValue),
    /// There is none, or an attribute has this value.
    NewOrIs(&'static str, AttributeValue),
    /// There is none, or an attribute is less than this.
    NewOrLess(&'static str, AttributeValue),
    /// Anything: the key itself says what is meant, and writing it twice is writing it once.
    Always,
}

/// What is written together with a change.
#[derive(Debug, Clone, Default)]
pub struct Record {
    /// Who did what to whom, and why.
    pub audit: Vec<AuditEntry>,
    /// What the application is told, in order.
    pub events: Vec<Event>,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct Sequence {
    /// The number of the workspace's last event.
    pub(crate) last: u64,
}

/// The numbers of workspaces' last events, as far as they are known: who writes several transactions one after the other reads them
/// once. One that is out of date costs a repetition, and nothing else.
#[derive(Debug, Clone, Default)]
pub struct Numbering(HashMap<WorkspaceId, u64>);

/// Writes that happen together or not at all.
pub struct Transaction<'s> {
    store: &'s Store,
    items: Vec<(&'static str, TransactWriteItem)>,
    events: Vec<Event>,
}

impl Store {
    /// A transaction without anything in it.
    pub fn transaction(&self) -> Transaction<'_> {
        Transaction { store: self, items: Vec::new(), events: Vec::new() }
    }

    /// The number of a workspace's last event, for the transactions that follow. One read, which can be made beside others.
    pub async fn numbering(&self, workspace: WorkspaceId) -> Result<Numbering, StoreError> {
        Ok(Numbering(HashMap::from([(workspace, self.last_event(workspace).await?)])))
    }
}

impl Transaction<'_> {
    /// How many items it has, those of its events included.
    pub fn len(&self) -> usize {
        let workspaces: BTreeSet<WorkspaceId> = self.events.iter().map(|event| event.workspace).collect();
        self.items.len() + self.events.len() + workspaces.len()
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty() && self.events.is_empty()
    }

    /// Writes a value. `what` names it in a conflict.
    pub fn put<T: Serialize>(
        &mut self,
        what: &'static str,
        key: &Key,
        value: &T,
        ttl: Option<Timestamp>,
        when: When,
    ) -> Result<(), StoreError> {
        let condition = Condition::of(when);
        let put = Put::builder()
            .table_name(self.store.table())
            .set_item(Some(item::write(key, value, ttl)?))
            .set_condition_expression(condition.expression)
            .set_expression_attribute_names(condition.names)
            .set_expression_attribute_values(condition.values)
            .build()
            .map_err(incomplete)?;
        self.items.push((what, TransactWriteItem::builder().put(put).build()));
        Ok(())
    }

    /// Removes an item.
    pub fn delete(&mut self, what: &'static str, key: &Key, when: When) -> Result<(), StoreError> {
        let condition = Condition::of(when);
        let delete = Delete::builder()
            .table_name(self.store.table())
            .set_key(Some(key.attributes()))
            .set_condition_expression(condition.expression)
            .set_expression_attribute_names(condition.names)
            .set_expression_attribute_values(condition.values)
            .build()
            .map_err(incomplete)?;
        self.items.push((what, TransactWriteItem::builder().delete(delete).build()));
        Ok(())
    }

    /// Only checks an item.
    pub fn check(&mut self, what: &'static str, key: &Key, when: When) -> Result<(), StoreError> {
        let condition = Condition::of(when);
        let check = ConditionCheck::builder()
            .table_name(self.store.table())
            .set_key(Some(key.attributes()))
            .set_condition_expression(condition.expression)
            .set_expression_attribute_names(condition.names)
            .set_expression_attribute_values(condition.values)
            .build()
            .map_err(incomplete)?;
        self.items.push((what, TransactWriteItem::builder().condition_check(check).build()));
        Ok(())
    }

    /// Adds what is written together with the change.
    pub fn record(&mut self, record: Record) -> Result<(), StoreError> {
        for entry in record.audit {
            let key = keys::audit(entry.workspace, entry.id);
            let ends = self.store.audit_kept.map(|kept| entry.at.plus(kept));
            self.put("audit entry", &key, &entry, ends, When::New)?;
        }
        self.events.extend(record.events);
        Ok(())
    }

    /// Writes all of it, or nothing. A transaction that was only in somebody's way is tried again; one whose condition does not
    /// hold is a [`StoreError::Conflict`].
    pub async fn commit(self) -> Result<(), StoreError> {
        self.commit_after(&mut Numbering::default()).await
    }

    /// The same, one of several: the events' numbers go on where `known` ends.
    pub async fn commit_after(self, known: &mut Numbering) -> Result<(), StoreError> {
        if self.is_empty() {
            return Ok(());
        }
        if self.len() > MOST_ITEMS {
            return Err(StoreError::TooLarge { what: "a transaction" });
        }
        let mut attempt = 0;
        loop {
            // What is known is right only if this goes well.
            let before = std::mem::take(known);
            let numbered = self.numbered(&before).await?;
            match self.send(&numbered).await {
                Outcome::Done => {
                    *known = before;
                    known.0.extend(numbered.last);
                    return Ok(());
                }
                Outcome::Failed(error) => return Err(error),
                Outcome::InTheWay => back_off(&mut attempt).await?,
            }
        }
    }

    /// Gives the events their numbers.
    async fn numbered(&self, known: &Numbering) -> Result<Numbered, StoreError> {
        let mut items = Vec::new();
        let mut last: HashMap<WorkspaceId, (u64, u64)> = HashMap::new();
        for event in &self.events {
            let workspace = event.workspace;
            let (_, number) = match last.entry(workspace) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(unknown) => {
                    let before = match known.0.get(&workspace) {
                        Some(before) => *before,
                        None => self.store.last_event(workspace).await?,
                    };
                    unknown.insert((before, before))
                }
            };
            *number += 1;
            let key = keys::event(workspace, *number);
            let stored = StoredEvent { sequence: *number, event: event.clone() };
            let put = Put::builder()
                .table_name(self.store.table())
                .set_item(Some(item::write(&key, &stored, Some(event.at.plus(KEEP_EVENTS)))?))
                .condition_expression("attribute_not_exists(pk)")
                .build()
                .map_err(incomplete)?;
            items.push(TransactWriteItem::builder().put(put).build());
        }
        for (workspace, (before, after)) in &last {
            let (before, after) = (*before, *after);
            let update = Update::builder()
                .table_name(self.store.table())
                .set_key(Some(keys::sequence(*workspace).attributes()))
                .update_expression("SET #last = :after")
                .condition_expression(if before == 0 {
                    "attribute_not_exists(pk) OR #last = :before"
                } else {
                    "#last = :before"
                })
                .expression_attribute_names("#last", "last")
                .expression_attribute_values(":before", AttributeValue::N(before.to_string()))
                .expression_attribute_values(":after", AttributeValue::N(after.to_string()))
                .build()
                .map_err(incomplete)?;
            items.push(TransactWriteItem::builder().update(update).build());
        }
        let random = || RandomState::new().build_hasher().finish();
        let token = format!("{:016x}{:016x}", random(), random());
        let last = last.into_iter().map(|(workspace, (_, after))| (workspace, after)).collect();
        Ok(Numbered { items, token, last })
    }

    async fn send(&self, numbered: &Numbered) -> Outcome {
        let mut attempt = 0;
        loop {
            let items = self.items.iter().map(|(_, item)| item).chain(&numbered.items).cloned().collect();
            let call = self.store.client.transact_write_items().client_request_token(&numbered.token);
            match call.set_transact_items(Some(items)).send().await {
                Ok(_) => return Outcome::Done,
                Err(error) => {
                    if let Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) =
                        error.as_service_error()
                    {
                        let names = self.items.iter().map(|(name, _)| *name).chain(repeat(SEQUENCE));
                        return judge(names, cancelled.cancellation_reasons());
                    }
                    // Whether it landed is not known. The same token makes the repetition the same transaction: it lands once.
                    // A request that took all its time is not repeated: the function's own time is short.
                    let is_over = matches!(error, SdkError::TimeoutError(_)) || attempt >= REPETITIONS;
                    if is_over || !is_transient(&error) || back_off(&mut attempt).await.is_err() {
                        return Outcome::Failed(failed(&error));
                    }
                }
            }
        }
    }
}

/// The events of a transaction, with their numbers.
struct Numbered {
    items: Vec<TransactWriteItem>,
    /// By which a repeated request is recognised as the same.
    token: String,
    last: HashMap<WorkspaceId, u64>,
}

/// The name of what numbers the events: a conflict about it is in nobody's way but its own, and is tried again.
const SEQUENCE: &str = "event sequence";

enum Outcome {
    Done,
    InTheWay,
    Failed(StoreError),
}

/// Whether the same request may go well the next time: the way was broken, or the service was, or it had too much to do.
fn is_transient<E: ProvideErrorMetadata>(error: &SdkError<E>) -> bool {
    match error {
        SdkError::ConstructionFailure(_) => false,
        SdkError::ServiceError(refused) => {
            const PASSING: [&str; 5] = [
                "ProvisionedThroughputExceededException",
                "RequestLimitExceeded",
                "ThrottlingException",
                "TransactionConflictException",
                "TransactionInProgressException",
            ];
            refused.raw().status().as_u16() >= 500
                || refused.err().code().is_some_and(|code| PASSING.contains(&code))
        }
        _ => true,
    }
}

fn judge(names: impl Iterator<Item = &'static str>, reasons: &[CancellationReason]) -> Outcome {
    let mut in_the_way = false;
    for (name, reason) in names.zip(reasons) {
        match reason.code() {
            None | Some("None") => {}
            Some("ConditionalCheckFailed") if name == SEQUENCE => in_the_way = true,
            Some("ConditionalCheckFailed") => return Outcome::Failed(StoreError::Conflict { what: name }),
            Some("TransactionConflict" | "ThrottlingError" | "ProvisionedThroughputExceeded") => {
                in_the_way = true;
            }
            Some("ItemCollectionSizeLimitExceeded") => {
                return Outcome::Failed(StoreError::TooLarge { what: name });
            }
            Some("ValidationError") if reason.message().is_some_and(|why| why.contains("size")) => {
                return Outcome::Failed(StoreError::TooLarge { what: name });
            }
            Some(code) => return Outcome::Failed(StoreError::Unavailable(format!("{name}: {code}"))),
        }
    }
    if in_the_way {
        Outcome::InTheWay
    } else {
        Outcome::Failed(StoreError::Unavailable("cancelled without a reason".to_owned()))
    }
}

struct Condition {
    expression: Option<String>,
    names: Option<HashMap<String, String>>,
    values: Option<HashMap<String, AttributeValue>>,
}

impl Condition {
    fn of(when: When) -> Self {
        let named = |expression: &str, name: &str, value| Self {
            expression: Some(expression.to_owned()),
            names: Some(HashMap::from([("#a".to_owned(), name.to_owned())])),
            values: Some(HashMap::from([(":a".to_owned(), value)])),
        };
        let plain =
            |expression: &str| Self { expression: Some(expression.to_owned()), names: None, values: None };
        match when {
            When::Always => Self { expression: None, names: None, values: None },
            When::New | When::Version(0) => plain("attribute_not_exists(pk)"),
            When::Exists => plain("attribute_exists(pk)"),
            When::Version(version) => named("#a = :a", "version", AttributeValue::N(version.to_string())),
            When::Is(name, value) => named("#a = :a", name, value),
            When::NewOrIs(name, value) => named("attribute_not_exists(pk) OR #a = :a", name, value),
            When::NewOrLess(name, value) => named("attribute_not_exists(pk) OR #a < :a", name, value),
        }
    }
}

#[allow(clippy::needless_pass_by_value, reason = "it is handed to map_err")]
fn incomplete(error: aws_sdk_dynamodb::error::BuildError) -> StoreError {
    StoreError::Unavailable(error.to_string())
}

/// Waits a little, longer each time and never in step with others; an error once it was enough.
pub(crate) async fn back_off(attempt: &mut u32) -> Result<(), StoreError> {
    *attempt += 1;
    if *attempt >= ATTEMPTS {
        return Err(StoreError::Throttled);
    }
    let random = RandomState::new().build_hasher().finish();
    let longest = 8_u64.saturating_mul(1 << (*attempt).min(8));
    tokio::time::sleep(Duration::from_millis(random % longest)).await;
    Ok(())
}
