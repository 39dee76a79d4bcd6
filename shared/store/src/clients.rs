//! OpenID and machine clients. What a client is, the identity crate says: here it is a value with an id.

use rollcall_domain::ClientId;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::StoreError;
use crate::reading::{Page, Position};
use crate::transaction::{Record, When};
use crate::{Store, invites, keys};

impl Store {
    /// Keeps a new client.
    pub async fn create_client<C: Serialize>(
        &self,
        id: ClientId,
        client: &C,
        record: Record,
    ) -> Result<(), StoreError> {
        let mut transaction = self.transaction();
        transaction.put("client", &keys::client(id), client, None, When::New)?;
        transaction.record(record)?;
        transaction.commit().await
    }

    /// A client.
    pub async fn openid_client<C: DeserializeOwned>(&self, id: ClientId) -> Result<Option<C>, StoreError> {
        self.get(&keys::client(id)).await
    }

    /// A page of the clients. One query.
    pub async fn openid_clients<C: DeserializeOwned>(
        &self,
        after: Option<&Position>,
        limit: usize,
    ) -> Result<Page<C>, StoreError> {
        self.query_page(keys::CLIENTS, "", after, limit, true).await
    }

    /// Removes a client. What it holds is refused from then on, because the client is asked for at each use; the pending invites that it
    /// has issued are void.
    pub async fn delete_client(&self, id: ClientId, record: Record) -> Result<(), StoreError> {
        let mut transaction = self.transaction();
        transaction.delete("client", &keys::client(id), When::Exists)?;
        if let Some(entry) = record.audit.first() {
            invites::void_issued_by_machine(&mut transaction, id, entry.at)?;
        }
        transaction.record(record)?;
        transaction.commit().await
    }
}
