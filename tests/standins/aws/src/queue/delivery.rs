//! What Lambda does with a queue: it takes messages, hands them to a function, and deletes those that went well.

use serde_json::Value;

use crate::event;
use crate::queue::model::{Message, queue_arn};

/// Messages on their way through a function.
#[derive(Debug, Clone)]
pub struct Delivery {
    queue: String,
    messages: Vec<Message>,
    event: Value,
}

impl Delivery {
    pub(crate) fn new(queue: &str, messages: Vec<Message>) -> Self {
        let event = event::sqs(&queue_arn(queue), &messages);
        Self { queue: queue.to_owned(), messages, event }
    }

    /// The event for the function.
    pub fn event(&self) -> &Value {
        &self.event
    }

    /// The messages in it.
    pub fn messages(&self) -> &[Message] {
        &self.messages
    }

    /// The queue's name.
    pub fn queue(&self) -> &str {
        &self.queue
    }

    /// The handles of the messages that an answer counts as done. An answer that names something unknown fails all of them, as
    /// Lambda does.
    pub(crate) fn receipts_of_successes(&self, answer: Option<&Value>) -> Vec<&str> {
        let Some(answer) = answer else { return Vec::new() };
        let none = Vec::new();
        let failures = answer.get("batchItemFailures").and_then(Value::as_array).unwrap_or(&none);
        let failed: Vec<&str> = failures
            .iter()
            .filter_map(|failure| failure.get("itemIdentifier").and_then(Value::as_str))
            .collect();
        let known = |id: &&str| self.messages.iter().any(|message| message.id == **id);
        if failed.len() < failures.len() || !failed.iter().all(known) {
            return Vec::new();
        }
        self.messages
            .iter()
            .filter(|message| !failed.contains(&message.id.as_str()))
            .filter_map(|message| message.receipt.as_deref())
            .collect()
    }
}
