//! Planning the grants lane, and what follows from grants: responsibilities, coverage, lost access.

use std::collections::{BTreeMap, BTreeSet};

use super::{Change, Kept, Lane, Plan};
use crate::access::{AccessMap, Coverage, Grants, RepositoryAccess};
use crate::bitbucket::{AccountUuid, GroupSlug, Permission, RepositoryUuid};
use crate::connection::{OffboardOn, Policy, Settings};
use crate::member::SuspensionReason;
use crate::mirror::{GrantsSnapshot, MemberStanding, Mirror, MirroredMember, OwnGrants, Repository};
use crate::{MemberId, TeamId, Timestamp};

/// Plans the grants lane.
pub fn plan(mirror: &Mirror, snapshot: &GrantsSnapshot, settings: &Settings, now: Timestamp) -> Plan {
    let teams = SlugTable::new(mirror);
    let mut kept = Vec::new();
    let mut changes = Vec::new();
    let read: BTreeSet<&RepositoryUuid> = snapshot.groups.keys().chain(snapshot.users.keys()).collect();
    for uuid in read {
        let Some(repository) = mirror.repositories.get(uuid).filter(|repository| !repository.removed) else {
            continue;
        };
        let groups = match snapshot.groups.get(uuid).map(|groups| teams.translate_groups(groups)) {
            Some(Ok(groups)) => Some(groups),
            Some(Err(slug)) => {
                let why = format!(
                    "it grants something to group {slug}, which no team is known for yet; its grants stay as they are"
                );
                kept.push(Kept::new(format!("repository {}", repository.slug), why));
                continue;
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
    changes.extend(lost_access(&then, settings, now));
    Plan { lane: Lane::Grants, changes, kept }
}

/// The teams by the slugs that grants know groups by.
pub(super) struct SlugTable<'a>(BTreeMap<&'a GroupSlug, TeamId>);

impl<'a> SlugTable<'a> {
    pub(super) fn new(mirror: &'a Mirror) -> Self {
        Self(mirror.teams.values().filter(|team| !team.removed).map(|team| (&team.slug, team.id)).collect())
    }

    pub(super) fn translate(&self, grants: &Grants<GroupSlug>) -> Result<Grants<TeamId>, GroupSlug> {
        Ok(Grants { groups: self.translate_groups(&grants.groups)?, users: grants.users.clone() })
    }

    fn translate_groups(
        &self,
        groups: &BTreeMap<GroupSlug, Permission>,
    ) -> Result<BTreeMap<TeamId, Permission>, GroupSlug> {
        groups
            .iter()
            .map(|(slug, level)| self.0.get(slug).map(|team| (*team, *level)).ok_or_else(|| slug.clone()))
            .collect()
    }
}

/// The access that the mirror knows of.
pub fn access_map(mirror: &Mirror) -> AccessMap<TeamId> {
    let people = || mirror.people.values().filter(|person| !person.left);
    let projects = mirror.projects.values().filter(|project| !project.removed);
    let project_known = |repository: &Repository| {
        mirror.projects.get(&repository.project).is_some_and(|p| p.grants.is_some())
    };
    AccessMap::new(
        people().filter(|person| person.owner).map(|person| person.uuid),
        people().flat_map(|person| person.teams.iter().map(|team| (*team, person.uuid))),
        &projects.filter_map(|project| project.grants.clone().map(|grants| (project.uuid, grants))).collect(),
        mirror.repositories.values().filter(|repository| !repository.removed).map(|repository| {
            RepositoryAccess {
                uuid: repository.uuid,
                project: repository.project,
                private: repository.private,
                groups: repository.own.groups.as_ref(),
                // Where the project's grants are not known, the repository is not fully read either.
                users: repository.own.users.as_ref().filter(|_| project_known(repository)),
            }
        }),
    )
}

/// Every responsibility that the mirror's grants make, against those it has: what has to change.
///
/// Repositories whose project's grants are not known keep what they have.
pub fn responsibilities(mirror: &Mirror) -> Vec<Change> {
    let is_team = |team: &TeamId| mirror.teams.get(team).is_some_and(|team| !team.removed);
    let mut wanted: BTreeMap<(TeamId, RepositoryUuid), Permission> = BTreeMap::new();
    let mut judged = BTreeSet::new();
    for repository in mirror.repositories.values().filter(|repository| !repository.removed) {
        let project = mirror.projects.get(&repository.project).and_then(|project| project.grants.as_ref());
        let Some(project) = project else { continue };
        judged.insert(repository.uuid);
        for (team, level) in project
            .groups
            .iter()
            .chain(repository.own.groups.iter().flatten())
            .filter(|(team, _)| is_team(team))
        {
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
        (before != Some(*level)).then(|| set(*key, before, Some(*level), false))
    });
    let vanished = mirror.responsibilities.iter().filter(|(key, _)| !wanted.contains_key(key)).filter_map(
        |(key, before)| {
            let follows = is_gone(&key.1) || !is_team(&key.0);
            (follows || judged.contains(&key.1)).then(|| set(*key, Some(*before), None, follows))
        },
    );
    appeared.chain(vanished).collect()
}

/// The coverage of every member that has an account at Bitbucket and is in the mirror.
pub fn coverages(mirror: &Mirror) -> BTreeMap<MemberId, Coverage> {
    let access = access_map(mirror);
    let known = |account: &AccountUuid| mirror.people.get(account).is_some_and(|person| !person.left);
    let with_account =
        mirror.members.values().filter_map(|member| member.account.map(|account| (member.id, account)));
    with_account
        .filter(|(_, account)| known(account))
        .map(|(member, account)| (member, access.coverage(account)))
        .collect()
}

/// Who no longer has the access that the policy asks for, where the connection offboards on that. Unknown is not lost.
pub fn lost_access(mirror: &Mirror, settings: &Settings, now: Timestamp) -> Vec<Change> {
    if settings.offboard_on != OffboardOn::LostAccess || settings.policy == Policy::WorkspaceMember {
        return Vec::new();
    }
    let judged = |member: &&MirroredMember| {
        let invited = member.by_invite.is_some_and(|end| end.is_none_or(|end| !end.has_passed(now)));
        member.standing == MemberStanding::Active
            && member.by_bitbucket
            && !invited
            && member.account.is_none_or(|account| !settings.ignored.contains(&account))
    };
    let coverages = coverages(mirror);
    mirror
        .members
        .values()
        .filter(judged)
        .filter(|member| {
            let Some(coverage) = coverages.get(&member.id) else { return false };
            let has =
                if settings.policy == Policy::AllRepositories { coverage.all() } else { coverage.any() };
            has == Some(false)
        })
        .map(|member| Change::SuspendMember {
            member: member.id,
            account: member.account,
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
}

/// The repositories whose own grants can matter, those never read first, then by UUID.
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
    let mut order: Vec<(bool, ToRead)> = mirror
        .repositories
        .values()
        .filter(|repository| !repository.removed)
        .filter_map(|repository| {
            let (groups, users) = by_project.get(&repository.project).copied().unwrap_or((true, true));
            let to_read = ToRead {
                repository: repository.uuid,
                groups: groups && !groups_known,
                users: users && repository.private,
            };
            let never = (to_read.groups && repository.own.groups.is_none())
                || (to_read.users && repository.own.users.is_none());
            (to_read.groups || to_read.users).then_some((!never, to_read))
        })
        .collect();
    order.sort_by_key(|(read_before, to_read)| (*read_before, to_read.repository));
    order.into_iter().map(|(_, to_read)| to_read).collect()
}
