//! SQS: standard queues with visibility timeout, delay and dead-letter queue.

mod delivery;
mod model;
mod operations;

use core::time::Duration;

use serde_json::Value;

pub use delivery::Delivery;
pub(crate) use model::Switchyard;
pub use model::{Message, QueueSettings, Redrive};

use crate::aws::Aws;
use crate::protocol::{Answer, unknown};

/// SQS, seen from the same process. Queues are told apart by their names.
pub struct Queues<'a>(pub(crate) &'a Aws);

impl Queues<'_> {
    /// Makes a queue, or changes the settings of one that is there. Gives its URL.
    pub fn create(&self, name: &str, settings: QueueSettings) -> String {
        self.0.world().queues.create(name, settings);
        self.0.changed();
        model::url(self.0.endpoint(), name)
    }

    /// The URL of a queue.
    pub fn url(&self, name: &str) -> String {
        model::url(self.0.endpoint(), name)
    }

    /// Sends a message. Gives its id.
    pub fn send(&self, name: &str, body: &str) -> String {
        let now = self.0.now();
        let id =
            self.0.world().queues.get(name).expect("the queue exists").send(body, &Value::Null, None, now);
        self.0.changed();
        id
    }

    /// Every message in a queue, those in flight too, oldest first. Empty if there is no such queue.
    pub fn messages(&self, name: &str) -> Vec<Message> {
        self.0.world().queues.get(name).map(|queue| queue.messages.clone()).unwrap_or_default()
    }

    /// The next so many entries of batches that are sent to a queue are refused, one by one (`InternalError`).
    pub fn refuse_entries(&self, name: &str, entries: u32) {
        if let Some(queue) = self.0.world().queues.get(name) {
            queue.refuse_entries = entries;
        }
    }

    /// Takes up to `at_most` visible messages as Lambda does, to hand them to a function in one event.
    pub fn deliver(&self, name: &str, at_most: usize) -> Option<Delivery> {
        let now = self.0.now();
        let taken = self.0.world().queues.receive(name, at_most, None, now).unwrap_or_default();
        self.0.changed();
        (!taken.is_empty()).then(|| Delivery::new(name, taken))
    }

    /// Ends a delivery as Lambda does: what the function's answer does not name in `batchItemFailures` is deleted, the rest
    /// comes again after the visibility timeout. `None` is a function that failed: everything comes again.
    pub fn settle(&self, delivery: &Delivery, answer: Option<&Value>) {
        for receipt in delivery.receipts_of_successes(answer) {
            if let Some(queue) = self.0.world().queues.get(delivery.queue()) {
                queue.delete(receipt);
            }
        }
        self.0.changed();
    }
}

pub(crate) async fn perform(aws: &Aws, operation: &str, request: Value) -> Answer {
    if operation == "ReceiveMessage" {
        return operations::receive(aws, request).await;
    }
    let now = aws.now();
    let endpoint = aws.endpoint().to_owned();
    let queues = &mut aws.world().queues;
    match operation {
        "CreateQueue" => operations::create(queues, &endpoint, request),
        "GetQueueUrl" => operations::url(queues, &endpoint, request),
        "GetQueueAttributes" => operations::attributes(queues, request, now),
        "SendMessage" => operations::send(queues, request, now),
        "SendMessageBatch" => operations::send_batch(queues, request, now),
        "DeleteMessage" => operations::delete(queues, request),
        "DeleteMessageBatch" => operations::delete_batch(queues, request),
        "ChangeMessageVisibility" => operations::change_visibility(queues, request, now),
        "PurgeQueue" => operations::purge(queues, request),
        other => Err(unknown(other)),
    }
}

/// How long `ReceiveMessage` may wait at most.
const LONGEST_WAIT: Duration = Duration::from_secs(20);
