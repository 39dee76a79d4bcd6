//! What invokes the function: the schedule's tick, or messages of the queue.

use core::time::Duration;

use aws_lambda_events::sqs::{BatchItemFailure, SqsBatchResponse};
use lambda_runtime::LambdaEvent;
use rollcall_domain::Timestamp;
use rollcall_service::telemetry;
use serde::Deserialize;
use serde_json::Value;
use tracing::Instrument as _;

use crate::engine::{Engine, EngineError};
use crate::message::SyncMessage;

/// A tick's moment is taken to the quarter of an hour, so that a tick that is delivered twice, or late, asks for the same runs.
const TICK: i64 = 15 * 60;

#[derive(Deserialize)]
#[serde(untagged)]
enum Invocation {
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
            Ok(serde_json::json!({ "connections": connections }))
        }
        Invocation::Messages { records } => {
            let mut answer = SqsBatchResponse::default();
            for message in records {
                if let Err(error) = handle_body(engine, &message.body, deadline).await {
                    tracing::error!(%error, message = message.message_id, "a message could not be handled");
                    let mut failure = BatchItemFailure::default();
                    failure.item_identifier = message.message_id;
                    answer.batch_item_failures.push(failure);
                }
            }
            Ok(serde_json::to_value(answer)?)
        }
    }
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
