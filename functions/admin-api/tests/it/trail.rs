//! The audit trail and the events.

use core::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use rollcall_admin::testing::{As, Call, START};
use rollcall_domain::member::Role;
use rollcall_store::{Key, When};
use serde_json::{Value, json};

use crate::support::World;

#[tokio::test(flavor = "multi_thread")]
async fn the_trail_is_exported_line_by_line_to_its_end_and_says_who_from_where() {
    let world = World::start().await;
    let workspace = world.deployment.workspace("Acme").await;
    let (admin, session) = world.deployment.member(workspace, "ada", Role::Admin).await;
    for n in 0..5 {
        world.deployment.clock.advance(Duration::from_millis(1));
        let name = json!({"name": format!("Acme {n}")});
        world.patch(&session, format!("/v1/workspaces/{workspace}"), &name).await;
    }
    let (mut lines, mut cursor) = (Vec::new(), String::new());
    loop {
        let path = format!("/v1/workspaces/{workspace}/audit?limit=2&order=oldest{cursor}");
        let page = world
            .send(Call::new("GET", path).by(&As::bootstrap()).with("accept", "application/x-ndjson"))
            .await;
        assert_eq!(page.header("content-type"), Some("application/x-ndjson"));
        lines.extend(page.text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()));
        match page.header("rollcall-next") {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    let names: Vec<&str> =
        lines.iter().map(|line| line["detail"]["after"]["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["Acme 0", "Acme 1", "Acme 2", "Acme 3", "Acme 4"]);
    assert_eq!(lines[0]["actor"], json!({"kind": "member", "id": admin.id}));
    let newest = world.get(&As::bootstrap(), format!("/v1/workspaces/{workspace}/audit?limit=1")).await;
    assert_eq!(newest.text_at("/items/0/detail/after/name"), "Acme 4");
}

#[tokio::test(flavor = "multi_thread")]
async fn replaying_the_events_from_the_start_rebuilds_what_is_there() {
    let world = World::start().await;
    let workspace = world.deployment.workspace("Acme").await;
    let mut roles = std::collections::BTreeMap::new();
    for n in 0..4 {
        let (member, _) = world.deployment.member(workspace, &format!("m{n}"), Role::Member).await;
        roles.insert(member.id.to_string(), ("member".to_owned(), "active".to_owned()));
        let path = format!("/v1/workspaces/{workspace}/members/{}", member.id);
        world.patch(&As::bootstrap(), path.clone(), &json!({"role": "admin"})).await;
        if n % 2 == 0 {
            world.patch(&As::bootstrap(), path, &json!({"state": "disabled"})).await;
        }
    }
    let (mut after, mut last) = (0_u64, 0_u64);
    loop {
        let page = world
            .get(&As::bootstrap(), format!("/v1/events?workspace={workspace}&limit=2&after={after}"))
            .await;
        for event in page.json["items"].as_array().unwrap() {
            let sequence: u64 = event["sequence"].as_str().unwrap().parse().unwrap();
            assert_eq!(sequence, last + 1, "in order and without a gap");
            last = sequence;
            assert_eq!((&event["specversion"], &event["workspace"]), (&json!("1.0"), &json!(workspace)));
            let text = |name: &str| event["data"][name].as_str().unwrap().to_owned();
            roles.insert(event["subject"].as_str().unwrap().to_owned(), (text("role"), text("state")));
        }
        match page.json["next"].as_str() {
            Some(next) => after = next.parse().unwrap(),
            None => break,
        }
    }
    let members =
        world.get(&As::bootstrap(), format!("/v1/workspaces/{workspace}/members?include=suspended")).await;
    let shown: std::collections::BTreeMap<String, (String, String)> = members.json["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|m| {
            let text = |name: &str| m[name].as_str().unwrap().to_owned();
            (text("id"), (text("role"), text("state")))
        })
        .collect();
    assert_eq!(roles, shown);
    assert_eq!(world.get(&As::bootstrap(), "/v1/events").await.status, 400, "order is for each workspace");
}

#[tokio::test(flavor = "multi_thread")]
async fn events_that_are_missing_in_between_are_said_to_be_and_where_to_go_on() {
    let world = World::start().await;
    let workspace = world.deployment.workspace("Acme").await;
    let (member, _) = world.deployment.member(workspace, "ada", Role::Member).await;
    for role in ["admin", "member", "admin"] {
        let path = format!("/v1/workspaces/{workspace}/members/{}", member.id);
        world.patch(&As::bootstrap(), path, &json!({ "role": role })).await;
    }
    let after = async |after: &str| {
        world.get(&As::bootstrap(), format!("/v1/events?workspace={workspace}{after}")).await
    };
    assert_eq!(after("&after=3").await.json, json!({"items": [], "next": null}), "that was the last");
    assert_eq!(after("&after=1").await.text_at("/items/0/sequence"), "2");

    // The second one has expired.
    let store = world.deployment.admin.store();
    let mut transaction = store.transaction();
    for sequence in 1..=2 {
        let key = Key::new(format!("{workspace}#events"), format!("{sequence:020}"));
        transaction.delete("event", &key, When::Exists).unwrap();
    }
    transaction.commit().await.unwrap();
    for everything in ["", "&after=0"] {
        assert_eq!(after(everything).await.text_at("/items/0/sequence"), "3", "what is still kept");
    }
    assert_eq!(after("&after=2").await.text_at("/items/0/sequence"), "3");
    for lost in ["&after=1", "&after=9", "&after=18446744073709551615"] {
        let gone = after(lost).await;
        assert_eq!((gone.status.as_u16(), gone.text_at("/last")), (410, "3"), "{lost}: {}", gone.text);
        assert_eq!(gone.text_at("/type"), "urn:problem-type:rollcall:events-gone");
    }
    let last = after("&after=3").await;
    assert_eq!(last.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_trail_is_kept_as_long_as_is_configured_and_for_ever_if_nothing_is() {
    for days in [None, Some("30")] {
        let kept = days.map(|days| Duration::from_hours(24) * days.parse::<u32>().unwrap());
        let variables: Vec<_> = days.into_iter().map(|days| ("ROLLCALL_AUDIT_DAYS", days)).collect();
        let store = rollcall_store::testing::store().await.keeping_audit(kept);
        let world = World::with_variables(store, "http://127.0.0.1:9", &variables).await;
        let workspace = world.deployment.workspace("Acme").await;
        let path = format!("/v1/workspaces/{workspace}");
        world.patch(&As::bootstrap(), path.clone(), &json!({"name": "Acme & Co"})).await;
        let table = world.deployment.admin.store();
        let rows = table.client().query().table_name(table.table());
        let rows = rows
            .key_condition_expression("pk = :pk")
            .expression_attribute_values(":pk", AttributeValue::S(format!("{workspace}#audit")));
        let rows = rows.send().await.unwrap();
        let ends = kept.map(|kept| AttributeValue::N((START.plus(kept).as_millis() / 1000).to_string()));
        assert_eq!(rows.items()[0].get("ttl"), ends.as_ref(), "the table deletes it by itself");

        let entries = async || {
            let trail = world.get(&As::bootstrap(), format!("{path}/audit")).await;
            trail.json["items"].as_array().unwrap().len()
        };
        world.deployment.clock.advance(Duration::from_hours(24 * 30 - 1));
        assert_eq!(entries().await, 1);
        world.deployment.clock.advance(Duration::from_hours(1));
        assert_eq!(entries().await, usize::from(days.is_none()), "{days:?}");
    }
}
