//! How long it takes to list 10,000 members to the end, over HTTP, page by page, each with their teams and what they lack.
//!
//! `cargo bench -p rollcall-admin-api`. The exit status is 1 if it takes two seconds or more. The table is the embedded one, in the same
//! process: at DynamoDB, each of the five or so reads of a page takes a few milliseconds instead.

#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "a benchmark prints, stops where its world is wrong, and uses what it needs of the tests' deployment"
)]

#[path = "../tests/it/support.rs"]
mod support;

use core::time::Duration;
use std::collections::BTreeSet;
use std::process::ExitCode;

use futures_util::{StreamExt as _, stream};
use rollcall_admin::testing::{As, BOOTSTRAP, START};
use rollcall_domain::bitbucket::{AccountUuid, RepositoryUuid};
use rollcall_domain::identity::Identity;
use rollcall_domain::member::{Member, Origin, Role};
use rollcall_domain::mirror::{OwnGrants, Person, Repository, Team};
use rollcall_domain::{TeamId, WorkspaceId};
use rollcall_service::clock::Stopwatch;
use rollcall_store::{CoverageRow, Key, When};
use serde_json::{Value, json};

use crate::support::World;

const MEMBERS: usize = 10_000;
const TEAMS: usize = 100;
const REPOSITORIES: usize = 500;
const MOST: Duration = Duration::from_secs(2);

fn uuid(kind: u8, n: usize) -> String {
    format!("{{00000000-0000-4000-{kind:02x}00-{n:012x}}}")
}

/// The rows of a workspace: every member has three teams, and every other one lacks twenty repositories.
fn rows(world: &World, workspace: WorkspaceId) -> Vec<(String, String, Value)> {
    let deployment = &world.deployment;
    let issuer = deployment.admin.config().bitbucket_url.as_str();
    let team = |n: usize| TeamId::new(START, [u8::try_from(n % TEAMS).unwrap(); 10]);
    let repository = |n: usize| -> RepositoryUuid { uuid(0xa0, n % REPOSITORIES).parse().unwrap() };
    let mut rows = Vec::new();
    let mut row =
        |what: &str, id: String, value: Value| rows.push((format!("{workspace}#{what}"), id, value));
    for n in 0..TEAMS {
        let slug = format!("group-{n}").parse().unwrap();
        let group = Team { id: team(n), slug, name: format!("Group {n}"), removed: false };
        row("teams", group.id.to_string(), json!(group));
    }
    for n in 0..REPOSITORIES {
        let one = Repository {
            uuid: repository(n),
            slug: format!("repository-{n}").parse().unwrap(),
            name: format!("Repository {n}"),
            project: uuid(0xb0, n % 20).parse().unwrap(),
            private: true,
            own: OwnGrants::default(),
            removed: false,
        };
        row("repositories", one.uuid.to_string(), json!(one));
    }
    for n in 0..MEMBERS {
        let account: AccountUuid = uuid(0x90, n).parse().unwrap();
        let member = Member {
            identities: vec![Identity::bitbucket(issuer, account)],
            origin: Origin::Bitbucket,
            by_bitbucket: true,
            by_invite: None,
            version: 1,
            ..deployment.new_member(workspace, &format!("person{n}"), Role::Member)
        };
        let person = Person {
            uuid: account,
            account_id: None,
            display_name: member.display_name.clone(),
            nickname: format!("person-{n}"),
            owner: false,
            inactive: false,
            teams: BTreeSet::from([team(n), team(n / 7), team(n / 31)]),
            left: false,
        };
        let named: Vec<RepositoryUuid> =
            if n % 2 == 0 { Vec::new() } else { (0..20).map(|k| repository(n + k * 11)).collect() };
        let coverage =
            CoverageRow { member: member.id, of: REPOSITORIES, missing: named.len(), named, unread: 0 };
        row("people", account.to_string(), json!(person));
        row("coverage", member.id.to_string(), json!(coverage));
        row("members", member.id.to_string(), json!(member));
    }
    rows
}

async fn fill(world: &World, workspace: WorkspaceId) {
    let store = world.deployment.admin.store();
    let rows = rows(world, workspace);
    let written = stream::iter(rows.chunks(100)).for_each_concurrent(4, async |chunk| {
        let mut transaction = store.transaction();
        for (pk, sk, value) in chunk {
            transaction.put("row", &Key::new(pk, sk), value, None, When::Always).unwrap();
        }
        transaction.commit().await.unwrap();
    });
    written.await;
}

/// The whole list over a socket, one page after the other, as a caller reads it; and how long each page took.
async fn walk(url: &str, workspace: WorkspaceId) -> (usize, Vec<Duration>) {
    let http = rollcall_service::http::client().unwrap();
    let (mut members, mut cursor, mut pages) = (0, String::new(), Vec::new());
    loop {
        let page = Stopwatch::start();
        let request = http.get(format!("{url}/v1/workspaces/{workspace}/members?limit=100{cursor}"));
        let answer = request.bearer_auth(BOOTSTRAP).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        let body: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
        pages.push(page.elapsed());
        members += body["items"].as_array().unwrap().len();
        match body["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return (members, pages),
        }
    }
}

async fn measure() -> ExitCode {
    let world = World::start().await;
    let workspace = world.deployment.workspace("Acme").await;
    fill(&world, workspace).await;
    let first = world.get(&As::bootstrap(), format!("/v1/workspaces/{workspace}/members?limit=50")).await;
    let lacks = |item: &Value| item["coverage"]["missing_repositories"].as_array().unwrap().len() == 5;
    let has_teams = |item: &Value| !item["teams"].as_array().unwrap().is_empty();
    let items = first.json["items"].as_array().unwrap();
    assert!(items.iter().any(lacks) && items.iter().all(has_teams), "what is measured is all that is shown");

    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let serving = tokio::spawn(axum::serve(listener, world.routes.clone()).into_future());
    let mut best = Duration::MAX;
    for _ in 0..3 {
        let all = Stopwatch::start();
        let (members, mut pages) = walk(&url, workspace).await;
        let took = all.elapsed();
        assert_eq!(members, MEMBERS);
        pages.sort_unstable();
        let (median, longest) = (pages[pages.len() / 2], pages[pages.len() - 1]);
        println!(
            "{members} members in {} pages: {took:.2?} (a page: median {median:.1?}, longest {longest:.1?})",
            pages.len()
        );
        best = best.min(took);
    }
    serving.abort();
    if best < MOST {
        ExitCode::SUCCESS
    } else {
        println!("FAILED: it is to take less than {MOST:?}");
        ExitCode::FAILURE
    }
}

fn main() -> ExitCode {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
        .block_on(measure())
}
