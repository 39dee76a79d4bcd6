//! Ticks and messages: who is synced when, by one run at a time.

use core::time::Duration;
use std::sync::Arc;

use rollcall_bitbucket::{Bitbucket, CallBudget, ChunkSizes};
use rollcall_delivery::{Delivered, Outbox};
use rollcall_domain::audit::Actor;
use rollcall_domain::budget::{Allowance, Purpose};
use rollcall_domain::connection::Start;
use rollcall_domain::plan::Lane;
use rollcall_domain::run::{SyncState, due};
use rollcall_domain::{Timestamp, WorkspaceId};
use rollcall_service::clock::Clock;
use rollcall_service::random::{self, Random};
use rollcall_service::telemetry::{self, Metrics};
use rollcall_store::budget::BudgetTable;
use rollcall_store::connections::Connected;
use rollcall_store::runs::{Mode, RunRecord, RunStatus};
use rollcall_store::{Lease, Record, Store, StoreError};
use thiserror::Error;

use crate::credentials::Credentials;
use crate::message::SyncMessage;
use crate::queue::{Queue, QueueError};
use crate::run::Run;

/// Connections read from the table at once.
const PAGE: usize = 100;

/// How much longer than the run's own deadline its lease lasts: the last write may still be under way.
const LEASE_MARGIN: Duration = Duration::from_secs(30);

/// What the engine works with.
pub struct Ports {
    /// The table.
    pub store: Store,
    /// Bitbucket.
    pub bitbucket: Bitbucket,
    /// Opens the connections' credentials.
    pub credentials: Arc<dyn Credentials>,
    /// Where the ticks' messages go.
    pub queue: Arc<dyn Queue>,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Makes ids.
    pub random: Arc<dyn Random>,
    /// Measures.
    pub metrics: Metrics,
    /// How many calls a credential may make in an hour.
    pub allowance: Allowance,
    /// Tells applications what happened.
    pub outbox: Outbox,
}

/// The engine. Clones share everything.
#[derive(Clone)]
pub struct Engine(Arc<Ports>);

/// What went wrong so that the message has to come again.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum EngineError {
    /// The table.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The queue.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// Another run of the workspace is under way, and somebody waits for this one.
    #[error("another run of the workspace is under way; the message comes again")]
    Busy,
}

/// What became of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Handled {
    /// A run has ended: its record.
    Ran(Box<RunRecord>),
    /// The run was ended before: the message came again.
    AlreadyDone,
    /// Nothing was due.
    NothingDue,
    /// Another run is under way, which does what this one would have done.
    UnderWay,
    /// The workspace is not connected.
    NotConnected,
    /// Another run took over while this one was at work: it had outlived its lease. What it wrote before that stands.
    Overtaken,
}

impl Engine {
    /// An engine.
    pub fn new(ports: Ports) -> Self {
        Self(Arc::new(ports))
    }

    pub(crate) fn ports(&self) -> &Ports {
        &self.0
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    pub(crate) fn random_bytes(&self) -> [u8; 10] {
        random::bytes(&*self.0.random)
    }

    /// The schedule's tick: one message for every connection. How many.
    ///
    /// `tick` is the moment the schedule names: the same tick delivered twice asks for the same runs.
    pub async fn handle_tick(&self, tick: Timestamp) -> Result<usize, EngineError> {
        let mut after = None;
        let mut count = 0;
        loop {
            let page = self.0.store.connections(after.as_ref(), PAGE).await?;
            let connected = page.items.iter().map(|connected| &connected.connection);
            let messages: Vec<SyncMessage> = connected
                .filter(|connection| connection.is_connected())
                .map(|connection| SyncMessage::scheduled(connection.workspace, tick))
                .collect();
            count += messages.len();
            if !messages.is_empty() {
                self.0.queue.send(messages).await?;
            }
            match page.next {
                Some(next) => after = Some(next),
                None => return Ok(count),
            }
        }
    }

    /// Tells the events of a workspace that are not told yet. Whether all were: otherwise it is to be asked for again. The log says
    /// what went wrong, and nothing that changes anybody waits for it.
    pub async fn tell_events(&self, workspace: WorkspaceId) -> bool {
        match self.0.outbox.deliver(workspace).await {
            Ok(delivered) => delivered == Delivered::All,
            Err(error) => {
                tracing::error!(%error, %workspace, "events could not be told");
                false
            }
        }
    }

    /// Does what a message asks for, until `deadline`: what is left then is gone on with at the next tick.
    pub async fn handle_message(
        &self,
        message: &SyncMessage,
        deadline: Timestamp,
    ) -> Result<Handled, EngineError> {
        let handled = self.handle(message, deadline).await;
        if message.scheduled {
            // What no row of the stream asks for: a webhook whose next attempt has come.
            self.tell_events(message.workspace).await;
        }
        handled
    }

    async fn handle(&self, message: &SyncMessage, deadline: Timestamp) -> Result<Handled, EngineError> {
        let SyncMessage { workspace, run, .. } = *message;
        telemetry::note_workspace(workspace);
        telemetry::note_run(run);
        let store = &self.0.store;
        let known = store.run(workspace, run).await?;
        if known.as_ref().is_some_and(|record| has_ended(record.status)) {
            return Ok(Handled::AlreadyDone);
        }
        let Some(connected) = store.connection(workspace).await? else { return Ok(Handled::NotConnected) };
        let mut record = known.unwrap_or_else(|| self.new_record(message));
        if !connected.connection.is_connected() {
            if !message.scheduled {
                record.status = RunStatus::Failed;
                record.ended_at = Some(self.now());
                "The workspace is not connected to a Bitbucket workspace. Connect it first."
                    .clone_into(&mut record.message);
                store.put_run(&record, Record::default()).await?;
            }
            return Ok(Handled::NotConnected);
        }
        if message.scheduled && self.due(&store.sync_state(workspace).await?).is_empty() {
            return Ok(Handled::NothingDue);
        }
        let lasts = deadline.since(self.now()) + LEASE_MARGIN;
        let Some(lease) = store.take_lease(workspace, &run.to_string(), lasts, self.now()).await? else {
            return if message.scheduled { Ok(Handled::UnderWay) } else { Err(EngineError::Busy) };
        };
        // A run that broke off and is repeated tells what the repetition did.
        let begun = record.started_at.unwrap_or_else(|| self.now());
        record = RunRecord {
            id: record.id,
            workspace,
            mode: record.mode.clone(),
            trigger: record.trigger.clone(),
            queued_at: record.queued_at,
            started_at: Some(begun),
            status: RunStatus::Running,
            ..self.new_record(message)
        };
        let ended = self.run_under_lease(message, connected, record, lease.clone(), deadline).await;
        match ended {
            Err(StoreError::Conflict { what: "lease" }) => {
                tracing::warn!("another run has taken over; this one stops");
                Ok(Handled::Overtaken)
            }
            // The lease is kept where the table failed: it ends by itself, and nothing else may write until then.
            Err(error) => Err(error.into()),
            Ok(handled) => {
                store.release_lease(&lease).await?;
                Ok(handled)
            }
        }
    }

    async fn run_under_lease(
        &self,
        message: &SyncMessage,
        connected: Connected,
        record: RunRecord,
        lease: Lease,
        deadline: Timestamp,
    ) -> Result<Handled, StoreError> {
        let workspace = message.workspace;
        // Read again under the lease: a run that has just ended may have left nothing to do.
        let state = self.0.store.sync_state(workspace).await?;
        let lanes = self.lanes(message, &record.mode, &connected, &state);
        if message.scheduled && lanes.is_empty() {
            return Ok(Handled::NothingDue);
        }
        let mirror = self.0.store.mirror(workspace).await?;
        let run = Run::new(self, connected, record, state, mirror, lease, deadline);
        let record = run.perform(&lanes).await?;
        Ok(Handled::Ran(Box::new(record)))
    }

    /// The lanes that are due.
    pub(crate) fn due(&self, state: &SyncState) -> Vec<Lane> {
        due(state, self.0.allowance, self.now())
    }

    /// The lanes that a run goes through.
    fn lanes(
        &self,
        message: &SyncMessage,
        mode: &Mode,
        connected: &Connected,
        state: &SyncState,
    ) -> Vec<Lane> {
        const ALL: [Lane; 3] = [Lane::Members, Lane::Structure, Lane::Grants];
        let first = connected.connection.settings.start == Start::Plan && !state.started;
        match mode {
            // While the first plan waits, the schedule only looks whether it is still the same.
            _ if message.scheduled && first && state.frozen.contains_key(&Lane::Members) => {
                self.due(state).into_iter().filter(|lane| *lane == Lane::Members).collect()
            }
            _ if message.scheduled => self.due(state),
            Mode::Undo { .. } => ALL.to_vec(),
            Mode::Plan | Mode::Apply => match &state.halted {
                Some(halt) => vec![halt.lane],
                None => ALL.to_vec(),
            },
            Mode::Approve { hash } => {
                let frozen = state.frozen.iter().find(|(_, frozen)| frozen.hash == *hash);
                match frozen {
                    Some(_) if first => ALL.to_vec(),
                    Some((lane, _)) => vec![*lane],
                    None => Vec::new(),
                }
            }
        }
    }

    fn new_record(&self, message: &SyncMessage) -> RunRecord {
        RunRecord {
            id: message.run,
            workspace: message.workspace,
            mode: message.mode.clone().unwrap_or(Mode::Apply),
            trigger: Actor::System,
            status: RunStatus::Queued,
            lanes: Vec::new(),
            queued_at: self.now(),
            started_at: None,
            ended_at: None,
            calls: 0,
            written: 0,
            changes: std::collections::BTreeMap::new(),
            kept: Vec::new(),
            evidence: Vec::new(),
            held: Vec::new(),
            plan_hash: None,
            message: String::new(),
        }
    }

    /// A budget of the calls of a credential, shared with everybody who uses it.
    pub(crate) fn session(&self, credential: &rollcall_bitbucket::Credential) -> rollcall_bitbucket::Session {
        let store = &self.0.store;
        let table =
            BudgetTable::new(store.client().clone(), store.table(), credential.id(), self.0.allowance);
        let clock = Arc::clone(&self.0.clock);
        let clock: rollcall_bitbucket::Clock = Arc::new(move || clock.now());
        let budget = CallBudget::new(Arc::new(table), ChunkSizes::default(), clock);
        self.0.bitbucket.session(credential, &budget, Purpose::Sync)
    }
}

/// Whether a run has come to its end.
const fn has_ended(status: RunStatus) -> bool {
    match status {
        RunStatus::Queued | RunStatus::Running => false,
        RunStatus::Planned
        | RunStatus::Applied
        | RunStatus::Frozen
        | RunStatus::Failed
        | RunStatus::Superseded => true,
    }
}
