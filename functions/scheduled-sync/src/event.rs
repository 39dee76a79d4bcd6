//! What invokes the function: the schedule's tick, messages of the queue, or new rows of the table's stream.

use core::time::Duration;

use std::collections::BTreeMap;

use aws_lambda_events::sqs::{BatchItemFailure, SqsBatchResponse};
use lambda_runtime::LambdaEvent;
use rollcall_domain::{Timestamp, WorkspaceId};
use rollcall_service::telemetry;
use serde::Deserialize;
use serde_json::{Value, json};
use tracing::Instrument as _;

use crate::engine::{Engine, EngineError};
use crate::message::SyncMessage;

/// A tick's moment is taken to the quarter of an hour, so that a tick that is delivered twice, or late, asks for the same runs.
const TICK: i64 = 15 * 60;

#[derive(Deserialize)]
#[serde(untagged)]
enum Invocation {
    Rows {
        #[serde(rename = "Records")]
        records: Vec<Row>,
    },
    Messages {
        #[serde(rename = "Records")]
        records: Vec<Message>,
    },
    Tick {
        /// When the schedule fired, as RFC 3339: EventBridge's `time`, or the Scheduler's `<aws.scheduler.scheduled-time>`.
        time: Option<String>,
    },
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Message {
    message_id: String,
    body: String,
}

/// A row of the table's stream, as far as it is looked at: whose events these are.
#[derive(Deserialize)]
struct Row {
    dynamodb: Change,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Change {
    keys: Keys,
    sequence_number: String,
}

#[derive(Deserialize)]
struct Keys {
    pk: Text,
}

#[derive(Deserialize)]
struct Text {
    #[serde(rename = "S")]
    text: String,
}

/// Handles an invocation. For messages the answer names those that have to come again; everything else is done.
///
/// An error makes the schedule try again, and after its last attempt put the tick where failed ones go.
pub async fn handle(engine: &Engine, event: LambdaEvent<Value>) -> Result<Value, lambda_runtime::Error> {
    let (payload, context) = event.into_parts();
    let span = telemetry::invocation(&context.request_id);
    let deadline = Timestamp::from_millis(i64::try_from(context.deadline).unwrap_or(i64::MAX));
    handle_payload(engine, payload, deadline).instrument(span).await
}

async fn handle_payload(
    engine: &Engine,
    payload: Value,
    deadline: Timestamp,
) -> Result<Value, lambda_runtime::Error> {
    match serde_json::from_value(payload)? {
        Invocation::Tick { time } => {
            let moment = time.and_then(|time| rollcall_service::rfc3339::parse(&time).ok());
            let moment = moment.unwrap_or_else(|| engine.now());
            let connections = engine.handle_tick(tick_of(moment)).await?;
            tracing::info!(connections, "a tick");
            Ok(json!({ "connections": connections }))
        }
        Invocation::Rows { records } => tell(engine, records).await,
        Invocation::Messages { records } => {
            let mut answer = SqsBatchResponse::default();
            for message in records {
                if let Err(error) = handle_body(engine, &message.body, deadline).await {
                    tracing::error!(%error, message_id = message.message_id, "a message could not be handled");
                    let mut failure = BatchItemFailure::default();
                    failure.item_identifier = message.message_id;
                    answer.batch_item_failures.push(failure);
                }
            }
            Ok(serde_json::to_value(answer)?)
        }
    }
}

/// Tells the events of the workspaces that the rows are of. Where not all could be told, the stream comes again from there.
async fn tell(engine: &Engine, rows: Vec<Row>) -> Result<Value, lambda_runtime::Error> {
    let mut told: BTreeMap<WorkspaceId, bool> = BTreeMap::new();
    for Row { dynamodb: Change { keys, sequence_number } } in rows {
        let Some(workspace) = rollcall_store::events::workspace_of(&keys.pk.text) else { continue };
        let all = if let Some(all) = told.get(&workspace) {
            *all
        } else {
            let all = engine.tell_events(workspace).await;
            told.insert(workspace, all);
            all
        };
        if !all {
            return Ok(json!({ "batchItemFailures": [{ "itemIdentifier": sequence_number }] }));
        }
    }
    Ok(json!({ "batchItemFailures": [] }))
}

#[derive(Debug, thiserror::Error)]
enum MessageError {
    #[error("the message is none that this function understands: {0}")]
    Malformed(#[from] serde_json::Error),
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error("the time of the invocation was used up by the messages before it")]
    OutOfTime,
}

async fn handle_body(engine: &Engine, body: &str, deadline: Timestamp) -> Result<(), MessageError> {
    let message: SyncMessage = serde_json::from_str(body)?;
    if deadline.minus(Duration::from_secs(15)).has_passed(engine.now()) {
        return Err(MessageError::OutOfTime);
    }
    engine.handle_message(&message, deadline).await?;
    Ok(())
}

/// The tick that a moment belongs to.
fn tick_of(moment: Timestamp) -> Timestamp {
    Timestamp::from_seconds(moment.as_seconds().div_euclid(TICK) * TICK)
}
