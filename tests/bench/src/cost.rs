//! What something has cost in calls: to Bitbucket, and to the table.

use serde::{Deserialize, Serialize};
use standin_bitbucket::Request;
use standin_faults::{Call, Kind};

use crate::surroundings::Surroundings;

/// Calls, items, capacity units and bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Cost {
    /// Calls to Bitbucket's API. A code is redeemed elsewhere and costs one more, which no rate limit counts.
    pub(crate) bitbucket: u64,
    /// Calls to the table that read.
    pub(crate) reads: u64,
    /// Items that came.
    pub(crate) items_read: u64,
    /// Capacity units of that.
    pub(crate) read_units: f64,
    /// Calls to the table that write.
    pub(crate) writes: u64,
    /// Items in them.
    pub(crate) items_written: u64,
    /// Capacity units of that.
    pub(crate) write_units: f64,
    /// Bytes from and to the table.
    pub(crate) bytes: u64,
    /// How many calls to the table wait for one another.
    pub(crate) turns: u64,
}

impl Cost {
    /// What was called since [`forget`].
    pub(crate) fn of(around: &Surroundings) -> Self {
        let mut cost = Self {
            bitbucket: asked(around).len() as u64,
            turns: around.table.sequential_round_trips() as u64,
            ..Self::default()
        };
        for call in around.table.calls() {
            cost.add(&call);
        }
        cost
    }

    fn add(&mut self, call: &Call) {
        let (calls, items, units) = match call.kind {
            Kind::Read => (&mut self.reads, &mut self.items_read, &mut self.read_units),
            Kind::Write => (&mut self.writes, &mut self.items_written, &mut self.write_units),
            Kind::Administration => return,
        };
        *calls += 1;
        *items += call.items as u64;
        *units += call.capacity;
        self.bytes += (call.request_bytes + call.response_bytes) as u64;
    }

    /// The counts that must not grow, by name.
    pub(crate) fn counts(&self) -> [(&'static str, u64); 5] {
        [
            ("calls to Bitbucket", self.bitbucket),
            ("reads", self.reads),
            ("items read", self.items_read),
            ("writes", self.writes),
            ("items written", self.items_written),
        ]
    }
}

/// Begins to count anew.
pub(crate) fn forget(around: &Surroundings) {
    around.bitbucket.forget_requests();
    around.table.forget_calls();
}

/// The requests to Bitbucket's API since then.
pub(crate) fn asked(around: &Surroundings) -> Vec<Request> {
    let is_api = |request: &Request| request.path.starts_with("/2.0/") || request.path.starts_with("/1.0/");
    around.bitbucket.requests().into_iter().filter(is_api).collect()
}
