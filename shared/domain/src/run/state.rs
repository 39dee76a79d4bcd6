//! What a run leaves for the next one.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use sha2::Digest as _;

use super::background::Background;
use super::lap::{Lap, StructureLap};
use super::release::Frozen;
use crate::connection::Health;
use crate::mirror::Mirror;
use crate::plan::Lane;
use crate::plan::guard::Recent;
use crate::{RunId, Timestamp};

/// Why a lane could not do its work, for as long as it lasts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trouble {
    /// Since when.
    pub since: Timestamp,
    /// What is wrong and what to do, for an admin to read.
    pub why: String,
}

/// How a lane fares.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct LaneState {
    /// When it last began.
    pub started_at: Option<Timestamp>,
    /// When it last ended well.
    pub succeeded_at: Option<Timestamp>,
    /// How many calls it took when it last ended well.
    pub calls: u64,
    /// What is wrong, since it last ended well.
    pub trouble: Option<Trouble>,
}

/// An endpoint was removed: nothing is done until the lane that found it out can read again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Halt {
    /// The lane that found it out.
    pub lane: Lane,
    /// The number of Atlassian's change notice.
    pub change: String,
    /// What is wrong and what to do, for an admin to read.
    pub why: String,
    /// Since when.
    pub since: Timestamp,
}

/// Removals that a run has begun with: its plan is kept with the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Begun {
    /// Which run.
    pub run: RunId,
    /// In which lane.
    pub lane: Lane,
    /// Whether somebody had approved them, so that they do not count towards the caps.
    pub approved: bool,
}

/// What the last full lap proved, for sign-ins whose listing would take too many calls.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verified {
    /// When the lap ended.
    pub lap_ended_at: Timestamp,
    /// How many private repositories there were.
    pub private_repositories: usize,
    /// Which ones: SHA-256 of their UUIDs in order.
    pub private_digest: String,
    /// Private repositories that have appeared since.
    pub added_since: usize,
}

impl Verified {
    /// What a mirror proves at the end of a full lap.
    pub fn of(mirror: &Mirror, now: Timestamp) -> Self {
        let private =
            mirror.repositories.values().filter(|repository| !repository.removed && repository.private);
        let (mut count, mut digest) = (0, sha2::Sha256::new());
        for repository in private {
            count += 1;
            digest.update(repository.uuid.as_uuid().as_bytes());
        }
        Self {
            lap_ended_at: now,
            private_repositories: count,
            private_digest: crate::secret::hexadecimal(&digest.finalize()),
            added_since: 0,
        }
    }
}

/// What a run leaves for the next one: one value for each connection, written together with the run's record.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct SyncState {
    /// The members lane.
    pub members: LaneState,
    /// The structure lane.
    pub structure: LaneState,
    /// The grants lane.
    pub grants: LaneState,
    /// The rest of a structure run that could not end.
    pub structure_lap: Option<StructureLap>,
    /// The lap of the grants lane, while it is under way.
    pub lap: Option<Lap>,
    /// When the present or last lap began.
    pub lap_started_at: Option<Timestamp>,
    /// What the last full lap proved.
    pub verified: Option<Verified>,
    /// Removals that wait for an approval, by lane.
    pub frozen: BTreeMap<Lane, Frozen>,
    /// An endpoint was removed.
    pub halted: Option<Halt>,
    /// What was removed within the last day without approval.
    pub recent: Recent,
    /// Removals that a run has begun with. It is still there if that run broke off.
    pub begun: Option<Begun>,
    /// The lanes of which a run was undone, and nothing has been approved since.
    pub undone: BTreeSet<Lane>,
    /// Calls of the structure and grants lanes within the last hour.
    pub background: Background,
    /// Whether the connection's first plan has been approved, where it asks for that.
    pub started: bool,
}

impl SyncState {
    /// A lane's state.
    pub fn lane(&self, lane: Lane) -> &LaneState {
        match lane {
            Lane::Members => &self.members,
            Lane::Structure => &self.structure,
            Lane::Grants => &self.grants,
        }
    }

    /// A lane's state, to be changed.
    pub fn lane_mut(&mut self, lane: Lane) -> &mut LaneState {
        match lane {
            Lane::Members => &mut self.members,
            Lane::Structure => &mut self.structure,
            Lane::Grants => &mut self.grants,
        }
    }

    /// A lane ended well.
    pub fn succeeded(&mut self, lane: Lane, calls: u64, now: Timestamp) {
        let state = self.lane_mut(lane);
        state.succeeded_at = Some(now);
        state.calls = calls;
        state.trouble = None;
        if self.halted.as_ref().is_some_and(|halt| halt.lane == lane) {
            self.halted = None;
        }
    }

    /// A lane could not do its work. What is wrong counts from when it first was.
    pub fn failed(&mut self, lane: Lane, why: String, now: Timestamp) {
        let state = self.lane_mut(lane);
        let since = state.trouble.as_ref().map_or(now, |trouble| trouble.since);
        state.trouble = Some(Trouble { since, why });
    }

    /// An endpoint was removed.
    pub fn halt(&mut self, lane: Lane, change: String, why: String, now: Timestamp) {
        let since = self.halted.as_ref().map_or(now, |halt| halt.since);
        self.failed(lane, why.clone(), now);
        self.halted = Some(Halt { lane, change, why, since });
    }

    /// The connection's health, from what its lanes found: what cannot be read comes before what waits for approval.
    pub fn health(&self, before: &Health) -> Health {
        if let Health::Disconnected { .. } = before {
            return before.clone();
        }
        if let Some(halt) = &self.halted {
            return Health::Broken { since: halt.since, why: halt.why.clone() };
        }
        let lanes = [&self.members, &self.structure, &self.grants];
        if let Some(trouble) = lanes.iter().find_map(|lane| lane.trouble.as_ref()) {
            return Health::Broken { since: trouble.since, why: trouble.why.clone() };
        }
        let frozen: Vec<&Frozen> = self.frozen.values().collect();
        if let Some(first) = frozen.iter().map(|frozen| frozen.since).min() {
            // The wait as a whole began with the first of them, and goes on while it is replaced by others.
            let since = match before {
                Health::Frozen { since, .. } => (*since).min(first),
                _ => first,
            };
            let why = frozen.iter().map(|frozen| frozen.line()).collect::<Vec<_>>().join("; ");
            return Health::Frozen { since, why };
        }
        if self.members.succeeded_at.is_some() { Health::Healthy } else { Health::New }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::PlanHash;
    use crate::plan::guard::Held;

    fn at(minute: i64) -> Timestamp {
        Timestamp::from_seconds(minute * 60)
    }

    #[test]
    fn a_connection_that_works_breaks_freezes_thaws_and_stays_disconnected() {
        let mut state = SyncState::default();
        assert_eq!(state.health(&Health::New), Health::New);
        state.succeeded(Lane::Members, 5, at(0));
        assert_eq!(state.health(&Health::New), Health::Healthy);

        state.failed(Lane::Structure, "403".into(), at(15));
        state.failed(Lane::Structure, "still 403".into(), at(30));
        state.succeeded(Lane::Members, 5, at(30));
        let broken = state.health(&Health::Healthy);
        assert_eq!(
            broken,
            Health::Broken { since: at(15), why: "still 403".into() },
            "one good lane does not hide a bad one"
        );

        state.succeeded(Lane::Structure, 5, at(45));
        let frozen = |minute: i64| Frozen {
            hash: PlanHash::claimed("x"),
            run: RunId::new(at(minute), [0; 10]),
            since: at(minute),
            removals: 9,
            why: vec![Held::TurnedOff],
        };
        state.frozen.insert(Lane::Members, frozen(45));
        let before = state.health(&broken);
        assert!(matches!(&before, Health::Frozen { since, .. } if *since == at(45)));
        state.frozen.insert(Lane::Members, frozen(60));
        assert!(matches!(state.health(&before), Health::Frozen { since, .. } if since == at(45)));

        state.frozen.clear();
        assert_eq!(state.health(&before), Health::Healthy);
        let gone = Health::Disconnected { since: at(1) };
        assert_eq!(state.health(&gone), gone);
    }

    #[test]
    fn a_halt_ends_when_the_lane_that_found_it_reads_again_and_not_before() {
        let mut state = SyncState::default();
        state.halt(Lane::Structure, "CHANGE-1".into(), "removed".into(), at(0));
        state.succeeded(Lane::Members, 1, at(1));
        assert!(state.halted.is_some());
        state.succeeded(Lane::Structure, 1, at(2));
        assert!(state.halted.is_none());
        assert_eq!(state.health(&Health::New), Health::Healthy);
    }
}
