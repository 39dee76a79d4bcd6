//! What the structure and grants lanes may use of the hour's calls, so that the members lane never starves.

use core::time::Duration;

use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::budget::Allowance;

/// For how long a call counts: the hour, and as much longer as the book of the call budget may count it.
const COUNTS_FOR: Duration = Duration::from_mins(64);

/// The calls that the structure and grants lanes made within the last hour or so.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Background(Vec<(Timestamp, u64)>);

impl Background {
    /// How many calls these lanes may still make: a quarter of the hour's is the members lane's, and what is kept for sign-ins is not
    /// the sync's at all.
    pub fn left(&self, allowance: Allowance, now: Timestamp) -> u64 {
        let theirs = allowance.limit() - allowance.reserved() - allowance.limit() / 4;
        let made: u64 =
            self.0.iter().filter(|(at, _)| now.since(*at) < COUNTS_FOR).map(|(_, calls)| calls).sum();
        u64::from(theirs).saturating_sub(made)
    }

    /// Notes calls, and forgets those of earlier hours.
    pub fn note(&mut self, calls: u64, now: Timestamp) {
        self.0.retain(|(at, _)| now.since(*at) < COUNTS_FOR);
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
        assert_eq!(background.left(allowance, start.plus(Duration::from_mins(63))), 0);
        assert_eq!(background.left(allowance, start.plus(COUNTS_FOR)), 470);
    }
}
