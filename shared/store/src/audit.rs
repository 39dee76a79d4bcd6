//! The audit trail: appended to, never changed.

use std::time::Duration;

use rollcall_domain::WorkspaceId;
use rollcall_domain::audit::AuditEntry;

use crate::error::StoreError;
use crate::reading::{Page, Position};
use crate::transaction::{Record, When};
use crate::{Store, keys};

/// How long what strangers cause is kept.
const KEEP_OF_STRANGERS: Duration = Duration::from_hours(90 * 24);

impl Store {
    /// Notes something that changed nothing else.
    pub async fn note(&self, entry: &AuditEntry) -> Result<(), StoreError> {
        let mut transaction = self.transaction();
        transaction.record(Record { audit: vec![entry.clone()], events: Vec::new() })?;
        transaction.commit().await
    }

    /// Notes something that anybody on the internet can cause: for a quarter of a year, or less where the trail is kept for less, so that
    /// nobody fills the table for good.
    pub async fn note_of_stranger(&self, entry: &AuditEntry) -> Result<(), StoreError> {
        let kept = self.audit_kept.map_or(KEEP_OF_STRANGERS, |kept| kept.min(KEEP_OF_STRANGERS));
        let mut transaction = self.transaction();
        let key = keys::audit(entry.workspace, entry.id);
        transaction.put("audit entry", &key, entry, Some(entry.at.plus(kept)), When::New)?;
        transaction.commit().await
    }

    /// A page of a workspace's trail, or of the deployment's, oldest or newest first. One query.
    pub async fn audit_page(
        &self,
        workspace: Option<WorkspaceId>,
        after: Option<&Position>,
        limit: usize,
        ascending: bool,
    ) -> Result<Page<AuditEntry>, StoreError> {
        self.query_page(&keys::audit_partition(workspace), "", after, limit, ascending).await
    }
}
