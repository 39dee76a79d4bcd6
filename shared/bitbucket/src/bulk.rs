//! The same question about many things.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use futures_util::{StreamExt as _, stream};

use crate::error::Error;
use crate::session::Session;

impl Session {
    /// Asks about each of them, as many at once as may be under way, and gives each its own answer.
    ///
    /// Where an error concerns all of them (a pause, an empty budget, a missing scope), the rest are not asked and get that error.
    pub(crate) async fn each<I, K: Ord, V, F>(
        &self,
        items: impl IntoIterator<Item = I>,
        key: impl Fn(&I) -> K,
        each: impl Fn(I) -> F,
    ) -> BTreeMap<K, Result<V, Error>>
    where
        F: Future<Output = Result<V, Error>>,
    {
        let stopped: Mutex<Option<Error>> = Mutex::new(None);
        stream::iter(items)
            .map(|item| {
                let (key, stopped, asked) = (key(&item), &stopped, each(item));
                async move {
                    let before = stopped.lock().unwrap_or_else(PoisonError::into_inner).clone();
                    if let Some(error) = before {
                        return (key, Err(error));
                    }
                    let answer = asked.await;
                    if let Err(error) = &answer
                        && concerns_all(error)
                    {
                        *stopped.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.clone());
                    }
                    (key, answer)
                }
            })
            .buffer_unordered(self.limits().in_flight.max(1))
            .collect()
            .await
    }
}

fn concerns_all(error: &Error) -> bool {
    match error {
        Error::Forbidden { missing, .. } => !missing.is_empty(),
        Error::Unauthorized { .. } | Error::Gone { .. } | Error::BudgetUnavailable { .. } => true,
        other => other.wait_until().is_some(),
    }
}
