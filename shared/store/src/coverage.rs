//! The coverage of members: which of the private repositories they can access.

use std::collections::BTreeMap;

use rollcall_domain::access::CoverageCount;
use rollcall_domain::bitbucket::RepositoryUuid;
use rollcall_domain::{MemberId, WorkspaceId};
use serde::{Deserialize, Serialize};

use crate::error::StoreError;
use crate::transaction::{MOST_ITEMS, When};
use crate::{Store, keys};

/// As many missing repositories are kept by name.
const MOST_NAMED: usize = 20;

/// A member's coverage, as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CoverageRow {
    /// Of whom.
    pub member: MemberId,
    /// Private repositories of the workspace.
    pub of: usize,
    /// How many the member certainly cannot access.
    pub missing: usize,
    /// The first of those.
    pub named: Vec<RepositoryUuid>,
    /// How many are not known.
    pub unread: usize,
}

impl CoverageRow {
    /// As it is kept.
    pub fn of(member: MemberId, coverage: &CoverageCount) -> Self {
        Self {
            member,
            of: coverage.of,
            missing: coverage.missing,
            named: coverage.examples.iter().take(MOST_NAMED).copied().collect(),
            unread: coverage.unread,
        }
    }

    /// Whether the member can certainly access all.
    pub const fn covers_all(&self) -> bool {
        self.of > 0 && self.missing == 0 && self.unread == 0
    }
}

impl Store {
    /// A member's coverage, if it has been computed.
    pub async fn coverage(
        &self,
        workspace: WorkspaceId,
        member: MemberId,
    ) -> Result<Option<CoverageRow>, StoreError> {
        self.get(&keys::coverage(workspace, member)).await
    }

    /// All coverages of a workspace.
    pub async fn coverages(
        &self,
        workspace: WorkspaceId,
    ) -> Result<BTreeMap<MemberId, CoverageRow>, StoreError> {
        let rows: Vec<CoverageRow> = self.query_all(&keys::of(workspace, "coverage")).await?;
        Ok(rows.into_iter().map(|row| (row.member, row)).collect())
    }

    /// Writes the coverages that differ from those that are kept. How many were written.
    pub async fn write_coverages(
        &self,
        workspace: WorkspaceId,
        coverages: &BTreeMap<MemberId, CoverageCount>,
        lease: &crate::Lease,
    ) -> Result<usize, StoreError> {
        let known = self.coverages(workspace).await?;
        let changed: Vec<CoverageRow> = coverages
            .iter()
            .map(|(member, coverage)| CoverageRow::of(*member, coverage))
            .filter(|row| known.get(&row.member) != Some(row))
            .collect();
        for chunk in changed.chunks(MOST_ITEMS - 1) {
            let mut transaction = self.transaction();
            lease.check(&mut transaction)?;
            for row in chunk {
                transaction.put(
                    "coverage",
                    &keys::coverage(workspace, row.member),
                    row,
                    None,
                    When::Always,
                )?;
            }
            transaction.commit().await?;
        }
        Ok(changed.len())
    }
}
