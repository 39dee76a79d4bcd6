//! The events with which AWS calls functions, in the shapes that AWS sends.

mod bounce;
mod http_api;
mod schedule;

use jiff::Timestamp;
use serde_json::{Value, json};

pub use bounce::{Feedback, mail_feedback};
pub use http_api::{HttpAnswer, HttpEvent, MalformedAnswer};
pub use schedule::{schedule, schedule_with_input};

use crate::account::REGION;
use crate::queue::Message;

/// An SQS event of the messages of a queue.
pub fn sqs(queue_arn: &str, messages: &[Message]) -> Value {
    let records: Vec<Value> = messages.iter().map(|message| record(queue_arn, message)).collect();
    json!({ "Records": records })
}

fn record(queue_arn: &str, message: &Message) -> Value {
    let mut attributes = serde_json::Map::new();
    if let Some(given) = message.attributes.as_object() {
        for (name, attribute) in given {
            attributes.insert(
                name.clone(),
                json!({
                    "stringValue": attribute["StringValue"],
                    "stringListValues": [],
                    "binaryListValues": [],
                    "dataType": attribute["DataType"],
                }),
            );
        }
    }
    json!({
        "messageId": message.id,
        "receiptHandle": message.receipt,
        "body": message.body,
        "attributes": message.system_attributes(),
        "messageAttributes": attributes,
        "md5OfBody": message.md5(),
        "eventSource": "aws:sqs",
        "eventSourceARN": queue_arn,
        "awsRegion": REGION,
    })
}

/// A time in milliseconds since 1970, in seconds and in the form that AWS writes it (`2026-11-23T04:05:06Z`).
pub(crate) fn rfc3339(milliseconds: i64) -> String {
    Timestamp::from_second(milliseconds.div_euclid(1_000)).map_or_else(|_| String::new(), |at| at.to_string())
}
