//! Ending a browser session, and what applications were given in it.

use rollcall_domain::{GrantId, TokenHash};

use crate::error::StoreError;
use crate::transaction::{MOST_ITEMS, Record, When};
use crate::{Store, keys};

impl Store {
    /// Ends a session and the grants that were given in it. The session goes in the first transaction, with the record and as many of
    /// the grants as fit: nobody is left signed in with their grants gone.
    pub async fn end_session_and_grants(
        &self,
        session: TokenHash,
        grants: &[GrantId],
        record: Record,
    ) -> Result<(), StoreError> {
        let mut transaction = self.transaction();
        transaction.delete("session", &keys::session(session), When::Always)?;
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
}
