//! What becomes of a change that dies on the way: state, trail and events agree, whichever write it was.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_dynamodb::types::AttributeValue;
use rollcall_admin::testing::{As, Call};
use rollcall_domain::WorkspaceId;
use rollcall_store::Store;
use serde_json::json;
use standin_faults::{Act, Matching, When};

use crate::connecting::{bitbucket, body};
use crate::principals::Things;
use crate::reads::{COSTS, behind_proxy, behind_proxy_and_at, furnish, operations, request};
use crate::support::{World, actions};

type Rows = BTreeMap<(String, String), String>;

/// A value as text, the same for the same value.
fn written(value: &AttributeValue) -> String {
    match value {
        AttributeValue::M(members) => {
            let members: BTreeMap<_, _> =
                members.iter().map(|(name, value)| (name, written(value))).collect();
            format!("{members:?}")
        }
        AttributeValue::L(items) => format!("{:?}", items.iter().map(written).collect::<Vec<_>>()),
        other => format!("{other:?}"),
    }
}

/// Everything in the table, but for what only counts attempts.
async fn rows(store: &Store) -> Rows {
    let (mut rows, mut start) = (Rows::new(), None);
    loop {
        let page = store.client().scan().table_name(store.table()).consistent_read(true);
        let page = page.set_exclusive_start_key(start).send().await.unwrap();
        for item in page.items() {
            let text = |name: &str| item[name].as_s().unwrap().clone();
            rows.insert((text("pk"), text("sk")), written(&AttributeValue::M(item.clone())));
        }
        start = page.last_evaluated_key().cloned();
        if start.is_none() {
            rows.retain(|(pk, _), _| !pk.starts_with("rate#"));
            return rows;
        }
    }
}

/// A partition without the ids in it.
fn kind(pk: &str) -> String {
    let word = |part: &str| match part.split_once(['_', '|']) {
        Some((prefix, _)) => prefix.to_owned(),
        None if part.len() < 32 => part.to_owned(),
        None => "…".to_owned(),
    };
    pk.split('#').map(word).collect::<Vec<_>>().join("#")
}

/// The kinds of rows that were written or removed.
fn changed(before: &Rows, after: &Rows) -> BTreeSet<String> {
    let keys: BTreeSet<_> = before.keys().chain(after.keys()).collect();
    keys.into_iter().filter(|key| before.get(*key) != after.get(*key)).map(|(pk, _)| kind(pk)).collect()
}

async fn world() -> (World, standin_faults::Running, WorkspaceId, Things) {
    let (world, proxy) = behind_proxy().await;
    let workspace = world.deployment.workspace("Acme").await;
    crate::runs::connect(&world, workspace, 1).await;
    let things = furnish(&world, workspace, 2).await;
    (world, proxy, workspace, things)
}

/// Events are numbered without a gap, and the last number is the one that is noted.
async fn check_numbers(world: &World, workspace: WorkspaceId, what: &str) {
    let store = world.deployment.admin.store();
    let events = store.events_after(workspace, 0, 1000).await.unwrap().items;
    let numbers: Vec<u64> = events.iter().map(|event| event.sequence).collect();
    let last = store.last_event(workspace).await.unwrap();
    assert_eq!(numbers, (1..=last).collect::<Vec<_>>(), "{what}");
}

/// Lets a change die before and after each of its writes: afterwards all of it is there, or nothing. How many deaths there were.
async fn dies_whole(what: &str, call: impl Fn(&Things) -> Call) -> usize {
    // What it writes when nothing is in its way.
    let (clean, proxy, workspace, things) = world().await;
    let before = rows(clean.deployment.admin.store()).await;
    proxy.forget_calls();
    let answer = clean.send(call(&things).by(&As::bootstrap())).await;
    assert!(answer.status.is_success(), "{what}: {}", answer.text);
    let writes = writes(&proxy);
    let whole = changed(&before, &rows(clean.deployment.admin.store()).await);
    assert!(whole.iter().any(|kind| kind.ends_with("audit")), "{what} is in the trail: {whole:?}");
    check_numbers(&clean, workspace, what).await;

    let (world, proxy, workspace, things) = world().await;
    let store = world.deployment.admin.store();
    let mut tried = 0;
    for nth in 1..=writes {
        for lost in [Act::Crash, Act::CrashAfterwards] {
            let what = format!("{what}, write {nth}, {lost:?}");
            let before = rows(store).await;
            proxy.add(Matching::writes(), When::Nth(nth), lost.clone());
            let answer = world.send(call(&things).by(&As::bootstrap())).await;
            assert_eq!(answer.status, 503, "{what}: {}", answer.text);
            proxy.heal();
            proxy.lift();
            let found = changed(&before, &rows(store).await);
            if nth == writes && matches!(lost, Act::CrashAfterwards) {
                assert_eq!(found, whole, "{what}");
            } else {
                assert!(found.is_empty(), "{what}: {found:?}");
            }
            check_numbers(&world, workspace, &what).await;
            tried += 1;
        }
    }
    tried
}

/// How many writes have passed the proxy since it was told to forget.
fn writes(proxy: &standin_faults::Running) -> u64 {
    let calls = proxy.calls();
    let is_write = |operation: &str| ["TransactWriteItems", "PutItem", "UpdateItem"].contains(&operation);
    u64::try_from(calls.iter().filter(|call| is_write(&call.operation)).count()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_write_a_change_dies_at_all_of_it_is_there_or_nothing() {
    let mut tried = 0;
    for (method, operation, path) in operations() {
        let (_, _, writes) = COSTS.iter().find(|(name, ..)| *name == operation).unwrap();
        // A probe counts its calls to Bitbucket, and changes nothing.
        if *writes > 0 && operation != "probe_connection" {
            tried += dies_whole(&operation, |things| request(&method, &operation, &path, things)).await;
        }
    }
    assert!(tried >= 40, "{tried}");
}

#[tokio::test(flavor = "multi_thread")]
async fn so_does_every_other_change_that_the_same_operations_make() {
    for (what, path, body) in [
        ("a member is disabled", "/members/{member}", json!({"state": "disabled"})),
        ("rules for invites are set", "", json!({"invite_rules": {"refused_domains": ["example.org"]}})),
        ("the sync is to remove nobody", "/connection", json!({"removals_off": true})),
        ("a sync is asked for", "/sync-runs", json!({"mode": "apply"})),
    ] {
        let tried = dies_whole(what, |things| {
            let path = path.replace("{member}", &things["member"]);
            let path = format!("/v1/workspaces/{}{path}", things["workspace"]);
            let method = match path.rsplit('/').next() {
                Some("connection") => "PUT",
                Some("sync-runs") => "POST",
                _ => "PATCH",
            };
            Call::new(method, path).json(&body)
        })
        .await;
        assert!(tried >= 2, "{what}");
    }
}

/// A connection, its claim, its trail and the run that follows agree, whatever has become of them.
async fn check_connection(world: &World, workspace: WorkspaceId, bitbucket: &str, what: &str) {
    let store = world.deployment.admin.store();
    let of = format!("/v1/workspaces/{workspace}");
    let trail = world.get(&As::bootstrap(), format!("{of}/audit")).await;
    let trail = actions(&trail);
    let told = |action: &str| trail.iter().filter(|told| **told == action).count();
    let connected = store.connection(workspace).await.unwrap();
    assert_eq!(told("connection.made"), usize::from(connected.is_some()), "{what}");
    let claimed = store.connected_to(bitbucket.parse().unwrap()).await.unwrap();
    assert_eq!(claimed, connected.as_ref().map(|_| workspace), "{what}");
    let version = connected.map_or(0, |connected| connected.connection.version);
    let changes = told("connection.made") + told("connection.credential_replaced");
    assert_eq!(u64::try_from(changes).unwrap(), version, "{what}");
    let runs = world.get(&As::bootstrap(), format!("{of}/sync-runs")).await;
    assert_eq!(told("sync.asked_for"), runs.json["items"].as_array().unwrap().len(), "{what}");
    check_numbers(world, workspace, what).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_dies_while_it_is_made_or_renewed_agrees_with_its_claim_its_trail_and_its_run() {
    let bitbucket = bitbucket().await;
    let uuid = bitbucket.read(|world| world.workspace().uuid.to_string());
    for renewed in [false, true] {
        let begin = async || {
            let (world, proxy) = behind_proxy_and_at(&bitbucket.url()).await;
            let workspace = world.deployment.workspace("Acme").await;
            let path = format!("/v1/workspaces/{workspace}/connection");
            if renewed {
                let made = world.put(&As::bootstrap(), path.clone(), &body()).await;
                assert_eq!(made.status, 201, "{}", made.text);
            }
            (world, proxy, workspace, path)
        };
        let (clean, proxy, workspace, path) = begin().await;
        proxy.forget_calls();
        let answer = clean.put(&As::bootstrap(), path, &body()).await;
        assert!(answer.status.is_success(), "{}", answer.text);
        check_connection(&clean, workspace, &uuid, "clean").await;
        // The connection, the run, and what counts the calls.
        let writes = writes(&proxy);
        assert!(writes >= 2, "{writes}");
        for nth in 1..=writes {
            for lost in [Act::Crash, Act::CrashAfterwards] {
                let what = format!("renewed: {renewed}, write {nth} of {writes}, {lost:?}");
                let (world, proxy, workspace, path) = begin().await;
                proxy.add(Matching::writes(), When::Nth(nth), lost);
                world.put(&As::bootstrap(), path.clone(), &body()).await;
                proxy.heal();
                proxy.lift();
                check_connection(&world, workspace, &uuid, &what).await;
                let again = world.put(&As::bootstrap(), path, &body()).await;
                assert!(again.status.is_success(), "{what}: {}", again.text);
                check_connection(&world, workspace, &uuid, &what).await;
            }
        }
    }
}
