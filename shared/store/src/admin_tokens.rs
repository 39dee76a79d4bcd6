//! Admin tokens: found by the hash of the token, listed and revoked by their id.

use rollcall_domain::audit::Actor;
use rollcall_domain::authority::{Access, Reach};
use rollcall_domain::{Timestamp, TokenHash, TokenId};
use serde::{Deserialize, Serialize};

use crate::error::StoreError;
use crate::reading::{Page, Position};
use crate::transaction::{Record, When};
use crate::{Store, invites, keys};

/// An admin token, without the token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdminToken {
    /// Its id.
    pub id: TokenId,
    /// What it is called.
    pub name: String,
    /// The hash of the token.
    pub hash: TokenHash,
    /// How far it reaches.
    pub reach: Reach,
    /// What it may do there.
    pub access: Access,
    /// Who made it.
    pub made_by: Actor,
    /// When.
    pub created_at: Timestamp,
    /// Until when it holds; `None`: until it is revoked.
    pub expires_at: Option<Timestamp>,
    /// When it was last used, to the hour.
    pub used_at: Option<Timestamp>,
}

impl Store {
    /// Keeps a new token.
    pub async fn create_admin_token(&self, token: &AdminToken, record: Record) -> Result<(), StoreError> {
        let mut transaction = self.transaction();
        transaction.put("admin token", &keys::admin_token(token.hash), token, token.expires_at, When::New)?;
        transaction.put(
            "admin token's entry",
            &keys::admin_token_entry(token.id),
            token,
            token.expires_at,
            When::New,
        )?;
        transaction.record(record)?;
        transaction.commit().await
    }

    /// A token that holds at this moment, by its hash.
    pub async fn admin_token(
        &self,
        hash: TokenHash,
        now: Timestamp,
    ) -> Result<Option<AdminToken>, StoreError> {
        let token: Option<AdminToken> = self.get(&keys::admin_token(hash)).await?;
        Ok(token.filter(|token| {
            token.hash.matches(&hash) && token.expires_at.is_none_or(|end| !end.has_passed(now))
        }))
    }

    /// A token by its id.
    pub async fn admin_token_by_id(&self, id: TokenId) -> Result<Option<AdminToken>, StoreError> {
        self.get(&keys::admin_token_entry(id)).await
    }

    /// Notes the use of a token that is still there.
    pub async fn note_admin_token_use(&self, token: &AdminToken, now: Timestamp) -> Result<(), StoreError> {
        let used = AdminToken { used_at: Some(now), ..token.clone() };
        let mut transaction = self.transaction();
        transaction.put(
            "admin token",
            &keys::admin_token(token.hash),
            &used,
            token.expires_at,
            When::Exists,
        )?;
        transaction.put(
            "admin token's entry",
            &keys::admin_token_entry(token.id),
            &used,
            token.expires_at,
            When::Exists,
        )?;
        transaction.commit().await
    }

    /// Revokes a token, and with it every pending invite that was issued with it.
    pub async fn revoke_admin_token(&self, token: &AdminToken, record: Record) -> Result<(), StoreError> {
        let mut transaction = self.transaction();
        transaction.delete("admin token", &keys::admin_token(token.hash), When::Exists)?;
        transaction.delete("admin token's entry", &keys::admin_token_entry(token.id), When::Exists)?;
        if let Some(entry) = record.audit.first() {
            invites::void_issued_by_machine(&mut transaction, token.id, entry.at)?;
        }
        transaction.record(record)?;
        transaction.commit().await
    }

    /// A page of the tokens. One query.
    pub async fn admin_tokens(
        &self,
        after: Option<&Position>,
        limit: usize,
    ) -> Result<Page<AdminToken>, StoreError> {
        self.query_page(keys::ADMIN_TOKENS, "", after, limit, true).await
    }
}
