//! What is kept of a code and of a grant: their records, and the session they were given in.

use rollcall_domain::{Timestamp, TokenHash};
use serde::{Deserialize, Serialize};

use super::{CodeRecord, RefreshFamily, RefreshLimits};
use crate::session::SessionLimits;

/// What is kept of a code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CodeRow {
    /// The code's record.
    #[serde(flatten)]
    pub record: CodeRecord,
    /// The key of the browser session that it was given in.
    pub session_hash: TokenHash,
}

/// What is kept of a grant, from the moment its code is redeemed: whether or not the application holds a refresh token.
///
/// The row is what access tokens and refresh tokens stand on: when it is gone, all of them are refused. It also tells which
/// applications are to hear of a logout.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GrantRow {
    /// The family of refresh tokens. Its first token is given away only for the scope `offline_access`.
    #[serde(flatten)]
    pub family: RefreshFamily,
    /// The key of the browser session that it was given in.
    pub session_hash: TokenHash,
}

impl GrantRow {
    /// Whether it outlives the browser session's limits.
    pub fn is_offline(&self) -> bool {
        self.family.grant.scopes.offline_access
    }

    /// When the row is of no use any more.
    pub fn ends_at(&self, sessions: SessionLimits) -> Timestamp {
        if self.is_offline() {
            self.family.ends_at(RefreshLimits::default())
        } else {
            self.family.created_at.plus(sessions.absolute)
        }
    }

    /// When the code that it came from need not be remembered any more: as long as it can live, a second use has to be noticed.
    pub fn code_kept_until(&self, sessions: SessionLimits) -> Timestamp {
        if self.is_offline() {
            self.family.created_at.plus(RefreshLimits::default().absolute)
        } else {
            self.family.created_at.plus(sessions.absolute)
        }
    }
}
