//! The time that these services tell: the machine's, shifted, or standing still where a test has set it.

use std::time::{SystemTime, UNIX_EPOCH};

/// A clock that a test can move. All times are milliseconds since 1970.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) enum Clock {
    /// The machine's clock.
    #[default]
    System,
    /// The machine's clock plus so much.
    Shifted(i64),
    /// Always this time.
    Standing(i64),
}

impl Clock {
    pub(crate) fn now(self) -> i64 {
        match self {
            Self::System => system(),
            Self::Shifted(by) => system().saturating_add(by),
            Self::Standing(at) => at,
        }
    }

    pub(crate) fn advance(&mut self, milliseconds: i64) {
        *self = match *self {
            Self::System => Self::Shifted(milliseconds),
            Self::Shifted(by) => Self::Shifted(by.saturating_add(milliseconds)),
            Self::Standing(at) => Self::Standing(at.saturating_add(milliseconds)),
        };
    }
}

/// The machine's clock. Deadlines of Lambda functions follow it always, for the functions read it too.
#[allow(clippy::disallowed_methods, reason = "a stand-in is a separate program and has its own clock")]
pub(crate) fn system() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
