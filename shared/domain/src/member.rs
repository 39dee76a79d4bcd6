//! Members: identities that have been let into a workspace, and what may become of them.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::bitbucket::AccountUuid;
use crate::identity::{EmailAddress, Identity};
use crate::{InviteId, MemberId, RunId, TeamId, Timestamp, WorkspaceId};

/// What a member may do in the workspace. Ordered: an admin may do all a member may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Uses the application.
    #[default]
    Member,
    /// Also decides about members, invites and the connection.
    Admin,
}

/// What first let a member in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// A sign-in with Bitbucket under the connection's policy.
    Bitbucket,
    /// An invite.
    Invite,
}

/// A membership that an invite gave.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InviteEntitlement {
    /// Which invite.
    pub invite: InviteId,
    /// When it ends; `None`: it has no end.
    pub until: Option<Timestamp>,
    /// The teams the invite names.
    pub teams: Vec<TeamId>,
    /// When the person was warned of the end.
    pub warned_at: Option<Timestamp>,
}

impl InviteEntitlement {
    /// Whether it still lets the person in.
    pub fn is_valid(&self, now: Timestamp) -> bool {
        self.until.is_none_or(|until| !until.has_passed(now))
    }
}

/// Why the sync suspended somebody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SuspensionReason {
    /// No longer in the Bitbucket workspace.
    LeftWorkspace,
    /// Deactivated at Bitbucket.
    Inactive,
    /// No longer has the access that the policy asks for.
    LostAccess,
    /// The membership that an invite gave has ended.
    InviteEnded,
    /// An admin revoked what an inviter had no right to grant any more.
    GrantRevoked,
}

/// Whether a member is let in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum State {
    /// Is let in.
    Active,
    /// Is not, until what suspended them is undone.
    Suspended {
        /// Since when.
        at: Timestamp,
        /// Why.
        reason: SuspensionReason,
        /// The run that did it, where a run did.
        run: Option<RunId>,
    },
    /// Is not, until an admin enables them. No sign-in and no sync ever clears this.
    Disabled {
        /// Since when.
        at: Timestamp,
    },
}

impl State {
    /// As it is written in answers, filters and events.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Suspended { .. } => "suspended",
            Self::Disabled { .. } => "disabled",
        }
    }
}

/// An identity that has been let into a workspace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// The `sub` that the application sees, for as long as the workspace lasts.
    pub id: MemberId,
    /// Of which workspace.
    pub workspace: WorkspaceId,
    /// The identities that sign in as this member: at least one.
    pub identities: Vec<Identity>,
    /// What first let them in.
    pub origin: Origin,
    /// Whether a sign-in with Bitbucket has been admitted under the policy.
    pub by_bitbucket: bool,
    /// What an invite gave, if one did.
    pub by_invite: Option<InviteEntitlement>,
    /// What they may do.
    pub role: Role,
    /// Whether they are let in.
    pub state: State,
    /// What to call them.
    pub display_name: String,
    /// A verified address, for display and mail. Never a key.
    pub email: Option<EmailAddress>,
    /// When they were first let in.
    pub created_at: Timestamp,
    /// When they last signed in.
    pub signed_in_at: Option<Timestamp>,
    /// Rises whenever all that was issued before must die: sessions, codes and refresh tokens carry the number they were issued at.
    pub epoch: u64,
    /// Counts the changes of the row, for conditional writes.
    pub version: u64,
}

/// A change that a member's state does not allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum NotAllowed {
    /// Disabled by an admin: only an admin enables again.
    #[error("the member was disabled by an admin; only an admin can enable them")]
    Disabled,
    /// Nothing lets them in: neither Bitbucket nor an invite.
    #[error("nothing lets this member in any more; sign in with Bitbucket again or ask for an invite")]
    NothingLetsIn,
    /// The last identity cannot be unlinked.
    #[error("a member keeps at least one identity; link another before this one is unlinked")]
    LastIdentity,
    /// The identity is not one of the member's.
    #[error("this identity is not linked to the member")]
    NotLinked,
    /// The last active admin cannot be removed or demoted.
    #[error("a workspace keeps at least one active admin; make somebody else an admin first")]
    LastAdmin,
}

impl Member {
    /// Whether they are let in at this moment: active, and by something that has not ended.
    pub fn is_let_in(&self, now: Timestamp) -> bool {
        self.state == State::Active && self.has_ground(now)
    }

    /// Whether Bitbucket or a valid invite is there to let them in.
    pub fn has_ground(&self, now: Timestamp) -> bool {
        self.by_bitbucket || self.has_valid_invite(now)
    }

    /// Whether an invite lets them in, whatever Bitbucket says.
    pub fn has_valid_invite(&self, now: Timestamp) -> bool {
        self.by_invite.as_ref().is_some_and(|invite| invite.is_valid(now))
    }

    /// The Bitbucket account among the identities.
    pub fn account(&self) -> Option<AccountUuid> {
        self.identities.iter().find_map(Identity::account)
    }

    /// A sign-in with Bitbucket was admitted under the policy: they stand on Bitbucket from here on, and come back if the sync
    /// had suspended them.
    ///
    /// Returns whether this restored them.
    pub fn admit_by_bitbucket(&mut self) -> Result<bool, NotAllowed> {
        self.refuse_disabled()?;
        self.by_bitbucket = true;
        Ok(self.activate())
    }

    /// An invite was accepted.
    ///
    /// Returns whether this restored them.
    pub fn admit_by_invite(
        &mut self,
        entitlement: InviteEntitlement,
        role: Role,
    ) -> Result<bool, NotAllowed> {
        self.refuse_disabled()?;
        self.by_invite = Some(entitlement);
        self.role = self.role.max(role);
        Ok(self.activate())
    }

    /// Suspends them and voids all that was issued to them. A disabled member stays disabled.
    ///
    /// Returns whether anything changed.
    pub fn suspend(&mut self, reason: SuspensionReason, run: Option<RunId>, now: Timestamp) -> bool {
        if self.state != State::Active {
            return false;
        }
        self.state = State::Suspended { at: now, reason, run };
        self.epoch += 1;
        true
    }

    /// Undoes a suspension.
    ///
    /// Returns whether anything changed.
    pub fn restore(&mut self) -> Result<bool, NotAllowed> {
        self.refuse_disabled()?;
        Ok(self.activate())
    }

    /// An admin shuts them out. Returns whether anything changed.
    pub fn disable(&mut self, now: Timestamp) -> bool {
        if matches!(self.state, State::Disabled { .. }) {
            return false;
        }
        self.state = State::Disabled { at: now };
        self.epoch += 1;
        true
    }

    /// An admin lets them in again, if something still does: else they end up suspended, and say so.
    pub fn enable(&mut self, now: Timestamp) -> bool {
        if !matches!(self.state, State::Disabled { .. }) {
            return false;
        }
        self.state = if self.has_ground(now) {
            State::Active
        } else {
            let reason = if self.by_invite.is_some() {
                SuspensionReason::InviteEnded
            } else {
                SuspensionReason::LeftWorkspace
            };
            State::Suspended { at: now, reason, run: None }
        };
        true
    }

    /// Adds an identity that has just signed in.
    pub fn link(&mut self, identity: Identity) {
        if !self.identities.contains(&identity) {
            self.identities.push(identity);
        }
    }

    /// Takes an identity away, and with it what it alone gave; all that was issued dies.
    pub fn unlink(&mut self, identity: &Identity) -> Result<(), NotAllowed> {
        if !self.identities.contains(identity) {
            return Err(NotAllowed::NotLinked);
        }
        if self.identities.len() == 1 {
            return Err(NotAllowed::LastIdentity);
        }
        self.identities.retain(|linked| linked != identity);
        self.by_bitbucket &= self.account().is_some();
        self.epoch += 1;
        Ok(())
    }

    fn refuse_disabled(&self) -> Result<(), NotAllowed> {
        match self.state {
            State::Disabled { .. } => Err(NotAllowed::Disabled),
            _ => Ok(()),
        }
    }

    fn activate(&mut self) -> bool {
        let was_out = self.state != State::Active;
        self.state = State::Active;
        was_out
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    pub(crate) fn member(n: u8) -> Member {
        let account = AccountUuid::new(uuid::Uuid::from_u128(u128::from(n)));
        Member {
            id: MemberId::new(Timestamp::EPOCH, [n; 10]),
            workspace: WorkspaceId::new(Timestamp::EPOCH, [0; 10]),
            identities: vec![Identity::bitbucket("https://bitbucket.org", account)],
            origin: Origin::Bitbucket,
            by_bitbucket: true,
            by_invite: None,
            role: Role::Member,
            state: State::Active,
            display_name: format!("Member {n}"),
            email: None,
            created_at: Timestamp::EPOCH,
            signed_in_at: None,
            epoch: 0,
            version: 1,
        }
    }

    #[derive(Debug, Clone)]
    enum Step {
        SignIn,
        Suspend,
        Restore,
        Disable,
        Enable,
        Invite(i64),
    }

    proptest! {
        #[test]
        fn once_disabled_only_an_admin_enables(steps in prop::collection::vec(prop_oneof![
            Just(Step::SignIn), Just(Step::Suspend), Just(Step::Restore), Just(Step::Disable), Just(Step::Enable),
            (0_i64..100).prop_map(Step::Invite),
        ], 0..30)) {
            let mut member = member(1);
            let mut disabled = false;
            for (at, step) in (0_i64..).zip(steps) {
                let now = Timestamp::from_millis(at);
                let (before, epoch) = (member.state.clone(), member.epoch);
                match step {
                    Step::SignIn => { let _ = member.admit_by_bitbucket(); }
                    Step::Suspend => { member.suspend(SuspensionReason::LeftWorkspace, None, now); }
                    Step::Restore => { let _ = member.restore(); }
                    Step::Disable => { member.disable(now); disabled = true; }
                    Step::Enable => { member.enable(now); disabled = false; }
                    Step::Invite(end) => {
                        let invite = InviteEntitlement {
                            invite: InviteId::new(now, [1; 10]), until: Some(Timestamp::from_millis(end)), teams: vec![], warned_at: None,
                        };
                        let _ = member.admit_by_invite(invite, Role::Member);
                    }
                }
                prop_assert_eq!(matches!(member.state, State::Disabled { .. }), disabled);
                if before == State::Active && member.state != State::Active {
                    prop_assert!(member.epoch > epoch, "who is shut out loses what was issued to them");
                }
            }
        }
    }

    #[test]
    fn an_invite_past_its_end_lets_nobody_in_even_while_the_state_says_active() {
        let mut member = member(1);
        member.by_bitbucket = false;
        member.by_invite = Some(InviteEntitlement {
            invite: InviteId::new(Timestamp::EPOCH, [1; 10]),
            until: Some(Timestamp::from_seconds(10)),
            teams: vec![],
            warned_at: None,
        });
        assert!(member.is_let_in(Timestamp::from_seconds(9)));
        assert!(!member.is_let_in(Timestamp::from_seconds(10)));
    }

    #[test]
    fn the_last_identity_stays() {
        let mut member = member(1);
        let only = member.identities[0].clone();
        assert_eq!(member.unlink(&only), Err(NotAllowed::LastIdentity));
        member.link(Identity {
            provider: crate::identity::Provider::Google,
            issuer: "g".into(),
            subject: "1".into(),
        });
        assert_eq!(member.unlink(&only), Ok(()));
        assert!(!member.by_bitbucket, "without the account, Bitbucket no longer lets them in");
    }
}
