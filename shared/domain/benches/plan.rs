//! How long a plan takes for a large workspace: 10,000 members, 200 groups with 100,000 memberships, 500 projects and 10,000
//! repositories. The aim is 150 ms and 256 MB in a release build; the peak of the whole process is printed at the end.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::semicolon_if_nothing_returned,
    reason = "a benchmark prints, and stops where its world is wrong"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::hint::black_box;

use criterion::{BatchSize, Criterion};
use rollcall_domain::access::Grants;
use rollcall_domain::bitbucket::{AccountUuid, GroupSlug, Permission, ProjectUuid, RepositoryUuid};
use rollcall_domain::connection::{OffboardOn, Settings};
use rollcall_domain::listing::Complete;
use rollcall_domain::member::Role;
use rollcall_domain::mirror::{
    GrantsSnapshot, MemberStanding, MembersSnapshot, Mirror, MirroredMember, Read, SeenGroup, SeenPerson,
    SeenProject, SeenRepository, StructureSnapshot,
};
use rollcall_domain::plan::{self, Plan};
use rollcall_domain::{MemberId, Timestamp, WorkspaceId};
use uuid::Uuid;

const PEOPLE: u32 = 10_000;
const GROUPS: u32 = 200;
const GROUPS_EACH: u32 = 10;
const PROJECTS: u32 = 500;
const REPOSITORIES: u32 = 10_000;

fn account(n: u32) -> AccountUuid {
    AccountUuid::new(Uuid::from_u128(u128::from(n)))
}
fn project(n: u32) -> ProjectUuid {
    ProjectUuid::new(Uuid::from_u128(u128::from(n)))
}
fn repository(n: u32) -> RepositoryUuid {
    RepositoryUuid::new(Uuid::from_u128(u128::from(n)))
}
fn slug(n: u32) -> GroupSlug {
    format!("group-{n}").parse().unwrap()
}
fn now() -> Timestamp {
    Timestamp::from_seconds(1_800_000_000)
}

/// The members lane's snapshot, without the people whose number `left` divides.
fn members(left: Option<u32>) -> MembersSnapshot {
    let is_here = |n: &u32| left.is_none_or(|left| n % left != 1);
    let people = (0..PEOPLE).filter(is_here).map(|n| SeenPerson {
        uuid: account(n),
        account_id: None,
        display_name: format!("Person number {n}"),
        nickname: format!("person{n}"),
        human: true,
    });
    let mut groups: BTreeMap<u32, BTreeMap<AccountUuid, bool>> = BTreeMap::new();
    for n in (0..PEOPLE).filter(is_here) {
        for k in 0..GROUPS_EACH {
            groups.entry((n + k * 19) % GROUPS).or_default().insert(account(n), true);
        }
    }
    let groups = groups.into_iter().map(|(n, members)| SeenGroup {
        slug: slug(n),
        name: format!("Group {n}"),
        members,
    });
    MembersSnapshot {
        people: Read::whole(Complete::unpaged(people.collect()).unwrap()),
        owners: Some((0..5).map(account).collect()),
        groups: Some(Read::whole(Complete::unpaged(groups.collect()).unwrap())),
        asked: BTreeMap::new(),
    }
}

fn structure() -> StructureSnapshot {
    let repositories = (0..REPOSITORIES).map(|n| SeenRepository {
        uuid: repository(n),
        slug: format!("repository-{n}").parse().unwrap(),
        name: format!("Repository {n}"),
        project: project(n % PROJECTS),
        private: n % 10 != 0,
    });
    let projects = (0..PROJECTS).map(|n| SeenProject {
        uuid: project(n),
        key: format!("P{n}").parse().unwrap(),
        name: format!("Project {n}"),
    });
    let grants = (0..PROJECTS).map(|n| {
        let groups = (0..4).map(|k| (slug((n + k) % GROUPS), Permission::Write)).collect();
        (project(n), Grants { groups, users: [(account(n), Permission::Admin)].into() })
    });
    StructureSnapshot {
        repositories: Read::whole(Complete::unpaged(repositories.collect()).unwrap()),
        projects: Read::whole(Complete::unpaged(projects.collect()).unwrap()),
        grants: grants.collect(),
    }
}

fn grants() -> GrantsSnapshot {
    let groups = (0..REPOSITORIES).map(|n| (repository(n), [(slug(n % GROUPS), Permission::Admin)].into()));
    let users = (0..REPOSITORIES).map(|n| (repository(n), [(account(n), Permission::Read)].into()));
    GrantsSnapshot { groups: groups.collect(), users: users.collect() }
}

fn settings() -> Settings {
    Settings { offboard_on: OffboardOn::LostAccess, ..Settings::default() }
}

fn apply(plan: &Plan, mirror: &mut Mirror) {
    plan.changes.iter().for_each(|change| change.apply(mirror));
}

fn mirrored() -> Mirror {
    let mut mirror = Mirror::default();
    let workspace = WorkspaceId::new(Timestamp::EPOCH, [0; 10]);
    apply(&plan::members::plan(workspace, &mirror, &members(None), &settings(), now()), &mut mirror);
    apply(&plan::structure::plan(&mirror, &structure(), &settings(), now()), &mut mirror);
    apply(&plan::grants::plan(&mirror, &grants(), &grants().repositories(), &settings(), now()), &mut mirror);
    for n in 0..PEOPLE {
        let mut random = [0; 10];
        random[..4].copy_from_slice(&n.to_be_bytes());
        let id = MemberId::new(Timestamp::EPOCH, random);
        let member = MirroredMember {
            id,
            name: format!("Person number {n}"),
            account: Some(account(n)),
            standing: MemberStanding::Active,
            suspended_by: None,
            by_bitbucket: true,
            by_invite: None,
            warned: false,
            role: Role::Member,
            version: 1,
        };
        mirror.members.insert(id, member);
    }
    mirror
}

/// The most memory the process has ever held, in MB, where the system tells.
fn peak() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse::<u64>().ok().map(|kib| kib / 1024)
}

fn main() {
    let mut criterion = Criterion::default().sample_size(10).configure_from_args();
    let workspace = WorkspaceId::new(Timestamp::EPOCH, [0; 10]);
    let mirror = mirrored();
    let settings = settings();
    let memberships: usize = mirror.people.values().map(|person| person.teams.len()).sum();
    println!(
        "{} people, {} teams, {memberships} memberships, {} repositories, {} responsibilities",
        mirror.people.len(),
        mirror.teams.len(),
        mirror.repositories.len(),
        mirror.responsibilities.len(),
    );
    let mut group = criterion.benchmark_group("plan");
    let (same, fewer, structure, grants) = (members(None), members(Some(10)), structure(), grants());
    let plan_members = |mirror: &Mirror, snapshot: &MembersSnapshot| {
        plan::members::plan(workspace, mirror, snapshot, &settings, now())
    };
    group.bench_function("members, first", |b| b.iter(|| plan_members(black_box(&Mirror::default()), &same)));
    group.bench_function("members, nothing changed", |b| b.iter(|| plan_members(black_box(&mirror), &same)));
    group
        .bench_function("members, a tenth has left", |b| b.iter(|| plan_members(black_box(&mirror), &fewer)));
    group.bench_function("structure, nothing changed", |b| {
        b.iter(|| plan::structure::plan(black_box(&mirror), &structure, &settings, now()));
    });
    group.bench_function("grants, a whole lap, nothing changed", |b| {
        b.iter(|| plan::grants::plan(black_box(&mirror), &grants, &grants.repositories(), &settings, now()));
    });
    group.bench_function("coverage of every member", |b| {
        b.iter(|| plan::grants::coverages(black_box(&mirror)))
    });
    let tenth = plan_members(&mirror, &fewer);
    group.bench_function("hash of the plan in which a tenth has left", |b| {
        b.iter(|| black_box(&tenth).hash())
    });
    group.bench_function("applying it to the mirror", |b| {
        b.iter_batched_ref(|| mirror.clone(), |mirror| apply(&tenth, mirror), BatchSize::LargeInput);
    });
    group.finish();
    let gone: BTreeSet<_> = tenth.changes.iter().filter_map(plan::Change::removal).collect();
    assert!(gone.contains(&plan::Removal::Members), "the benchmark measures a plan that does something");
    if let Some(peak) = peak() {
        println!("peak memory of the whole benchmark: {peak} MB");
    }
    criterion.final_summary();
}
