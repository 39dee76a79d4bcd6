//! The lease of a workspace's sync: one holder at a time, and a number that tells a late one from the present one.

use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use rollcall_domain::{Timestamp, WorkspaceId};
use serde::{Deserialize, Serialize};

use crate::error::StoreError;
use crate::transaction::{Transaction, When};
use crate::{Store, keys};

/// A lease that is held.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// Of which workspace.
    pub workspace: WorkspaceId,
    /// The fencing number: higher than that of every holder before.
    pub fence: u64,
    /// Who holds it: a run.
    pub holder: String,
    /// Until when.
    pub until: Timestamp,
}

impl Lease {
    /// Adds to a transaction that this lease is still the present one. Every write of a run carries it, so that a holder past its
    /// time cannot write any more.
    pub fn check(&self, transaction: &mut Transaction<'_>) -> Result<(), StoreError> {
        let fence = AttributeValue::N(self.fence.to_string());
        transaction.check("lease", &keys::lease(self.workspace), When::Is("fence", fence))
    }
}

impl Store {
    /// Takes the lease; `None` if somebody else holds it and it has not ended.
    pub async fn take_lease(
        &self,
        workspace: WorkspaceId,
        holder: &str,
        for_long: Duration,
        now: Timestamp,
    ) -> Result<Option<Lease>, StoreError> {
        let key = keys::lease(workspace);
        let known: Option<Lease> = self.get(&key).await?;
        if known.as_ref().is_some_and(|lease| !lease.until.has_passed(now) && lease.holder != holder) {
            return Ok(None);
        }
        let before = known.map(|lease| lease.fence);
        let lease = Lease {
            workspace,
            fence: before.unwrap_or(0) + 1,
            holder: holder.to_owned(),
            until: now.plus(for_long),
        };
        let when = before.map_or(When::New, |fence| When::Is("fence", AttributeValue::N(fence.to_string())));
        let mut transaction = self.transaction();
        transaction.put("lease", &key, &lease, None, when)?;
        match transaction.commit().await {
            Ok(()) => Ok(Some(lease)),
            Err(error) if error.is_conflict() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Holds the lease for longer.
    pub async fn renew_lease(&self, lease: &Lease, until: Timestamp) -> Result<Lease, StoreError> {
        let longer = Lease { until, ..lease.clone() };
        let mut transaction = self.transaction();
        let fence = AttributeValue::N(lease.fence.to_string());
        transaction.put("lease", &keys::lease(lease.workspace), &longer, None, When::Is("fence", fence))?;
        transaction.commit().await?;
        Ok(longer)
    }

    /// Gives the lease back. The number stays, so that the next holder's is higher.
    pub async fn release_lease(&self, lease: &Lease) -> Result<(), StoreError> {
        match self.renew_lease(lease, Timestamp::EPOCH).await {
            Ok(_) => Ok(()),
            // Somebody else holds it by now: there is nothing to give back.
            Err(error) if error.is_conflict() => Ok(()),
            Err(error) => Err(error),
        }
    }
}
