//! How fast the first mirror of a workspace is written, against a bare loop that writes the very same rows.
//!
//! `cargo bench -p rollcall-store`; `PEOPLE=10000 cargo bench -p rollcall-store` for a large workspace. The exit status is 1 if the
//! mirror is written at less than 60 % of the bare loop's rate.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    missing_docs,
    reason = "a benchmark measures time, prints, and stops where it cannot go on"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use aws_sdk_dynamodb::types::{Put, TransactWriteItem};
use rollcall_domain::audit::Actor;
use rollcall_domain::bitbucket::{AccountUuid, Permission, ProjectUuid, RepositoryUuid};
use rollcall_domain::mirror::{Mirror, OwnGrants, Person, Repository, Team};
use rollcall_domain::plan::Change;
use rollcall_domain::{RunId, TeamId, Timestamp, WorkspaceId};
use rollcall_store::{Context, Store, testing};
use uuid::Uuid;

const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);
const LEAST: f64 = 0.6;
/// The groups that each person is in, of how many.
const GROUPS_OF_EACH: u128 = 10;

/// The changes of a first mirror: the order is that of a real plan.
fn plan(people: u128) -> Vec<Change> {
    let groups = (people / 50).max(GROUPS_OF_EACH);
    let team = |n: u128| TeamId::new(NOW, n.to_be_bytes()[6..].try_into().unwrap());
    let account = |n: u128| AccountUuid::new(Uuid::from_u128(n));
    let mut changes = Vec::new();
    for n in 0..people {
        let person = Person {
            uuid: account(n),
            account_id: Some(format!("557058:{}", Uuid::from_u128(n)).parse().unwrap()),
            display_name: format!("Person {n}"),
            nickname: format!("person-{n}"),
            owner: n == 0,
            inactive: false,
            teams: BTreeSet::new(),
            left: false,
        };
        changes.push(Change::AddPerson { person: Box::new(person) });
    }
    for n in 0..groups {
        let team = Team {
            id: team(n),
            slug: format!("group-{n}").parse().unwrap(),
            name: format!("Group {n}"),
            removed: false,
        };
        changes.push(Change::AddTeam { team });
    }
    for person in 0..people {
        let teams = (0..GROUPS_OF_EACH).map(|k| team((person + k) % groups));
        changes.extend(teams.map(|team| Change::AddTeamMember { team, person: account(person) }));
    }
    for n in 0..people {
        let repository = Repository {
            uuid: RepositoryUuid::new(Uuid::from_u128(n)),
            slug: format!("repository-{n}").parse().unwrap(),
            name: format!("Repository {n}"),
            project: ProjectUuid::new(Uuid::from_u128(n % 20)),
            private: true,
            own: OwnGrants::default(),
            removed: false,
        };
        changes.push(Change::AddRepository { repository: Box::new(repository) });
    }
    for n in 0..people {
        changes.push(Change::SetResponsibility {
            team: team(n % groups),
            repository: RepositoryUuid::new(Uuid::from_u128(n)),
            before: None,
            after: Some(Permission::Write),
            follows: false,
        });
    }
    changes
}

/// Writes every row of one table into another, 100 at a time; how many, and how long it took.
async fn bare_loop(from: &Store, to: &Store) -> (usize, Duration) {
    let mut rows = Vec::new();
    let mut start = None;
    loop {
        let page = from.client().scan().table_name(from.table()).set_exclusive_start_key(start);
        let page = page.send().await.unwrap();
        rows.extend(page.items.unwrap_or_default());
        start = page.last_evaluated_key.filter(|key| !key.is_empty());
        if start.is_none() {
            break;
        }
    }
    let count = rows.len();
    let puts: Vec<TransactWriteItem> = rows
        .into_iter()
        .map(|row| Put::builder().table_name(to.table()).set_item(Some(row)).build().unwrap())
        .map(|put| TransactWriteItem::builder().put(put).build())
        .collect();
    let began = Instant::now();
    for chunk in puts.chunks(100) {
        to.client().transact_write_items().set_transact_items(Some(chunk.to_vec())).send().await.unwrap();
    }
    (count, began.elapsed())
}

async fn measure(people: u128) -> f64 {
    let store = testing::store().await;
    let workspace = WorkspaceId::new(NOW, [1; 10]);
    let lease = store.take_lease(workspace, "run", Duration::from_mins(15), NOW).await.unwrap().unwrap();
    let (run, evidence) = (RunId::new(NOW, [2; 10]), BTreeMap::new());
    let next = std::sync::atomic::AtomicU64::new(0);
    let random = || {
        let mut ten = [0; 10];
        // The first bytes give some of their bits away to the form of an id.
        ten[2..].copy_from_slice(&next.fetch_add(1, std::sync::atomic::Ordering::Relaxed).to_be_bytes());
        ten
    };
    let context = Context {
        workspace,
        run,
        actor: Actor::Sync { run },
        now: NOW,
        clock: &|| NOW,
        random: &random,
        evidence: &evidence,
    };
    let plan = plan(people);
    let mut mirror = Mirror::default();
    let began = Instant::now();
    let applied = store.apply(&mut mirror, &plan, &lease, &context, &mut || false).await.unwrap();
    let took = began.elapsed();
    assert_eq!(applied.changes, plan.len());

    let (rows, bare) = bare_loop(&store, &testing::store().await).await;
    let rate = |rows: usize, took: Duration| rows as f64 / took.as_secs_f64();
    // A person who joins a group in a later transaction is written again: what counts is what there is in the end.
    let (mine, bare) = (rate(rows, took), rate(rows, bare));
    println!(
        "{people} people, {} changes: {rows} rows in {:.2} s, {} writes in {} transactions",
        plan.len(),
        took.as_secs_f64(),
        applied.written,
        applied.transactions
    );
    println!("mirror {mine:.0} rows/s, bare loop {bare:.0} rows/s: {:.0} %", 100.0 * mine / bare);
    mine / bare
}

fn main() {
    let people = std::env::var("PEOPLE").ok().and_then(|people| people.parse().ok()).unwrap_or(1000);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    if runtime.block_on(measure(people)) < LEAST {
        println!("less than {:.0} %", 100.0 * LEAST);
        std::process::exit(1);
    }
}
