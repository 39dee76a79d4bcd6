//! A large workspace: what Bitbucket says of it, and its mirror.

use std::collections::BTreeMap;

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

/// A workspace that is mirrored, and in which everybody is a member.
pub(crate) struct Workspace {
    pub(crate) id: WorkspaceId,
    pub(crate) mirror: Mirror,
    pub(crate) members: MembersSnapshot,
    /// The same without a tenth of the people.
    pub(crate) fewer: MembersSnapshot,
    pub(crate) structure: StructureSnapshot,
    pub(crate) grants: GrantsSnapshot,
    pub(crate) settings: Settings,
}

pub(crate) fn now() -> Timestamp {
    Timestamp::from_seconds(1_800_000_000)
}

pub(crate) fn apply(plan: &Plan, mirror: &mut Mirror) {
    plan.changes.iter().for_each(|change| change.apply(mirror));
}

impl Workspace {
    pub(crate) fn new(factor: u32) -> Self {
        let id = WorkspaceId::new(Timestamp::EPOCH, [0; 10]);
        let settings = Settings { offboard_on: OffboardOn::LostAccess, ..Settings::default() };
        let (members, fewer) = (members(factor, None), members(factor, Some(10)));
        let (structure, grants) = (structure(factor), grants(factor));
        let mut mirror = Mirror::default();
        apply(&plan::members::plan(id, &mirror, &members, &settings, now()), &mut mirror);
        apply(&plan::structure::plan(&mirror, &structure, &settings, now()), &mut mirror);
        apply(&plan::grants::plan(&mirror, &grants, &grants.repositories(), &settings, now()), &mut mirror);
        for n in 0..PEOPLE * factor {
            let member = member(n);
            mirror.members.insert(member.id, member);
        }
        Self { id, mirror, members, fewer, structure, grants, settings }
    }
}

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

fn member(n: u32) -> MirroredMember {
    let mut random = [0; 10];
    random[..4].copy_from_slice(&n.to_be_bytes());
    MirroredMember {
        id: MemberId::new(Timestamp::EPOCH, random),
        name: format!("Person number {n}"),
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

/// The members lane's snapshot, without one in `left` people.
fn members(factor: u32, left: Option<u32>) -> MembersSnapshot {
    let is_here = |n: &u32| left.is_none_or(|left| n % left != 1);
    let people = (0..PEOPLE * factor).filter(is_here).map(|n| SeenPerson {
        uuid: account(n),
        account_id: None,
        display_name: format!("Person number {n}"),
        nickname: format!("person{n}"),
        human: true,
    });
    let mut groups: BTreeMap<u32, BTreeMap<AccountUuid, bool>> = BTreeMap::new();
    for n in (0..PEOPLE * factor).filter(is_here) {
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

fn structure(factor: u32) -> StructureSnapshot {
    let repositories = (0..REPOSITORIES * factor).map(|n| SeenRepository {
        uuid: repository(n),
        slug: format!("repository-{n}").parse().unwrap(),
        name: format!("Repository {n}"),
        project: project(n % (PROJECTS * factor)),
        private: n % 10 != 0,
    });
    let projects = (0..PROJECTS * factor).map(|n| SeenProject {
        uuid: project(n),
        key: format!("P{n}").parse().unwrap(),
        name: format!("Project {n}"),
    });
    let grants = (0..PROJECTS * factor).map(|n| {
        let groups = (0..4).map(|k| (slug((n + k) % GROUPS), Permission::Write)).collect();
        (project(n), Grants { groups, users: [(account(n), Permission::Admin)].into() })
    });
    StructureSnapshot {
        repositories: Read::whole(Complete::unpaged(repositories.collect()).unwrap()),
        projects: Read::whole(Complete::unpaged(projects.collect()).unwrap()),
        grants: grants.collect(),
    }
}

fn grants(factor: u32) -> GrantsSnapshot {
    let each = 0..REPOSITORIES * factor;
    let groups = each.clone().map(|n| (repository(n), [(slug(n % GROUPS), Permission::Admin)].into()));
    let users = each.map(|n| (repository(n), [(account(n), Permission::Read)].into()));
    GrantsSnapshot { groups: groups.collect(), users: users.collect() }
}
