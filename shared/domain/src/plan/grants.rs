//! Planning the grants lane, and what follows from grants: responsibilities, coverage, lost access.

use std::collections::{BTreeMap, BTreeSet};

use thiserror::Error;

use super::{Change, Kept, Lane, Plan};
use crate::access::{AccessMap, CoverageCount, Grants, RepositoryAccess};
use crate::bitbucket::{AccountUuid, GroupSlug, Permission, ProjectUuid, RepositoryUuid};
use crate::connection::{OffboardOn, Policy, Settings};
use crate::member::SuspensionReason;
use crate::mirror::{GrantsSnapshot, MemberStanding, Mirror, MirroredMember, OwnGrants, Repository, Team};
use crate::{MemberId, TeamId, Timestamp};

/// Plans the grants lane. Somebody is shut out for lost access only where a repository in `fresh` is missing: usually those that
/// were just read ([`GrantsSnapshot::repositories`]).
pub fn plan(
    mirror: &Mirror,
    snapshot: &GrantsSnapshot,
    fresh: &BTreeSet<RepositoryUuid>,
    settings: &Settings,
    now: Timestamp,
) -> Plan {
    let teams = SlugTable::new(mirror);
    let mut kept = Vec::new();
    let mut changes = Vec::new();
    for uuid in &snapshot.repositories() {
        let Some(repository) = mirror.repositories.get(uuid).filter(|repository| !repository.removed) else {
            continue;
        };
        let groups = match snapshot.groups.get(uuid).map(|groups| teams.translate_groups(groups)) {
            Some(Ok(groups)) => Some(groups),
            Some(Err(unknown)) => {
                kept.push(Kept::new(format!("repository {}", repository.slug), unknown.to_string()));
                repository.own.groups.clone()
            }
            None => repository.own.groups.clone(),
        };
        let users = snapshot.users.get(uuid).cloned().or_else(|| repository.own.users.clone());
        let after = OwnGrants { groups, users };
        if after != repository.own {
            changes.push(Change::SetRepositoryGrants {
                repository: *uuid,
                before: repository.own.clone(),
                after,
            });
        }
    }
    let mut then = mirror.clone();
    changes.iter().for_each(|change| change.apply(&mut then));
    changes.extend(responsibilities(&then));
    changes.extend(lost_access(&then, fresh, settings, now));
    Plan { lane: Lane::Grants, changes, kept }
}

/// Why a group that something is granted to is not known as a team.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(super) enum UnknownGroup {
    #[error("it grants something to group {0}, which no team is known for yet; its grants stay as they are")]
    NoTeam(GroupSlug),
    #[error(
        "it grants something to group {0}, whose name an older team still has, because its removal is held back; \
         its grants stay as they are"
    )]
    SeveralTeams(GroupSlug),
}

/// The teams by the slugs that grants know groups by. `None` where two teams have one slug, while the older one's removal is held
/// back: nothing is guessed then.
pub(super) struct SlugTable<'a>(BTreeMap<&'a GroupSlug, Option<TeamId>>);

impl<'a> SlugTable<'a> {
    pub(super) fn new(mirror: &'a Mirror) -> Self {
        let mut table = BTreeMap::new();
        for team in mirror.teams.values().filter(|team| !team.removed) {
            table.entry(&team.slug).and_modify(|only| *only = None).or_insert(Some(team.id));
        }
        Self(table)
    }

    pub(super) fn translate(&self, grants: &Grants<GroupSlug>) -> Result<Grants<TeamId>, UnknownGroup> {
        Ok(Grants { groups: self.translate_groups(&grants.groups)?, users: grants.users.clone() })
    }

    fn translate_groups(
        &self,
        groups: &BTreeMap<GroupSlug, Permission>,
    ) -> Result<BTreeMap<TeamId, Permission>, UnknownGroup> {
        let team = |slug: &GroupSlug| match self.0.get(slug) {
            Some(Some(team)) => Ok(*team),
            Some(None) => Err(UnknownGroup::SeveralTeams(slug.clone())),
            None => Err(UnknownGroup::NoTeam(slug.clone())),
        };
        groups.iter().map(|(slug, level)| Ok((team(slug)?, *level))).collect()
    }
}

static NO_GROUPS: BTreeMap<TeamId, Permission> = BTreeMap::new();

/// The access that the mirror knows of.
pub fn access_map(mirror: &Mirror) -> AccessMap<TeamId> {
    let people = || mirror.people.values().filter(|person| !person.left);
    let project_known = |repository: &Repository| {
        mirror.projects.get(&repository.project).is_some_and(|p| p.grants.is_some())
    };
    // Where every team reads by the project, a repository's own grants to groups add nothing and are never read.
    let teams = || mirror.teams.values().filter(|team| !team.removed);
    let by_project: BTreeSet<ProjectUuid> = mirror
        .projects
        .values()
        .filter(|project| {
            let reads = |team: &Team| {
                project.grants.as_ref().is_some_and(|grants| grants.groups.contains_key(&team.id))
            };
            teams().all(reads)
        })
        .map(|project| project.uuid)
        .collect();
    AccessMap::new(
        people().filter(|person| person.owner).map(|person| person.uuid),
        people().flat_map(|person| person.teams.iter().map(|team| (*team, person.uuid))),
        &mirror
            .projects
            .values()
            .filter_map(|project| project.grants.clone().map(|grants| (project.uuid, grants)))
            .collect(),
        mirror.repositories.values().filter(|repository| !repository.removed).map(|repository| {
            RepositoryAccess {
                uuid: repository.uuid,
                project: repository.project,
                private: repository.private,
                groups: repository
                    .own
                    .groups
                    .as_ref()
                    .or_else(|| by_project.contains(&repository.project).then_some(&NO_GROUPS)),
                // Where the project's grants are not known, the repository is not fully read either.
                users: repository.own.users.as_ref().filter(|_| project_known(repository)),
            }
        }),
    )
}

/// Every responsibility that the mirror's grants make, against those it has: what has to change.
///
/// Nothing is lowered or ended where it is not known: repositories whose project's grants are not known keep what they have, and
/// where a repository's own grants have not been read, they may be what a responsibility stands on.
pub fn responsibilities(mirror: &Mirror) -> Vec<Change> {
    let is_team = |team: &TeamId| mirror.teams.get(team).is_some_and(|team| !team.removed);
    let mut wanted: BTreeMap<(TeamId, RepositoryUuid), Permission> = BTreeMap::new();
    let mut judged = BTreeSet::new();
    for repository in mirror.repositories.values().filter(|repository| !repository.removed) {
        let project = mirror.projects.get(&repository.project).and_then(|project| project.grants.as_ref());
        let Some(project) = project else { continue };
        if repository.own.groups.is_some() {
            judged.insert(repository.uuid);
        }
        let own = repository.own.groups.iter().flatten();
        for (team, level) in project.groups.iter().chain(own).filter(|(team, _)| is_team(team)) {
            wanted
                .entry((*team, repository.uuid))
                .and_modify(|had| *had = (*had).max(*level))
                .or_insert(*level);
        }
    }
    let is_gone =
        |uuid: &RepositoryUuid| mirror.repositories.get(uuid).is_none_or(|repository| repository.removed);
    let set = |(team, repository): (TeamId, RepositoryUuid), before, after, follows| {
        Change::SetResponsibility { team, repository, before, after, follows }
    };
    let appeared = wanted.iter().filter_map(|(key, level)| {
        let before = mirror.responsibilities.get(key).copied();
        let stays = before == Some(*level) || (before > Some(*level) && !judged.contains(&key.1));
        (!stays).then(|| set(*key, before, Some(*level), false))
    });
    let vanished = mirror.responsibilities.iter().filter(|(key, _)| !wanted.contains_key(key)).filter_map(
        |(key, before)| {
            let follows = is_gone(&key.1) || !is_team(&key.0);
            (follows || judged.contains(&key.1)).then(|| set(*key, Some(*before), None, follows))
        },
    );
    appeared.chain(vanished).collect()
}

/// As many missing repositories of a member are named.
pub const MOST_EXAMPLES: usize = 50;

/// The coverage of every member that has an account at Bitbucket and is in the mirror.
pub fn coverages(mirror: &Mirror) -> BTreeMap<MemberId, CoverageCount> {
    let access = access_map(mirror);
    let known = |account: &AccountUuid| mirror.people.get(account).is_some_and(|person| !person.left);
    let with_account =
        mirror.members.values().filter_map(|member| member.account.map(|account| (member.id, account)));
    with_account
        .filter(|(_, account)| known(account))
        .map(|(member, account)| (member, access.count(account, MOST_EXAMPLES)))
        .collect()
}

/// Everybody in the workspace of whom the mirror proves that they can access all private repositories.
pub fn verified_set(mirror: &Mirror) -> BTreeSet<AccountUuid> {
    let access = access_map(mirror);
    let present = mirror.people.values().filter(|person| !person.left && !person.inactive);
    present
        .filter(|person| access.count(person.uuid, 0).all() == Some(true))
        .map(|person| person.uuid)
        .collect()
}

/// Who no longer has the access that the policy asks for, where the connection offboards on that. Unknown is not lost.
///
/// Somebody is shut out only for a repository whose grants were `just_read`: what was read longer ago may have changed.
pub fn lost_access(
    mirror: &Mirror,
    just_read: &BTreeSet<RepositoryUuid>,
    settings: &Settings,
    now: Timestamp,
) -> Vec<Change> {
    if settings.offboard_on != OffboardOn::LostAccess || settings.policy == Policy::WorkspaceMember {
        return Vec::new();
    }
    let judged: Vec<(&MirroredMember, AccountUuid)> = mirror
        .members
        .values()
        .filter(|member| member.stands_on_bitbucket(now))
        .filter_map(|member| member.account.map(|account| (member, account)))
        .filter(|(_, account)| !settings.ignored.contains(account))
        .filter(|(_, account)| mirror.people.get(account).is_some_and(|person| !person.left))
        .collect();
    if judged.is_empty() {
        return Vec::new();
    }
    let access = access_map(mirror);
    let just_read = access.set(just_read);
    let lost = |account: AccountUuid| {
        let coverage = access.count(account, 0);
        let has = match settings.policy {
            Policy::AllRepositories => coverage.all(),
            Policy::AnyRepository => coverage.any(),
            Policy::WorkspaceMember => Some(true),
        };
        has == Some(false) && access.misses_one_of(account, &just_read)
    };
    judged
        .into_iter()
        .filter(|(_, account)| lost(*account))
        .map(|(member, account)| Change::SuspendMember {
            member: member.id,
            account: Some(account),
            reason: SuspensionReason::LostAccess,
        })
        .collect()
}

/// What has to be read of a repository's own grants, because its project's grants do not decide.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ToRead {
    /// Which repository.
    pub repository: RepositoryUuid,
    /// What it grants to groups: some team has less than `admin` by the project.
    pub groups: bool,
    /// What it grants to accounts: it is private, and some member cannot read it by the project.
    pub users: bool,
    /// Whether some of that has never been read.
    pub unread: bool,
}

/// The repositories whose own grants can matter, by UUID.
///
/// `groups_known`: whether the groups' grants are known from elsewhere (one call that lists them all).
pub fn to_read(mirror: &Mirror, groups_known: bool) -> Vec<ToRead> {
    let teams: Vec<TeamId> = mirror.teams.values().filter(|team| !team.removed).map(|team| team.id).collect();
    let judged =
        |account: &AccountUuid| mirror.people.get(account).filter(|person| !person.left && !person.owner);
    let members: Vec<_> = mirror
        .members
        .values()
        .filter(|member| member.standing != MemberStanding::Disabled)
        .filter_map(|member| member.account.as_ref().and_then(judged))
        .collect();
    let mut by_project: BTreeMap<_, (bool, bool)> = BTreeMap::new();
    for project in mirror.projects.values().filter(|project| !project.removed) {
        let decided = project.grants.as_ref().map(|grants| {
            let all_admin = teams.iter().all(|team| grants.groups.get(team) == Some(&Permission::Admin));
            let reaches = |person: &crate::mirror::Person| {
                grants.users.contains_key(&person.uuid)
                    || person.teams.iter().any(|team| grants.groups.contains_key(team))
            };
            (!all_admin, !members.iter().all(|person| reaches(person)))
        });
        by_project.insert(project.uuid, decided.unwrap_or((true, true)));
    }
    let to_read = mirror.repositories.values().filter(|repository| !repository.removed).map(|repository| {
        let (groups, users) = by_project.get(&repository.project).copied().unwrap_or((true, true));
        let (groups, users) = (groups && !groups_known, users && repository.private);
        let unread = (groups && repository.own.groups.is_none()) || (users && repository.own.users.is_none());
        ToRead { repository: repository.uuid, groups, users, unread }
    });
    to_read.filter(|to_read| to_read.groups || to_read.users).collect()
}
