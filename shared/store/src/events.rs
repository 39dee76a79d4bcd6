//! Events, numbered without gaps for each workspace, so that they can be replayed in order.

use rollcall_domain::WorkspaceId;
use rollcall_domain::event::Event;
use serde::{Deserialize, Serialize};

use crate::error::StoreError;
use crate::reading::{Page, Position};
use crate::transaction::Sequence;
use crate::{Store, keys};

/// An event with its number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredEvent {
    /// Its number in the workspace, from 1 on.
    pub sequence: u64,
    /// The event.
    #[serde(flatten)]
    pub event: Event,
}

/// Whose events a row of the table's stream tells of, by its partition; `None` for rows that are no events.
pub fn workspace_of(partition: &str) -> Option<WorkspaceId> {
    partition.strip_suffix("#events")?.parse().ok()
}

impl Store {
    /// The number of the workspace's last event; 0: there was none yet. One read.
    pub async fn last_event(&self, workspace: WorkspaceId) -> Result<u64, StoreError> {
        let sequence: Option<Sequence> = self.get(&keys::sequence(workspace)).await?;
        Ok(sequence.map_or(0, |sequence| sequence.last))
    }

    /// The events after a number, in order; the newest of all if `limit` allows. One query.
    pub async fn events_after(
        &self,
        workspace: WorkspaceId,
        after: u64,
        limit: usize,
    ) -> Result<Page<StoredEvent>, StoreError> {
        let after = Position(format!("{after:020}"));
        self.query_page(&keys::of(workspace, "events"), "", Some(&after), limit, true).await
    }
}
