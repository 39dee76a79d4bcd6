//! One run: its lanes one after another, its record, and what it leaves for the next one.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use rollcall_bitbucket::{BitbucketWorkspace, Credential, Error, Session};
use rollcall_domain::Timestamp;
use rollcall_domain::audit::Actor;
use rollcall_domain::bitbucket::RepositoryUuid;
use rollcall_domain::connection::{Connection, Start};
use rollcall_domain::mirror::Mirror;
use rollcall_domain::plan::{Kept, Lane, Plan, PlanHash};
use rollcall_domain::run::{Frozen, SyncState, Trouble};
use rollcall_service::clock::Stopwatch;
use rollcall_store::connections::Connected;
use rollcall_store::runs::{Mode, RunRecord, RunStatus};
use rollcall_store::{Lease, StoreError};

use crate::engine::Engine;
use crate::{grants, members, structure, undo};

/// How long before the deadline a run stops: what it has begun has to end, and its record has to be written.
pub(crate) const STOP_BEFORE: core::time::Duration = core::time::Duration::from_secs(10);

/// How a lane ended.
#[derive(Debug)]
pub(crate) enum LaneEnd {
    /// There is nothing left to do in it at present. Something beside it may have been unreadable.
    Done(Option<String>),
    /// It goes on at a later tick: the calls or the time are used up.
    Later(String),
    /// Bitbucket could not be read.
    Failed(Error),
}

/// A run under way.
pub(crate) struct Run<'e> {
    pub(crate) engine: &'e Engine,
    pub(crate) connected: Connected,
    pub(crate) record: RunRecord,
    pub(crate) state: SyncState,
    pub(crate) mirror: Mirror,
    pub(crate) lease: Lease,
    pub(crate) deadline: Timestamp,
    /// The time of all decisions of the run.
    pub(crate) now: Timestamp,
    /// Removals that this run holds back and no earlier one did.
    pub(crate) newly_frozen: Vec<Frozen>,
    /// Lanes that could not be read and could be before.
    pub(crate) newly_failed: Vec<(Lane, String)>,
    /// Why lanes go on at a later tick.
    pub(crate) later: Vec<String>,
    /// Whether the connection's row differs from the table's.
    pub(crate) connection_changed: bool,
    /// Repositories that the structure lane saw changed: their grants are read first.
    pub(crate) urgent: BTreeSet<RepositoryUuid>,
    /// The calls of the run before the present lane.
    pub(crate) spent_before_lane: u64,
    /// Whether coverage has to be computed anew.
    pub(crate) coverage_changed: bool,
    /// Removals that were carried out.
    pub(crate) removals: usize,
    pub(crate) stopwatch: Stopwatch,
}

impl<'e> Run<'e> {
    pub(crate) fn new(
        engine: &'e Engine,
        connected: Connected,
        record: RunRecord,
        state: SyncState,
        mirror: Mirror,
        lease: Lease,
        deadline: Timestamp,
    ) -> Self {
        Self {
            engine,
            connected,
            record,
            state,
            mirror,
            lease,
            deadline,
            now: engine.now(),
            newly_frozen: Vec::new(),
            newly_failed: Vec::new(),
            later: Vec::new(),
            connection_changed: false,
            urgent: BTreeSet::new(),
            coverage_changed: false,
            spent_before_lane: 0,
            removals: 0,
            stopwatch: Stopwatch::start(),
        }
    }

    pub(crate) const fn connection(&self) -> &Connection {
        &self.connected.connection
    }

    /// Whether the deadline is near.
    pub(crate) fn is_out_of_time(&self) -> bool {
        self.deadline.minus(STOP_BEFORE).has_passed(self.engine.now())
    }

    /// Whether the run only shows what it would do.
    pub(crate) fn only_shows(&self) -> bool {
        self.record.mode == Mode::Plan || self.waits_for_first_approval()
    }

    /// Whether the connection's first plan is still to be seen and approved.
    pub(crate) fn waits_for_first_approval(&self) -> bool {
        self.connection().settings.start == Start::Plan && !self.state.started
    }

    /// The hash of what an admin has approved for this run.
    pub(crate) const fn approved(&self) -> Option<&PlanHash> {
        match &self.record.mode {
            Mode::Approve { hash } => Some(hash),
            _ => None,
        }
    }

    /// Who or what the run's changes are due to.
    pub(crate) fn actor(&self) -> Actor {
        match &self.record.trigger {
            Actor::System => Actor::Sync { run: self.record.id },
            asked => asked.clone(),
        }
    }

    pub(crate) fn keep(&mut self, what: impl Into<String>, why: impl Into<String>) {
        self.record.kept.push(Kept::new(what, why));
    }

    /// Does everything, and writes the record.
    pub(crate) async fn perform(mut self, lanes: &[Lane]) -> Result<RunRecord, StoreError> {
        self.take_up_begun().await?;
        match self.record.mode.clone() {
            Mode::Undo { run } => undo::undo(&mut self, run).await?,
            Mode::Approve { hash } if lanes.is_empty() => {
                self.record.status = RunStatus::Superseded;
                self.record.message = format!(
                    "Nothing waits for approval under the hash {hash}: the plan has changed since, or was carried out. Look at \
                     the newest run and approve what it shows."
                );
            }
            _ => {
                self.warn_of_ends().await?;
                match self.credential().await {
                    Ok(credential) => self.go_through(lanes, &credential).await?,
                    Err(why) => self.fail_all(lanes, &why),
                }
            }
        }
        self.end().await
    }

    async fn credential(&self) -> Result<Credential, String> {
        let connection = self.connection();
        let opened =
            self.engine.ports().credentials.open(connection.workspace, &self.connected.sealed_credential);
        opened.await.map_err(|error| error.to_string())
    }

    async fn go_through(&mut self, lanes: &[Lane], credential: &Credential) -> Result<(), StoreError> {
        let session = self.engine.session(credential);
        let mut lanes: VecDeque<Lane> = lanes.iter().copied().collect();
        while let Some(lane) = lanes.pop_front() {
            if self.is_out_of_time() {
                self.later.push("the time of this run was used up".to_owned());
                break;
            }
            let ended = self.lane(lane, &session).await?;
            if self.concluded(lane, ended) {
                break;
            }
            // Once the repositories are known for the first time, their grants are due.
            let is_due = || self.engine.due(&self.state).contains(&Lane::Grants);
            if lanes.is_empty() && lane == Lane::Structure && self.approved().is_none() && is_due() {
                lanes.push_back(Lane::Grants);
            }
        }
        self.record.calls = session.budget().spent();
        // Without this, the calls that were taken and not made are lost for an hour: a pity, and no reason to fail.
        if let Err(error) = session.budget().settle().await {
            tracing::warn!(%error, "unused calls could not be given back");
        }
        Ok(())
    }

    async fn lane(&mut self, lane: Lane, session: &Session) -> Result<LaneEnd, StoreError> {
        let before = session.budget().spent();
        self.spent_before_lane = before;
        if !self.record.lanes.contains(&lane) {
            self.record.lanes.push(lane);
        }
        if self.record.mode != Mode::Plan {
            self.state.lane_mut(lane).started_at = Some(self.now);
        }
        let ended = match lane {
            Lane::Members => members::lane(self, session).await?,
            Lane::Structure => structure::lane(self, session).await?,
            Lane::Grants => grants::lane(self, session).await?,
        };
        let calls = session.budget().spent() - before;
        if lane != Lane::Members {
            self.state.background.note(calls, self.engine.now());
        }
        if let LaneEnd::Done(beside) = &ended
            && !self.only_shows()
        {
            let before = self.state.lane(lane).trouble.clone();
            if let Some(why) = beside.as_ref().filter(|_| before.is_none()) {
                self.newly_failed.push((lane, why.clone()));
            }
            self.state.succeeded(lane, calls, self.now);
            // What could not be read beside it is trouble for as long as it lasts.
            let since = before.map_or(self.now, |before| before.since);
            self.state.lane_mut(lane).trouble = beside.clone().map(|why| Trouble { since, why });
        }
        tracing::info!(lane = lane.as_str(), calls, ?ended, "a lane has ended");
        Ok(ended)
    }

    /// Notes how a lane ended. Whether the run ends with it.
    fn concluded(&mut self, lane: Lane, ended: LaneEnd) -> bool {
        match ended {
            LaneEnd::Done(_) => false,
            LaneEnd::Later(why) => {
                self.later.push(why);
                // What is used up for one lane is used up for the next.
                lane == Lane::Members
            }
            LaneEnd::Failed(error) => self.fail(lane, &error),
        }
    }

    /// Notes that a lane could not be read. Whether the others cannot be read either.
    fn fail(&mut self, lane: Lane, error: &Error) -> bool {
        if passes_by_itself(error) {
            tracing::info!(%error, "a lane goes on later");
            self.later.push(error.to_string());
            return true;
        }
        let why = format!("{error}. {}", error.advice());
        if let Error::Gone { change, .. } = error {
            let change = change.clone().unwrap_or_else(|| "an unnamed change".to_owned());
            self.note_failure(lane, &why);
            self.state.halt(lane, change, why, self.now);
            return true;
        }
        self.note_failure(lane, &why);
        self.state.failed(lane, why, self.now);
        matches!(
            error,
            Error::Unauthorized { .. } | Error::ConsumerRefused { .. } | Error::WrongWorkspace { .. }
        )
    }

    fn fail_all(&mut self, lanes: &[Lane], why: &str) {
        for lane in lanes {
            self.record.lanes.push(*lane);
            self.note_failure(*lane, why);
            self.state.failed(*lane, why.to_owned(), self.now);
        }
    }

    /// Notes a failure for the record, and for the application if it is a new one.
    pub(crate) fn note_failure(&mut self, lane: Lane, why: &str) {
        tracing::warn!(lane = lane.as_str(), why, "a lane could not be read");
        if self.state.lane(lane).trouble.is_none() {
            self.newly_failed.push((lane, why.to_owned()));
        }
        self.keep(format!("lane {}", lane.as_str()), why);
    }

    /// Notes the workspace's present slug and name.
    pub(crate) fn note_names(&mut self, workspace: &BitbucketWorkspace) {
        let connection = &mut self.connected.connection;
        self.connection_changed |= connection.slug != workspace.slug || connection.name != workspace.name;
        connection.slug = workspace.slug.clone();
        connection.name.clone_from(&workspace.name);
    }

    /// Counts what a plan does, for the record.
    pub(crate) fn count<'c>(&mut self, changes: impl IntoIterator<Item = &'c rollcall_domain::plan::Change>) {
        let mut counted: BTreeMap<String, usize> = std::mem::take(&mut self.record.changes);
        for change in changes {
            *counted.entry(change.label().to_owned()).or_default() += 1;
        }
        self.record.changes = counted;
    }

    /// Keeps a plan with the run.
    pub(crate) async fn keep_plan(&self, plan: &Plan) -> Result<(), StoreError> {
        if plan.is_empty() {
            return Ok(());
        }
        let (workspace, run) = (self.connection().workspace, self.record.id);
        self.engine.ports().store.put_plan(workspace, run, plan).await
    }

    /// Shows a plan instead of carrying it out: what follows is planned as if it had been.
    pub(crate) async fn show(&mut self, plan: &Plan) -> Result<(), StoreError> {
        self.record.kept.extend(plan.kept.iter().cloned());
        // The first plan of a connection is kept where it is frozen, once.
        if plan.lane != Lane::Members || !self.waits_for_first_approval() {
            self.keep_plan(plan).await?;
        }
        self.count(&plan.changes);
        plan.changes.iter().for_each(|change| change.apply(&mut self.mirror));
        Ok(())
    }
}

/// Whether an error only means to go on later: the calls are used up, or Bitbucket asked for a pause.
pub(crate) const fn passes_by_itself(error: &Error) -> bool {
    matches!(error, Error::BudgetExhausted { .. } | Error::Paused { .. } | Error::RateLimited { .. })
}
