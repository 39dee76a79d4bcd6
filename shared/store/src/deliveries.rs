//! How far a workspace's events were told, and the webhook that they are told to.

use core::time::Duration;

use rollcall_domain::{Timestamp, WorkspaceId};
use serde::{Deserialize, Serialize};

use crate::error::StoreError;
use crate::transaction::{Record, Sequence, When};
use crate::{Store, keys};

/// A workspace's webhook.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Webhook {
    /// Of which workspace.
    pub workspace: WorkspaceId,
    /// Where events are posted.
    pub url: String,
    /// The signing secret, sealed.
    pub sealed_secret: String,
    /// The former signing secret, sealed, and until when events are signed with it too.
    pub former: Option<(String, Timestamp)>,
    /// When it was registered.
    pub created_at: Timestamp,
    /// Counts the changes of the row.
    pub version: u64,
}

/// A destination that does not take what it is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failing {
    /// Since when.
    pub since: Timestamp,
    /// How often it was tried, the attempts of one moment counted as one.
    pub tries: u32,
    /// When it is tried again.
    pub again_at: Timestamp,
    /// What it answered last, for an admin to read.
    pub why: String,
}

/// How far the telling came. Numbers are those of the workspace's events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// The last event whose end of access applications were told of.
    pub logout: u64,
    /// The last event that the webhook took.
    pub webhook: u64,
    /// Whether the webhook fails.
    pub failing: Option<Failing>,
    /// Until when somebody is at it.
    pub claimed_until: Timestamp,
    /// Counts the changes of the row.
    pub version: u64,
}

impl Default for Progress {
    fn default() -> Self {
        Self { logout: 0, webhook: 0, failing: None, claimed_until: Timestamp::EPOCH, version: 0 }
    }
}

impl Store {
    /// The webhook of a workspace.
    pub async fn webhook(&self, workspace: WorkspaceId) -> Result<Option<Webhook>, StoreError> {
        self.get(&keys::webhook(workspace)).await
    }

    /// Keeps a webhook. `version` in it is the one it was read at, 0 for a new one; it rises by one. With `from_now`, it hears of what
    /// happens from now on, and of nothing before.
    pub async fn put_webhook(
        &self,
        webhook: &Webhook,
        from_now: bool,
        record: Record,
    ) -> Result<Webhook, StoreError> {
        let workspace = webhook.workspace;
        let changed = Webhook { version: webhook.version + 1, ..webhook.clone() };
        let mut transaction = self.transaction();
        let key = keys::webhook(workspace);
        transaction.put("webhook", &key, &changed, None, When::Version(webhook.version))?;
        if from_now {
            let last: Option<Sequence> = self.get(&keys::sequence(workspace)).await?;
            let progress = self.progress(workspace).await?;
            let from = Progress {
                webhook: last.map_or(0, |sequence| sequence.last),
                failing: None,
                version: progress.version + 1,
                ..progress.clone()
            };
            transaction.put(
                "delivery",
                &keys::delivery(workspace),
                &from,
                None,
                When::Version(progress.version),
            )?;
        }
        transaction.record(record)?;
        transaction.commit().await?;
        Ok(changed)
    }

    /// Removes a webhook.
    pub async fn delete_webhook(&self, webhook: &Webhook, record: Record) -> Result<(), StoreError> {
        let mut transaction = self.transaction();
        transaction.delete("webhook", &keys::webhook(webhook.workspace), When::Version(webhook.version))?;
        transaction.record(record)?;
        transaction.commit().await
    }

    /// How far the telling came.
    pub async fn progress(&self, workspace: WorkspaceId) -> Result<Progress, StoreError> {
        Ok(self.get(&keys::delivery(workspace)).await?.unwrap_or_default())
    }

    /// Claims the telling, so that it is done by one at a time and in order; `None` if somebody else is at it.
    pub async fn claim_delivery(
        &self,
        workspace: WorkspaceId,
        known: &Progress,
        for_long: Duration,
        now: Timestamp,
    ) -> Result<Option<Progress>, StoreError> {
        if !known.claimed_until.has_passed(now) {
            return Ok(None);
        }
        let claimed = Progress { claimed_until: now.plus(for_long), ..known.clone() };
        match self.put_progress(workspace, claimed).await {
            Ok(claimed) => Ok(Some(claimed)),
            Err(error) if error.is_conflict() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Notes how far it came. A conflict says that the claim had run out, and somebody else has gone on.
    pub async fn put_progress(
        &self,
        workspace: WorkspaceId,
        progress: Progress,
    ) -> Result<Progress, StoreError> {
        let changed = Progress { version: progress.version + 1, ..progress.clone() };
        let mut transaction = self.transaction();
        let key = keys::delivery(workspace);
        transaction.put("delivery", &key, &changed, None, When::Version(progress.version))?;
        transaction.commit().await?;
        Ok(changed)
    }
}
