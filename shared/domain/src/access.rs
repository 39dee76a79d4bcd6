//! Who can access what: grants of users and groups on projects and repositories, put together as Bitbucket does.
//!
//! An account's permission on a repository is the highest of: `admin` if it owns the workspace; what its project grants to it or
//! to a group it is in; what the repository grants to it or to such a group. Grants only add, nothing denies. Public
//! repositories are readable by anyone, so "all repositories" means all private ones.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::bitbucket::{AccountUuid, Permission, ProjectUuid, RepositoryUuid};

/// What a project or a repository grants explicitly. `G` is how a group is known: by slug in Bitbucket's answers, by team in
/// the mirror.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grants<G: Ord> {
    /// To groups.
    pub groups: BTreeMap<G, Permission>,
    /// To single accounts.
    pub users: BTreeMap<AccountUuid, Permission>,
}

impl<G: Ord> Default for Grants<G> {
    fn default() -> Self {
        Self { groups: BTreeMap::new(), users: BTreeMap::new() }
    }
}

/// A repository as far as access is concerned.
#[derive(Debug, Clone, Copy)]
pub struct RepositoryAccess<'a, G: Ord> {
    /// Which one.
    pub uuid: RepositoryUuid,
    /// The project it belongs to.
    pub project: ProjectUuid,
    /// Whether it counts for "all repositories".
    pub private: bool,
    /// What it grants to groups by itself; `None` where that has not been read.
    pub groups: Option<&'a BTreeMap<G, Permission>>,
    /// What it grants to accounts by itself; `None` where that has not been read.
    pub users: Option<&'a BTreeMap<AccountUuid, Permission>>,
}

/// The repositories an account can access, against all that count.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Coverage {
    /// Private repositories of the workspace.
    pub of: usize,
    /// Private repositories it certainly cannot access: all grants that could give access were read, and none does.
    pub missing: BTreeSet<RepositoryUuid>,
    /// Private repositories that nothing read so far gives access to, and whose own grants have not been read.
    pub unread: BTreeSet<RepositoryUuid>,
}

impl Coverage {
    /// Whether the account can access all private repositories: `None` while that is not known.
    ///
    /// A workspace without any private repository proves nothing about anybody: not known either.
    pub fn all(&self) -> Option<bool> {
        match (self.of, self.missing.is_empty(), self.unread.is_empty()) {
            (0, ..) => None,
            (_, false, _) => Some(false),
            (_, true, true) => Some(true),
            (_, true, false) => None,
        }
    }

    /// Whether it can access at least one private repository: `None` while that is not known.
    pub fn any(&self) -> Option<bool> {
        let out_of_reach = self.missing.len() + self.unread.len();
        match (self.of, out_of_reach < self.of, self.unread.is_empty()) {
            (0, ..) => None,
            (_, true, _) => Some(true),
            (_, false, true) => Some(false),
            (_, false, false) => None,
        }
    }
}

/// A [`Coverage`] that is counted and not spelled out: what can be kept of every member of a large workspace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CoverageCount {
    /// Private repositories of the workspace.
    pub of: usize,
    /// Private repositories that the account certainly cannot access.
    pub missing: usize,
    /// Private repositories of which that is not known.
    pub unread: usize,
    /// Some of those that are missing, in the order of their UUIDs: as many as were asked for.
    pub examples: Vec<RepositoryUuid>,
}

impl CoverageCount {
    /// Whether the account can access all private repositories; as [`Coverage::all`].
    pub fn all(&self) -> Option<bool> {
        match (self.of, self.missing, self.unread) {
            (0, ..) => None,
            (_, 0, 0) => Some(true),
            (_, 0, _) => None,
            _ => Some(false),
        }
    }

    /// Whether it can access at least one private repository; as [`Coverage::any`].
    pub fn any(&self) -> Option<bool> {
        match (self.of, self.missing + self.unread < self.of, self.unread) {
            (0, ..) => None,
            (_, true, _) => Some(true),
            (_, false, 0) => Some(false),
            (_, false, _) => None,
        }
    }
}

/// A set of repositories, one bit each, by their place in [`AccessMap::repositories`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Bits(Vec<u64>);

impl Bits {
    fn insert(&mut self, at: usize) {
        let word = at / 64;
        if self.0.len() <= word {
            self.0.resize(word + 1, 0);
        }
        if let Some(word) = self.0.get_mut(word) {
            *word |= 1 << (at % 64);
        }
    }

    fn add_all(&mut self, other: &Self) {
        if self.0.len() < other.0.len() {
            self.0.resize(other.0.len(), 0);
        }
        self.0.iter_mut().zip(&other.0).for_each(|(mine, theirs)| *mine |= theirs);
    }

    fn without<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = usize> + 'a {
        self.0.iter().enumerate().flat_map(|(at, word)| {
            let mut left = word & !other.0.get(at).copied().unwrap_or(0);
            core::iter::from_fn(move || {
                (left != 0).then(|| {
                    let bit = left.trailing_zeros() as usize;
                    left &= left - 1;
                    at * 64 + bit
                })
            })
        })
    }

    fn word(&self, at: usize) -> u64 {
        self.0.get(at).copied().unwrap_or(0)
    }

    fn contains(&self, at: usize) -> bool {
        self.0.get(at / 64).is_some_and(|word| word & (1 << (at % 64)) != 0)
    }
}

/// Some repositories of an [`AccessMap`].
#[derive(Debug, Clone)]
pub struct RepositorySet(Bits);

/// All access of a workspace, laid out so that each question is a few word-wise operations.
#[derive(Debug)]
pub struct AccessMap<G: Ord> {
    repositories: Vec<RepositoryUuid>,
    private: Bits,
    read: Bits,
    private_count: usize,
    owners: BTreeSet<AccountUuid>,
    groups_of: BTreeMap<AccountUuid, Vec<G>>,
    by_group: BTreeMap<G, Bits>,
    by_user: BTreeMap<AccountUuid, Bits>,
}

impl<G: Ord + Clone> AccessMap<G> {
    /// Puts grants, groups and owners together.
    pub fn new<'a>(
        owners: impl IntoIterator<Item = AccountUuid>,
        groups: impl IntoIterator<Item = (G, AccountUuid)>,
        projects: &BTreeMap<ProjectUuid, Grants<G>>,
        repositories: impl IntoIterator<Item = RepositoryAccess<'a, G>>,
    ) -> Self
    where
        G: 'a,
    {
        let mut map = Self {
            repositories: Vec::new(),
            private: Bits::default(),
            read: Bits::default(),
            private_count: 0,
            owners: owners.into_iter().collect(),
            groups_of: BTreeMap::new(),
            by_group: BTreeMap::new(),
            by_user: BTreeMap::new(),
        };
        for (group, person) in groups {
            map.groups_of.entry(person).or_default().push(group);
        }
        let mut of_project: BTreeMap<ProjectUuid, Bits> = BTreeMap::new();
        for repository in repositories {
            let at = map.repositories.len();
            map.repositories.push(repository.uuid);
            if repository.private {
                map.private.insert(at);
                map.private_count += 1;
            }
            of_project.entry(repository.project).or_default().insert(at);
            if repository.groups.is_some() && repository.users.is_some() {
                map.read.insert(at);
            }
            for group in repository.groups.into_iter().flat_map(BTreeMap::keys) {
                map.by_group.entry(group.clone()).or_default().insert(at);
            }
            for user in repository.users.into_iter().flat_map(BTreeMap::keys) {
                map.by_user.entry(*user).or_default().insert(at);
            }
        }
        for (project, grants) in projects {
            let Some(bits) = of_project.get(project) else { continue };
            for group in grants.groups.keys() {
                map.by_group.entry(group.clone()).or_default().add_all(bits);
            }
            for user in grants.users.keys() {
                map.by_user.entry(*user).or_default().add_all(bits);
            }
        }
        map
    }

    fn reach(&self, person: AccountUuid, direct: bool) -> Bits {
        let mut reach = self.by_user.get(&person).filter(|_| direct).cloned().unwrap_or_default();
        for group in self.groups_of.get(&person).into_iter().flatten() {
            if let Some(bits) = self.by_group.get(group) {
                reach.add_all(bits);
            }
        }
        reach
    }

    /// The private repositories an account can access, against all of them.
    pub fn coverage(&self, person: AccountUuid) -> Coverage {
        self.coverage_of(person, true)
    }

    /// The same, leaving out what is granted to the account by name.
    pub fn coverage_by_groups(&self, person: AccountUuid) -> Coverage {
        self.coverage_of(person, false)
    }

    /// The same, counted, with so many examples of what is missing.
    pub fn count(&self, person: AccountUuid, examples: usize) -> CoverageCount {
        let mut count = CoverageCount { of: self.private_count, missing: 0, unread: 0, examples: Vec::new() };
        if self.owners.contains(&person) {
            return count;
        }
        let reach = self.reach(person, true);
        for (at, private) in self.private.0.iter().enumerate() {
            let out = private & !reach.word(at);
            let missing = out & self.read.word(at);
            count.missing += missing.count_ones() as usize;
            count.unread += (out & !missing).count_ones() as usize;
        }
        if count.missing > 0 && examples > 0 {
            let missing = self.private.without(&reach).filter(|at| self.read.contains(*at));
            count.examples.extend(missing.filter_map(|at| self.repositories.get(at).copied()).take(examples));
            count.examples.sort_unstable();
        }
        count
    }

    /// The set of some repositories, to be asked about many accounts.
    pub fn set(&self, of: &BTreeSet<RepositoryUuid>) -> RepositorySet {
        let mut set = Bits::default();
        for (at, _) in self.repositories.iter().enumerate().filter(|(_, uuid)| of.contains(uuid)) {
            set.insert(at);
        }
        RepositorySet(set)
    }

    /// Whether the account certainly cannot access one of these.
    pub fn misses_one_of(&self, person: AccountUuid, set: &RepositorySet) -> bool {
        if self.owners.contains(&person) {
            return false;
        }
        let reach = self.reach(person, true);
        let candidates = set.0.0.iter().enumerate();
        candidates
            .into_iter()
            .any(|(at, word)| word & self.private.word(at) & self.read.word(at) & !reach.word(at) != 0)
    }

    fn coverage_of(&self, person: AccountUuid, direct: bool) -> Coverage {
        let mut coverage =
            Coverage { of: self.private_count, missing: BTreeSet::new(), unread: BTreeSet::new() };
        if self.owners.contains(&person) {
            return coverage;
        }
        let reach = self.reach(person, direct);
        for at in self.private.without(&reach) {
            let Some(uuid) = self.repositories.get(at) else { continue };
            if self.read.contains(at) {
                coverage.missing.insert(*uuid);
            } else {
                coverage.unread.insert(*uuid);
            }
        }
        coverage
    }
}

/// An account's permission on one repository, put together from the grants that concern it. The plain statement of the rule.
pub fn effective<G: Ord>(
    person: AccountUuid,
    owner: bool,
    groups: &BTreeSet<G>,
    project: Option<&Grants<G>>,
    repository: Option<&Grants<G>>,
) -> Option<Permission> {
    if owner {
        return Some(Permission::Admin);
    }
    let of = |grants: &Grants<G>| {
        let by_group =
            grants.groups.iter().filter(|(group, _)| groups.contains(group)).map(|(_, level)| *level).max();
        by_group.max(grants.users.get(&person).copied())
    };
    project.and_then(of).max(repository.and_then(of))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use uuid::Uuid;

    fn person(n: u8) -> AccountUuid {
        AccountUuid::new(Uuid::from_u128(u128::from(n)))
    }
    fn repository(n: usize) -> RepositoryUuid {
        RepositoryUuid::new(Uuid::from_u128(1000 + n as u128))
    }
    fn project(n: u8) -> ProjectUuid {
        ProjectUuid::new(Uuid::from_u128(2000 + u128::from(n)))
    }

    fn grants() -> impl Strategy<Value = Grants<u8>> {
        let level = prop_oneof![Just(Permission::Read), Just(Permission::Write), Just(Permission::Admin)];
        let groups = prop::collection::btree_map(0_u8..5, level.clone(), 0..3);
        let users = prop::collection::btree_map((0_u8..6).prop_map(person), level, 0..2);
        (groups, users).prop_map(|(groups, users)| Grants { groups, users })
    }

    proptest! {
        #[test]
        fn coverage_agrees_with_asking_repository_by_repository(
            owners in prop::collection::btree_set((0_u8..6).prop_map(person), 0..2),
            groups in prop::collection::btree_set((0_u8..5, (0_u8..6).prop_map(person)), 0..12),
            projects in prop::collection::vec(grants(), 1..4),
            repositories in prop::collection::vec((0_u8..4, any::<bool>(), prop::option::of(grants())), 0..90),
        ) {
            let projects: BTreeMap<_, _> = (0_u8..).map(project).zip(projects).collect();
            let rows: Vec<_> = repositories.iter().enumerate().map(|(at, (of, private, grants))| RepositoryAccess {
                uuid: repository(at), project: project(*of), private: *private,
                groups: grants.as_ref().map(|grants| &grants.groups), users: grants.as_ref().map(|grants| &grants.users),
            }).collect();
            let map = AccessMap::new(owners.iter().copied(), groups.iter().copied(), &projects, rows.iter().copied());
            for who in (0_u8..6).map(person) {
                let mine: BTreeSet<u8> = groups.iter().filter(|(_, p)| *p == who).map(|(g, _)| *g).collect();
                let mut expected = Coverage { of: 0, missing: BTreeSet::new(), unread: BTreeSet::new() };
                for (row, (.., grants)) in rows.iter().zip(&repositories).filter(|(row, _)| row.private) {
                    expected.of += 1;
                    let level = effective(who, owners.contains(&who), &mine, projects.get(&row.project), grants.as_ref());
                    match (level, grants) {
                        (Some(_), _) => {}
                        (None, Some(_)) => { expected.missing.insert(row.uuid); }
                        (None, None) => { expected.unread.insert(row.uuid); }
                    }
                }
                let count = map.count(who, 2);
                prop_assert_eq!((count.of, count.missing, count.unread), (expected.of, expected.missing.len(), expected.unread.len()));
                prop_assert_eq!((count.all(), count.any()), (expected.all(), expected.any()));
                prop_assert_eq!(&count.examples, &expected.missing.iter().take(2).copied().collect::<Vec<_>>());
                let odd: BTreeSet<_> = (0..90).filter(|n| n % 3 == 1).map(repository).collect();
                prop_assert_eq!(map.misses_one_of(who, &map.set(&odd)), !expected.missing.is_disjoint(&odd));
                prop_assert_eq!(map.coverage(who), expected);
            }
        }
    }

    #[test]
    fn a_workspace_without_private_repositories_proves_nothing_about_anybody() {
        let nothing = Coverage { of: 0, missing: BTreeSet::new(), unread: BTreeSet::new() };
        assert_eq!((nothing.all(), nothing.any()), (None, None));
    }

    #[test]
    fn unread_grants_are_neither_yes_nor_no() {
        let row = |n| BTreeSet::from([repository(n)]);
        let unread = Coverage { of: 1, missing: BTreeSet::new(), unread: row(1) };
        assert_eq!((unread.all(), unread.any()), (None, None));
        let lacks_one = Coverage { of: 3, missing: row(1), unread: row(2) };
        assert_eq!((lacks_one.all(), lacks_one.any()), (Some(false), Some(true)));
    }
}
