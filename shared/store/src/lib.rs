//! DynamoDB: one table, one file for each aggregate, every write conditional.
//!
//! Whatever is decided is decided on the base table, read strongly consistent: there is no index. A change, its audit entries and
//! its events are one transaction ([`Transaction`]), so that neither is ever without the others. What expires carries a `ttl`, and
//! is checked by the clock all the same: DynamoDB deletes late.

mod admin_tokens;
mod audit;
pub mod budget;
mod clients;
pub mod connections;
mod coverage;
pub mod deliveries;
mod error;
pub mod events;
mod idempotency;
mod invites;
mod issuing;
mod item;
mod keys;
mod lease;
mod logout;
mod lookup;
pub mod members;
pub mod mirror;
mod rates;
mod reading;
mod refusals;
pub mod runs;
pub mod schema;
mod sessions;
#[cfg(feature = "testing")]
pub mod testing;
mod tokens;
mod transaction;
pub mod workspaces;
mod writer;

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_dynamodb::Client;

pub use admin_tokens::AdminToken;
pub use coverage::CoverageRow;
pub use error::StoreError;
pub use idempotency::Remembered;
pub use issuing::{ISSUER, NewInvite};
pub use keys::Key;
pub use lease::Lease;
pub use logout::EndedSession;
pub use reading::{Page, Position};
pub use refusals::RefusedSignIn;
pub use transaction::{Numbering, Record, Transaction, When};
pub use writer::{Applied, Context, Stop};

/// The table. Clones share the client.
#[derive(Debug, Clone)]
pub struct Store {
    client: Client,
    table: Arc<str>,
    audit_kept: Option<Duration>,
}

impl Store {
    /// The store in a table that exists.
    pub fn new(client: Client, table: impl Into<Arc<str>>) -> Self {
        Self { client, table: table.into(), audit_kept: None }
    }

    /// Keeps each entry of the audit trail that is written from now on for so long; `None`: for ever.
    #[must_use]
    pub fn keeping_audit(self, audit_kept: Option<Duration>) -> Self {
        Self { audit_kept, ..self }
    }

    /// The client, for what is no part of an aggregate.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The table's name.
    pub fn table(&self) -> &str {
        &self.table
    }
}
