//! Queues and messages, and what time does to them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::account::{ACCOUNT, arn, new_id};
use crate::md5::md5;
use crate::protocol::AwsError;

/// How a queue behaves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct QueueSettings {
    /// How long a message that was received stays out of sight, in seconds.
    pub visibility_timeout: u32,
    /// How long a new message stays out of sight, in seconds.
    pub delay: u32,
    /// Where messages go that were received too often.
    pub redrive: Option<Redrive>,
}

impl Default for QueueSettings {
    fn default() -> Self {
        Self { visibility_timeout: 30, delay: 0, redrive: None }
    }
}

/// Where messages go that were received too often.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Redrive {
    /// The name of the dead-letter queue.
    pub dead_letter_queue: String,
    /// How often a message may be received before.
    pub max_receive_count: u32,
}

/// A message in a queue.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// Its id.
    pub id: String,
    /// Its body.
    pub body: String,
    /// The attributes that the sender gave it, as they came.
    pub attributes: Value,
    /// When it was sent, in milliseconds since 1970.
    pub sent_at: i64,
    /// When it was received for the first time.
    pub first_received_at: Option<i64>,
    /// How often it was received.
    pub receive_count: u32,
    /// The handle of whoever has received it last.
    pub receipt: Option<String>,
    /// When it can be received (again), in milliseconds since 1970.
    pub visible_at: i64,
}

impl Message {
    pub(crate) fn md5(&self) -> String {
        md5(self.body.as_bytes())
    }

    /// `Attributes` of a received message, as SQS tells them: all texts.
    pub(crate) fn system_attributes(&self) -> Value {
        serde_json::json!({
            "ApproximateReceiveCount": self.receive_count.to_string(),
            "SentTimestamp": self.sent_at.to_string(),
            "SenderId": "AIDASTANDIN",
            "ApproximateFirstReceiveTimestamp": self.first_received_at.unwrap_or_default().to_string(),
        })
    }
}

/// All queues, by name.
#[derive(Default)]
pub(crate) struct Switchyard {
    queues: BTreeMap<String, Queue>,
}

pub(crate) struct Queue {
    pub(crate) settings: QueueSettings,
    pub(crate) messages: Vec<Message>,
    /// So many entries of batches are still to be refused.
    pub(crate) refuse_entries: u32,
}

pub(crate) fn url(endpoint: &str, name: &str) -> String {
    format!("{endpoint}/{ACCOUNT}/{name}")
}

pub(crate) fn queue_arn(name: &str) -> String {
    arn("sqs", name)
}

/// The name in a queue's URL or ARN.
pub(crate) fn name_in(url: &str) -> &str {
    url.rsplit(['/', ':']).next().unwrap_or(url)
}

impl Switchyard {
    pub(crate) fn create(&mut self, name: &str, settings: QueueSettings) {
        self.queues
            .entry(name.to_owned())
            .and_modify(|queue| queue.settings = settings.clone())
            .or_insert_with(|| Queue { settings, messages: Vec::new(), refuse_entries: 0 });
    }

    pub(crate) fn get(&mut self, name: &str) -> Option<&mut Queue> {
        self.queues.get_mut(name)
    }

    /// The queue of a URL.
    pub(crate) fn at(&mut self, url: &str) -> Result<&mut Queue, AwsError> {
        self.queues.get_mut(name_in(url)).ok_or_else(|| {
            AwsError::refused("com.amazonaws.sqs#QueueDoesNotExist", "The specified queue does not exist.")
                .formerly("AWS.SimpleQueueService.NonExistentQueue")
        })
    }

    /// Receives messages. Those that were received too often go to the dead-letter queue instead.
    pub(crate) fn receive(
        &mut self,
        name: &str,
        at_most: usize,
        visibility_timeout: Option<u32>,
        now: i64,
    ) -> Option<Vec<Message>> {
        let queue = self.queues.get_mut(name)?;
        let hidden_until =
            now + 1_000 * i64::from(visibility_timeout.unwrap_or(queue.settings.visibility_timeout));
        let redrive = queue.settings.redrive.clone();
        let (mut received, mut dead) = (Vec::new(), Vec::new());
        queue.messages.retain_mut(|message| {
            if message.visible_at > now || received.len() == at_most {
                return true;
            }
            if redrive.as_ref().is_some_and(|redrive| message.receive_count >= redrive.max_receive_count) {
                dead.push(message.clone());
                return false;
            }
            message.receive_count += 1;
            message.first_received_at.get_or_insert(now);
            message.receipt = Some(new_id());
            message.visible_at = hidden_until;
            received.push(message.clone());
            true
        });
        if let Some(grave) = redrive.and_then(|redrive| self.queues.get_mut(&redrive.dead_letter_queue)) {
            grave.messages.extend(dead.into_iter().map(|message| Message {
                receipt: None,
                visible_at: now,
                ..message
            }));
        }
        Some(received)
    }
}

impl Queue {
    pub(crate) fn send(&mut self, body: &str, attributes: &Value, delay: Option<u32>, now: i64) -> String {
        let id = new_id();
        self.messages.push(Message {
            id: id.clone(),
            body: body.to_owned(),
            attributes: attributes.clone(),
            sent_at: now,
            first_received_at: None,
            receive_count: 0,
            receipt: None,
            visible_at: now + 1_000 * i64::from(delay.unwrap_or(self.settings.delay)),
        });
        id
    }

    /// Whether the handle was one of a message that is still there.
    pub(crate) fn delete(&mut self, receipt: &str) -> bool {
        let before = self.messages.len();
        self.messages.retain(|message| message.receipt.as_deref() != Some(receipt));
        self.messages.len() < before
    }
}
