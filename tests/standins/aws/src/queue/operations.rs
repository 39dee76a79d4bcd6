//! The operations of SQS.

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::{Value, json};

use crate::aws::Aws;
use crate::md5::md5;
use crate::protocol::{Answer, AwsError, read};
use crate::queue::LONGEST_WAIT;
use crate::queue::model::{Message, QueueSettings, Redrive, Switchyard, name_in, queue_arn, url as url_of};

/// A batch has at most so many entries.
const LARGEST_BATCH: usize = 10;
/// A message, and all messages of a batch together, have at most so many bytes.
const LARGEST_MESSAGE: usize = 1024 * 1024;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Named {
    queue_name: String,
    #[serde(default)]
    attributes: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Addressed {
    queue_url: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Send {
    queue_url: String,
    message_body: String,
    delay_seconds: Option<u32>,
    #[serde(default)]
    message_attributes: Value,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Batch<E> {
    queue_url: String,
    #[serde(default = "Vec::new")]
    entries: Vec<E>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SendEntry {
    id: String,
    message_body: String,
    delay_seconds: Option<u32>,
    #[serde(default)]
    message_attributes: Value,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DeleteEntry {
    id: String,
    receipt_handle: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Receive {
    queue_url: String,
    max_number_of_messages: Option<usize>,
    visibility_timeout: Option<u32>,
    wait_time_seconds: Option<u64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Received {
    queue_url: String,
    receipt_handle: String,
    #[serde(default)]
    visibility_timeout: u32,
}

pub(crate) fn create(queues: &mut Switchyard, endpoint: &str, request: Value) -> Answer {
    let request: Named = read(request)?;
    let settings = settings(&request.attributes)?;
    queues.create(&request.queue_name, settings);
    Ok(json!({"QueueUrl": url_of(endpoint, &request.queue_name)}))
}

fn settings(attributes: &BTreeMap<String, String>) -> Result<QueueSettings, AwsError> {
    let mut settings = QueueSettings::default();
    for (name, value) in attributes {
        let invalid =
            || AwsError::refused("com.amazonaws.sqs#InvalidAttributeValue", format!("{name}: {value}"));
        match name.as_str() {
            "VisibilityTimeout" => settings.visibility_timeout = value.parse().map_err(|_| invalid())?,
            "DelaySeconds" => settings.delay = value.parse().map_err(|_| invalid())?,
            "RedrivePolicy" => {
                let policy: Value = serde_json::from_str(value).map_err(|_| invalid())?;
                let count = &policy["maxReceiveCount"];
                let count = count.as_u64().or_else(|| count.as_str().and_then(|text| text.parse().ok()));
                settings.redrive = Some(Redrive {
                    dead_letter_queue: policy["deadLetterTargetArn"]
                        .as_str()
                        .map(name_in)
                        .ok_or_else(invalid)?
                        .to_owned(),
                    max_receive_count: count
                        .and_then(|count| u32::try_from(count).ok())
                        .ok_or_else(invalid)?,
                });
            }
            "FifoQueue" => {
                return Err(AwsError::refused(
                    "com.amazonaws.sqs#UnsupportedOperation",
                    "This stand-in has standard queues only.",
                ));
            }
            _ => {}
        }
    }
    Ok(settings)
}

pub(crate) fn url(queues: &mut Switchyard, endpoint: &str, request: Value) -> Answer {
    let request: Named = read(request)?;
    queues.at(&request.queue_name)?;
    Ok(json!({"QueueUrl": url_of(endpoint, &request.queue_name)}))
}

pub(crate) fn attributes(queues: &mut Switchyard, request: Value, now: i64) -> Answer {
    let request: Addressed = read(request)?;
    let queue = queues.at(&request.queue_url)?;
    let count = |wanted: &dyn Fn(&Message) -> bool| {
        queue.messages.iter().filter(|message| wanted(message)).count().to_string()
    };
    let mut attributes = json!({
        "QueueArn": queue_arn(name_in(&request.queue_url)),
        "ApproximateNumberOfMessages": count(&|message| message.visible_at <= now),
        "ApproximateNumberOfMessagesNotVisible": count(&|message| message.visible_at > now && message.receipt.is_some()),
        "ApproximateNumberOfMessagesDelayed": count(&|message| message.visible_at > now && message.receipt.is_none()),
        "VisibilityTimeout": queue.settings.visibility_timeout.to_string(),
        "DelaySeconds": queue.settings.delay.to_string(),
    });
    if let Some(redrive) = &queue.settings.redrive {
        let policy = json!({
            "deadLetterTargetArn": queue_arn(&redrive.dead_letter_queue),
            "maxReceiveCount": redrive.max_receive_count,
        });
        attributes["RedrivePolicy"] = policy.to_string().into();
    }
    Ok(json!({ "Attributes": attributes }))
}

pub(crate) fn send(queues: &mut Switchyard, request: Value, now: i64) -> Answer {
    let request: Send = read(request)?;
    let queue = queues.at(&request.queue_url)?;
    check_body(&request.message_body)?;
    let id = queue.send(&request.message_body, &request.message_attributes, request.delay_seconds, now);
    Ok(json!({"MessageId": id, "MD5OfMessageBody": md5(request.message_body.as_bytes())}))
}

fn check_body(body: &str) -> Result<(), AwsError> {
    if body.is_empty() || body.len() > LARGEST_MESSAGE {
        return Err(AwsError::refused(
            "com.amazonaws.sqs#InvalidParameterValue",
            "One or more parameters are invalid. Reason: Message must have between 1 and 1048576 bytes.",
        ));
    }
    Ok(())
}

pub(crate) fn send_batch(queues: &mut Switchyard, request: Value, now: i64) -> Answer {
    let request: Batch<SendEntry> = read(request)?;
    let queue = queues.at(&request.queue_url)?;
    check_batch(&request.entries.iter().map(|entry| entry.id.as_str()).collect::<Vec<_>>())?;
    if request.entries.iter().map(|entry| entry.message_body.len()).sum::<usize>() > LARGEST_MESSAGE {
        return Err(AwsError::refused(
            "com.amazonaws.sqs#BatchRequestTooLong",
            "Batch requests cannot be longer than 1048576 bytes.",
        )
        .formerly("AWS.SimpleQueueService.BatchRequestTooLong"));
    }
    let (mut successful, mut failed) = (Vec::new(), Vec::new());
    for entry in request.entries {
        if queue.refuse_entries > 0 {
            queue.refuse_entries -= 1;
            failed.push(json!({
                "Id": entry.id, "Code": "InternalError", "Message": "An internal error occurred.", "SenderFault": false,
            }));
            continue;
        }
        let id = queue.send(&entry.message_body, &entry.message_attributes, entry.delay_seconds, now);
        successful.push(json!({
            "Id": entry.id, "MessageId": id, "MD5OfMessageBody": md5(entry.message_body.as_bytes()),
        }));
    }
    Ok(json!({"Successful": successful, "Failed": failed}))
}

fn check_batch(ids: &[&str]) -> Result<(), AwsError> {
    let refused = |kind: &str, former: &'static str, message: &str| {
        Err(AwsError::refused(&format!("com.amazonaws.sqs#{kind}"), message).formerly(former))
    };
    if ids.is_empty() {
        return refused(
            "EmptyBatchRequest",
            "AWS.SimpleQueueService.EmptyBatchRequest",
            "There should be at least one entry in the request.",
        );
    }
    if ids.len() > LARGEST_BATCH {
        return refused(
            "TooManyEntriesInBatchRequest",
            "AWS.SimpleQueueService.TooManyEntriesInBatchRequest",
            "Maximum number of entries per request are 10.",
        );
    }
    if ids.iter().collect::<BTreeSet<_>>().len() < ids.len() {
        return refused(
            "BatchEntryIdsNotDistinct",
            "AWS.SimpleQueueService.BatchEntryIdsNotDistinct",
            "Two or more batch entries in the request have the same Id.",
        );
    }
    Ok(())
}

/// Waits for a message where it is asked to (long polling).
pub(crate) async fn receive(aws: &Aws, request: Value) -> Answer {
    let request: Receive = read(request)?;
    let at_most = request.max_number_of_messages.unwrap_or(1);
    if !(1..=LARGEST_BATCH).contains(&at_most) {
        return Err(AwsError::refused(
            "com.amazonaws.sqs#InvalidParameterValue",
            "MaxNumberOfMessages must be between 1 and 10.",
        ));
    }
    aws.world().queues.at(&request.queue_url)?;
    let patience = Duration::from_secs(request.wait_time_seconds.unwrap_or(0)).min(LONGEST_WAIT);
    let name = name_in(&request.queue_url);
    let received = aws
        .wait_for(patience, |aws| {
            let now = aws.now();
            let received = aws.world().queues.receive(name, at_most, request.visibility_timeout, now)?;
            (!received.is_empty()).then_some(received)
        })
        .await
        .unwrap_or_default();
    let messages: Vec<Value> = received.iter().map(received_message).collect();
    // SQS leaves the member out where there is no message.
    Ok(if messages.is_empty() { json!({}) } else { json!({ "Messages": messages }) })
}

fn received_message(message: &Message) -> Value {
    let mut document = json!({
        "MessageId": message.id,
        "ReceiptHandle": message.receipt,
        "Body": message.body,
        "MD5OfBody": message.md5(),
        "Attributes": message.system_attributes(),
    });
    if message.attributes.is_object() {
        document["MessageAttributes"] = message.attributes.clone();
    }
    document
}

pub(crate) fn delete(queues: &mut Switchyard, request: Value) -> Answer {
    let request: Received = read(request)?;
    // A handle that is not (or no longer) known is no error: deleting twice is fine.
    queues.at(&request.queue_url)?.delete(&request.receipt_handle);
    Ok(json!({}))
}

pub(crate) fn delete_batch(queues: &mut Switchyard, request: Value) -> Answer {
    let request: Batch<DeleteEntry> = read(request)?;
    let queue = queues.at(&request.queue_url)?;
    check_batch(&request.entries.iter().map(|entry| entry.id.as_str()).collect::<Vec<_>>())?;
    let mut successful = Vec::new();
    for entry in request.entries {
        queue.delete(&entry.receipt_handle);
        successful.push(json!({"Id": entry.id}));
    }
    Ok(json!({"Successful": successful, "Failed": []}))
}

pub(crate) fn change_visibility(queues: &mut Switchyard, request: Value, now: i64) -> Answer {
    let request: Received = read(request)?;
    let queue = queues.at(&request.queue_url)?;
    let message = queue
        .messages
        .iter_mut()
        .find(|message| message.receipt.as_deref() == Some(&*request.receipt_handle));
    let message = message.filter(|message| message.visible_at > now).ok_or_else(|| {
        AwsError::refused("com.amazonaws.sqs#MessageNotInflight", "The specified message isn't in flight.")
            .formerly("AWS.SimpleQueueService.MessageNotInflight")
    })?;
    message.visible_at = now + 1_000 * i64::from(request.visibility_timeout);
    Ok(json!({}))
}

pub(crate) fn purge(queues: &mut Switchyard, request: Value) -> Answer {
    let request: Addressed = read(request)?;
    queues.at(&request.queue_url)?.messages.clear();
    Ok(json!({}))
}
