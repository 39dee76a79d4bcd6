//! What becomes of a change that dies on the way: state, trail and events agree, whichever write it was.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_dynamodb::types::AttributeValue;
use rollcall_admin::testing::As;
use rollcall_domain::WorkspaceId;
use rollcall_store::Store;
use standin_faults::{Act, Matching, When};

use crate::reads::{COSTS, behind_proxy, furnish, operations, request};
use crate::support::World;

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

async fn world() -> (World, standin_faults::Running, WorkspaceId, crate::principals::Things) {
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

#[tokio::test(flavor = "multi_thread")]
async fn whatever_write_a_change_dies_at_all_of_it_is_there_or_nothing() {
    let mut tried = 0;
    for (method, operation, path) in operations() {
        let (_, _, writes) = COSTS.iter().find(|(name, ..)| *name == operation).unwrap();
        if *writes == 0 {
            continue;
        }
        // What it writes when nothing is in its way.
        let (clean, _proxy, workspace, things) = world().await;
        let before = rows(clean.deployment.admin.store()).await;
        let answer = clean.send(request(&method, &operation, &path, &things).by(&As::bootstrap())).await;
        assert!(answer.status.is_success(), "{operation}: {}", answer.text);
        let whole = changed(&before, &rows(clean.deployment.admin.store()).await);
        assert!(whole.iter().any(|kind| kind.ends_with("audit")), "{operation} is in the trail: {whole:?}");
        check_numbers(&clean, workspace, &operation).await;

        let (world, proxy, workspace, things) = world().await;
        let store = world.deployment.admin.store();
        for nth in 1..=*writes {
            for lost in [Act::Crash, Act::CrashAfterwards] {
                let what = format!("{operation}, write {nth}, {lost:?}");
                let before = rows(store).await;
                let rule = u64::try_from(nth).unwrap();
                proxy.add(Matching::writes(), When::Nth(rule), lost.clone());
                let call = request(&method, &operation, &path, &things).by(&As::bootstrap());
                let answer = world.send(call).await;
                assert_eq!(answer.status, 503, "{what}: {}", answer.text);
                proxy.heal();
                proxy.lift();
                let found = changed(&before, &rows(store).await);
                let is_last = nth == *writes;
                if is_last && matches!(lost, Act::CrashAfterwards) {
                    assert_eq!(found, whole, "{what}");
                } else {
                    assert!(found.is_empty(), "{what}: {found:?}");
                }
                check_numbers(&world, workspace, &what).await;
                tried += 1;
            }
        }
    }
    assert!(tried >= 40, "{tried}");
}
