//! What the routes work with.

use std::sync::Arc;

use axum::extract::FromRef;
use rollcall_admin::Admin;
use rollcall_bitbucket::{Bitbucket, CallBudget, ChunkSizes, Credential, Session};
use rollcall_domain::budget::{Allowance, Purpose};
use rollcall_store::budget::BudgetTable;

use crate::queue::SyncQueue;

/// Everything that the routes work with. Clones share it.
#[derive(Clone)]
pub struct App {
    /// Table, keys, clock, configuration.
    pub admin: Admin,
    /// Bitbucket, for the probe of a credential.
    pub bitbucket: Bitbucket,
    /// Where sync work is put.
    pub queue: Arc<dyn SyncQueue>,
}

impl FromRef<App> for Admin {
    fn from_ref(app: &App) -> Self {
        app.admin.clone()
    }
}

impl App {
    /// A session with a credential, within the budget that everybody shares who uses it. Somebody waits for the probe's answer, as at
    /// a sign-in.
    pub(crate) fn session(&self, credential: &Credential) -> Session {
        let store = self.admin.store();
        let table =
            BudgetTable::new(store.client().clone(), store.table(), credential.id(), Allowance::default());
        let clock = self.admin.clock();
        let budget = CallBudget::new(
            Arc::new(table),
            ChunkSizes { sign_in: 12, sync: 12 },
            Arc::new(move || clock.now()),
        );
        self.bitbucket.session(credential, &budget, Purpose::SignIn)
    }
}
