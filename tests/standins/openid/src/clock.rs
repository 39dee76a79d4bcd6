//! The time that tokens and codes tell: the machine's, shifted, or standing still where a test has set it.

use std::time::{SystemTime, UNIX_EPOCH};

/// A clock that a test can move.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) enum Clock {
    /// The machine's clock.
    #[default]
    System,
    /// The machine's clock plus so many seconds.
    Shifted(i64),
    /// Always this time, in seconds since 1970.
    Standing(i64),
}

impl Clock {
    /// Seconds since 1970.
    pub(crate) fn now(self) -> i64 {
        match self {
            Self::System => system(),
            Self::Shifted(by) => system().saturating_add(by),
            Self::Standing(at) => at,
        }
    }

    pub(crate) fn advance(&mut self, seconds: i64) {
        *self = match *self {
            Self::System => Self::Shifted(seconds),
            Self::Shifted(by) => Self::Shifted(by.saturating_add(seconds)),
            Self::Standing(at) => Self::Standing(at.saturating_add(seconds)),
        };
    }
}

#[allow(clippy::disallowed_methods, reason = "a stand-in is a separate program and has its own clock")]
fn system() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
}
