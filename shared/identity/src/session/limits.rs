//! When a session ends.

use core::time::Duration;

use rollcall_domain::identity::Provider;
use rollcall_domain::{MemberId, SessionId, Timestamp, WorkspaceId};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::FailedCheck;

/// How long a session lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionLimits {
    /// After this long without use it ends.
    pub idle: Duration,
    /// After this long it ends, however much it is used.
    pub absolute: Duration,
    /// A use is written down only if the last one that was is older than this: a page that loads ten things makes one write.
    pub write_use_after: Duration,
}

impl Default for SessionLimits {
    fn default() -> Self {
        Self {
            idle: Duration::from_hours(8),
            absolute: Duration::from_hours(24),
            write_use_after: Duration::from_mins(1),
        }
    }
}

/// Why a session does not let anybody in any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum SessionEnded {
    /// Signed out, or ended by its owner or an admin.
    #[error("the session was ended; sign in again")]
    Ended,
    /// Not used for too long.
    #[error("the session was not used for too long; sign in again")]
    Idle,
    /// The sign-in is too long ago.
    #[error("the sign-in is too long ago; sign in again")]
    TooOld,
    /// All that was issued to the member before has been voided.
    #[error("the session was ended with all others of the member; sign in again")]
    Voided,
}

impl FailedCheck for SessionEnded {
    fn check(&self) -> &'static str {
        match self {
            Self::Ended => "session.ended",
            Self::Idle => "session.idle",
            Self::TooOld => "session.age",
            Self::Voided => "session.epoch",
        }
    }
}

/// What is stored under the hash of a session's token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionRecord {
    /// As its owner sees it in the list.
    pub id: SessionId,
    /// Whose it is.
    pub member: MemberId,
    /// In which workspace.
    pub workspace: WorkspaceId,
    /// The member's epoch when it began.
    pub epoch: u64,
    /// Where they showed who they are.
    pub provider: Provider,
    /// When it began, which is when they did.
    pub created_at: Timestamp,
    /// When it was last used, to within [`SessionLimits::write_use_after`].
    pub used_at: Timestamp,
    /// When it was ended.
    pub ended_at: Option<Timestamp>,
}

impl SessionRecord {
    /// Whether it still stands. `epoch` is the member's at this moment, read strongly consistent; whether the member is let in at all
    /// is asked besides.
    pub fn check(&self, epoch: u64, limits: SessionLimits, now: Timestamp) -> Result<(), SessionEnded> {
        if self.ended_at.is_some() {
            return Err(SessionEnded::Ended);
        }
        if self.epoch != epoch {
            return Err(SessionEnded::Voided);
        }
        if self.created_at.plus(limits.absolute).has_passed(now) {
            return Err(SessionEnded::TooOld);
        }
        if self.used_at.plus(limits.idle).has_passed(now) {
            return Err(SessionEnded::Idle);
        }
        Ok(())
    }

    /// Whether this use is to be written down.
    pub fn is_use_due(&self, limits: SessionLimits, now: Timestamp) -> bool {
        now.since(self.used_at) >= limits.write_use_after
    }

    /// When the record is of no use any more.
    pub fn ends_at(&self, limits: SessionLimits) -> Timestamp {
        self.created_at.plus(limits.absolute).min(self.used_at.plus(limits.idle))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const START: Timestamp = Timestamp::from_seconds(1_800_000_000);

    fn session() -> SessionRecord {
        SessionRecord {
            id: SessionId::new(START, [1; 10]),
            member: MemberId::new(START, [2; 10]),
            workspace: WorkspaceId::new(START, [3; 10]),
            epoch: 4,
            provider: Provider::Bitbucket,
            created_at: START,
            used_at: START,
            ended_at: None,
        }
    }

    #[test]
    fn a_session_ends_at_the_very_moment_of_each_limit() {
        let limits = SessionLimits::default();
        let check = |session: &SessionRecord, hours: u64, millis: u64| {
            session.check(
                4,
                limits,
                START.plus(Duration::from_hours(hours)).minus(Duration::from_millis(millis)),
            )
        };
        assert_eq!(check(&session(), 8, 1), Ok(()));
        assert_eq!(check(&session(), 8, 0), Err(SessionEnded::Idle));
        let busy = SessionRecord { used_at: START.plus(Duration::from_hours(23)), ..session() };
        assert_eq!(check(&busy, 24, 1), Ok(()));
        assert_eq!(check(&busy, 24, 0), Err(SessionEnded::TooOld));
    }

    #[test]
    fn a_session_dies_with_the_members_epoch_and_when_it_is_ended() {
        let limits = SessionLimits::default();
        assert_eq!(session().check(5, limits, START), Err(SessionEnded::Voided));
        assert_eq!(session().check(3, limits, START), Err(SessionEnded::Voided));
        let ended = SessionRecord { ended_at: Some(START), ..session() };
        assert_eq!(ended.check(4, limits, START), Err(SessionEnded::Ended));
    }

    #[test]
    fn a_clock_that_is_five_minutes_behind_ends_nothing_early() {
        let behind = START.minus(Duration::from_mins(5));
        assert_eq!(session().check(4, SessionLimits::default(), behind), Ok(()));
        assert!(!session().is_use_due(SessionLimits::default(), behind));
    }

    proptest! {
        #[test]
        fn no_session_outlives_either_limit(used in 0_u64..200_000, later in 0_u64..200_000) {
            let limits = SessionLimits::default();
            let session = SessionRecord { used_at: START.plus(Duration::from_secs(used)), ..session() };
            let now = START.plus(Duration::from_secs(used + later));
            let alive = session.check(4, limits, now).is_ok();
            prop_assert_eq!(alive, later < limits.idle.as_secs() && used + later < limits.absolute.as_secs());
            prop_assert_eq!(alive, !session.ends_at(limits).has_passed(now));
        }
    }
}
