//! The handle on everything, and the state behind it.

use core::time::Duration;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::watch;

use crate::account::REGION;
use crate::bus::{Bus, Events};
use crate::clock::Clock;
use crate::fault::{Fault, Times};
use crate::mail::{Mailbox, Outbox};
use crate::queue::{Queues, Switchyard};
use crate::secrets::{Secrets, Vault};

/// All services of the account.
pub struct Aws {
    endpoint: String,
    world: Mutex<World>,
    changes: watch::Sender<u64>,
}

/// Everything that changes, behind one lock that is never held across an await.
#[derive(Default)]
pub(crate) struct World {
    pub(crate) vault: Vault,
    pub(crate) queues: Switchyard,
    pub(crate) bus: Bus,
    pub(crate) mailbox: Mailbox,
    clock: Clock,
    calls: Vec<Call>,
    faults: Vec<(String, Fault, Times)>,
}

/// One call of an operation, whether it was answered well or not.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Call {
    /// The operation: `GetSecretValue`, `SendMessageBatch`, `SendEmail`.
    pub operation: String,
    /// The request as it came. May hold secrets.
    pub request: Value,
    /// The status of the answer. 0 while it is not answered.
    pub status: u16,
}

impl Aws {
    pub(crate) fn new(endpoint: String) -> Self {
        Self { endpoint, world: Mutex::default(), changes: watch::Sender::new(0) }
    }

    /// Where to send calls: the value of `AWS_ENDPOINT_URL`.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// The variables with which any AWS SDK calls these services, and no others.
    pub fn environment(&self) -> Vec<(String, String)> {
        [
            ("AWS_ENDPOINT_URL", self.endpoint.as_str()),
            ("AWS_REGION", REGION),
            ("AWS_ACCESS_KEY_ID", "AKIDSTANDIN"),
            ("AWS_SECRET_ACCESS_KEY", "not-a-secret"),
            ("AWS_EC2_METADATA_DISABLED", "true"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .to_vec()
    }

    /// Secrets Manager.
    pub fn secrets(&self) -> Secrets<'_> {
        Secrets(self)
    }

    /// SQS.
    pub fn queues(&self) -> Queues<'_> {
        Queues(self)
    }

    /// The `EventBridge` buses.
    pub fn events(&self) -> Events<'_> {
        Events(self)
    }

    /// What SES has sent.
    pub fn mail(&self) -> Outbox<'_> {
        Outbox(self)
    }

    /// Puts a trouble before an operation, by its name (`GetSecretValue`). The troubles of one operation come one after another.
    pub fn fault(&self, operation: &str, fault: Fault, times: Times) {
        self.world().faults.push((operation.to_owned(), fault, times));
    }

    /// Takes every trouble away.
    pub fn heal(&self) {
        self.world().faults.clear();
    }

    /// What has been called so far, oldest first.
    pub fn calls(&self) -> Vec<Call> {
        self.world().calls.clone()
    }

    /// How often an operation has been called. Every attempt counts.
    pub fn count(&self, operation: &str) -> usize {
        self.world().calls.iter().filter(|call| call.operation == operation).count()
    }

    /// Empties the log of calls.
    pub fn forget_calls(&self) {
        self.world().calls.clear();
    }

    /// Milliseconds since 1970, on the clock of these services.
    pub fn now(&self) -> i64 {
        self.world().clock.now()
    }

    /// Lets the clock stand at a time, in milliseconds since 1970.
    pub fn set_clock(&self, at: i64) {
        self.world().clock = Clock::Standing(at);
        self.changed();
    }

    /// Moves the clock ahead.
    pub fn advance_clock(&self, by: Duration) {
        self.world().clock.advance(i64::try_from(by.as_millis()).unwrap_or(i64::MAX));
        self.changed();
    }

    /// Looks whenever something has changed (a call, a message, a mail, the clock), until there is what is looked for. `None` if
    /// it has not come within `patience`.
    pub async fn wait_for<T>(
        &self,
        patience: Duration,
        mut look: impl FnMut(&Self) -> Option<T>,
    ) -> Option<T> {
        let mut changes = self.changes.subscribe();
        let found = async {
            loop {
                if let Some(found) = look(self) {
                    return found;
                }
                if changes.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
            }
        };
        tokio::time::timeout(patience, found).await.ok()
    }

    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells whoever waits that something has changed.
    pub(crate) fn changed(&self) {
        self.changes.send_modify(|number| *number += 1);
    }

    /// Writes a call down, and takes the trouble that it is to have.
    pub(crate) fn begin(&self, operation: &str, request: &Value) -> (usize, Option<Fault>) {
        let mut world = self.world();
        world.calls.push(Call::began(operation, request));
        let begun = (world.calls.len() - 1, world.take_fault(operation));
        drop(world);
        self.changed();
        begun
    }

    pub(crate) fn end(&self, place: usize, status: u16) {
        // The log may have been emptied meanwhile.
        if let Some(call) = self.world().calls.get_mut(place) {
            call.status = status;
        }
        self.changed();
    }
}

impl World {
    fn take_fault(&mut self, operation: &str) -> Option<Fault> {
        let at = self.faults.iter().position(|(name, _, _)| name == operation)?;
        let (_, fault, times) = &mut self.faults[at];
        let fault = fault.clone();
        match times {
            Times::Always => {}
            Times::Next(0 | 1) => {
                self.faults.remove(at);
            }
            Times::Next(left) => *left -= 1,
        }
        Some(fault)
    }
}

/// A handle that can be handed on.
pub type SharedAws = Arc<Aws>;
