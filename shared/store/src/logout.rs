//! Ending a browser session, and what applications were given in it; or all of them at once.

use rollcall_domain::member::Member;
use rollcall_domain::{GrantId, SessionId, Timestamp, TokenHash};
use serde::{Deserialize, Serialize};

use crate::error::StoreError;
use crate::members::put_member;
use crate::transaction::{MOST_ITEMS, Record, When};
use crate::{Store, keys};

#[derive(Serialize, Deserialize)]
struct Ended {}

/// A session that is ended: its id, the key of its row if that is still there, and until when a grant that was given in it could live.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EndedSession {
    /// Its id.
    pub id: SessionId,
    /// The hash of its token.
    pub hash: Option<TokenHash>,
    /// Until when it is remembered.
    pub until: Timestamp,
}

impl Store {
    /// Ends a session and the grants that were given in it, however many there are: the transaction that removes it writes that it is
    /// ended, and whatever stands on a grant asks for that. Removing the grants is tidying up.
    pub async fn end_session_and_grants(
        &self,
        session: EndedSession,
        grants: &[GrantId],
        record: Record,
    ) -> Result<(), StoreError> {
        let mut transaction = self.transaction();
        if let Some(hash) = session.hash {
            transaction.delete("session", &keys::session(hash), When::Always)?;
        }
        let ended = keys::session_ended(session.id);
        transaction.put("ended session", &ended, &Ended {}, Some(session.until), When::Always)?;
        transaction.record(record)?;
        let room = MOST_ITEMS.saturating_sub(transaction.len()).min(grants.len());
        let (first, rest) = grants.split_at(room);
        for grant in first {
            transaction.delete("grant", &keys::grant(*grant), When::Always)?;
        }
        transaction.commit().await?;
        for grant in rest {
            self.revoke_family(*grant).await?;
        }
        Ok(())
    }

    /// Whether a session was ended before its time. One read.
    pub async fn is_session_ended(&self, session: SessionId) -> Result<bool, StoreError> {
        Ok(self.get_item(&keys::session_ended(session)).await?.is_some())
    }

    /// Writes a member whose epoch was raised because they wished it: their sessions and grants are void with it. What they have issued,
    /// and what waits for them, stays.
    pub async fn sign_out_everywhere(
        &self,
        member: &Member,
        before: &Member,
        record: Record,
    ) -> Result<(), StoreError> {
        let mut transaction = self.transaction();
        put_member(&mut transaction, member, Some(before))?;
        transaction.record(record)?;
        transaction.commit().await
    }
}
