//! What the structure and grants lanes may use of the hour's calls, so that the members lane never starves.

use core::time::Duration;

use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::budget::Allowance;

const HOUR: Duration = Duration::from_hours(1);

/// The calls that the structure and grants lanes made within the last hour.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Background(Vec<(Timestamp, u64)>);

impl Background {
    /// How many calls these lanes may still make: a quarter of the hour's is the members lane's, and what is kept for sign-ins is not
    /// the sync's at all.
    pub fn left(&self, allowance: Allowance, now: Timestamp) -> u64 {
        let theirs = allowance.limit() - allowance.reserved() - allowance.limit() / 4;
        let made: u64 = self.0.iter().filter(|(at, _)| now.since(*at) < HOUR).map(|(_, calls)| calls).sum();
        u64::from(theirs).saturating_sub(made)
    }

    /// Notes calls, and forgets those of earlier hours.
    pub fn note(&mut self, calls: u64, now: Timestamp) {
        self.0.retain(|(at, _)| now.since(*at) < HOUR);
        if calls > 0 {
            self.0.push((now, calls));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slow_lanes_leave_a_quarter_to_the_members_lane_and_their_part_to_sign_ins_in_every_hour() {
        let allowance = Allowance::new(1000, 200);
        let start = Timestamp::from_seconds(1_800_000_000);
        let mut background = Background::default();
        assert_eq!(background.left(allowance, start), 550);
        background.note(500, start);
        assert_eq!(background.left(allowance, start), 50);
        background.note(80, start.plus(Duration::from_mins(30)));
        assert_eq!(background.left(allowance, start.plus(Duration::from_mins(59))), 0);
        assert_eq!(background.left(allowance, start.plus(HOUR)), 470);
    }
}
