//! Sync runs: their records and plans, and what one run leaves for the next.

use rollcall_domain::audit::Actor;
use rollcall_domain::plan::{Kept, Lane, Plan, PlanHash};
use rollcall_domain::run::SyncState;
use rollcall_domain::{RunId, Timestamp, WorkspaceId};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::StoreError;
use crate::lease::Lease;
use crate::reading::{Page, Position};
use crate::transaction::{Record, When};
use crate::{Store, keys};

/// A part of a plan, in bytes: below what an item can be.
const PART: usize = 300_000;

/// What a run is to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "mode", rename_all = "snake_case")]
pub enum Mode {
    /// Show what would be done.
    Plan,
    /// Do it.
    Apply,
    /// Do it, with the removals of exactly this plan.
    Approve {
        /// The plan's hash.
        hash: PlanHash,
    },
    /// Bring back what a run removed.
    Undo {
        /// Which run.
        run: RunId,
    },
}

/// How a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunStatus {
    /// Waits for its turn.
    Queued,
    /// Is under way, or waits for the next tick to go on.
    Running,
    /// Has shown its plan.
    Planned,
    /// Has done everything there was to do.
    Applied,
    /// Has done what adds, and holds removals back.
    Frozen,
    /// Could not read what it needs. Nothing was removed.
    Failed,
    /// Was overtaken by another run.
    Superseded,
}

/// The record of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunRecord {
    /// Its id.
    pub id: RunId,
    /// Of which workspace.
    pub workspace: WorkspaceId,
    /// What it was to do.
    pub mode: Mode,
    /// Who or what asked for it.
    pub trigger: Actor,
    /// How it stands.
    pub status: RunStatus,
    /// The lanes it went through.
    pub lanes: Vec<Lane>,
    /// When it was asked for.
    pub queued_at: Timestamp,
    /// When it began.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// Calls to Bitbucket.
    pub calls: u64,
    /// Items written.
    pub written: usize,
    /// How many changes of each kind, as in `+ person`.
    pub changes: std::collections::BTreeMap<String, usize>,
    /// What was kept back while reading and planning.
    pub kept: Vec<Kept>,
    /// What proves each removal.
    pub evidence: Vec<Value>,
    /// Why removals wait.
    pub held: Vec<String>,
    /// The hash by which they are approved.
    pub plan_hash: Option<PlanHash>,
    /// What happened, in a sentence, and what to do about it.
    pub message: String,
}

#[derive(Serialize, Deserialize)]
struct PlanPart {
    /// Of how many parts this is one. A longer plan that was kept under the same run before may have left more.
    parts: usize,
    json: String,
}

#[derive(Serialize, Deserialize, Default)]
struct StateRow {
    version: u64,
    json: String,
}

impl Store {
    /// Writes a run's record, new or changed, without a lease: before it begins.
    pub async fn put_run(&self, run: &RunRecord, record: Record) -> Result<(), StoreError> {
        let mut transaction = self.transaction();
        transaction.put("sync run", &keys::run(run.workspace, run.id), run, None, When::Always)?;
        transaction.record(record)?;
        transaction.commit().await
    }

    /// Writes a run's record together with what it leaves for the next one, under its lease.
    pub async fn end_run(
        &self,
        run: &RunRecord,
        state: Option<&SyncState>,
        lease: &Lease,
        record: Record,
    ) -> Result<(), StoreError> {
        let mut transaction = self.transaction();
        lease.check(&mut transaction)?;
        transaction.put("sync run", &keys::run(run.workspace, run.id), run, None, When::Always)?;
        if let Some(state) = state {
            let json = serde_json::to_string(state)
                .map_err(|_| StoreError::TooLarge { what: "the state of the sync" })?;
            let row = StateRow { version: lease.fence, json };
            transaction.put("sync state", &keys::sync_state(run.workspace), &row, None, When::Always)?;
        }
        transaction.record(record)?;
        transaction.commit().await
    }

    /// A run's record.
    pub async fn run(&self, workspace: WorkspaceId, run: RunId) -> Result<Option<RunRecord>, StoreError> {
        self.get(&keys::run(workspace, run)).await
    }

    /// A page of the runs, newest first. One query.
    pub async fn runs(
        &self,
        workspace: WorkspaceId,
        after: Option<&Position>,
        limit: usize,
    ) -> Result<Page<RunRecord>, StoreError> {
        self.query_page(&keys::of(workspace, "runs"), "", after, limit, false).await
    }

    /// What the last run left: nothing, for a connection that was never synced.
    pub async fn sync_state(&self, workspace: WorkspaceId) -> Result<SyncState, StoreError> {
        let key = keys::sync_state(workspace);
        let Some(row) = self.get::<StateRow>(&key).await? else { return Ok(SyncState::default()) };
        serde_json::from_str(&row.json)
            .map_err(|error| StoreError::Malformed { key: key.to_string(), why: error.to_string() })
    }

    /// Keeps a run's plan, in as many parts as it takes.
    pub async fn put_plan(&self, workspace: WorkspaceId, run: RunId, plan: &Plan) -> Result<(), StoreError> {
        let json = serde_json::to_string(plan).map_err(|_| StoreError::TooLarge { what: "a plan" })?;
        let partition = keys::plan_partition(workspace, run);
        let lane = plan.lane.as_str();
        let mut texts = Vec::new();
        let mut rest = json.as_str();
        while !rest.is_empty() {
            let (part, after) = rest.split_at(rest.floor_char_boundary(PART));
            texts.push(part);
            rest = after;
        }
        let parts = texts.len();
        for (number, part) in texts.into_iter().enumerate() {
            let key = keys::Key::new(partition.clone(), format!("{lane}#{number:06}"));
            let mut transaction = self.transaction();
            transaction.put("plan", &key, &PlanPart { parts, json: part.to_owned() }, None, When::Always)?;
            transaction.commit().await?;
        }
        Ok(())
    }

    /// The plan of a run's lane.
    pub async fn plan(
        &self,
        workspace: WorkspaceId,
        run: RunId,
        lane: Lane,
    ) -> Result<Option<Plan>, StoreError> {
        let partition = keys::plan_partition(workspace, run);
        let parts: Vec<PlanPart> = self.query_prefix(&partition, &format!("{}#", lane.as_str())).await?;
        let Some(count) = parts.first().map(|part| part.parts) else { return Ok(None) };
        let json: String = parts.into_iter().take(count).map(|part| part.json).collect();
        let plan = serde_json::from_str(&json)
            .map_err(|error| StoreError::Malformed { key: partition, why: error.to_string() })?;
        Ok(Some(plan))
    }
}
