//! The time, read in one place.

use core::sync::atomic::{AtomicI64, Ordering};
use core::time::Duration;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use rollcall_domain::Timestamp;

/// Tells the time. Handlers take it as an argument, so that a test can hand in its own.
pub trait Clock: Send + Sync {
    /// The present moment, to the millisecond.
    fn now(&self) -> Timestamp;
}

/// The operating system's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[allow(clippy::disallowed_methods, reason = "this is the one place that reads the clock")]
    fn now(&self) -> Timestamp {
        let millis = match SystemTime::now().duration_since(SystemTime::UNIX_EPOCH) {
            Ok(since) => i64::try_from(since.as_millis()).unwrap_or(i64::MAX),
            Err(before) => i64::try_from(before.duration().as_millis()).map_or(i64::MIN, |millis| -millis),
        };
        Timestamp::from_millis(millis)
    }
}

/// A clock that a test, or the visitor of the local stack, moves by hand. Clones share one time.
#[derive(Debug, Clone)]
pub struct SettableClock {
    /// Milliseconds: the time itself if frozen, otherwise what is added to the system's time.
    millis: Arc<AtomicI64>,
    frozen: bool,
}

impl SettableClock {
    /// A clock that stands still until it is moved.
    pub fn frozen_at(time: Timestamp) -> Self {
        Self { millis: Arc::new(AtomicI64::new(time.as_millis())), frozen: true }
    }

    /// A clock that runs with the system's and can be put forward.
    pub fn running() -> Self {
        Self { millis: Arc::new(AtomicI64::new(0)), frozen: false }
    }

    /// Puts the clock forward.
    pub fn advance(&self, by: Duration) {
        self.millis.fetch_add(i64::try_from(by.as_millis()).unwrap_or(i64::MAX), Ordering::SeqCst);
    }

    /// Sets the clock to a moment, earlier or later; a running one runs on from there.
    pub fn set(&self, time: Timestamp) {
        let base = if self.frozen { 0 } else { SystemClock.now().as_millis() };
        self.millis.store(time.as_millis().saturating_sub(base), Ordering::SeqCst);
    }
}

impl Clock for SettableClock {
    fn now(&self) -> Timestamp {
        let base = if self.frozen { 0 } else { SystemClock.now().as_millis() };
        Timestamp::from_millis(base.saturating_add(self.millis.load(Ordering::SeqCst)))
    }
}

impl<C: Clock + ?Sized> Clock for Arc<C> {
    fn now(&self) -> Timestamp {
        (**self).now()
    }
}

/// Measures how long something takes, by the clock that never goes back. For telemetry and deadlines, never for a rule.
#[derive(Debug, Clone, Copy)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    /// Starts measuring.
    #[allow(clippy::disallowed_methods, reason = "this is the one place that reads the clock")]
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// The time since the start.
    pub fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frozen_clock_moves_only_by_hand_and_its_clones_move_with_it() {
        let clock = SettableClock::frozen_at(Timestamp::from_seconds(100));
        let clone = clock.clone();
        clock.advance(Duration::from_secs(5));
        assert_eq!(clone.now(), Timestamp::from_seconds(105));
        clone.set(Timestamp::from_seconds(7));
        assert_eq!(clock.now(), Timestamp::from_seconds(7));
    }

    #[test]
    fn a_running_clock_keeps_its_distance_to_the_systems() {
        let clock = SettableClock::running();
        clock.advance(Duration::from_hours(1));
        let ahead = clock.now().since(SystemClock.now());
        assert!(ahead > Duration::from_secs(3590) && ahead <= Duration::from_hours(1), "{ahead:?}");
    }

    #[test]
    fn the_system_clock_is_past_the_year_2025_and_does_not_overflow() {
        assert!(SystemClock.now() > Timestamp::from_seconds(1_735_689_600));
    }
}
