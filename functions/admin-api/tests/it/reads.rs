//! What each route costs: its reads of the table, however many entries a page has; and what becomes of a change that dies on the way.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use rollcall_admin::testing::{As, Call};
use rollcall_domain::authority::{Access, Reach};
use rollcall_domain::member::Role;
use rollcall_store::{Store, schema, testing};
use serde_json::json;
use standin_faults::{Act, Matching, Running, When, start};

use crate::support::World;

async fn behind_proxy() -> (World, Running) {
    let proxy = start(&testing::database().await, "127.0.0.1:0".parse().unwrap()).await.unwrap();
    // The store tries again by itself; the SDK's own attempts would only make the tests slower.
    let patient = testing::client(proxy.url());
    let impatient = patient.config().to_builder().retry_config(RetryConfig::disabled()).build();
    let client = Client::from_conf(impatient);
    schema::create(&client, "rollcall").await.unwrap();
    let store = Store::new(client, "rollcall");
    (World::in_table(store, "http://127.0.0.1:9", "10000").await, proxy)
}

#[tokio::test(flavor = "multi_thread")]
async fn each_route_reads_the_table_a_few_times_and_never_once_for_each_entry() {
    let (world, proxy) = behind_proxy().await;
    let deployment = &world.deployment;
    let workspace = deployment.workspace("Acme").await;
    crate::runs::connect(&world, workspace, 1).await;
    let mut last = None;
    for n in 0..40 {
        last = Some(deployment.member(workspace, &format!("m{n}"), Role::Member).await.0);
        let invites = json!({"invites": [{"email": format!("i{n}@example.com")}]});
        world.post(&As::bootstrap(), format!("/v1/workspaces/{workspace}/invites"), &invites).await;
    }
    let token = deployment.token(Reach::Deployment, Access::Read).await;
    // The first use is written down, the next ones are not.
    world.get(&token, "/v1/workspaces").await;
    let member = last.unwrap().id;
    let of = |rest: &str| format!("/v1/workspaces/{workspace}{rest}");
    // One of the reads is that of the token.
    for (path, most) in [
        ("/v1/workspaces".to_owned(), 2),
        (of(""), 2),
        (of("/connection"), 3),
        (of("/connection/preview"), 4),
        (of("/members?limit=40"), 7),
        (of(&format!("/members/{member}")), 6),
        (of(&format!("/members/{member}/explanation")), 8),
        (of("/teams"), 4),
        (of("/repositories"), 5),
        (of("/refused-sign-ins"), 3),
        (of("/invites?limit=40"), 4),
        (of("/sync-runs"), 3),
        (of("/audit"), 3),
        (format!("/v1/events?workspace={workspace}"), 3),
        ("/v1/audit".to_owned(), 2),
        ("/v1/tokens".to_owned(), 2),
        ("/v1/clients".to_owned(), 2),
    ] {
        proxy.forget_calls();
        let answer = world.get(&token, path.clone()).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text);
        let calls: Vec<String> = proxy.calls().iter().map(|call| call.operation.clone()).collect();
        assert!((2..=most).contains(&calls.len()), "{path}: {calls:?}");
        let reads = ["GetItem", "Query", "BatchGetItem"];
        assert!(calls.iter().all(|operation| reads.contains(&operation.as_str())), "{path}: {calls:?}");
    }
    proxy.forget_calls();
    world.get(&As::Nobody, "/v1/openapi.json").await;
    world.get(&As::bootstrap(), "/v1/nothing").await;
    assert!(proxy.calls().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_dies_on_the_way_leaves_state_trail_and_events_agreeing() {
    let (world, proxy) = behind_proxy().await;
    let workspace = world.deployment.workspace("Acme").await;
    for lost in [Act::Crash, Act::CrashAfterwards] {
        let (member, _) = world.deployment.member(workspace, &format!("{lost:?}"), Role::Member).await;
        let path = format!("/v1/workspaces/{workspace}/members/{}", member.id);
        proxy.add(Matching::writes(), When::Nth(1), lost.clone());
        let change =
            Call::new("PATCH", path.clone()).by(&As::bootstrap()).json(&json!({"state": "disabled"}));
        let answer = world.send(change).await;
        assert_eq!(answer.status, 503, "{}", answer.text);
        proxy.heal();
        proxy.lift();
        let disabled = world.get(&As::bootstrap(), path).await.text_at("/state") == "disabled";
        let told = async |path: String, name: &str| {
            let list = world.get(&As::bootstrap(), path).await;
            let about = |item: &&serde_json::Value| item[name] == json!(member.id.to_string());
            list.json["items"].as_array().unwrap().iter().filter(about).count()
        };
        let trail = told(format!("/v1/workspaces/{workspace}/audit"), "target").await;
        let events = told(format!("/v1/events?workspace={workspace}"), "subject").await;
        assert_eq!((trail, events), (usize::from(disabled), usize::from(disabled)), "{lost:?}");
        assert_eq!(disabled, matches!(lost, Act::CrashAfterwards));
    }
}
