//! The client against the stand-in Bitbucket that the whole project is tested with.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use rollcall_bitbucket::{
    Bitbucket, BitbucketWorkspace, CallBudget, Clock, Credential, Endpoints, Error, Limits, Listed,
    OwnRepositories, Session, Which, WorkspaceRef,
};
use rollcall_domain::budget::{Allowance, Purpose};
use rollcall_domain::mirror::{SeenProject, SeenRepository};
use rollcall_domain::{Secret, Timestamp};
use standin_bitbucket::{Act, Consumer, Fault, Level, On, Running, SYNC_KEY, SYNC_SECRET, To, World, start};

use crate::support::{http, once};

/// Members, repositories and projects each fill two pages and a half.
const MEMBERS: u64 = 25;
const PAGE: u64 = 10;
const PAGES: u64 = 3;

pub(crate) struct Rig {
    pub(crate) bitbucket: Running,
    pub(crate) workspace: BitbucketWorkspace,
    pub(crate) project: SeenProject,
    pub(crate) repository: SeenRepository,
    client: Bitbucket,
    clock: Clock,
}

impl Rig {
    /// On a small world.
    pub(crate) async fn new(limits: Limits) -> Self {
        Self::of(World::generated(7, 25, 25, 25, 5), limits).await
    }

    /// On a generated world.
    pub(crate) async fn of(world: World, limits: Limits) -> Self {
        let mut world = world.with_consumer(Consumer::for_people(
            "login",
            "secret",
            "http://localhost/callback/bitbucket",
        ));
        for person in 2..=25 {
            world.grant(On::Project("P1"), To::Person(&format!("person-{person}")), Level::Read).unwrap();
        }
        let bitbucket = start(world, "127.0.0.1:0".parse().unwrap()).await.unwrap();
        let clock: Clock = Arc::new(|| Timestamp::from_seconds(1_700_000_000));
        let url: url::Url = bitbucket.url().parse().unwrap();
        let endpoints = Endpoints::new(url.clone(), url).unwrap();
        let client = Bitbucket::new(http(), endpoints, Arc::clone(&clock), limits);
        let mut rig = Self {
            bitbucket,
            client,
            clock,
            workspace: crate::support::workspace(),
            project: SeenProject {
                uuid: crate::support::uuid(3, 1).parse().unwrap(),
                key: "P1".parse().unwrap(),
                name: String::new(),
            },
            repository: SeenRepository {
                uuid: crate::support::uuid(2, 1).parse().unwrap(),
                slug: "repository-7".parse().unwrap(),
                name: String::new(),
                project: crate::support::uuid(3, 1).parse().unwrap(),
                private: true,
            },
        };
        let session = rig.sync();
        rig.workspace = session.workspace(&WorkspaceRef::Slug("acme".parse().unwrap())).await.unwrap();
        let projects = session.projects(&rig.workspace).await.unwrap();
        rig.project = projects.seen().entries().iter().find(|p| p.key.as_str() == "P1").unwrap().clone();
        let repositories = session.repositories(&rig.workspace, Which::All).await.unwrap();
        let mut repositories = repositories.seen().entries().iter().map(|repository| &repository.seen);
        rig.repository = repositories.find(|r| r.slug.as_str() == "repository-7").unwrap().clone();
        rig.bitbucket.forget_requests();
        rig
    }

    pub(crate) fn sync(&self) -> Session {
        let credential =
            Credential::OAuthConsumer { key: SYNC_KEY.to_owned(), secret: Secret::new(SYNC_SECRET) };
        self.session(&credential)
    }

    pub(crate) fn person(&self, username: &str) -> Session {
        let token = self.bitbucket.person_token(username, "login").unwrap();
        self.session(&Credential::PersonToken(Secret::new(token)))
    }

    fn session(&self, credential: &Credential) -> Session {
        let budget = CallBudget::in_memory(Allowance::new(1_000_000, 0), Arc::clone(&self.clock));
        self.client.session(credential, &budget, Purpose::Sync)
    }
}

/// A listing of the stand-in.
struct Listing {
    path: &'static str,
    pages: u64,
    placed: bool,
    read: for<'r> fn(&'r Rig, &'r Session) -> BoxFuture<'r, Result<usize, Error>>,
}

fn whole<T: rollcall_domain::listing::Keyed>(listed: Listed<T>) -> Result<usize, Error> {
    listed.whole().map(|whole| whole.len())
}

const LISTINGS: [Listing; 10] = [
    Listing {
        path: "/2.0/workspaces/{workspace}/members",
        pages: PAGES,
        placed: true,
        read: |rig, session| Box::pin(async { whole(session.members(&rig.workspace).await?) }),
    },
    Listing {
        path: "/2.0/workspaces/{workspace}/permissions",
        pages: 1,
        placed: true,
        read: |rig, session| Box::pin(async { Ok(session.owners(&rig.workspace).await?.len()) }),
    },
    Listing {
        path: "/2.0/repositories/{workspace}",
        pages: PAGES,
        placed: false,
        read: |rig, session| {
            Box::pin(async { whole(session.repositories(&rig.workspace, Which::All).await?) })
        },
    },
    Listing {
        path: "/2.0/workspaces/{workspace}/projects",
        pages: PAGES,
        placed: false,
        read: |rig, session| Box::pin(async { whole(session.projects(&rig.workspace).await?) }),
    },
    Listing {
        path: "/2.0/workspaces/{workspace}/projects/{project_key}/permissions-config/groups",
        pages: 1,
        placed: false,
        read: |rig, session| {
            Box::pin(async { Ok(session.project_grants(&rig.workspace, &rig.project).await?.groups.len()) })
        },
    },
    Listing {
        path: "/2.0/workspaces/{workspace}/projects/{project_key}/permissions-config/users",
        pages: PAGES,
        placed: false,
        read: |rig, session| {
            Box::pin(async { Ok(session.project_grants(&rig.workspace, &rig.project).await?.users.len()) })
        },
    },
    Listing {
        path: "/2.0/repositories/{workspace}/{repo_slug}/permissions-config/groups",
        pages: 1,
        placed: false,
        read: |rig, session| {
            Box::pin(async {
                Ok(session.repository_group_grants(&rig.workspace, &rig.repository).await?.len())
            })
        },
    },
    Listing {
        path: "/2.0/repositories/{workspace}/{repo_slug}/permissions-config/users",
        pages: 1,
        placed: false,
        read: |rig, session| {
            Box::pin(async {
                Ok(session.repository_user_grants(&rig.workspace, &rig.repository).await?.len())
            })
        },
    },
    Listing {
        path: "/2.0/repositories/{workspace}",
        pages: PAGES,
        placed: false,
        read: |rig, _| {
            Box::pin(async {
                let session = rig.person("person-1");
                match session.own_private_repositories(rig.workspace.uuid, |_, _| false).await? {
                    OwnRepositories::All(own) => Ok(own.len()),
                    OwnRepositories::Stopped { .. } => panic!("stopped"),
                }
            })
        },
    },
    Listing {
        path: "/2.0/user/workspaces/{workspace}/permissions/repositories",
        pages: PAGES,
        placed: false,
        read: |rig, _| {
            Box::pin(async { Ok(rig.person("person-1").own_permissions(rig.workspace.uuid).await?.len()) })
        },
    },
];

/// A fault, the listings and pages it is played at, and the names of the errors it may end in.
type Case = (Act, fn(&Listing, u64) -> bool, &'static [&'static str]);

async fn every_fault(faults: Vec<Case>, limits: Limits) {
    let rig = Rig::new(limits).await;
    let session = rig.sync();
    for listing in &LISTINGS {
        let sound = (listing.read)(&rig, &session).await;
        assert!(sound.as_ref().is_ok_and(|read| *read > 0), "{}: {sound:?}", listing.path);
        for (act, concerns, expected) in &faults {
            for page in (1..=listing.pages).filter(|page| concerns(listing, *page)) {
                let fault = rig.bitbucket.fault(Fault::at(listing.path, act.clone()).page(page));
                // A session of its own: the pause after a 429 must not reach the next case.
                let read = (listing.read)(&rig, &rig.sync()).await;
                let code = read.as_ref().err().map(Error::code);
                assert!(
                    code.is_some_and(|code| expected.contains(&code)),
                    "{} page {page}, {act:?}: {read:?}",
                    listing.path
                );
                assert!(
                    rig.bitbucket.happened(fault) > 0,
                    "{} page {page}, {act:?} was not played",
                    listing.path
                );
                rig.bitbucket.heal();
            }
        }
    }
}

fn limits() -> Limits {
    Limits { page_length: PAGE, ..once() }
}

fn always(_: &Listing, _: u64) -> bool {
    true
}

#[tokio::test]
async fn no_fault_of_the_stand_in_at_any_page_ever_yields_a_listing() {
    let elsewhere = || "http://127.0.0.2:1".to_owned();
    let many = |listing: &Listing, _: u64| listing.pages > 1;
    let not_last = |listing: &Listing, page: u64| page < listing.pages;
    let faults: Vec<Case> = vec![
        (Act::Status(500), always, &["unavailable"]),
        (Act::Status(503), always, &["unavailable"]),
        (Act::Status(429), always, &["rate_limited", "paused"]),
        (Act::Status(401), always, &["unauthorized"]),
        (Act::Status(403), always, &["forbidden"]),
        (Act::Status(404), always, &["not_found"]),
        (Act::Status(410), always, &["gone"]),
        (Act::CutJson, always, &["cut"]),
        (Act::BreakOff, always, &["cut"]),
        (Act::Html200, always, &["not_json"]),
        (Act::Text200, always, &["not_json"]),
        (Act::Nothing200, always, &["not_json"]),
        (Act::Redirect(elsewhere()), always, &["redirected"]),
        (Act::RepeatRow, always, &["unproven"]),
        (Act::OmitRow { hide: false }, always, &["unproven"]),
        (Act::OmitRow { hide: true }, many, &["unproven"]),
        (Act::EmptyPage, always, &["unproven", "implausible"]),
        (Act::EmptyListing, many_but_first, &["unproven"]),
        (Act::NoNext, not_last, &["unproven"]),
        (Act::LoopNext(1), not_last, &["pages_out_of_order"]),
        (Act::ForeignNext(elsewhere()), not_last, &["foreign_next"]),
        (Act::Size(3), always, &["unproven", "pages_out_of_order"]),
        (Act::WrongWorkspace, placed, &["wrong_workspace"]),
    ];
    every_fault(faults, limits()).await;
}

fn many_but_first(listing: &Listing, page: u64) -> bool {
    listing.pages > 1 && page > 1
}

fn placed(listing: &Listing, _: u64) -> bool {
    listing.placed
}

#[tokio::test]
async fn a_page_of_the_stand_in_that_never_comes_is_a_timeout() {
    let limits = Limits { deadline: Duration::from_millis(150), ..limits() };
    every_fault(vec![(Act::Hang, always, &["timeout"])], limits).await;
}

#[tokio::test]
async fn an_endless_page_of_the_stand_in_is_not_read() {
    let limits = Limits { longest_answer: 64 * 1024, ..limits() };
    every_fault(vec![(Act::Padding(1024 * 1024), always, &["too_large"])], limits).await;
}

#[tokio::test]
async fn a_row_without_a_name_proves_nobody_elses_absence() {
    let rig = Rig::new(limits()).await;
    for act in [Act::MissingId, Act::WrongType, Act::NotAnObject] {
        rig.bitbucket.fault(Fault::at(LISTINGS[0].path, act.clone()).page(2));
        let members = rig.sync().members(&rig.workspace).await.unwrap();
        assert_eq!((members.seen().len() as u64, members.malformed().len()), (MEMBERS - 1, 1), "{act:?}");
        assert!(!members.absence_proven(), "{act:?}");
        rig.bitbucket.heal();
    }
}

#[tokio::test]
async fn pages_by_opaque_names_and_pages_without_a_size_are_read_as_well() {
    let rig = Rig::new(limits()).await;
    for listing in LISTINGS.iter().filter(|listing| listing.pages > 1) {
        let expected = (listing.read)(&rig, &rig.sync()).await.unwrap();
        rig.bitbucket.change(|world| world.behaviour.opaque_next.insert(listing.path.to_owned()));
        assert_eq!((listing.read)(&rig, &rig.sync()).await, Ok(expected), "{}", listing.path);
        rig.bitbucket.change(|world| world.behaviour.opaque_next.clear());
        rig.bitbucket.change(|world| world.behaviour.without_size.insert(listing.path.to_owned()));
        assert_eq!((listing.read)(&rig, &rig.sync()).await, Ok(expected), "{}", listing.path);
        rig.bitbucket.change(|world| world.behaviour.without_size.clear());
    }
}

#[tokio::test]
async fn fields_and_values_that_nobody_has_heard_of_do_no_harm() {
    let rig = Rig::new(limits()).await;
    rig.bitbucket.change(|world| {
        world.behaviour.weird.fields = true;
        world.behaviour.weird.values = true;
    });
    let session = rig.sync();
    for listing in &LISTINGS {
        let read = (listing.read)(&rig, &session).await;
        assert!(read.as_ref().is_ok_and(|read| *read > 0), "{}: {read:?}", listing.path);
    }
    let lane = session.read_members_lane(rig.workspace.uuid).await.unwrap();
    assert!(lane.groups.is_ok_and(|groups| groups.malformed().is_empty()) && lane.owners.is_ok());
}

#[tokio::test]
async fn the_stand_in_counts_as_many_calls_as_are_promised() {
    for (members, repositories, projects, groups) in [(1_000, 2_000, 100, 50), (10_000, 10_000, 500, 200)] {
        let rig = Rig::of(World::generated(1, members, repositories, projects, groups), once()).await;
        let session = rig.sync();
        let lane = session.read_members_lane(rig.workspace.uuid).await.unwrap();
        assert_eq!(lane.members.seen().len(), members);
        assert_eq!(lane.groups.unwrap().seen().len(), groups);
        assert_eq!(rig.bitbucket.requests().len(), members / 100 + 3);
        rig.bitbucket.forget_requests();
        let lane = session.read_structure_lane(rig.workspace.uuid, |_| true).await.unwrap();
        assert_eq!((lane.repositories.seen().len(), lane.projects.seen().len()), (repositories, projects));
        assert!(lane.grants.values().all(Result::is_ok));
        assert_eq!(rig.bitbucket.requests().len(), repositories / 100 + projects / 100 + 2 * projects + 2);
        assert!(rig.bitbucket.most_at_once() <= 8);
    }
}
