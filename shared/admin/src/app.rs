//! What every handler behind the admin API works with.

use std::sync::Arc;

use rollcall_domain::audit::AuditEntry;
use rollcall_domain::event::{Event, EventKind};
use rollcall_domain::{Timestamp, WorkspaceId};
use rollcall_service::clock::Clock;
use rollcall_service::config::Config;
use rollcall_service::random::{self, Id, Random};
use rollcall_service::secrets::Secrets;
use rollcall_store::Store;
use rollcall_store::workspaces::Workspace;
use serde_json::Value;

use crate::caller::{Act, Caller};
use crate::failure::Failure;
use crate::keys::{Keyring, Keys};

struct Inner {
    config: Config,
    store: Store,
    keyring: Keyring,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
}

/// Configuration, table, keys, clock and randomness. Clones share them.
#[derive(Clone)]
pub struct Admin(Arc<Inner>);

impl Admin {
    /// From what `main` has built.
    pub fn new(
        config: Config,
        store: Store,
        secrets: Arc<Secrets>,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
    ) -> Self {
        let keyring = Keyring::new(secrets, config.public_url.as_str());
        Self(Arc::new(Inner { config, store, keyring, clock, random }))
    }

    /// The configuration.
    pub fn config(&self) -> &Config {
        &self.0.config
    }

    /// The table.
    pub fn store(&self) -> &Store {
        &self.0.store
    }

    /// The keys of the deployment secret as it is now.
    pub async fn keys(&self) -> Result<Arc<Keys>, Failure> {
        Ok(self.0.keyring.current().await?)
    }

    /// The present moment.
    pub fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    /// The clock.
    pub fn clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.0.clock)
    }

    /// The random source.
    pub fn random(&self) -> &dyn Random {
        &*self.0.random
    }

    /// A new id.
    pub fn new_id<I: Id>(&self, now: Timestamp) -> I {
        I::from_time_and_random(now, random::bytes(&*self.0.random))
    }

    /// The audit entry of something that a caller has done.
    pub fn audit(&self, caller: &Caller, now: Timestamp, act: Act<'_>) -> AuditEntry {
        caller.audit(self.new_id(now), now, act)
    }

    /// An event.
    pub fn event(
        &self,
        workspace: WorkspaceId,
        kind: EventKind,
        now: Timestamp,
        subject: String,
        data: Value,
    ) -> Event {
        Event { id: self.new_id(now), workspace, kind, at: now, subject, data }
    }

    /// A workspace that has to be there.
    pub async fn workspace(&self, id: WorkspaceId) -> Result<Workspace, Failure> {
        Ok(self.store().workspace(id).await?.ok_or_else(rollcall_service::web::Problem::not_found)?)
    }
}
