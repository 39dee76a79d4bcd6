//! What applications hold: authorization codes and families of refresh tokens, under hashes and ids; and login states that were used.

use aws_sdk_dynamodb::types::AttributeValue;
use rollcall_domain::{GrantId, MemberId, Timestamp, TokenHash, WorkspaceId};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::error::StoreError;
use crate::transaction::When;
use crate::{Store, keys};

#[derive(Serialize, Deserialize)]
struct Used {}

#[derive(Serialize, Deserialize)]
struct Entry {
    grant: GrantId,
}

impl Store {
    /// Marks a login's state as used. `false`: it was used before.
    pub async fn use_login_state(&self, marker: TokenHash, ends: Timestamp) -> Result<bool, StoreError> {
        let mut transaction = self.transaction();
        transaction.put("login state", &keys::login_state(marker), &Used {}, Some(ends), When::New)?;
        match transaction.commit().await {
            Ok(()) => Ok(true),
            Err(error) if error.is_conflict() => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Keeps a new authorization code.
    pub async fn put_code<C: Serialize>(
        &self,
        hash: TokenHash,
        code: &C,
        ends: Timestamp,
    ) -> Result<(), StoreError> {
        let mut transaction = self.transaction();
        transaction.put("code", &keys::code(hash), code, Some(ends), When::New)?;
        transaction.commit().await
    }

    /// A code. Whether it still holds is the caller's to check.
    pub async fn code<C: DeserializeOwned>(&self, hash: TokenHash) -> Result<Option<C>, StoreError> {
        self.get(&keys::code(hash)).await
    }

    /// Redeems a code: `redeemed` replaces it, on condition that its `redeemed_at` is still empty. `false`: somebody was faster. The
    /// grant's family of refresh tokens begins with it, on condition that the browser session is still there: a logout at the same
    /// moment leaves nothing behind. A conflict about `session` tells that it is gone.
    pub async fn redeem_code<C: Serialize, F: Serialize>(
        &self,
        hash: TokenHash,
        redeemed: &C,
        kept_until: Timestamp,
        session: TokenHash,
        (grant, workspace, member, family, ends): (GrantId, WorkspaceId, MemberId, &F, Timestamp),
    ) -> Result<bool, StoreError> {
        let mut transaction = self.transaction();
        let unused = When::Is("redeemed_at", AttributeValue::Null(true));
        transaction.put("code", &keys::code(hash), redeemed, Some(kept_until), unused)?;
        transaction.check("session", &keys::session(session), When::Exists)?;
        transaction.put("grant", &keys::grant(grant), family, Some(ends), When::New)?;
        let entry = keys::Key::new(keys::member_grants(workspace, member), grant.to_string());
        transaction.put("grant's entry", &entry, &Entry { grant }, Some(ends), When::Always)?;
        match transaction.commit().await {
            Ok(()) => Ok(true),
            Err(StoreError::Conflict { what: "code" }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// A family of refresh tokens.
    pub async fn family<F: DeserializeOwned>(&self, grant: GrantId) -> Result<Option<F>, StoreError> {
        self.get(&keys::grant(grant)).await
    }

    /// Rotates a family, on condition that its current token is still this one. `false`: somebody was faster.
    pub async fn rotate_family<F: Serialize>(
        &self,
        grant: GrantId,
        family: &F,
        current: TokenHash,
        ends: Timestamp,
    ) -> Result<bool, StoreError> {
        let mut transaction = self.transaction();
        let unchanged = When::Is("current", AttributeValue::S(current.to_string()));
        transaction.put("grant", &keys::grant(grant), family, Some(ends), unchanged)?;
        match transaction.commit().await {
            Ok(()) => Ok(true),
            Err(error) if error.is_conflict() => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Revokes a family: its row is gone, and every token of it with it.
    pub async fn revoke_family(&self, grant: GrantId) -> Result<(), StoreError> {
        let mut transaction = self.transaction();
        transaction.delete("grant", &keys::grant(grant), When::Always)?;
        transaction.commit().await
    }

    /// A member's families, those included that do not hold any more.
    pub async fn families_of<F: DeserializeOwned>(
        &self,
        workspace: WorkspaceId,
        member: MemberId,
    ) -> Result<Vec<F>, StoreError> {
        let entries: Vec<Entry> = self.query_all(&keys::member_grants(workspace, member)).await?;
        let wanted: Vec<_> = entries.into_iter().map(|entry| keys::grant(entry.grant)).collect();
        self.get_many(&wanted).await
    }
}
