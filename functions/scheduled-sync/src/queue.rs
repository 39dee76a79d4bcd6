//! The queue of sync work, and what stands for it where there is no SQS.

use futures_util::future::BoxFuture;
use rollcall_domain::{RunId, WorkspaceId};
use rollcall_store::runs::Mode;
use thiserror::Error;
use tokio::sync::mpsc;

use crate::message::SyncMessage;

/// SQS takes as many messages in a call.
const BATCH: usize = 10;

/// The queue does not take messages.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "the queue of sync work takes no messages: {0}; check the function's access to it and that it exists"
)]
pub struct QueueError(pub String);

/// Takes sync work.
pub trait Queue: Send + Sync {
    /// Sends messages: all of them, or an error. Some may have been sent then; a message sent twice does no harm.
    fn send(&self, messages: Vec<SyncMessage>) -> BoxFuture<'_, Result<(), QueueError>>;
}

/// SQS.
pub struct SqsQueue {
    client: aws_sdk_sqs::Client,
    url: String,
}

impl SqsQueue {
    /// The queue at a URL.
    pub fn new(client: aws_sdk_sqs::Client, url: impl Into<String>) -> Self {
        Self { client, url: url.into() }
    }

    async fn send_batch(&self, messages: &[SyncMessage]) -> Result<(), QueueError> {
        let failed = |error: String| QueueError(error);
        let mut call = self.client.send_message_batch().queue_url(&self.url);
        for (at, message) in messages.iter().enumerate() {
            let body = serde_json::to_string(message).map_err(|error| failed(error.to_string()))?;
            let entry = aws_sdk_sqs::types::SendMessageBatchRequestEntry::builder()
                .id(at.to_string())
                .message_body(body)
                .build()
                .map_err(|error| failed(error.to_string()))?;
            call = call.entries(entry);
        }
        let sent = call
            .send()
            .await
            .map_err(|error| failed(aws_sdk_sqs::error::DisplayErrorContext(&error).to_string()))?;
        match sent.failed.first() {
            None => Ok(()),
            Some(first) => Err(failed(format!(
                "{} of {} were not taken: {}",
                sent.failed.len(),
                messages.len(),
                first.message().unwrap_or(first.code())
            ))),
        }
    }
}

impl Queue for SqsQueue {
    fn send(&self, messages: Vec<SyncMessage>) -> BoxFuture<'_, Result<(), QueueError>> {
        Box::pin(async move {
            for batch in messages.chunks(BATCH) {
                self.send_batch(batch).await?;
            }
            Ok(())
        })
    }
}

/// A channel within the process, for the local stack and for tests.
#[derive(Debug, Clone)]
pub struct ChannelQueue(mpsc::UnboundedSender<SyncMessage>);

impl ChannelQueue {
    /// A queue, and the end at which its messages come out.
    pub fn new() -> (Self, mpsc::UnboundedReceiver<SyncMessage>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (Self(sender), receiver)
    }

    /// Asks for a run whose record is in the table.
    pub fn ask(&self, workspace: WorkspaceId, run: RunId, mode: Option<Mode>) -> Result<(), QueueError> {
        let message = SyncMessage { workspace, run, mode, scheduled: false };
        self.0.send(message).map_err(|_| QueueError("nobody takes messages out of it any more".to_owned()))
    }
}

impl Queue for ChannelQueue {
    fn send(&self, messages: Vec<SyncMessage>) -> BoxFuture<'_, Result<(), QueueError>> {
        let sent = messages.into_iter().try_for_each(|message| self.0.send(message));
        let sent = sent.map_err(|_| QueueError("nobody takes messages out of it any more".to_owned()));
        Box::pin(async move { sent })
    }
}
