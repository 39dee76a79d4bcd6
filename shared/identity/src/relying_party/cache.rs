//! What is read from a provider rarely and used often: its metadata and its keys.

use core::time::Duration;
use std::sync::{Arc, PoisonError, RwLock};

use rollcall_domain::Timestamp;
use tokio::sync::Mutex;

use crate::FailedCheck;

/// How long a value serves, and how often it may be asked for.
pub(crate) struct Ages {
    /// From this age on, a use of the value tries to renew it.
    pub(crate) renew_after: Duration,
    /// Up to this age the value serves when it cannot be renewed.
    pub(crate) serve_up_to: Duration,
    /// The shortest time between two attempts while there is a value: after a failure, and after a search for what the value lacks.
    pub(crate) cool_down: Duration,
    /// The shortest time between two attempts while there is none.
    pub(crate) first_cool_down: Duration,
}

/// A value with its age. One task at a time renews it, and the others use what is there or wait for that one.
pub(crate) struct Cached<T, E> {
    /// What it is, for the log.
    what: &'static str,
    ages: Ages,
    held: RwLock<Held<T, E>>,
    flight: Mutex<()>,
}

struct Held<T, E> {
    value: Option<(Arc<T>, Timestamp)>,
    attempted: Option<Timestamp>,
    failure: Option<E>,
}

impl<T, E: Copy + FailedCheck> Cached<T, E> {
    pub(crate) fn new(what: &'static str, ages: Ages) -> Self {
        Self {
            what,
            ages,
            held: RwLock::new(Held { value: None, attempted: None, failure: None }),
            flight: Mutex::new(()),
        }
    }

    /// The value, renewed by `fetch` where its age or `satisfies` asks for it and the cool-down allows it.
    ///
    /// A value that does not satisfy is returned all the same when no better one may be or could be fetched: the caller sees
    /// that what it looks for is not in it. The error is that of the last attempt.
    pub(crate) async fn get<F>(
        &self,
        now: Timestamp,
        satisfies: impl Fn(&T) -> bool,
        fetch: impl FnOnce() -> F,
    ) -> Result<Arc<T>, E>
    where
        F: Future<Output = Result<T, E>>,
    {
        let before = self.look(now);
        let flight = match &before.value {
            Some((value, fresh)) if satisfies(value) => {
                if *fresh || !before.may_attempt {
                    return Ok(Arc::clone(value));
                }
                // Old and still good: whoever comes first renews it, nobody waits for that.
                match self.flight.try_lock() {
                    Ok(flight) => flight,
                    Err(_) => return Ok(Arc::clone(value)),
                }
            }
            _ => self.flight.lock().await,
        };
        // Somebody else may have fetched, or failed to, while this one waited.
        let held = self.look(now);
        if let Some((value, fresh)) = &held.value
            && ((*fresh && satisfies(value)) || !held.may_attempt)
        {
            return Ok(Arc::clone(value));
        }
        if let Some(failure) = held.failure
            && !held.may_attempt
        {
            // A moment ago it failed; asking again has to wait.
            return Err(failure);
        }
        // A value that is there and lacks what is looked for: this is the attempt that the cool-down is counted from.
        let forced = held.value.as_ref().is_some_and(|(value, _)| !satisfies(value));
        let outcome = fetch().await;
        let kept = self.keep(now, outcome, forced);
        drop(flight);
        kept
    }

    fn look(&self, now: Timestamp) -> Look<T, E> {
        let held = self.held.read().unwrap_or_else(PoisonError::into_inner);
        let value = held
            .value
            .as_ref()
            .filter(|(_, at)| now.since(*at) < self.ages.serve_up_to)
            .map(|(value, at)| (Arc::clone(value), now.since(*at) < self.ages.renew_after));
        let pause = if value.is_some() { self.ages.cool_down } else { self.ages.first_cool_down };
        // A clock that was set back must not make the cool-down last until it has caught up.
        let may_attempt = held.attempted.is_none_or(|at| at > now || now.since(at) >= pause);
        Look { value, may_attempt, failure: held.failure }
    }

    fn keep(&self, now: Timestamp, outcome: Result<T, E>, forced: bool) -> Result<Arc<T>, E> {
        let mut held = self.held.write().unwrap_or_else(PoisonError::into_inner);
        if forced || outcome.is_err() {
            held.attempted = Some(now);
        }
        match outcome {
            Ok(value) => {
                let value = Arc::new(value);
                held.value = Some((Arc::clone(&value), now));
                held.failure = None;
                Ok(value)
            }
            Err(failure) => {
                held.failure = Some(failure);
                let serving = held.value.as_ref().filter(|(_, at)| now.since(*at) < self.ages.serve_up_to);
                tracing::warn!(
                    what = self.what,
                    check = failure.check(),
                    last_good_serves_on = serving.is_some(),
                    "a provider's document could not be fetched"
                );
                serving.map(|(value, _)| Arc::clone(value)).ok_or(failure)
            }
        }
    }
}

struct Look<T, E> {
    /// The value if it may serve, and whether it is young enough not to be renewed.
    value: Option<(Arc<T>, bool)>,
    may_attempt: bool,
    failure: Option<E>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};

    const AGES: Ages = Ages {
        renew_after: Duration::from_hours(1),
        serve_up_to: Duration::from_hours(24),
        cool_down: Duration::from_mins(1),
        first_cool_down: Duration::from_secs(5),
    };

    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    struct Down;

    impl FailedCheck for Down {
        fn check(&self) -> &'static str {
            "down"
        }
    }

    struct Source {
        cache: Cached<u32, Down>,
        asked: AtomicU32,
    }

    impl Source {
        fn new() -> Self {
            Self { cache: Cached::new("number", AGES), asked: AtomicU32::new(0) }
        }

        async fn get(&self, second: i64, want: u32, answer: Result<u32, Down>) -> Result<u32, Down> {
            self.cache
                .get(
                    Timestamp::from_seconds(second),
                    |value| *value >= want,
                    || async {
                        self.asked.fetch_add(1, Ordering::SeqCst);
                        tokio::task::yield_now().await;
                        answer
                    },
                )
                .await
                .map(|value| *value)
        }

        fn asked(&self) -> u32 {
            self.asked.load(Ordering::SeqCst)
        }
    }

    #[tokio::test]
    async fn a_fresh_value_is_not_asked_for_again() {
        let source = Source::new();
        assert_eq!(source.get(0, 0, Ok(1)).await, Ok(1));
        assert_eq!(source.get(3599, 0, Ok(2)).await, Ok(1));
        assert_eq!(source.get(3600, 0, Ok(2)).await, Ok(2));
        assert_eq!(source.asked(), 2);
    }

    #[tokio::test]
    async fn an_old_value_serves_through_an_outage_until_it_is_too_old() {
        let source = Source::new();
        source.get(0, 0, Ok(1)).await.unwrap();
        assert_eq!(source.get(86_399, 0, Err(Down)).await, Ok(1));
        assert_eq!(source.get(86_400, 0, Err(Down)).await, Err(Down));
        assert_eq!(source.asked(), 2);
        assert_eq!(source.get(86_405, 0, Err(Down)).await, Err(Down));
        assert_eq!(source.asked(), 3);
    }

    #[tokio::test]
    async fn an_unsatisfying_value_is_renewed_at_most_once_per_cool_down() {
        let source = Source::new();
        source.get(0, 0, Ok(1)).await.unwrap();
        for second in 1..61 {
            assert_eq!(source.get(second, 9, Ok(1)).await, Ok(1));
        }
        assert_eq!(source.asked(), 2);
        for second in 61..121 {
            assert_eq!(source.get(second, 9, Ok(1)).await, Ok(1));
        }
        assert_eq!(source.asked(), 3);
        assert_eq!(source.get(121, 9, Ok(9)).await, Ok(9));
    }

    #[tokio::test]
    async fn an_outage_from_the_start_is_asked_about_with_pauses() {
        let source = Source::new();
        assert_eq!(source.get(0, 0, Err(Down)).await, Err(Down));
        assert_eq!(source.get(4, 0, Ok(1)).await, Err(Down));
        assert_eq!(source.asked(), 1);
        assert_eq!(source.get(5, 0, Ok(1)).await, Ok(1));
    }

    #[tokio::test]
    async fn many_at_once_ask_once() {
        let source = Arc::new(Source::new());
        let tasks: Vec<_> = (0..50)
            .map(|_| {
                let source = Arc::clone(&source);
                tokio::spawn(async move { source.get(0, 0, Ok(1)).await })
            })
            .collect();
        for task in tasks {
            assert_eq!(task.await.unwrap(), Ok(1));
        }
        assert_eq!(source.asked(), 1);
    }

    #[tokio::test]
    async fn a_clock_that_is_set_back_does_not_block_the_next_attempt() {
        let source = Source::new();
        source.get(10_000, 0, Err(Down)).await.unwrap_err();
        assert_eq!(source.get(100, 0, Ok(1)).await, Ok(1));
    }
}
