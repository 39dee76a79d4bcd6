//! The audit trail: appended to, never changed.

use rollcall_domain::WorkspaceId;
use rollcall_domain::audit::AuditEntry;

use crate::error::StoreError;
use crate::reading::{Page, Position};
use crate::transaction::Record;
use crate::{Store, keys};

impl Store {
    /// Notes something that changed nothing else.
    pub async fn note(&self, entry: &AuditEntry) -> Result<(), StoreError> {
        let mut transaction = self.transaction();
        transaction.record(Record { audit: vec![entry.clone()], events: Vec::new() })?;
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
