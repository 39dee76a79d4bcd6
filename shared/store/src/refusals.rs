//! Refused sign-ins, the latest of each identity: from them, admins see whom to invite.

use std::time::Duration;

use rollcall_domain::audit::AuditEntry;
use rollcall_domain::identity::Identity;
use rollcall_domain::{Timestamp, WorkspaceId};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::StoreError;
use crate::reading::{Page, Position};
use crate::transaction::{Record, When};
use crate::{Store, keys};

/// How long a refusal is kept as a suggestion.
const KEEP: Duration = Duration::from_hours(30 * 24);

/// A refused sign-in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedSignIn {
    /// Who.
    pub identity: Identity,
    /// When.
    pub at: Timestamp,
    /// What they call themselves, their address, the reason, what is missing.
    pub detail: Value,
}

impl Store {
    /// Notes a refused sign-in.
    pub async fn note_refusal(
        &self,
        workspace: WorkspaceId,
        identity: &Identity,
        detail: &Value,
        entry: &AuditEntry,
    ) -> Result<(), StoreError> {
        let row = RefusedSignIn { identity: identity.clone(), at: entry.at, detail: detail.clone() };
        let mut transaction = self.transaction();
        let key = keys::refusal(workspace, identity);
        transaction.put("refusal", &key, &row, Some(entry.at.plus(KEEP)), When::Always)?;
        transaction.record(Record { audit: vec![entry.clone()], events: Vec::new() })?;
        transaction.commit().await
    }

    /// A page of the refused sign-ins. One query.
    pub async fn refused_sign_ins(
        &self,
        workspace: WorkspaceId,
        after: Option<&Position>,
        limit: usize,
    ) -> Result<Page<RefusedSignIn>, StoreError> {
        self.query_page(&keys::of(workspace, "refused"), "", after, limit, true).await
    }
}
