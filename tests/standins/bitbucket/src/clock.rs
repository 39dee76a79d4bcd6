//! The time that tokens and rate limits go by: the machine's, and ahead of it where a test has moved it.

use std::time::{SystemTime, UNIX_EPOCH};

/// A clock that a test can move.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Clock {
    ahead_ms: i64,
}

impl Clock {
    /// Milliseconds since 1970.
    pub(crate) fn now_ms(self) -> i64 {
        system_ms().saturating_add(self.ahead_ms)
    }

    /// Moves the clock ahead (or back).
    pub(crate) fn advance(&mut self, seconds: i64) {
        self.ahead_ms = self.ahead_ms.saturating_add(seconds.saturating_mul(1000));
    }

    /// How far it is ahead of the machine's, in seconds.
    pub(crate) fn offset(self) -> i64 {
        self.ahead_ms / 1000
    }

    /// Sets how far it is ahead of the machine's.
    pub(crate) fn set_offset(&mut self, seconds: i64) {
        self.ahead_ms = seconds.saturating_mul(1000);
    }
}

#[allow(clippy::disallowed_methods, reason = "a stand-in is a separate program and has its own clock")]
fn system_ms() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// A time as the API writes it: `2026-11-23T07:15:18.000000+00:00`.
pub(crate) fn iso(ms: i64) -> String {
    let at = jiff::Timestamp::from_millisecond(ms).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    at.strftime("%Y-%m-%dT%H:%M:%S%.6f+00:00").to_string()
}
