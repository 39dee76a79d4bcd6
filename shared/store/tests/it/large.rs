//! What does not fit into a row or a transaction.

use std::collections::{BTreeMap, BTreeSet};

use rollcall_domain::access::Grants;
use rollcall_domain::audit::Actor;
use rollcall_domain::bitbucket::{AccountUuid, Permission, ProjectUuid};
use rollcall_domain::mirror::{Mirror, Person, Project};
use rollcall_domain::plan::{Change, Kept, Lane, Plan};
use rollcall_domain::{RunId, WorkspaceId};
use rollcall_store::runs::{Mode, RunRecord, RunStatus};
use rollcall_store::{Record, Store, schema, testing};
use serde_json::json;
use standin_faults::{Act, Matching, When, start};
use uuid::Uuid;

use crate::support::{NOW, account, context, lease, workspace};
use crate::writer::{person, team};

fn run(workspace: WorkspaceId) -> RunRecord {
    RunRecord {
        id: RunId::new(NOW, [5; 10]),
        workspace,
        mode: Mode::Apply,
        trigger: Actor::System,
        status: RunStatus::Applied,
        lanes: vec![Lane::Members],
        queued_at: NOW,
        started_at: Some(NOW),
        ended_at: None,
        calls: 7,
        written: 3,
        changes: BTreeMap::from([("- person".to_owned(), 2)]),
        kept: vec![Kept::new("a person", "because")],
        evidence: vec![json!({ "answer": "gone", "count": 1, "nothing": null, "list": [1, 2.5] })],
        held: vec![],
        plan_hash: None,
        message: "Done.".into(),
    }
}

#[tokio::test]
async fn the_record_of_a_run_that_removed_thousands_is_kept_whole() {
    let store = testing::store().await;
    let ws = workspace(1);
    let held = lease(&store, ws).await;
    let small = run(ws);
    store.end_run(&small, None, &held, Record::default()).await.unwrap();
    assert_eq!(store.run(ws, small.id).await.unwrap().as_ref(), Some(&small));

    let evidence =
        |n: u32| json!({ "account": Uuid::from_u128(n.into()), "answer": { "answer": "gone" }, "n": n });
    let kept = |n: u32| {
        Kept::new(format!("person {n}"), "Bitbucket's entry could not be understood; kept as it was")
    };
    let large = RunRecord {
        evidence: (0..6000).map(evidence).collect(),
        kept: (0..3000).map(kept).collect(),
        ..small.clone()
    };
    store.end_run(&large, None, &held, Record::default()).await.unwrap();
    assert_eq!(store.run(ws, large.id).await.unwrap().unwrap(), large);
    let listed = store.runs(ws, None, 10).await.unwrap().items;
    assert_eq!((listed.len(), listed[0].calls), (1, 7));

    store.put_run(&small, Record::default()).await.unwrap();
    assert_eq!(store.run(ws, small.id).await.unwrap(), Some(small), "nothing is left of the larger one");
}

fn large_plan(name: &str) -> Plan {
    let people = (1..=4000).map(|n| {
        let person = Person {
            uuid: AccountUuid::new(Uuid::from_u128(n)),
            display_name: format!("{name} ÄÖÜ {n}"),
            ..person(1)
        };
        Change::AddPerson { person: Box::new(person) }
    });
    Plan { changes: people.collect(), ..Plan::empty(Lane::Members) }
}

#[tokio::test]
async fn a_plan_of_many_parts_is_read_as_it_was_written_even_if_another_breaks_off_over_it() {
    let database = testing::database().await;
    schema::create(&testing::client(&database), "rollcall").await.unwrap();
    let proxy = start(&database, "127.0.0.1:0".parse().unwrap()).await.unwrap();
    let store = Store::new(testing::client(proxy.url()), "rollcall");
    let (ws, id) = (workspace(1), RunId::new(NOW, [5; 10]));
    let (first, second) = (large_plan("Ada"), large_plan("Grace"));
    store.put_plan(ws, id, &first).await.unwrap();
    let parts = proxy.totals_of("TransactWriteItems").calls;
    assert!(parts > 2, "{parts} parts are no test");
    for nth in 1..=parts {
        proxy.add(Matching::writes(), When::Nth(nth), Act::Crash);
        store.put_plan(ws, id, &second).await.unwrap_err();
        proxy.heal();
        assert_eq!(store.plan(ws, id, Lane::Members).await.unwrap().as_ref(), Some(&first), "after {nth}");
    }
    store.put_plan(ws, id, &second).await.unwrap();
    assert_eq!(store.plan(ws, id, Lane::Members).await.unwrap(), Some(second));
    let short = Plan::empty(Lane::Members);
    store.put_plan(ws, id, &short).await.unwrap();
    assert_eq!(store.plan(ws, id, Lane::Members).await.unwrap(), Some(short));
    assert_eq!(store.plan(ws, id, Lane::Grants).await.unwrap(), None);
}

#[tokio::test]
async fn somebody_in_more_teams_than_a_transaction_takes_leaves_and_is_brought_back() {
    let store = testing::store().await;
    let ws = workspace(1);
    let (held, evidence) = (lease(&store, ws).await, BTreeMap::new());
    let teams: BTreeSet<_> = (1..=150).map(|n| team(n).id).collect();
    let busy = Person { teams: teams.clone(), ..person(1) };
    let mut plan: Vec<Change> = (1..=150).map(|n| Change::AddTeam { team: team(n) }).collect();
    // Not the first of its transaction.
    plan.push(Change::AddPerson { person: Box::new(person(2)) });
    plan.push(Change::AddPerson { person: Box::new(busy.clone()) });
    let mut mirror = Mirror::default();
    let context = context(ws, &evidence);
    store.apply(&mut mirror, &plan, &held, &context, &mut || false).await.unwrap();
    assert_eq!(store.mirror(ws).await.unwrap(), mirror);
    assert_eq!(store.people_of_team(ws, team(150).id, None, 9).await.unwrap().items, [account(1)]);

    let gone = [Change::RemovePerson { person: Box::new(busy.clone()) }];
    store.apply(&mut mirror, &gone, &held, &context, &mut || false).await.unwrap();
    assert_eq!(store.mirror(ws).await.unwrap(), mirror);
    for n in [1, 75, 150] {
        assert!(store.people_of_team(ws, team(n).id, None, 9).await.unwrap().items.is_empty());
    }

    let back = [Change::AddPerson { person: Box::new(busy) }];
    store.apply(&mut mirror, &back, &held, &context, &mut || false).await.unwrap();
    assert_eq!(store.mirror(ws).await.unwrap().people[&account(1)].teams, teams);
    for n in [1, 75, 150] {
        assert_eq!(store.people_of_team(ws, team(n).id, None, 9).await.unwrap().items, [account(1)]);
    }
}

#[tokio::test]
async fn projects_that_grant_to_thousands_go_into_transactions_that_the_table_takes() {
    let store = testing::store().await;
    let ws = workspace(1);
    let (held, evidence) = (lease(&store, ws).await, BTreeMap::new());
    let users: BTreeMap<AccountUuid, Permission> =
        (0..4000).map(|n| (AccountUuid::new(Uuid::from_u128(n)), Permission::Write)).collect();
    let project = |n: u128| Project {
        uuid: ProjectUuid::new(Uuid::from_u128(n)),
        key: format!("P{n}").parse().unwrap(),
        name: format!("Project {n}"),
        grants: Some(Grants { groups: BTreeMap::new(), users: users.clone() }),
        removed: false,
    };
    let plan: Vec<Change> =
        (1..=30).map(|n| Change::SetProject { before: None, after: Box::new(project(n)) }).collect();
    let mut mirror = Mirror::default();
    store.apply(&mut mirror, &plan, &held, &context(ws, &evidence), &mut || false).await.unwrap();
    assert_eq!(store.mirror(ws).await.unwrap(), mirror);
}
