//! What the store makes of a table that fails.

use std::collections::BTreeMap;
use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use futures_util::future::join_all;
use rollcall_domain::MemberId;
use rollcall_domain::access::CoverageCount;
use rollcall_domain::event::EventKind;
use rollcall_domain::member::{Member, SuspensionReason};
use rollcall_domain::mirror::Mirror;
use rollcall_domain::plan::Change;
use rollcall_store::{Store, StoreError, schema, testing};
use standin_faults::{Act, Matching, Refusal, Running, When, start};

use crate::support::{NOW, account, context, enter, hash, lease, member, record, workspace};
use crate::writer::{first_plan, person, team};

/// A store behind a proxy, and the same table without it.
pub(crate) async fn behind_a_proxy() -> (Store, Store, Running) {
    let database = testing::database().await;
    let direct = testing::client(&database);
    schema::create(&direct, "rollcall").await.unwrap();
    let proxy = start(&database, "127.0.0.1:0".parse().unwrap()).await.unwrap();
    (Store::new(testing::client(proxy.url()), "rollcall"), Store::new(direct, "rollcall"), proxy)
}

fn transactions() -> Matching {
    Matching::operation("TransactWriteItems")
}

/// How often somebody was let in, as each of the rows tells it.
async fn entered(store: &Store) -> (u64, usize, usize) {
    let ws = workspace(1);
    let known = store.member(ws, member(ws, 1).id).await.unwrap();
    let events = store.events_after(ws, 0, 100).await.unwrap().items.len();
    let audit = store.audit_page(Some(ws), None, 100, true).await.unwrap().items.len();
    (known.map_or(0, |known| known.version), events, audit)
}

#[tokio::test]
async fn what_only_was_in_the_way_is_tried_again_and_done_once() {
    let in_the_way = [
        Refusal::canceled_by("TransactionConflict", 0),
        Refusal::canceled_by("ThrottlingError", 1),
        Refusal::Throttled,
        Refusal::CapacityExceeded,
        Refusal::Broken,
        Refusal::Unavailable,
    ];
    join_all(in_the_way.map(async |refusal| {
        let (store, direct, proxy) = behind_a_proxy().await;
        proxy.add(transactions(), When::First(4), Act::Refuse(refusal.clone()));
        enter(&store, &member(workspace(1), 1), None, "token").await.unwrap();
        assert_eq!(entered(&direct).await, (1, 1, 1), "{refusal:?}");
    }))
    .await;
}

#[tokio::test]
async fn a_write_whose_answer_is_lost_is_written_once() {
    let lost = [
        Act::RefuseAfterwards(Refusal::Broken),
        Act::RefuseAfterwards(Refusal::Throttled),
        Act::RefuseAfterwards(Refusal::Unavailable),
        Act::DropAfterwards,
    ];
    join_all(lost.map(async |act| {
        let (store, direct, proxy) = behind_a_proxy().await;
        proxy.add(transactions(), When::First(4), act.clone());
        enter(&store, &member(workspace(1), 1), None, "token").await.unwrap();
        assert_eq!(entered(&direct).await, (1, 1, 1), "{act:?}");
    }))
    .await;
}

#[tokio::test]
async fn a_table_that_is_gone_is_an_error_and_never_an_empty_answer() {
    let (store, direct, proxy) = behind_a_proxy().await;
    let ws = workspace(1);
    enter(&direct, &member(ws, 1), None, "token").await.unwrap();
    proxy.add(Matching::anything(), When::Always, Act::Drop);
    assert!(matches!(store.mirror(ws).await, Err(StoreError::Unavailable(_))));
    assert!(matches!(store.member(ws, member(ws, 1).id).await, Err(StoreError::Unavailable(_))));
    assert!(matches!(enter(&store, &member(ws, 2), None, "other").await, Err(StoreError::Unavailable(_))));
    proxy.heal();
    assert_eq!(store.all_members(ws).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_refused_call_is_told_at_once_and_not_tried_again() {
    let (store, _, proxy) = behind_a_proxy().await;
    proxy.add(transactions(), When::Always, Act::Refuse(Refusal::Denied));
    let refused = store.use_login_state(hash("state"), NOW).await;
    assert!(matches!(refused, Err(StoreError::Unavailable(why)) if why.contains("AccessDenied")));
    assert_eq!(proxy.totals_of("TransactWriteItems").calls, 1);
}

#[tokio::test]
async fn without_its_audit_entry_a_change_is_not_done() {
    let store = testing::store().await;
    let ws = workspace(1);
    let taken = record(ws, EventKind::MemberOnboarded);
    store.note(&taken.audit[0]).await.unwrap();
    enter(&store, &member(ws, 1), None, "token").await.unwrap();
    let before = store.member(ws, member(ws, 1).id).await.unwrap().unwrap();
    let mut disabled = before.clone();
    disabled.disable(NOW);
    let refused = store.update_member(&disabled, &before, None, taken).await;
    assert_eq!(refused, Err(StoreError::Conflict { what: "audit entry" }));
    assert_eq!(store.member(ws, before.id).await.unwrap(), Some(before));
    assert_eq!(store.events_after(ws, 0, 10).await.unwrap().items.len(), 1, "only that of the entering");
}

#[tokio::test]
async fn without_its_audit_entry_a_member_is_not_suspended() {
    let (store, direct, proxy) = behind_a_proxy().await;
    let ws = workspace(1);
    enter(&direct, &member(ws, 1), None, "token").await.unwrap();
    let mut mirror = direct.mirror(ws).await.unwrap();
    let (held, evidence) = (lease(&direct, ws).await, BTreeMap::new());
    // The database itself refuses the entry, as it would one that is too large.
    proxy.add(
        transactions().containing("member.suspended"),
        When::Always,
        Act::Refuse(Refusal::canceled_by("ValidationError", 5)),
    );
    let plan = [suspend(1)];
    store.apply(&mut mirror, &plan, &held, &context(ws, &evidence), &mut || false).await.unwrap_err();
    assert!(direct.member(ws, member(ws, 1).id).await.unwrap().unwrap().is_let_in(NOW));
}

fn suspend(n: u8) -> Change {
    let reason = SuspensionReason::LeftWorkspace;
    Change::SuspendMember { member: member(workspace(1), n).id, account: Some(account(n)), reason }
}

/// The coverages of so many members, kept.
async fn coverages(store: &Store, count: u16) -> Vec<MemberId> {
    let ws = workspace(1);
    let ids = (0..count).map(|n| {
        let mut ten = [0; 10];
        ten[..2].copy_from_slice(&n.to_be_bytes());
        MemberId::new(NOW, ten)
    });
    let coverage = CoverageCount { of: 3, missing: 0, unread: 0, examples: Vec::new() };
    let ids: Vec<MemberId> = ids.collect();
    let rows = ids.iter().map(|id| (*id, coverage.clone())).collect();
    let held = lease(store, ws).await;
    store.write_coverages(ws, &rows, &held).await.unwrap();
    ids
}

#[tokio::test]
async fn keys_that_are_left_unprocessed_are_asked_for_until_all_are_there() {
    let (store, direct, proxy) = behind_a_proxy().await;
    let ids = coverages(&direct, 250).await;
    proxy.add(Matching::operation("BatchGetItem"), When::First(9), Act::LeaveUnprocessed(60));
    assert_eq!(store.coverages_of(workspace(1), &ids).await.unwrap().len(), 250);
    // A key that is named twice would be refused by DynamoDB.
    let twice = [ids.as_slice(), ids.as_slice()].concat();
    assert_eq!(store.coverages_of(workspace(1), &twice).await.unwrap().len(), 250);
}

#[tokio::test]
async fn keys_that_stay_unprocessed_are_an_error_and_not_a_shorter_answer() {
    let (store, direct, proxy) = behind_a_proxy().await;
    let ids = coverages(&direct, 3).await;
    proxy.add(Matching::operation("BatchGetItem"), When::Always, Act::LeaveUnprocessed(1));
    assert_eq!(store.coverages_of(workspace(1), &ids).await, Err(StoreError::Throttled));
}

#[tokio::test]
async fn a_row_that_cannot_be_read_is_named_and_not_left_out() {
    let store = testing::store().await;
    let ws = workspace(1);
    let (held, evidence) = (lease(&store, ws).await, BTreeMap::new());
    let plan = [Change::AddPerson { person: Box::new(person(1)) }];
    store.apply(&mut Mirror::default(), &plan, &held, &context(ws, &evidence), &mut || false).await.unwrap();
    let spoil = store.client().update_item().table_name(store.table());
    spoil
        .key("pk", AttributeValue::S(format!("{ws}#people")))
        .key("sk", AttributeValue::S(account(1).to_string()))
        .update_expression("SET #left = :nonsense")
        .expression_attribute_names("#left", "left")
        .expression_attribute_values(":nonsense", AttributeValue::S("perhaps".into()))
        .send()
        .await
        .unwrap();
    match store.mirror(ws).await {
        Err(StoreError::Malformed { key, .. }) => assert!(key.contains(&account(1).to_string()), "{key}"),
        other => panic!("{other:?}"),
    }
}

/// What a plan has left to do.
fn rest(plan: &[Change], mirror: &Mirror) -> Vec<Change> {
    let mut then = mirror.clone();
    let has_effect = |change: &&Change| {
        let before = then.clone();
        change.apply(&mut then);
        then != before
    };
    plan.iter().filter(has_effect).cloned().collect()
}

/// A workspace with people, teams and two members; and a plan that suspends one and changes everything else.
async fn before_the_plan(direct: &Store) -> (Mirror, Vec<Change>) {
    let ws = workspace(1);
    let (held, evidence) = (lease(direct, ws).await, BTreeMap::new());
    for n in [1, 2] {
        enter(direct, &member(ws, n), None, &format!("token {n}")).await.unwrap();
    }
    let mut mirror = direct.mirror(ws).await.unwrap();
    let first = first_plan();
    direct.apply(&mut mirror, &first, &held, &context(ws, &evidence), &mut || false).await.unwrap();
    direct.release_lease(&held).await.unwrap();
    let gone = mirror.people[&account(1)].clone();
    let mut plan = vec![suspend(1)];
    plan.extend((6..=120).map(|n| Change::AddTeam { team: team(n) }));
    // More teams than fit into a transaction, and then all of them at once given up.
    plan.extend((6..=120).map(|n| Change::AddTeamMember { team: team(n).id, person: account(3) }));
    plan.push(Change::RemovePerson { person: Box::new(gone) });
    plan.push(Change::RemovePerson { person: Box::new(person(3)) });
    (direct.mirror(ws).await.unwrap(), plan)
}

/// Everything that can be seen of a workspace, but for versions and times.
async fn seen(store: &Store) -> (Mirror, Vec<Member>, Vec<usize>, BTreeMap<&'static str, usize>) {
    let ws = workspace(1);
    let mut places = Vec::new();
    for n in 1..=120 {
        places.push(store.people_of_team(ws, team(n).id, None, 100).await.unwrap().items.len());
    }
    let (mut told, mut last) = (BTreeMap::new(), 0);
    loop {
        let page = store.events_after(ws, last, 100).await.unwrap().items;
        let Some(newest) = page.last() else { break };
        last = newest.sequence;
        page.iter().for_each(|event| *told.entry(event.event.kind.as_str()).or_default() += 1);
    }
    (store.mirror(ws).await.unwrap(), store.all_members(ws).await.unwrap(), places, told)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plan_that_breaks_off_before_or_after_any_write_and_is_gone_on_with_ends_as_a_clean_one() {
    let ws = workspace(1);
    let evidence = BTreeMap::new();
    let (clean, direct, proxy) = behind_a_proxy().await;
    let (mut mirror, plan) = before_the_plan(&direct).await;
    let held = lease(&direct, ws).await;
    clean.apply(&mut mirror, &plan, &held, &context(ws, &evidence), &mut || false).await.unwrap();
    let writes = proxy.totals_of("TransactWriteItems").calls;
    let expected = seen(&direct).await;
    assert_eq!(expected.0, mirror, "what is written is what is known");
    assert!(writes > 6, "{writes} writes are no test");

    let cases = (1..=writes).flat_map(|nth| [(nth, Act::Crash), (nth, Act::CrashAfterwards)]);
    join_all(cases.map(async |(nth, act)| {
        let (store, direct, proxy) = behind_a_proxy().await;
        let (mut mirror, plan) = before_the_plan(&direct).await;
        let held = lease(&direct, ws).await;
        proxy.add(transactions(), When::Nth(nth), act.clone());
        let broken =
            store.apply(&mut mirror, &plan, &held, &context(ws, &BTreeMap::new()), &mut || false).await;
        assert!(broken.is_err(), "{act:?} at {nth}");
        proxy.heal();
        // The next run takes the lease when it has ended, and plans anew.
        let later = held.until;
        let next = store.take_lease(ws, "next", Duration::from_mins(15), later).await.unwrap().unwrap();
        let mut mirror = store.mirror(ws).await.unwrap();
        let plan = rest(&plan, &mirror);
        store.apply(&mut mirror, &plan, &next, &context(ws, &BTreeMap::new()), &mut || false).await.unwrap();
        assert_eq!(seen(&direct).await, expected, "{act:?} at {nth}");
        assert!(
            store.release_lease(&held).await.is_ok(),
            "what a late one gives back is not the present one's"
        );
        assert!(store.take_lease(ws, "third", Duration::from_mins(15), later).await.unwrap().is_none());
    }))
    .await;
}

#[tokio::test]
async fn a_write_that_was_only_late_does_not_take_place_under_another_lease() {
    let (store, direct, proxy) = behind_a_proxy().await;
    let ws = workspace(1);
    let held = lease(&direct, ws).await;
    let waits = proxy.add(transactions(), When::Nth(1), Act::Wait);
    let evidence = BTreeMap::new();
    let plan = first_plan();
    let mut late_mirror = Mirror::default();
    let (context, mut never) = (context(ws, &evidence), || false);
    let late = store.apply(&mut late_mirror, &plan, &held, &context, &mut never);
    let overtaken = async {
        while proxy.matched(waits) == 0 {
            tokio::task::yield_now().await;
        }
        direct.take_lease(ws, "next", Duration::from_mins(15), held.until).await.unwrap().unwrap();
        proxy.remove(waits);
    };
    let (late, ()) = futures_util::future::join(late, overtaken).await;
    assert_eq!(late, Err(StoreError::Conflict { what: "lease" }));
    assert_eq!(direct.mirror(ws).await.unwrap(), Mirror::default());
}

#[tokio::test]
async fn two_who_change_the_same_member_at_once_are_one_change_and_one_conflict() {
    let store = testing::store().await;
    let ws = workspace(1);
    enter(&store, &member(ws, 1), None, "token").await.unwrap();
    let before = store.member(ws, member(ws, 1).id).await.unwrap().unwrap();
    let change = async |name: &str| {
        let changed = Member { display_name: name.to_owned(), ..before.clone() };
        store.update_member(&changed, &before, None, record(ws, EventKind::MemberUpdated)).await
    };
    let outcomes = join_all(["Ada", "Grace", "Linus", "Eva"].map(change)).await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
    assert_eq!(entered(&store).await, (2, 2, 2));
}
