//! A Bitbucket workspace in miniature, and the plainest statement of what its mirror should be.
#![allow(dead_code, reason = "each test binary uses its own part")]
#![allow(
    clippy::unwrap_used,
    clippy::struct_excessive_bools,
    clippy::too_many_lines,
    reason = "a model for tests"
)]

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use rollcall_domain::access::Grants;
use rollcall_domain::bitbucket::{AccountUuid, GroupSlug, Permission, ProjectUuid, RepositoryUuid};
use rollcall_domain::connection::Settings;
use rollcall_domain::listing::{Complete, Keyed};
use rollcall_domain::member::Role;
use rollcall_domain::mirror::{
    GrantsSnapshot, MemberStanding, MembersSnapshot, Mirror, MirroredMember, Read, SeenGroup, SeenPerson,
    SeenProject, SeenRepository, StructureSnapshot,
};
use rollcall_domain::plan::confirm::{Answer, Answers, Questions};
use rollcall_domain::plan::{self, Plan, grants::ToRead};
use rollcall_domain::{MemberId, Timestamp, WorkspaceId};
use uuid::Uuid;

/// The account that no human being is behind.
pub(crate) const BOT: u8 = 8;

pub(crate) fn account(n: u8) -> AccountUuid {
    AccountUuid::new(Uuid::from_u128(u128::from(n)))
}
pub(crate) fn project(n: u8) -> ProjectUuid {
    ProjectUuid::new(Uuid::from_u128(1000 + u128::from(n)))
}
pub(crate) fn repository(n: u8) -> RepositoryUuid {
    RepositoryUuid::new(Uuid::from_u128(2000 + u128::from(n)))
}
pub(crate) fn member_id(n: u8) -> MemberId {
    MemberId::new(Timestamp::EPOCH, [n; 10])
}
pub(crate) fn workspace() -> WorkspaceId {
    WorkspaceId::new(Timestamp::EPOCH, [9; 10])
}
pub(crate) fn now() -> Timestamp {
    Timestamp::from_seconds(1_800_000_000)
}
pub(crate) fn slug(n: u8) -> GroupSlug {
    format!("slug-{n}").parse().unwrap()
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Account {
    pub(crate) name: String,
    pub(crate) bot: bool,
    pub(crate) deactivated: bool,
    pub(crate) owner: bool,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Group {
    pub(crate) slug: u8,
    pub(crate) name: String,
    pub(crate) members: BTreeSet<u8>,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Granted {
    pub(crate) groups: BTreeMap<u8, Permission>,
    pub(crate) users: BTreeMap<u8, Permission>,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Repo {
    pub(crate) slug: String,
    pub(crate) project: u8,
    pub(crate) private: bool,
    pub(crate) granted: Granted,
}

/// A group is known here by a number that nobody outside can see.
#[derive(Debug, Clone, Default)]
pub(crate) struct World {
    pub(crate) accounts: BTreeMap<u8, Account>,
    pub(crate) groups: BTreeMap<u8, Group>,
    pub(crate) projects: BTreeMap<u8, Granted>,
    pub(crate) repositories: BTreeMap<u8, Repo>,
}

/// What a listing does not tell properly.
#[derive(Debug, Clone, Default)]
pub(crate) struct Faults {
    pub(crate) owners_unreadable: bool,
    pub(crate) groups_unreadable: bool,
    pub(crate) malformed_accounts: BTreeSet<u8>,
    pub(crate) malformed_groups: BTreeSet<u8>,
    pub(crate) unnamed_account: bool,
    pub(crate) unnamed_group: bool,
    /// Accounts that a complete listing leaves out all the same.
    pub(crate) omitted_accounts: BTreeSet<u8>,
    /// Groups that say of these that they are not in use, while others say that they are.
    pub(crate) contradicted: BTreeSet<u8>,
}

pub(crate) fn complete<T: Keyed>(entries: Vec<T>) -> Complete<T> {
    Complete::unpaged(entries).unwrap()
}

fn read<T: Keyed>(entries: Vec<T>, kept: BTreeSet<T::Key>, absence_proven: bool) -> Read<T> {
    let entries = entries.into_iter().filter(|entry| !kept.contains(&entry.key())).collect();
    Read { seen: complete(entries), kept, absence_proven }
}

impl World {
    pub(crate) fn is_in_use(&self, person: u8) -> bool {
        self.accounts.get(&person).is_some_and(|account| !account.deactivated)
    }

    pub(crate) fn seen_group(&self, group: &Group) -> SeenGroup {
        let members = group.members.iter().map(|person| (account(*person), self.is_in_use(*person)));
        SeenGroup { slug: slug(group.slug), name: group.name.clone(), members: members.collect() }
    }

    pub(crate) fn members_snapshot(
        &self,
        faults: &Faults,
        asked: impl IntoIterator<Item = u8>,
    ) -> MembersSnapshot {
        let people = self.accounts.iter().filter(|(n, _)| !faults.omitted_accounts.contains(n));
        let people = people.map(|(n, found)| SeenPerson {
            uuid: account(*n),
            account_id: None,
            display_name: found.name.clone(),
            nickname: String::new(),
            human: !found.bot,
        });
        let kept = faults.malformed_accounts.iter().filter(|n| self.accounts.contains_key(n));
        let owners = self.accounts.iter().filter(|(_, found)| found.owner).map(|(n, _)| account(*n));
        let groups = self.groups.values().enumerate().map(|(at, group)| {
            let mut seen = self.seen_group(group);
            for n in faults.contradicted.iter().filter(|_| at % 2 == 0) {
                seen.members.entry(account(*n)).and_modify(|in_use| *in_use = false);
            }
            seen
        });
        let kept_groups = faults.malformed_groups.iter().filter_map(|n| self.groups.get(n));
        MembersSnapshot {
            people: read(people.collect(), kept.map(|n| account(*n)).collect(), !faults.unnamed_account),
            owners: (!faults.owners_unreadable).then(|| owners.collect()),
            groups: (!faults.groups_unreadable).then(|| {
                read(
                    groups.collect(),
                    kept_groups.map(|group| slug(group.slug)).collect(),
                    !faults.unnamed_group,
                )
            }),
            asked: asked.into_iter().map(|n| (account(n), self.is_in_use(n))).collect(),
        }
    }

    pub(crate) fn grants(&self, granted: &Granted) -> Grants<GroupSlug> {
        let groups =
            granted.groups.iter().filter_map(|(n, level)| Some((slug(self.groups.get(n)?.slug), *level)));
        let users = granted.users.iter().filter(|(n, _)| self.accounts.contains_key(n));
        Grants { groups: groups.collect(), users: users.map(|(n, level)| (account(*n), *level)).collect() }
    }

    pub(crate) fn structure_snapshot(&self) -> StructureSnapshot {
        let repositories = self.repositories.iter().map(|(n, found)| SeenRepository {
            uuid: repository(*n),
            slug: found.slug.parse().unwrap(),
            name: found.slug.clone(),
            project: project(found.project),
            private: found.private,
        });
        let projects = self.projects.keys().map(|n| SeenProject {
            uuid: project(*n),
            key: format!("P{n}").parse().unwrap(),
            name: format!("Project {n}"),
        });
        StructureSnapshot {
            repositories: Read::whole(complete(repositories.collect())),
            projects: Read::whole(complete(projects.collect())),
            grants: self.projects.iter().map(|(n, granted)| (project(*n), self.grants(granted))).collect(),
        }
    }

    pub(crate) fn grants_snapshot(&self, to_read: &[ToRead]) -> GrantsSnapshot {
        let mut snapshot = GrantsSnapshot::default();
        for (n, found) in &self.repositories {
            let Some(read) = to_read.iter().find(|read| read.repository == repository(*n)) else { continue };
            let grants = self.grants(&found.granted);
            if read.groups {
                snapshot.groups.insert(read.repository, grants.groups);
            }
            if read.users {
                snapshot.users.insert(read.repository, grants.users);
            }
        }
        snapshot
    }

    /// What Bitbucket answers to what has to be asked before a plan is applied.
    pub(crate) fn answers(&self, plan: &Plan) -> Answers {
        let questions = Questions::of(plan);
        let find = |uuid: &AccountUuid| self.accounts.keys().find(|n| account(**n) == *uuid).copied();
        let presence = questions
            .presence
            .iter()
            .map(|uuid| (*uuid, if find(uuid).is_some() { Answer::Present } else { Answer::Gone }));
        let in_use = questions.in_use.iter().map(|uuid| {
            let in_use = find(uuid).is_none_or(|n| self.is_in_use(n));
            (*uuid, if in_use { Answer::InUse } else { Answer::Inactive })
        });
        Answers { people: presence.chain(in_use).collect(), ..Answers::default() }
    }

    /// Whether an account can read a repository, asked the long way.
    pub(crate) fn can_read(&self, person: u8, found: &Repo) -> bool {
        let by = |granted: &Granted| {
            granted.users.contains_key(&person)
                || granted
                    .groups
                    .keys()
                    .any(|group| self.groups.get(group).is_some_and(|g| g.members.contains(&person)))
        };
        self.accounts.get(&person).is_some_and(|account| account.owner)
            || by(&found.granted)
            || self.projects.get(&found.project).is_some_and(by)
    }
}

/// A full run without faults and without a guard: members, structure, grants.
pub(crate) fn run(world: &World, mirror: &mut Mirror, settings: &Settings) -> Vec<Plan> {
    let mut plans = Vec::new();
    let mut done = |plan: Plan, mirror: &mut Mirror| {
        plan.changes.iter().for_each(|change| change.apply(mirror));
        plans.push(plan);
    };
    done(members_plan(world, mirror, settings), mirror);
    done(plan::structure::plan(mirror, &world.structure_snapshot(), settings, now()), mirror);
    let to_read = plan::grants::to_read(mirror, false);
    let snapshot = world.grants_snapshot(&to_read);
    done(plan::grants::plan(mirror, &snapshot, &snapshot.repositories(), settings, now()), mirror);
    plans
}

pub(crate) fn members_plan(world: &World, mirror: &Mirror, settings: &Settings) -> Plan {
    let in_groups: BTreeSet<u8> =
        world.groups.values().flat_map(|group| group.members.iter().copied()).collect();
    let alone = world.accounts.keys().copied().filter(|n| !in_groups.contains(n));
    let snapshot = world.members_snapshot(&Faults::default(), alone);
    plan::members::plan(workspace(), mirror, &snapshot, settings, now())
}

pub(crate) fn member(n: u8) -> MirroredMember {
    MirroredMember {
        id: member_id(n),
        name: format!("Person {n}"),
        account: Some(account(n)),
        standing: MemberStanding::Active,
        suspended_by: None,
        by_bitbucket: true,
        by_invite: None,
        warned: false,
        role: Role::Member,
        version: 1,
    }
}

/// What happens in the workspace and in the application, one thing at a time.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    Join(u8),
    Leave(u8),
    Deactivate(u8, bool),
    Own(u8, bool),
    RenamePerson(u8, u8),
    MakeGroup(u8, u8, u8),
    DropGroup(u8),
    RenameGroup(u8, u8),
    MoveGroup(u8, u8),
    JoinGroup(u8, u8),
    LeaveGroup(u8, u8),
    MakeProject(u8),
    DropProject(u8),
    MakeRepository(u8, u8, bool),
    DropRepository(u8),
    RenameRepository(u8, u8),
    GrantProject(u8, u8, bool, Option<Permission>),
    GrantRepository(u8, u8, bool, Option<Permission>),
    SignIn(u8),
    Invite(u8, Option<i64>),
    Disable(u8),
}

pub(crate) fn step() -> impl Strategy<Value = Step> {
    let (p, g, q, r) = (0_u8..9, 0_u8..5, 0_u8..3, 0_u8..7);
    let level = prop::option::weighted(
        0.7,
        prop_oneof![Just(Permission::Read), Just(Permission::Write), Just(Permission::Admin)],
    );
    prop_oneof![
        3 => p.clone().prop_map(Step::Join),
        1 => p.clone().prop_map(Step::Leave),
        1 => (p.clone(), any::<bool>()).prop_map(|(p, off)| Step::Deactivate(p, off)),
        1 => (p.clone(), prop::bool::weighted(0.4)).prop_map(|(p, own)| Step::Own(p, own)),
        1 => (p.clone(), 0_u8..4).prop_map(|(p, n)| Step::RenamePerson(p, n)),
        2 => (g.clone(), 0_u8..4, 0_u8..4).prop_map(|(g, s, n)| Step::MakeGroup(g, s, n)),
        1 => g.clone().prop_map(Step::DropGroup),
        1 => (g.clone(), 0_u8..4).prop_map(|(g, n)| Step::RenameGroup(g, n)),
        1 => (g.clone(), 0_u8..6).prop_map(|(g, s)| Step::MoveGroup(g, s)),
        4 => (g.clone(), p.clone()).prop_map(|(g, p)| Step::JoinGroup(g, p)),
        1 => (g.clone(), p.clone()).prop_map(|(g, p)| Step::LeaveGroup(g, p)),
        1 => q.clone().prop_map(Step::MakeProject),
        1 => q.clone().prop_map(Step::DropProject),
        3 => (r.clone(), q.clone(), prop::bool::weighted(0.8)).prop_map(|(r, q, private)| Step::MakeRepository(r, q, private)),
        1 => r.clone().prop_map(Step::DropRepository),
        1 => (r.clone(), 0_u8..3).prop_map(|(r, n)| Step::RenameRepository(r, n)),
        3 => (q, 0_u8..9, prop::bool::weighted(0.7), level.clone()).prop_map(|(q, to, group, level)| Step::GrantProject(q, to, group, level)),
        3 => (r, 0_u8..9, prop::bool::weighted(0.6), level).prop_map(|(r, to, group, level)| Step::GrantRepository(r, to, group, level)),
        4 => p.clone().prop_map(Step::SignIn),
        1 => (p.clone(), prop::option::of(-50_i64..50)).prop_map(|(p, end)| Step::Invite(p, end)),
        1 => p.prop_map(Step::Disable),
    ]
}

pub(crate) fn steps(range: std::ops::Range<usize>) -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec(step(), range)
}

fn grant(granted: &mut Granted, to: u8, group: bool, level: Option<Permission>) {
    let map = if group { &mut granted.groups } else { &mut granted.users };
    match level {
        Some(level) => map.insert(to, level),
        None => map.remove(&to),
    };
}

impl World {
    /// A world and the mirror's members, after some steps.
    pub(crate) fn play(&mut self, mirror: &mut Mirror, steps: &[Step]) {
        for step in steps {
            self.step(mirror, step);
        }
    }

    fn step(&mut self, mirror: &mut Mirror, step: &Step) {
        match *step {
            Step::Join(p) => {
                let bot = p == BOT;
                self.accounts.entry(p).or_insert_with(|| Account {
                    name: format!("Person {p}"),
                    bot,
                    ..Account::default()
                });
            }
            Step::Leave(p) => {
                self.accounts.remove(&p);
                self.groups.values_mut().for_each(|group| {
                    group.members.remove(&p);
                });
            }
            Step::Deactivate(p, off) => {
                self.accounts.entry(p).and_modify(|account| account.deactivated = off);
            }
            Step::Own(p, own) => {
                self.accounts.entry(p).and_modify(|account| account.owner = own && !account.bot);
            }
            Step::RenamePerson(p, n) => {
                self.accounts.entry(p).and_modify(|account| account.name = format!("Name {n}"));
            }
            Step::MakeGroup(g, slug, name) => {
                if !self.groups.contains_key(&g) && self.groups.values().all(|group| group.slug != slug) {
                    self.groups
                        .insert(g, Group { slug, name: format!("Group {name}"), members: BTreeSet::new() });
                }
            }
            Step::DropGroup(g) => {
                self.groups.remove(&g);
                let granted = self
                    .projects
                    .values_mut()
                    .chain(self.repositories.values_mut().map(|repo| &mut repo.granted));
                granted.for_each(|granted| {
                    granted.groups.remove(&g);
                });
            }
            Step::RenameGroup(g, name) => {
                self.groups.entry(g).and_modify(|group| group.name = format!("Group {name}"));
            }
            Step::MoveGroup(g, slug) => {
                if self.groups.values().all(|group| group.slug != slug) {
                    self.groups.entry(g).and_modify(|group| group.slug = slug);
                }
            }
            Step::JoinGroup(g, p) => {
                if self.accounts.contains_key(&p) {
                    self.groups.entry(g).and_modify(|group| {
                        group.members.insert(p);
                    });
                }
            }
            Step::LeaveGroup(g, p) => {
                self.groups.entry(g).and_modify(|group| {
                    group.members.remove(&p);
                });
            }
            Step::MakeProject(q) => {
                self.projects.entry(q).or_default();
            }
            Step::DropProject(q) => {
                if self.repositories.values().all(|repo| repo.project != q) {
                    self.projects.remove(&q);
                }
            }
            Step::MakeRepository(r, q, private) => {
                self.projects.entry(q).or_default();
                let repo = self
                    .repositories
                    .entry(r)
                    .or_insert_with(|| Repo { slug: format!("repo-{r}"), ..Repo::default() });
                (repo.project, repo.private) = (q, private);
            }
            Step::DropRepository(r) => {
                self.repositories.remove(&r);
            }
            Step::RenameRepository(r, n) => {
                self.repositories.entry(r).and_modify(|repo| repo.slug = format!("repo-{r}-{n}"));
            }
            Step::GrantProject(q, to, group, level) => {
                if let Some(granted) =
                    self.projects.get_mut(&q).filter(|_| !group || self.groups.contains_key(&to))
                {
                    grant(granted, to, group, level);
                }
            }
            Step::GrantRepository(r, to, group, level) => {
                if let Some(repo) =
                    self.repositories.get_mut(&r).filter(|_| !group || self.groups.contains_key(&to))
                {
                    grant(&mut repo.granted, to, group, level);
                }
            }
            Step::SignIn(p) => {
                if self.accounts.get(&p).is_some_and(|account| !account.bot && !account.deactivated) {
                    let known = mirror.members.entry(member_id(p)).or_insert_with(|| member(p));
                    if known.standing != MemberStanding::Disabled {
                        (known.by_bitbucket, known.standing) = (true, MemberStanding::Active);
                    }
                }
            }
            Step::Invite(p, end) => {
                let end = end.map(|end| Timestamp::from_seconds(now().as_seconds() + end));
                let invited = mirror
                    .members
                    .entry(member_id(p))
                    .or_insert_with(|| MirroredMember { by_bitbucket: false, ..member(p) });
                invited.by_invite = Some(end);
            }
            Step::Disable(p) => {
                mirror
                    .members
                    .entry(member_id(p))
                    .and_modify(|member| member.standing = MemberStanding::Disabled);
            }
        }
    }
}
