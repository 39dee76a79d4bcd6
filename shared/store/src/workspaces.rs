//! The workspaces of the application.

use rollcall_domain::invite::DomainRules;
use rollcall_domain::{Timestamp, WorkspaceId};
use serde::{Deserialize, Serialize};

use crate::error::StoreError;
use crate::reading::{Page, Position};
use crate::transaction::{Record, When};
use crate::{Store, keys};

/// A workspace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Workspace {
    /// Its id.
    pub id: WorkspaceId,
    /// Its name.
    pub name: String,
    /// The language of its mails (RFC 5646).
    pub language: String,
    /// Which addresses and tenants may be invited.
    #[serde(default)]
    pub invite_rules: DomainRules,
    /// When it was made.
    pub created_at: Timestamp,
    /// Counts the changes of the row.
    pub version: u64,
}

impl Store {
    /// Makes a workspace.
    pub async fn create_workspace(&self, workspace: &Workspace, record: Record) -> Result<(), StoreError> {
        let mut transaction = self.transaction();
        transaction.put("workspace", &keys::workspace(workspace.id), workspace, None, When::New)?;
        transaction.record(record)?;
        transaction.commit().await
    }

    /// Changes a workspace. `version` in it is the one it was read at; it rises by one.
    pub async fn update_workspace(&self, workspace: &Workspace, record: Record) -> Result<(), StoreError> {
        let changed = Workspace { version: workspace.version + 1, ..workspace.clone() };
        let mut transaction = self.transaction();
        let key = keys::workspace(workspace.id);
        transaction.put("workspace", &key, &changed, None, When::Version(workspace.version))?;
        transaction.record(record)?;
        transaction.commit().await
    }

    /// A workspace.
    pub async fn workspace(&self, id: WorkspaceId) -> Result<Option<Workspace>, StoreError> {
        self.get(&keys::workspace(id)).await
    }

    /// A page of the workspaces. One query.
    pub async fn workspaces(
        &self,
        after: Option<&Position>,
        limit: usize,
    ) -> Result<Page<Workspace>, StoreError> {
        self.query_page(keys::WORKSPACES, "", after, limit, true).await
    }
}
