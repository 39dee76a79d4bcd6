//! What was called, what it cost, and what came of it.

use core::time::Duration;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::time::Instant;

use crate::operation::{Kind, Operation};

/// What came of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It is under way.
    Underway,
    /// The service's own answer, with this status.
    Answered(u16),
    /// A rule's answer.
    Refused {
        /// With this status.
        status: u16,
        /// Whether the service has done it all the same.
        forwarded: bool,
    },
    /// The connection was reset.
    Dropped {
        /// Whether the service has done it all the same.
        forwarded: bool,
    },
    /// The service behind cannot be reached.
    Unreachable,
}

/// One call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Call {
    /// Its number, from 1, in the order of arrival.
    pub number: u64,
    /// `PutItem`, or `GET /path`.
    pub operation: String,
    /// Whether it reads or writes.
    pub kind: Kind,
    /// The tables it touches.
    pub tables: Vec<String>,
    /// How many items it names or, for a query, brings.
    pub items: usize,
    /// The request's body; `null` where it is no JSON.
    pub request: Value,
    /// The size of the request's body.
    pub request_bytes: usize,
    /// The size of the answer's body.
    pub response_bytes: usize,
    /// The capacity units it took, where they were asked for.
    pub capacity: f64,
    /// When it came, since the proxy was started.
    pub began: Duration,
    /// When it was answered.
    pub ended: Option<Duration>,
    /// What came of it.
    pub outcome: Outcome,
}

/// Sums over calls.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Totals {
    /// Calls, whatever came of them.
    pub calls: u64,
    /// Those among them with an answer of 4xx or 5xx, or without one.
    pub failed: u64,
    /// Items.
    pub items: usize,
    /// Bytes of the requests' bodies.
    pub request_bytes: usize,
    /// Bytes of the answers' bodies.
    pub response_bytes: usize,
    /// Capacity units, where they were asked for.
    pub capacity: f64,
}

impl Totals {
    fn add(&mut self, call: &Call) {
        let good = matches!(call.outcome, Outcome::Underway | Outcome::Answered(..400));
        self.calls += 1;
        self.failed += u64::from(!good);
        self.items += call.items;
        self.request_bytes += call.request_bytes;
        self.response_bytes += call.response_bytes;
        self.capacity += call.capacity;
    }
}

/// All calls so far.
pub(crate) struct Ledger {
    started: Instant,
    last_number: u64,
    calls: Vec<Call>,
}

impl Ledger {
    pub(crate) fn new() -> Self {
        Self { started: Instant::now(), last_number: 0, calls: Vec::new() }
    }

    pub(crate) fn begin(&mut self, operation: &Operation, request_bytes: usize) -> u64 {
        self.last_number += 1;
        self.calls.push(Call {
            number: self.last_number,
            operation: operation.name.clone(),
            kind: operation.kind,
            tables: operation.tables(),
            items: operation.items(&Value::Null),
            request: operation.request.clone(),
            request_bytes,
            response_bytes: 0,
            capacity: 0.0,
            began: self.started.elapsed(),
            ended: None,
            outcome: Outcome::Underway,
        });
        self.last_number
    }

    /// Completes a call, unless the ledger was emptied meanwhile.
    pub(crate) fn end(&mut self, number: u64, complete: impl FnOnce(&mut Call)) {
        let now = self.started.elapsed();
        if let Some(call) = self.calls.iter_mut().find(|call| call.number == number) {
            complete(call);
            call.ended = Some(now);
        }
    }

    pub(crate) fn forget(&mut self) {
        self.calls.clear();
    }

    pub(crate) fn calls(&self) -> &[Call] {
        &self.calls
    }

    pub(crate) fn totals(&self, wanted: impl Fn(&Call) -> bool) -> Totals {
        let mut totals = Totals::default();
        self.calls.iter().filter(|call| wanted(call)).for_each(|call| totals.add(call));
        totals
    }

    pub(crate) fn totals_by_operation(&self) -> BTreeMap<String, Totals> {
        let mut all: BTreeMap<String, Totals> = BTreeMap::new();
        for call in &self.calls {
            all.entry(call.operation.clone()).or_default().add(call);
        }
        all
    }

    pub(crate) fn sequential(&self, counts: impl Fn(&Call) -> bool) -> usize {
        let calls = self.calls.iter().filter(|call| counts(call));
        longest_chain(calls.filter_map(|call| Some((call.began, call.ended?))).collect())
    }
}

/// The most intervals of which each begins after the one before has ended: whichever ends first is always a good next one.
fn longest_chain(mut intervals: Vec<(Duration, Duration)>) -> usize {
    intervals.sort_by_key(|(_, ended)| *ended);
    let mut free_from = None;
    intervals.into_iter().fold(0, |chain, (began, ended)| {
        if free_from.is_none_or(|free_from| began >= free_from) {
            free_from = Some(ended);
            chain + 1
        } else {
            chain
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parallel_calls_count_once() {
        let intervals = |pairs: &[(u64, u64)]| {
            pairs.iter().map(|(a, b)| (Duration::from_millis(*a), Duration::from_millis(*b))).collect()
        };
        assert_eq!(longest_chain(intervals(&[])), 0);
        assert_eq!(longest_chain(intervals(&[(0, 10), (1, 9), (2, 8)])), 1);
        assert_eq!(longest_chain(intervals(&[(0, 10), (10, 20), (12, 15), (20, 21)])), 3);
        assert_eq!(longest_chain(intervals(&[(0, 100), (10, 20), (30, 40)])), 2);
    }
}
