//! Connections: one workspace ↔ one Bitbucket workspace, under any concurrency.
//!
//! The claim, an item under the Bitbucket workspace's UUID, makes one direction unique; the connection's own key the other. Both
//! are written in one transaction.

use rollcall_domain::WorkspaceId;
use rollcall_domain::bitbucket::BitbucketWorkspaceUuid;
use rollcall_domain::connection::Connection;
use serde::{Deserialize, Serialize};

use crate::error::StoreError;
use crate::reading::{Page, Position};
use crate::transaction::{Record, When};
use crate::{Store, keys};

/// A connection with its credential.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Connected {
    /// The connection.
    #[serde(flatten)]
    pub connection: Connection,
    /// Its credential, sealed and bound to the workspace.
    pub sealed_credential: String,
}

#[derive(Serialize, Deserialize)]
struct Claim {
    workspace: WorkspaceId,
}

/// The name of the claim in a conflict: the Bitbucket workspace is connected to another workspace.
pub const CLAIM: &str = "Bitbucket workspace";

impl Store {
    /// Connects: the first connection of a workspace, a new credential, new settings, or a connection after a disconnection.
    ///
    /// `version` in it is the one it was read at, 0 for none; it rises by one. A conflict about [`CLAIM`] means that the Bitbucket
    /// workspace belongs to another workspace. `before` is the Bitbucket workspace that was connected until now, if it is another.
    pub async fn connect(
        &self,
        connected: &Connected,
        before: Option<BitbucketWorkspaceUuid>,
        record: Record,
    ) -> Result<(), StoreError> {
        let connection = &connected.connection;
        let workspace = connection.workspace;
        let mine = aws_sdk_dynamodb::types::AttributeValue::S(workspace.to_string());
        let mut changed = connected.clone();
        changed.connection.version += 1;
        let mut transaction = self.transaction();
        let claim = keys::claim(connection.bitbucket);
        transaction.put(
            CLAIM,
            &claim,
            &Claim { workspace },
            None,
            When::NewOrIs("workspace", mine.clone()),
        )?;
        if let Some(before) = before.filter(|before| *before != connection.bitbucket) {
            transaction.delete("former claim", &keys::claim(before), When::NewOrIs("workspace", mine))?;
        }
        let key = keys::connection(workspace);
        transaction.put("connection", &key, &changed, None, When::Version(connection.version))?;
        transaction.record(record)?;
        transaction.commit().await
    }

    /// Changes a connection without touching its claim: settings, health, slug. `version` in it is the one it was read at.
    pub async fn update_connection(&self, connected: &Connected, record: Record) -> Result<(), StoreError> {
        let mut changed = connected.clone();
        changed.connection.version += 1;
        let mut transaction = self.transaction();
        let key = keys::connection(connected.connection.workspace);
        transaction.put("connection", &key, &changed, None, When::Version(connected.connection.version))?;
        transaction.record(record)?;
        transaction.commit().await
    }

    /// Disconnects: the claim is given up, the mirror stays. `connected` is the connection as it is to be.
    pub async fn disconnect(&self, connected: &Connected, record: Record) -> Result<(), StoreError> {
        let mut changed = connected.clone();
        changed.connection.version += 1;
        let connection = &connected.connection;
        let mine = aws_sdk_dynamodb::types::AttributeValue::S(connection.workspace.to_string());
        let mut transaction = self.transaction();
        transaction.delete(CLAIM, &keys::claim(connection.bitbucket), When::NewOrIs("workspace", mine))?;
        let key = keys::connection(connection.workspace);
        transaction.put("connection", &key, &changed, None, When::Version(connection.version))?;
        transaction.record(record)?;
        transaction.commit().await
    }

    /// The connection of a workspace.
    pub async fn connection(&self, workspace: WorkspaceId) -> Result<Option<Connected>, StoreError> {
        self.get(&keys::connection(workspace)).await
    }

    /// The workspace that a Bitbucket workspace is connected to.
    pub async fn connected_to(
        &self,
        bitbucket: BitbucketWorkspaceUuid,
    ) -> Result<Option<WorkspaceId>, StoreError> {
        Ok(self.get::<Claim>(&keys::claim(bitbucket)).await?.map(|claim| claim.workspace))
    }

    /// A page of all connections, for the schedule. One query.
    pub async fn connections(
        &self,
        after: Option<&Position>,
        limit: usize,
    ) -> Result<Page<Connected>, StoreError> {
        self.query_page(keys::CONNECTIONS, "", after, limit, true).await
    }
}
