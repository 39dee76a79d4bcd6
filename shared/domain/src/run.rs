//! Runs: which lanes are due, what a run leaves for the next one, and what becomes of the connection.

mod background;
mod lap;
mod release;
mod state;

pub use background::Background;
pub use lap::{Lap, StructureLap};
pub use release::{Frozen, Release, release};
pub use state::{Begun, Halt, LaneState, SyncState, Trouble, Verified};

use core::time::Duration;

use crate::Timestamp;
use crate::budget::Allowance;
use crate::plan::Lane;

/// How often the schedule ticks, and so how often the members lane runs at most.
pub const TICK: Duration = Duration::from_mins(15);

/// How much earlier than due a lane may begin: ticks do not come to the second.
const EARLY: Duration = Duration::from_mins(2);

/// How often the repositories, projects and grants are read.
pub const DAILY: Duration = Duration::from_hours(24);

/// After how long without a members run that ended well the connection is stale, and the alarm is raised.
pub const STALE_AFTER: Duration = Duration::from_hours(36);

/// How often the members lane runs: every tick, less often only where that would take more than a quarter of the hour's calls.
///
/// `calls` is what the last run of the lane took.
pub fn members_interval(calls: u64, allowance: Allowance) -> Duration {
    let quarter = u64::from(allowance.limit() / 4).max(1);
    let seconds = calls.saturating_mul(3600).div_ceil(quarter);
    let ticks = seconds.div_ceil(TICK.as_secs()).max(1);
    Duration::from_secs(ticks.saturating_mul(TICK.as_secs()))
}

/// The lanes that are due, in the order in which they run: whom to shut out comes first, and teams have to be known before what is
/// granted to them.
pub fn due(state: &SyncState, allowance: Allowance, now: Timestamp) -> Vec<Lane> {
    // The lane that found an endpoint removed is the only one that may find it back.
    if let Some(halt) = &state.halted {
        return vec![halt.lane];
    }
    let is_due = |lane: &Lane| match lane {
        Lane::Members => {
            passed(state.members.started_at, members_interval(state.members.calls, allowance), now)
        }
        Lane::Structure => {
            state.structure_lap.is_some()
                || state.structure.trouble.is_some()
                || passed(state.structure.succeeded_at, DAILY, now)
        }
        // Grants are those of repositories: before these are known, there is nothing to ask for.
        Lane::Grants => {
            state.structure.succeeded_at.is_some()
                && (state.lap.is_some() || passed(state.lap_started_at, DAILY, now))
        }
    };
    [Lane::Members, Lane::Structure, Lane::Grants].into_iter().filter(is_due).collect()
}

fn passed(last: Option<Timestamp>, interval: Duration, now: Timestamp) -> bool {
    last.is_none_or(|last| now.since(last) >= interval.saturating_sub(EARLY))
}

/// Whether nobody's leaving would have been noticed for too long.
pub fn is_stale(state: &SyncState, connected_at: Timestamp, now: Timestamp) -> bool {
    now.since(state.members.succeeded_at.unwrap_or(connected_at)) >= STALE_AFTER
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_members_lane_runs_every_quarter_of_an_hour_unless_that_takes_more_than_a_quarter_of_the_calls() {
        let minutes = |calls, limit| members_interval(calls, Allowance::new(limit, 0)).as_secs() / 60;
        // A quarter of 1,000 calls an hour, at four runs an hour, is 62 calls a run.
        assert_eq!(
            [0, 1, 13, 62, 63, 125, 126].map(|calls| minutes(calls, 1000)),
            [15, 15, 15, 15, 30, 30, 45]
        );
        assert_eq!(minutes(103, 10_000), 15);
    }

    #[test]
    fn a_new_connection_reads_members_and_structure_at_once_and_grants_when_repositories_are_known() {
        let now = Timestamp::from_seconds(1_800_000_000);
        let mut state = SyncState::default();
        assert_eq!(due(&state, Allowance::default(), now), [Lane::Members, Lane::Structure]);
        state.members.started_at = Some(now);
        state.structure.succeeded_at = Some(now);
        assert_eq!(due(&state, Allowance::default(), now), [Lane::Grants]);
        state.lap_started_at = Some(now);
        assert_eq!(due(&state, Allowance::default(), now), []);
        let tick = now.plus(TICK).minus(Duration::from_secs(20));
        assert_eq!(due(&state, Allowance::default(), tick), [Lane::Members]);
        assert_eq!(
            due(&state, Allowance::default(), now.plus(DAILY)),
            [Lane::Members, Lane::Structure, Lane::Grants]
        );
    }

    #[test]
    fn after_an_endpoint_was_removed_only_the_lane_that_found_it_out_asks_again() {
        let now = Timestamp::from_seconds(1_800_000_000);
        let halted =
            Halt { lane: Lane::Structure, change: "CHANGE-1".into(), why: String::new(), since: now };
        let state = SyncState { halted: Some(halted), ..SyncState::default() };
        assert_eq!(due(&state, Allowance::default(), now), [Lane::Structure]);
    }

    #[test]
    fn a_connection_is_stale_after_36_hours_without_a_good_members_run_and_a_new_one_counts_from_its_start() {
        let hour = |n: i64| Timestamp::from_seconds(n * 3600);
        let mut state = SyncState::default();
        assert!(!is_stale(&state, hour(0), hour(35)));
        assert!(is_stale(&state, hour(0), hour(36)));
        state.members.succeeded_at = Some(hour(10));
        assert!(!is_stale(&state, hour(0), hour(45)));
        assert!(is_stale(&state, hour(0), hour(46)));
    }
}
