//! Calls in the last hour, for each credential.

use std::collections::{BTreeMap, VecDeque};

const HOUR_MS: i64 = 3_600_000;

/// A credential, and the part of the API that is counted by itself.
type Pool = (String, &'static str);

/// The calls of the last hour.
#[derive(Debug, Default)]
pub(crate) struct Limits {
    calls: BTreeMap<Pool, VecDeque<i64>>,
}

/// How far a credential is after a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Used {
    pub(crate) limit: u64,
    pub(crate) remaining: u64,
    /// Seconds until the oldest call does not count any more.
    pub(crate) reset: i64,
}

impl Limits {
    /// Counts a call, unless that would be one too many.
    pub(crate) fn count(
        &mut self,
        credential: &str,
        pool: &'static str,
        limit: u64,
        now_ms: i64,
    ) -> Result<Used, ()> {
        let calls = self.calls.entry((credential.to_owned(), pool)).or_default();
        while calls.front().is_some_and(|oldest| now_ms - oldest >= HOUR_MS) {
            calls.pop_front();
        }
        if calls.len() as u64 >= limit {
            return Err(());
        }
        calls.push_back(now_ms);
        let oldest = calls.front().copied().unwrap_or(now_ms);
        Ok(Used { limit, remaining: limit - calls.len() as u64, reset: (HOUR_MS - (now_ms - oldest)) / 1000 })
    }

    /// Forgets all calls.
    pub(crate) fn clear(&mut self) {
        self.calls.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hour_later_a_call_does_not_count_any_more() {
        let mut limits = Limits::default();
        assert_eq!(limits.count("a", "api", 2, 0), Ok(Used { limit: 2, remaining: 1, reset: 3600 }));
        assert!(limits.count("a", "api", 2, 1_000).is_ok());
        assert_eq!(limits.count("a", "api", 2, HOUR_MS - 1), Err(()));
        assert!(limits.count("b", "api", 2, HOUR_MS - 1).is_ok(), "another credential has its own");
        assert!(limits.count("a", "scaled", 2, HOUR_MS - 1).is_ok(), "another pool has its own");
        assert_eq!(limits.count("a", "api", 2, HOUR_MS), Ok(Used { limit: 2, remaining: 0, reset: 1 }));
    }
}
