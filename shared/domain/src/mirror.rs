//! The mirror: what Rollcall last knew of a Bitbucket workspace. And the snapshot: what it says now.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::access::Grants;
use crate::bitbucket::{
    AccountId, AccountUuid, GroupSlug, Permission, ProjectKey, ProjectUuid, RepositorySlug, RepositoryUuid,
};
use crate::listing::{Complete, Keyed};
use crate::member::{Member, Role, State};
use crate::{MemberId, RunId, TeamId, Timestamp};

/// An account of the Bitbucket workspace, member or not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    /// The account.
    pub uuid: AccountUuid,
    /// The Atlassian account.
    pub account_id: Option<AccountId>,
    /// What they call themselves.
    pub display_name: String,
    /// Their nickname. Not unique.
    pub nickname: String,
    /// Whether they own the workspace.
    pub owner: bool,
    /// Whether the account is in use, where Bitbucket says so.
    pub inactive: bool,
    /// The teams they are in.
    pub teams: BTreeSet<TeamId>,
    /// Whether they have left the workspace.
    pub left: bool,
}

/// A Bitbucket user group, through all its renames.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Team {
    /// Rollcall's id.
    pub id: TeamId,
    /// The group's present slug, or its last one.
    pub slug: GroupSlug,
    /// The group's name.
    pub name: String,
    /// Whether the group is gone.
    pub removed: bool,
}

/// A project of the Bitbucket workspace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Project {
    /// Its UUID.
    pub uuid: ProjectUuid,
    /// Its key.
    pub key: ProjectKey,
    /// Its name.
    pub name: String,
    /// What it grants; `None` while that has not been read.
    pub grants: Option<Grants<TeamId>>,
    /// Whether it is gone.
    pub removed: bool,
}

/// A repository of the Bitbucket workspace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Repository {
    /// Its UUID.
    pub uuid: RepositoryUuid,
    /// Its slug within the workspace.
    pub slug: RepositorySlug,
    /// Its name.
    pub name: String,
    /// The project it belongs to.
    pub project: ProjectUuid,
    /// Whether it counts for "all repositories".
    pub private: bool,
    /// What it grants by itself, beyond its project.
    pub own: OwnGrants,
    /// Whether it is gone.
    pub removed: bool,
}

/// What a repository grants by itself. Groups and accounts are read by calls of their own, and each only where it can matter.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct OwnGrants {
    /// To teams; `None` while that has not been read.
    pub groups: Option<BTreeMap<TeamId, Permission>>,
    /// To single accounts; `None` while that has not been read.
    pub users: Option<BTreeMap<AccountUuid, Permission>>,
}

/// A member as the sync sees them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MirroredMember {
    /// Which member.
    pub id: MemberId,
    /// What to call them.
    pub name: String,
    /// The Bitbucket account among their identities.
    pub account: Option<AccountUuid>,
    /// Whether they are active, suspended by a run, or neither.
    pub standing: MemberStanding,
    /// The run that suspended them, where one did.
    pub suspended_by: Option<RunId>,
    /// Whether Bitbucket lets them in.
    pub by_bitbucket: bool,
    /// The end of what an invite gave: `None` no invite, `Some(None)` no end.
    pub by_invite: Option<Option<Timestamp>>,
    /// Whether they were warned of that end.
    pub warned: bool,
    /// What they may do.
    pub role: Role,
    /// The row's version, so that a newer row is never overwritten.
    pub version: u64,
}

impl From<&Member> for MirroredMember {
    fn from(member: &Member) -> Self {
        let (standing, suspended_by) = match member.state {
            State::Active => (MemberStanding::Active, None),
            State::Suspended { run, .. } => (MemberStanding::Suspended, run),
            State::Disabled { .. } => (MemberStanding::Disabled, None),
        };
        Self {
            id: member.id,
            name: member.display_name.clone(),
            account: member.account(),
            standing,
            suspended_by,
            by_bitbucket: member.by_bitbucket,
            by_invite: member.by_invite.as_ref().map(|invite| invite.until),
            warned: member.by_invite.as_ref().is_some_and(|invite| invite.warned_at.is_some()),
            role: member.role,
            version: member.version,
        }
    }
}

impl MirroredMember {
    /// Whether an invite lets them in, whatever Bitbucket says.
    pub fn has_valid_invite(&self, now: Timestamp) -> bool {
        self.by_invite.is_some_and(|end| end.is_none_or(|end| !end.has_passed(now)))
    }

    /// Whether an invite let them in, nothing else does, and it has ended.
    pub fn invite_has_ended(&self, now: Timestamp) -> bool {
        self.by_invite.is_some() && !self.by_bitbucket && !self.has_valid_invite(now)
    }

    /// Whether the sync may shut them out: they are let in, and by nothing but Bitbucket.
    pub fn stands_on_bitbucket(&self, now: Timestamp) -> bool {
        self.standing == MemberStanding::Active && self.by_bitbucket && !self.has_valid_invite(now)
    }
}

/// A member's state, as far as the sync may act on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MemberStanding {
    /// Is let in.
    Active,
    /// Suspended, by the sync or the clock.
    Suspended,
    /// Disabled by an admin: the sync leaves them alone.
    Disabled,
}

/// Everything Rollcall last knew of a Bitbucket workspace.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Mirror {
    /// The people, those who left included.
    pub people: BTreeMap<AccountUuid, Person>,
    /// The teams, those removed included.
    pub teams: BTreeMap<TeamId, Team>,
    /// The projects, those removed included.
    pub projects: BTreeMap<ProjectUuid, Project>,
    /// The repositories, those removed included.
    pub repositories: BTreeMap<RepositoryUuid, Repository>,
    /// Which team is responsible for which repository, and with what permission.
    pub responsibilities: BTreeMap<(TeamId, RepositoryUuid), Permission>,
    /// The members of the workspace.
    pub members: BTreeMap<MemberId, MirroredMember>,
}

/// An account as the listing of members shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenPerson {
    /// The account.
    pub uuid: AccountUuid,
    /// The Atlassian account.
    pub account_id: Option<AccountId>,
    /// What they call themselves.
    pub display_name: String,
    /// Their nickname.
    pub nickname: String,
    /// Whether it is a human being's account; bots are left out of everything.
    pub human: bool,
}

impl Keyed for SeenPerson {
    type Key = AccountUuid;
    fn key(&self) -> AccountUuid {
        self.uuid
    }
}

/// A group as the listing of groups shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenGroup {
    /// Its slug.
    pub slug: GroupSlug,
    /// Its name.
    pub name: String,
    /// Who is in it, and whether each account is in use.
    pub members: BTreeMap<AccountUuid, bool>,
}

impl Keyed for SeenGroup {
    type Key = GroupSlug;
    fn key(&self) -> GroupSlug {
        self.slug.clone()
    }
}

/// A project as the listing of projects shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenProject {
    /// Its UUID.
    pub uuid: ProjectUuid,
    /// Its key.
    pub key: ProjectKey,
    /// Its name.
    pub name: String,
}

impl Keyed for SeenProject {
    type Key = ProjectUuid;
    fn key(&self) -> ProjectUuid {
        self.uuid
    }
}

/// A repository as the listing of repositories shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenRepository {
    /// Its UUID.
    pub uuid: RepositoryUuid,
    /// Its slug.
    pub slug: RepositorySlug,
    /// Its name.
    pub name: String,
    /// Its project.
    pub project: ProjectUuid,
    /// Whether it is private.
    pub private: bool,
}

impl Keyed for SeenRepository {
    type Key = RepositoryUuid;
    fn key(&self) -> RepositoryUuid {
        self.uuid
    }
}

/// A listing that was read to the end, and what in it could not be understood.
///
/// What could not be understood is kept as it was: entries named in `kept` are neither changed nor removed. Where an entry could
/// not even be named, `absence_proven` is false and nothing is removed on the strength of this listing.
#[derive(Debug, Clone)]
pub struct Read<T: Keyed> {
    /// What was understood.
    pub seen: Complete<T>,
    /// The keys of the entries that were not.
    pub kept: BTreeSet<T::Key>,
    /// Whether an entry that is in neither is certainly gone.
    pub absence_proven: bool,
}

impl<T: Keyed> Read<T> {
    /// A listing in which everything was understood.
    pub fn whole(seen: Complete<T>) -> Self {
        Self { seen, kept: BTreeSet::new(), absence_proven: true }
    }

    /// Whether this listing proves that an entry is gone.
    pub fn proves_gone(&self, key: &T::Key, seen: &BTreeSet<T::Key>) -> bool {
        self.absence_proven && !seen.contains(key) && !self.kept.contains(key)
    }
}

/// What the members lane reads.
#[derive(Debug, Clone)]
pub struct MembersSnapshot {
    /// The accounts of the workspace.
    pub people: Read<SeenPerson>,
    /// Those who own it; `None`: could not be read, keep what is known.
    pub owners: Option<BTreeSet<AccountUuid>>,
    /// The groups; `None`: could not be read, keep the teams as they are.
    pub groups: Option<Read<SeenGroup>>,
    /// Accounts that were asked for one by one, and whether each is in use.
    pub asked: BTreeMap<AccountUuid, bool>,
}

/// What the structure lane reads.
#[derive(Debug, Clone)]
pub struct StructureSnapshot {
    /// The repositories.
    pub repositories: Read<SeenRepository>,
    /// The projects.
    pub projects: Read<SeenProject>,
    /// What each project grants; a project that could not be read is not in here and stays as it is.
    pub grants: BTreeMap<ProjectUuid, Grants<GroupSlug>>,
}

/// What the grants lane reads: some repositories' own grants. Those not in here stay as they are.
#[derive(Debug, Clone, Default)]
pub struct GrantsSnapshot {
    /// What each repository grants to groups by itself.
    pub groups: BTreeMap<RepositoryUuid, BTreeMap<GroupSlug, Permission>>,
    /// What each repository grants to single accounts by itself.
    pub users: BTreeMap<RepositoryUuid, BTreeMap<AccountUuid, Permission>>,
}

impl GrantsSnapshot {
    /// The repositories of which something was read.
    pub fn repositories(&self) -> BTreeSet<RepositoryUuid> {
        self.groups.keys().chain(self.users.keys()).copied().collect()
    }
}
