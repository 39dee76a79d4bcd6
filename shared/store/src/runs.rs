//! Sync runs: their records and plans, and what one run leaves for the next.

use std::hash::{Hash as _, Hasher as _};

use futures_util::future::try_join_all;
use rollcall_domain::audit::Actor;
use rollcall_domain::plan::{Kept, Lane, Plan, PlanHash};
use rollcall_domain::run::SyncState;
use rollcall_domain::{RunId, Timestamp, WorkspaceId};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::StoreError;
use crate::lease::Lease;
use crate::reading::{Page, Position};
use crate::transaction::{Record, Transaction, When};
use crate::{Store, keys};

/// A part of a plan, in bytes: below what an item can be.
const PART: usize = 300_000;

/// As much of what was kept and proved, in bytes, is in the row of a run's record. The rest, which only a run that removes very many
/// has, is in rows of its own.
const IN_ROW: usize = 100_000;

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

/// A run's record as it is kept: as much of it as fits into a row.
#[derive(Serialize, Deserialize)]
struct RunRow {
    #[serde(flatten)]
    record: RunRecord,
    /// How many rows have the rest.
    #[serde(default)]
    rest: usize,
}

/// What of a record does not fit into its row.
#[derive(Default, Serialize, Deserialize)]
struct Rest {
    kept: Vec<Kept>,
    evidence: Vec<Value>,
}

#[derive(Serialize, Deserialize)]
struct RestRow {
    json: String,
}

impl RunRow {
    /// Parts a record into its row and the rest.
    fn of(run: &RunRecord) -> Result<(Self, Vec<RestRow>), StoreError> {
        let mut parts = vec![Rest::default()];
        let mut size = 0;
        let mut add = |bytes: usize, add: &dyn Fn(&mut Rest)| {
            size += bytes;
            if size > IN_ROW {
                size = bytes;
                parts.push(Rest::default());
            }
            parts.last_mut().into_iter().for_each(add);
        };
        for kept in &run.kept {
            add(kept.what.len() + kept.why.len(), &|part| part.kept.push(kept.clone()));
        }
        for evidence in &run.evidence {
            add(evidence.to_string().len(), &|part| part.evidence.push(evidence.clone()));
        }
        let mut parts = parts.into_iter();
        let Rest { kept, evidence } = parts.next().unwrap_or_default();
        let json = |rest: Rest| serde_json::to_string(&rest).map(|json| RestRow { json });
        let rest: Vec<RestRow> = parts
            .map(json)
            .collect::<Result<_, _>>()
            .map_err(|_| StoreError::TooLarge { what: "the record of a run" })?;
        Ok((Self { record: RunRecord { kept, evidence, ..run.clone() }, rest: rest.len() }, rest))
    }
}

/// The first part of a plan, and in the same form every other.
#[derive(Serialize, Deserialize)]
struct PlanPart {
    /// In how many parts the plan is.
    parts: usize,
    /// Tells the parts of this plan from those of another that was kept under the same run.
    content: String,
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
        self.write_run(run, record, |_| Ok(())).await
    }

    /// Writes a run's record together with what it leaves for the next one, under its lease.
    pub async fn end_run(
        &self,
        run: &RunRecord,
        state: Option<&SyncState>,
        lease: &Lease,
        record: Record,
    ) -> Result<(), StoreError> {
        let state = state.map(serde_json::to_string).transpose();
        let state = state.map_err(|_| StoreError::TooLarge { what: "the state of the sync" })?;
        let state = state.map(|json| StateRow { version: lease.fence, json });
        self.write_run(run, record, |transaction| {
            lease.check(transaction)?;
            if let Some(row) = &state {
                transaction.put("sync state", &keys::sync_state(run.workspace), row, None, When::Always)?;
            }
            Ok(())
        })
        .await
    }

    async fn write_run(
        &self,
        run: &RunRecord,
        record: Record,
        together: impl FnOnce(&mut Transaction<'_>) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let (row, rest) = RunRow::of(run)?;
        for (number, rest) in rest.iter().enumerate() {
            let key = keys::Key::new(keys::run_rest(run.workspace, run.id), format!("{number:06}"));
            let mut transaction = self.transaction();
            transaction.put("sync run's rest", &key, rest, None, When::Always)?;
            transaction.commit().await?;
        }
        let mut transaction = self.transaction();
        together(&mut transaction)?;
        transaction.put("sync run", &keys::run(run.workspace, run.id), &row, None, When::Always)?;
        transaction.record(record)?;
        transaction.commit().await
    }

    /// A run's record.
    pub async fn run(&self, workspace: WorkspaceId, run: RunId) -> Result<Option<RunRecord>, StoreError> {
        let Some(row) = self.get::<RunRow>(&keys::run(workspace, run)).await? else { return Ok(None) };
        let RunRow { mut record, rest } = row;
        if rest > 0 {
            let partition = keys::run_rest(workspace, run);
            let rows: Vec<RestRow> = self.query_all(&partition).await?;
            for row in rows.into_iter().take(rest) {
                let part: Rest = serde_json::from_str(&row.json).map_err(|error| StoreError::Malformed {
                    key: partition.clone(),
                    why: error.to_string(),
                })?;
                record.kept.extend(part.kept);
                record.evidence.extend(part.evidence);
            }
        }
        Ok(Some(record))
    }

    /// A page of the runs, newest first. One query. Of a run that kept or proved very much, the rest is in [`Store::run`] alone.
    pub async fn runs(
        &self,
        workspace: WorkspaceId,
        after: Option<&Position>,
        limit: usize,
    ) -> Result<Page<RunRecord>, StoreError> {
        let page = self.query_page(&keys::of(workspace, "runs"), "", after, limit, false).await?;
        Ok(page.map(|row: RunRow| row.record))
    }

    /// What the last run left: nothing, for a connection that was never synced.
    pub async fn sync_state(&self, workspace: WorkspaceId) -> Result<SyncState, StoreError> {
        let key = keys::sync_state(workspace);
        let Some(row) = self.get::<StateRow>(&key).await? else { return Ok(SyncState::default()) };
        serde_json::from_str(&row.json)
            .map_err(|error| StoreError::Malformed { key: key.to_string(), why: error.to_string() })
    }

    /// Keeps a run's plan, in as many parts as it takes. The first is written last: until then, the plan that was kept before is whole.
    pub async fn put_plan(&self, workspace: WorkspaceId, run: RunId, plan: &Plan) -> Result<(), StoreError> {
        let json = serde_json::to_string(plan).map_err(|_| StoreError::TooLarge { what: "a plan" })?;
        let mut hasher = std::hash::DefaultHasher::new();
        json.hash(&mut hasher);
        let content = format!("{:016x}", hasher.finish());
        let mut texts = Vec::new();
        let mut rest = json.as_str();
        while !rest.is_empty() {
            let (part, after) = rest.split_at(rest.floor_char_boundary(PART));
            texts.push(part);
            rest = after;
        }
        let parts = texts.len();
        for (number, json) in texts.into_iter().enumerate().rev() {
            let part = PlanPart { parts, content: content.clone(), json: json.to_owned() };
            let key = match number {
                0 => keys::plan(workspace, run, plan.lane),
                _ => keys::plan_part(workspace, run, plan.lane, &content, number),
            };
            let mut transaction = self.transaction();
            transaction.put("plan", &key, &part, None, When::Always)?;
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
        let key = keys::plan(workspace, run, lane);
        let Some(PlanPart { parts, content, mut json }) = self.get(&key).await? else { return Ok(None) };
        let others = (1..parts).map(async |number| {
            let key = keys::plan_part(workspace, run, lane, &content, number);
            let part: Option<PlanPart> = self.get(&key).await?;
            part.ok_or_else(|| StoreError::Malformed {
                key: key.to_string(),
                why: "it is missing".to_owned(),
            })
        });
        for part in try_join_all(others).await? {
            json.push_str(&part.json);
        }
        serde_json::from_str(&json)
            .map(Some)
            .map_err(|error| StoreError::Malformed { key: key.to_string(), why: error.to_string() })
    }
}
