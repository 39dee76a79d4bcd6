//! Browser sessions, under the hash of their token; and the list of each member's.

use rollcall_domain::member::Member;
use rollcall_domain::{MemberId, Timestamp, TokenHash, WorkspaceId};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::error::StoreError;
use crate::transaction::{Transaction, When};
use crate::{Store, keys};

#[derive(Serialize, Deserialize)]
struct Entry {
    session: TokenHash,
}

/// Adds a new session to a transaction.
pub(crate) fn put_session<S: Serialize>(
    transaction: &mut Transaction<'_>,
    hash: TokenHash,
    session: &S,
    member: &Member,
    ends: Timestamp,
) -> Result<(), StoreError> {
    transaction.put("session", &keys::session(hash), session, Some(ends), When::New)?;
    let entry = keys::Key::new(keys::member_sessions(member.workspace, member.id), hash.to_string());
    transaction.put("session's entry", &entry, &Entry { session: hash }, Some(ends), When::Always)
}

impl Store {
    /// A session. Whether it still holds is the caller's to check, against the clock and the member.
    pub async fn session<S: DeserializeOwned>(&self, hash: TokenHash) -> Result<Option<S>, StoreError> {
        self.get(&keys::session(hash)).await
    }

    /// Notes the use of a session that is there.
    pub async fn touch_session<S: Serialize>(
        &self,
        hash: TokenHash,
        session: &S,
        ends: Timestamp,
    ) -> Result<(), StoreError> {
        let mut transaction = self.transaction();
        transaction.put("session", &keys::session(hash), session, Some(ends), When::Exists)?;
        transaction.commit().await
    }

    /// Ends a session: its row is gone.
    pub async fn end_session(&self, hash: TokenHash) -> Result<(), StoreError> {
        let mut transaction = self.transaction();
        transaction.delete("session", &keys::session(hash), When::Always)?;
        transaction.commit().await
    }

    /// A member's sessions with their hashes, those included that do not hold any more.
    pub async fn sessions_of<S: DeserializeOwned>(
        &self,
        workspace: WorkspaceId,
        member: MemberId,
    ) -> Result<Vec<(TokenHash, S)>, StoreError> {
        let entries: Vec<Entry> = self.query_all(&keys::member_sessions(workspace, member)).await?;
        let found =
            entries.iter().map(async |entry| Ok((entry.session, self.session::<S>(entry.session).await?)));
        let found: Vec<(TokenHash, Option<S>)> = futures_util::future::try_join_all(found).await?;
        Ok(found.into_iter().filter_map(|(hash, session)| session.map(|session| (hash, session))).collect())
    }
}
