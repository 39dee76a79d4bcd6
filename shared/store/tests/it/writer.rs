//! A plan is written in order, under the lease, and never over a newer row.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use rollcall_domain::TeamId;
use rollcall_domain::bitbucket::{Permission, RepositoryUuid};
use rollcall_domain::event::EventKind;
use rollcall_domain::member::{State, SuspensionReason};
use rollcall_domain::mirror::{Mirror, Person, Team};
use rollcall_domain::plan::Change;
use rollcall_store::{StoreError, testing};

use crate::support::{NOW, account, context, enter, lease, member, workspace};

pub(crate) fn person(n: u8) -> Person {
    Person {
        uuid: account(n),
        account_id: None,
        display_name: format!("Person {n}"),
        nickname: format!("p{n}"),
        owner: false,
        inactive: false,
        teams: BTreeSet::new(),
        left: false,
    }
}

pub(crate) fn team(n: u8) -> Team {
    Team {
        id: TeamId::new(NOW, [n; 10]),
        slug: format!("t{n}").parse().unwrap(),
        name: format!("Team {n}"),
        removed: false,
    }
}

pub(crate) fn first_plan() -> Vec<Change> {
    let people = (1..=60).map(|n| Change::AddPerson { person: Box::new(person(n)) });
    let teams = (1..=5).map(|n| Change::AddTeam { team: team(n) });
    let places = (1..=60)
        .flat_map(|p| (1..=5).map(move |t| Change::AddTeamMember { team: team(t).id, person: account(p) }));
    people.chain(teams).chain(places).collect()
}

#[tokio::test]
async fn what_is_written_is_what_is_read() {
    let store = testing::store().await;
    let ws = workspace(1);
    let (lease, evidence) = (lease(&store, ws).await, BTreeMap::new());
    let mut mirror = Mirror::default();
    let plan = first_plan();
    let applied =
        store.apply(&mut mirror, &plan, &lease, &context(ws, &evidence), &mut || false).await.unwrap();
    assert_eq!(applied.changes, plan.len());
    assert_eq!(store.mirror(ws).await.unwrap(), mirror);
    let page = store.people_of_team(ws, team(3).id, None, 100).await.unwrap();
    assert_eq!(page.items.len(), 60);
}

#[tokio::test]
async fn a_run_that_is_stopped_and_repeated_ends_in_the_same_state() {
    let ws = workspace(1);
    let plan = first_plan();
    let evidence = BTreeMap::new();
    let clean = testing::store().await;
    let mut expected = Mirror::default();
    let held = lease(&clean, ws).await;
    clean.apply(&mut expected, &plan, &held, &context(ws, &evidence), &mut || false).await.unwrap();
    for stop_after in 1..4 {
        let store = testing::store().await;
        let held = lease(&store, ws).await;
        let mut calls = 0;
        let mut stop = || {
            calls += 1;
            calls > stop_after
        };
        let mut mirror = Mirror::default();
        let applied =
            store.apply(&mut mirror, &plan, &held, &context(ws, &evidence), &mut stop).await.unwrap();
        assert!(applied.changes < plan.len(), "it was stopped");
        let mut mirror = store.mirror(ws).await.unwrap();
        store.apply(&mut mirror, &plan, &held, &context(ws, &evidence), &mut || false).await.unwrap();
        assert_eq!(store.mirror(ws).await.unwrap(), expected, "stopped after {stop_after}");
    }
}

#[tokio::test]
async fn a_holder_past_its_time_writes_nothing() {
    let store = testing::store().await;
    let ws = workspace(1);
    let old = lease(&store, ws).await;
    store.take_lease(ws, "next", Duration::from_mins(15), old.until).await.unwrap().unwrap();
    let evidence = BTreeMap::new();
    let late = store
        .apply(&mut Mirror::default(), &first_plan(), &old, &context(ws, &evidence), &mut || false)
        .await;
    assert_eq!(late, Err(StoreError::Conflict { what: "lease" }));
    assert_eq!(store.mirror(ws).await.unwrap(), Mirror::default());
}

#[tokio::test]
async fn a_suspension_never_goes_over_a_newer_row() {
    let store = testing::store().await;
    let ws = workspace(1);
    enter(&store, &member(ws, 1), None, "first").await.unwrap();
    enter(&store, &member(ws, 2), None, "second").await.unwrap();
    let mut mirror = store.mirror(ws).await.unwrap();
    // Signs in again after the run has read the mirror.
    let again = store.member(ws, member(ws, 1).id).await.unwrap().unwrap();
    enter(&store, &again, Some(&again), "third").await.unwrap();
    let suspend = |n| Change::SuspendMember {
        member: member(ws, n).id,
        account: Some(account(n)),
        reason: SuspensionReason::LeftWorkspace,
    };
    let (held, evidence) = (lease(&store, ws).await, BTreeMap::new());
    let plan = [suspend(1), suspend(2)];
    let applied =
        store.apply(&mut mirror, &plan, &held, &context(ws, &evidence), &mut || false).await.unwrap();
    assert_eq!(applied.passed_over.len(), 1);
    assert_eq!(store.member(ws, member(ws, 1).id).await.unwrap().unwrap().state, State::Active);
    let gone = store.member(ws, member(ws, 2).id).await.unwrap().unwrap();
    assert!(matches!(gone.state, State::Suspended { .. }) && gone.epoch == 1);
    let last = store.events_after(ws, 3, 10).await.unwrap().items;
    assert_eq!(last.iter().map(|event| event.event.kind).collect::<Vec<_>>(), [EventKind::MemberSuspended]);
}

#[tokio::test]
async fn who_is_responsible_is_found_by_team_and_by_repository_and_both_say_the_same() {
    let store = testing::store().await;
    let ws = workspace(1);
    let (lease, evidence) = (lease(&store, ws).await, BTreeMap::new());
    let mut mirror = Mirror::default();
    let repository = |n: u8| RepositoryUuid::new(uuid::Uuid::from_u128(n.into()));
    let set =
        |t: u8, r: u8, before: Option<Permission>, after: Option<Permission>| Change::SetResponsibility {
            team: team(t).id,
            repository: repository(r),
            before,
            after,
            follows: false,
        };
    let teams = (1..=3).map(|n| Change::AddTeam { team: team(n) });
    let all = (1..=3).flat_map(|t| (1..=60).map(move |r| (t, r)));
    let plan: Vec<Change> = teams.chain(all.map(|(t, r)| set(t, r, None, Some(Permission::Write)))).collect();
    store.apply(&mut mirror, &plan, &lease, &context(ws, &evidence), &mut || false).await.unwrap();
    let gone = [set(2, 7, Some(Permission::Write), None)];
    store.apply(&mut mirror, &gone, &lease, &context(ws, &evidence), &mut || false).await.unwrap();

    let range = store.responsibilities_between(ws, repository(7), repository(9)).await.unwrap();
    let found: Vec<_> = range.iter().map(|row| (row.repository, row.team)).collect();
    let expected: Vec<_> = (7..=9)
        .flat_map(|r| (1..=3).map(move |t| (r, t)))
        .filter(|pair| *pair != (7, 2))
        .map(|(r, t)| (repository(r), team(t).id))
        .collect();
    assert_eq!(found, expected);
    let of_team = store.responsibilities_of_team(ws, team(2).id, None, 100).await.unwrap();
    assert_eq!(of_team.items.len(), 59);
    assert_eq!(store.mirror(ws).await.unwrap().responsibilities.len(), 179);
}
