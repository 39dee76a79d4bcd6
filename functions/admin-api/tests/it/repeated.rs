//! Repetitions under an `Idempotency-Key`: every POST is done once.

use core::time::Duration;

use rollcall_admin::testing::{As, Call};
use rollcall_domain::plan::{Lane, Plan};
use rollcall_domain::{RunId, Secret, TokenHash};
use rollcall_store::runs::RunStatus;
use rollcall_store::{Record, Remembered};
use serde_json::{Value, json};

use crate::support::World;

/// How many entries the trail of the workspace and that of the deployment have together.
async fn written(world: &World, workspace: rollcall_domain::WorkspaceId) -> usize {
    let mut entries = 0;
    for path in [format!("/v1/workspaces/{workspace}/audit"), "/v1/audit".to_owned()] {
        let trail = world.get(&As::bootstrap(), path).await;
        assert!(trail.json["next"].is_null(), "one page holds all of it");
        entries += trail.json["items"].as_array().unwrap().len();
    }
    entries
}

#[tokio::test(flavor = "multi_thread")]
async fn every_post_is_done_once_under_one_key_and_answered_the_same_to_the_header() {
    let world = World::start().await;
    let workspace = world.deployment.workspace("Acme").await;
    crate::runs::connect(&world, workspace, 1).await;
    let store = world.deployment.admin.store();
    let id = RunId::new(world.deployment.admin.now(), [1; 10]);
    let plan = Plan { lane: Lane::Members, changes: Vec::new(), kept: Vec::new() };
    let mut run = crate::runs::record(workspace, id, RunStatus::Frozen);
    run.plan_hash = Some(plan.hash());
    store.put_run(&run, Record::default()).await.unwrap();
    let of = format!("/v1/workspaces/{workspace}");
    let invites = json!({"invites": [{"email": "grace@example.com"}]});
    let issued = world.post(&As::bootstrap(), format!("{of}/invites"), &invites).await;
    let invite = issued.text_at("/items/0/invite/id");
    world.put(&As::bootstrap(), format!("{of}/webhook"), &json!({"url": "https://app.example/"})).await;

    let bodies = [
        ("/v1/workspaces".to_owned(), json!({"name": "Other"})),
        ("/v1/tokens".to_owned(), json!({"name": "ci", "reach": "deployment", "access": "read"})),
        ("/v1/clients".to_owned(), json!({"name": "Shop", "redirect_uris": ["https://shop.example/"]})),
        (format!("{of}/invites"), json!({"invites": [{"email": "ada@example.com"}, {"email": "x"}]})),
        (format!("{of}/invites/{invite}/resend"), Value::Null),
        (format!("{of}/sync-runs"), json!({"mode": "plan"})),
        (format!("{of}/sync-runs/{id}/approve"), json!({"plan_hash": plan.hash()})),
        (format!("{of}/sync-runs/{id}/undo"), Value::Null),
        (format!("{of}/webhook/rotate"), Value::Null),
        (
            format!("{of}/connection/probe"),
            json!({"bitbucket_workspace": "acme", "credential": {"kind": "access_token", "token": "ATCT-of-a-test"}}),
        ),
    ];
    let description = serde_json::to_value(rollcall_admin_api::description()).unwrap();
    let posts = description["paths"].as_object().unwrap().values().filter(|item| item["post"].is_object());
    assert_eq!(posts.count(), bodies.len(), "every POST of the description is here");

    for (path, body) in bodies {
        let call = || {
            let call = Call::new("POST", path.clone()).by(&As::bootstrap()).with("idempotency-key", "k");
            if body.is_null() { call } else { call.json(&body) }
        };
        let first = world.send(call()).await;
        assert!(first.status.is_success(), "{path}: {}", first.text);
        let asked = world.queue.asked.lock().unwrap().len();
        let trail = written(&world, workspace).await;
        let again = world.send(call()).await;
        assert_eq!((again.status, &again.text), (first.status, &first.text), "{path}");
        for header in ["content-type", "location", "etag"] {
            assert_eq!(again.header(header), first.header(header), "{path}: {header}");
        }
        assert_eq!(first.header("idempotency-replayed"), None, "{path}");
        assert_eq!(again.header("idempotency-replayed"), Some("true"), "{path}");
        assert_eq!(world.queue.asked.lock().unwrap().len(), asked, "{path}");
        assert_eq!(written(&world, workspace).await, trail, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attempt_that_died_is_made_again_by_one_of_those_who_repeat_it() {
    let world = World::start().await;
    let body = json!({"name": "ci", "reach": "deployment", "access": "write"});
    let now = world.deployment.admin.now();
    let died = Remembered {
        request: TokenHash::of(&Secret::new(body.to_string())).to_string(),
        status: None,
        body: String::new(),
        locked_until: now.plus(Duration::from_mins(1)),
    };
    let store = world.deployment.admin.store();
    assert!(store.remember_start("bootstrap#/v1/tokens", "k", &died, now).await.unwrap());
    let call =
        || Call::new("POST", "/v1/tokens").by(&As::bootstrap()).with("idempotency-key", "k").json(&body);
    let waiting = world.send(call()).await;
    assert_eq!((waiting.status.as_u16(), waiting.header("retry-after")), (409, Some("2")));

    world.deployment.clock.advance(Duration::from_secs(61));
    let answers = futures_util::future::join_all((0..12).map(|_| world.send(call()))).await;
    let made = answers.iter().filter(|answer| answer.header("idempotency-replayed").is_none());
    assert_eq!(made.filter(|answer| answer.status == 201).count(), 1);
    let tokens = world.get(&As::bootstrap(), "/v1/tokens").await;
    assert_eq!(tokens.json["items"].as_array().unwrap().len(), 1);
}
