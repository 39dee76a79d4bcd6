//! Asking for a sync run: a message in the queue that the sync works on.

use aws_sdk_sqs::error::{DisplayErrorContext, ProvideErrorMetadata as _};
use futures_util::future::BoxFuture;
use rollcall_domain::{RunId, WorkspaceId};
use serde_json::json;
use thiserror::Error;

/// The message was not taken.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "the queue of sync work does not take the message: {0}; check the function's access to it and that it exists"
)]
pub struct NotQueued(pub String);

/// Takes sync work.
pub trait SyncQueue: Send + Sync {
    /// Asks for a run whose record is in the table.
    fn ask(&self, workspace: WorkspaceId, run: RunId) -> BoxFuture<'_, Result<(), NotQueued>>;
}

/// SQS.
pub struct Sqs {
    client: aws_sdk_sqs::Client,
    url: String,
}

impl Sqs {
    /// The queue at a URL.
    pub fn new(client: aws_sdk_sqs::Client, url: impl Into<String>) -> Self {
        Self { client, url: url.into() }
    }
}

impl SyncQueue for Sqs {
    fn ask(&self, workspace: WorkspaceId, run: RunId) -> BoxFuture<'_, Result<(), NotQueued>> {
        Box::pin(async move {
            let sent =
                self.client.send_message().queue_url(&self.url).message_body(body(workspace, run)).send();
            sent.await.map(drop).map_err(|error| {
                let text =
                    || DisplayErrorContext(&error).to_string().lines().next().unwrap_or_default().to_owned();
                NotQueued(error.code().map_or_else(text, str::to_owned))
            })
        })
    }
}

/// What the sync reads: which run, of which workspace. What it is to do, its record says.
fn body(workspace: WorkspaceId, run: RunId) -> String {
    json!({ "workspace": workspace, "run": run }).to_string()
}

#[cfg(test)]
mod tests {
    use rollcall_domain::Timestamp;
    use rollcall_scheduled_sync::SyncMessage;

    use super::*;

    #[test]
    fn the_sync_understands_what_is_asked_for() {
        let workspace = WorkspaceId::new(Timestamp::EPOCH, [1; 10]);
        let run = RunId::new(Timestamp::EPOCH, [2; 10]);
        let read: SyncMessage = serde_json::from_str(&body(workspace, run)).unwrap();
        assert_eq!((read.workspace, read.run, read.mode, read.scheduled), (workspace, run, None, false));
    }
}
