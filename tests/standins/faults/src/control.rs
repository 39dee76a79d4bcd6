//! How a test makes the service fail: in the same process with [`Control`], from another one over HTTP.
//!
//! | request | does |
//! |---|---|
//! | `POST /_control/rules` | `{"matching": {"kind": "write"}, "when": {"nth": 3}, "act": "drop"}` ([`Matching`], [`When`], [`Act`]); answers with the rule's id |
//! | `DELETE /_control/rules/{id}` | takes a rule away |
//! | `DELETE /_control/rules` | takes all rules away, and lifts a crash |
//! | `POST /_control/lift` | the service is back after a crash |
//! | `GET`, `DELETE /_control/calls` | every [`Call`]; empties the ledger |
//! | `GET /_control/totals` | [`Totals`] by operation |

use core::time::Duration;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http::{Method, Response, StatusCode, header};
use http_body_util::Full;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::ledger::{Call, Ledger, Totals};
use crate::rule::{Act, Matching, RuleId, Rules, When};

/// A handle on a running proxy. Clones are the same proxy.
#[derive(Clone)]
pub struct Control(Arc<Shared>);

struct Shared {
    url: String,
    state: Mutex<State>,
    changes: watch::Sender<u64>,
}

/// Everything that changes, behind one lock that is never held across an await.
pub(crate) struct State {
    pub(crate) rules: Rules,
    pub(crate) ledger: Ledger,
    pub(crate) crashed: bool,
    pub(crate) ask_for_capacity: bool,
}

impl Control {
    pub(crate) fn new(url: String) -> Self {
        let state =
            State { rules: Rules::default(), ledger: Ledger::new(), crashed: false, ask_for_capacity: false };
        Self(Arc::new(Shared { url, state: Mutex::new(state), changes: watch::Sender::new(0) }))
    }

    /// Where to send what is for the service.
    pub fn url(&self) -> &str {
        &self.0.url
    }

    /// Makes a rule. Rules act in the order in which they were made; each counts for itself.
    pub fn add(&self, matching: Matching, when: When, act: Act) -> RuleId {
        self.state().rules.add(matching, when, act)
    }

    /// Takes a rule away; what waits because of it goes on. Whether it was there.
    pub fn remove(&self, rule: RuleId) -> bool {
        let was_there = self.state().rules.remove(rule);
        self.changed();
        was_there
    }

    /// Takes all rules away, and lifts a crash.
    pub fn heal(&self) {
        let mut state = self.state();
        state.rules.clear();
        state.crashed = false;
        drop(state);
        self.changed();
    }

    /// How many requests a rule has matched so far, whether it was its time or not.
    pub fn matched(&self, rule: RuleId) -> u64 {
        self.state().rules.matched(rule)
    }

    /// Whether the service is gone.
    pub fn is_crashed(&self) -> bool {
        self.state().crashed
    }

    /// The service is back. Rules stay, with their counts.
    pub fn lift(&self) {
        self.state().crashed = false;
        self.changed();
    }

    /// Every call so far, in the order of arrival.
    pub fn calls(&self) -> Vec<Call> {
        self.state().ledger.calls().to_vec()
    }

    /// Sums over all calls.
    pub fn totals(&self) -> Totals {
        self.state().ledger.totals(|_| true)
    }

    /// Sums over the calls of an operation.
    pub fn totals_of(&self, operation: &str) -> Totals {
        self.state().ledger.totals(|call| call.operation == operation)
    }

    /// Sums for each operation.
    pub fn totals_by_operation(&self) -> BTreeMap<String, Totals> {
        self.state().ledger.totals_by_operation()
    }

    /// How many finished calls came one after another at most. Calls that overlap count once.
    pub fn sequential_round_trips(&self) -> usize {
        self.state().ledger.sequential(|_| true)
    }

    /// The same, of one operation's calls only.
    pub fn sequential_of(&self, operation: &str) -> usize {
        self.state().ledger.sequential(|call| call.operation == operation)
    }

    /// Empties the ledger. Rules keep their counts.
    pub fn forget_calls(&self) {
        self.state().ledger.forget();
    }

    /// Whether `DynamoDB` is asked for the capacity units of every call, without the caller noticing.
    pub fn ask_for_capacity(&self, ask: bool) {
        self.state().ask_for_capacity = ask;
    }

    /// Looks whenever something has changed (a call came or ended, a rule went), until there is what is looked for. `None` if it
    /// has not come within `patience`.
    pub async fn wait_for<T>(
        &self,
        patience: Duration,
        mut look: impl FnMut(&Self) -> Option<T>,
    ) -> Option<T> {
        let mut changes = self.0.changes.subscribe();
        let found = async {
            loop {
                if let Some(found) = look(self) {
                    return found;
                }
                // The sender lives as long as this handle.
                let _ = changes.changed().await;
            }
        };
        tokio::time::timeout(patience, found).await.ok()
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn changed(&self) {
        self.0.changes.send_modify(|number| *number += 1);
    }

    /// Until a rule is gone.
    pub(crate) async fn gone(&self, rule: RuleId) {
        let mut changes = self.0.changes.subscribe();
        while self.state().rules.contains(rule) {
            let _ = changes.changed().await;
        }
    }
}

#[derive(Deserialize)]
struct PutRule {
    #[serde(default)]
    matching: Matching,
    when: When,
    act: Act,
}

/// Answers what is under `/_control/`; `path` is the rest.
pub(crate) fn answer(control: &Control, method: &Method, path: &str, body: &[u8]) -> Response<Full<Bytes>> {
    let done = (StatusCode::OK, Value::Null);
    let (status, document) = match (method.as_str(), path) {
        ("POST", "rules") => match serde_json::from_slice::<PutRule>(body) {
            Ok(rule) => {
                let id = control.add(rule.matching, rule.when, rule.act);
                (StatusCode::CREATED, json!({"id": id}))
            }
            Err(error) => (StatusCode::BAD_REQUEST, json!({"error": error.to_string()})),
        },
        ("DELETE", "rules") => {
            control.heal();
            done
        }
        ("POST", "lift") => {
            control.lift();
            done
        }
        ("GET", "calls") => (StatusCode::OK, json!(control.calls())),
        ("DELETE", "calls") => {
            control.forget_calls();
            done
        }
        ("GET", "totals") => (StatusCode::OK, json!(control.totals_by_operation())),
        ("DELETE", other) => {
            let rule = other.strip_prefix("rules/").and_then(|id| id.parse().ok()).map(RuleId);
            if rule.is_some_and(|rule| control.remove(rule)) {
                done
            } else {
                (StatusCode::NOT_FOUND, Value::Null)
            }
        }
        _ => (StatusCode::NOT_FOUND, Value::Null),
    };
    Response::builder()
        .status(status)
        .header(header::CONTENT_TYPE, "application/json")
        .body(Full::from(document.to_string()))
        .expect("a status and a header field")
}
