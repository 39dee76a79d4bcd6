//! The handle by which a test changes a running stand-in.

use core::time::Duration;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::clock::Clock;
use crate::faults::{Fault, FaultId, Faults};
use crate::limits::Limits;
use crate::log::{Counts, Log, Request};
use crate::oauth::Sessions;
use crate::world::{Refused, World};

/// A handle on a running stand-in. Clones are the same one.
#[derive(Clone)]
pub struct Control(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    changes: watch::Sender<u64>,
}

/// Everything that changes, behind one lock that is never held across an await.
pub(crate) struct State {
    pub(crate) world: World,
    initial: World,
    pub(crate) sessions: Sessions,
    pub(crate) limits: Limits,
    pub(crate) log: Log,
    pub(crate) faults: Faults,
    pub(crate) clock: Clock,
    pub(crate) at_once: AtOnce,
    /// Where requests and answers disagree with the description, if they are held against it.
    pub(crate) breaches: Option<BTreeSet<String>>,
}

/// How many requests are under way, and how many were at most.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct AtOnce {
    pub(crate) now: usize,
    pub(crate) most: usize,
}

impl Control {
    pub(crate) fn new(world: World) -> Self {
        let state = State {
            initial: world.clone(),
            world,
            sessions: Sessions::default(),
            limits: Limits::default(),
            log: Log::default(),
            faults: Faults::default(),
            clock: Clock::default(),
            at_once: AtOnce::default(),
            breaches: None,
        };
        Self(Arc::new(Shared { state: Mutex::new(state), changes: watch::Sender::new(0) }))
    }

    /// Looks at the world.
    pub fn read<T>(&self, look: impl FnOnce(&World) -> T) -> T {
        look(&self.state().world)
    }

    /// Changes the world, beginning in its first workspace. No request sees it half changed.
    pub fn change<T>(&self, change: impl FnOnce(&mut World) -> T) -> T {
        let mut state = self.state();
        state.world.enter_first();
        let done = change(&mut state.world);
        state.world.enter_first();
        drop(state);
        self.changed();
        done
    }

    /// Everything as it was at the start: the world, and nothing asked, given out, counted or faulty.
    pub fn reset(&self) {
        let mut state = self.state();
        state.world = state.initial.clone();
        state.sessions = Sessions::default();
        state.limits.clear();
        state.log.clear();
        state.faults.clear();
        state.clock = Clock::default();
        state.at_once.most = state.at_once.now;
        drop(state);
        self.changed();
    }

    /// Arms a fault. Faults act in the order in which they were armed, one for each request.
    pub fn fault(&self, fault: Fault) -> FaultId {
        self.state().faults.add(fault)
    }

    /// Takes a fault away; what waits because of it goes on. Whether it was there.
    pub fn remove_fault(&self, fault: FaultId) -> bool {
        let was_there = self.state().faults.remove(fault);
        self.changed();
        was_there
    }

    /// Takes all faults away.
    pub fn heal(&self) {
        self.state().faults.clear();
        self.changed();
    }

    /// How often a fault has happened.
    pub fn happened(&self, fault: FaultId) -> u64 {
        self.state().faults.happened(fault)
    }

    /// The faults, and how often each has happened.
    pub fn faults(&self) -> Vec<(FaultId, Fault, u64)> {
        self.state().faults.list()
    }

    /// What was asked so far, oldest first.
    pub fn requests(&self) -> Vec<Request> {
        self.state().log.entries().cloned().collect()
    }

    /// How often what was asked.
    pub fn counts(&self) -> Counts {
        self.state().log.counts().clone()
    }

    /// How often a path was asked, given as a template: `/2.0/workspaces/{workspace}/members`.
    pub fn count(&self, template: &str) -> u64 {
        let state = self.state();
        state.log.counts().by_path.get(template).map_or(0, |kinds| kinds.values().sum())
    }

    /// Forgets what was asked. Rate limits go on counting.
    pub fn forget_requests(&self) {
        let mut state = self.state();
        state.log.clear();
        state.at_once.most = state.at_once.now;
    }

    /// How many requests were under way at the same time at most.
    pub fn most_at_once(&self) -> usize {
        self.state().at_once.most
    }

    /// Forgets the calls that count for rate limits.
    pub fn forget_calls(&self) {
        self.state().limits.clear();
    }

    /// Moves the clock, by which tokens expire and rate limits roll, ahead by so many seconds.
    pub fn advance_clock(&self, seconds: i64) {
        self.state().clock.advance(seconds);
    }

    /// Sets how far the clock is ahead of the machine's, in seconds.
    pub fn set_clock_offset(&self, seconds: i64) {
        self.state().clock.set_offset(seconds);
    }

    /// How far the clock is ahead of the machine's, in seconds.
    pub fn clock_offset(&self) -> i64 {
        self.state().clock.offset()
    }

    /// Every answer comes so many milliseconds later.
    pub fn set_latency(&self, milliseconds: u64) {
        self.change(|world| world.behaviour.latency_ms = milliseconds);
    }

    /// From now on, holds every request for version 2.0 and every answer that no fault touches against Atlassian's description.
    pub fn hold_to_contract(&self) {
        self.state().breaches = Some(BTreeSet::new());
    }

    /// Where a request or an answer has disagreed with the description so far: the request, and what was wrong.
    pub fn breaches(&self) -> Vec<String> {
        self.state().breaches.iter().flatten().cloned().collect()
    }

    /// An access token of a person, as if they had just consented to a consumer.
    pub fn person_token(&self, username: &str, consumer: &str) -> Result<String, Refused> {
        let mut state = self.state();
        let user = state.world.person_uuid(username)?;
        let unknown = || Refused::Unknown { what: "consumer", name: consumer.to_owned() };
        state.world.consumers.get(consumer).ok_or_else(unknown)?;
        let State { world, sessions, clock, .. } = &mut *state;
        Ok(sessions.issue(world, consumer, user, clock.now_ms()).access)
    }

    /// Looks whenever something has changed (a request came or was answered, the world changed), until there is what is looked
    /// for. `None` if it has not come within `patience`.
    pub async fn wait_for<T>(
        &self,
        patience: Duration,
        mut look: impl FnMut(&Self) -> Option<T>,
    ) -> Option<T> {
        let mut changes = self.0.changes.subscribe();
        let found = async {
            loop {
                if let Some(found) = look(self) {
                    return found;
                }
                // The sender lives as long as this handle.
                let _ = changes.changed().await;
            }
        };
        tokio::time::timeout(patience, found).await.ok()
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn changed(&self) {
        self.0.changes.send_modify(|number| *number += 1);
    }

    /// Until a fault is gone.
    pub(crate) async fn gone(&self, fault: FaultId) {
        let mut changes = self.0.changes.subscribe();
        while self.state().faults.contains(fault) {
            let _ = changes.changed().await;
        }
    }
}
