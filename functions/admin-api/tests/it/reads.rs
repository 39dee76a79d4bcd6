//! What each route costs: its reads of the table, however many entries a page has.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use rollcall_admin::testing::{As, Call};
use rollcall_domain::authority::{Access, Reach};
use rollcall_domain::bitbucket::RepositoryUuid;
use rollcall_domain::mirror::Team;
use rollcall_domain::plan::{Lane, Plan};
use rollcall_domain::{TeamId, WorkspaceId};
use rollcall_store::runs::{RunRecord, RunStatus};
use rollcall_store::{Key, Record, Store, When, schema, testing};
use serde_json::{Value, json};
use standin_faults::{Running, start};

use crate::members::mirrored;
use crate::principals::Things;
use crate::support::World;

pub(crate) async fn behind_proxy() -> (World, Running) {
    behind_proxy_and_at("http://127.0.0.1:9").await
}

/// The same with a Bitbucket.
pub(crate) async fn behind_proxy_and_at(bitbucket: &str) -> (World, Running) {
    let proxy = start(&testing::database().await, "127.0.0.1:0".parse().unwrap()).await.unwrap();
    // The store tries again by itself; the SDK's own attempts would only make the tests slower.
    let patient = testing::client(proxy.url());
    let impatient = patient.config().to_builder().retry_config(RetryConfig::disabled()).build();
    let client = Client::from_conf(impatient);
    schema::create(&client, "rollcall").await.unwrap();
    let store = Store::new(client, "rollcall");
    (World::in_table(store, bitbucket, "10000").await, proxy)
}

/// What each operation asks of the table: how many reads and how many writes. One of the reads is that of the token.
pub(crate) const COSTS: &[(&str, usize, usize)] = &[
    ("approve_sync_run", 3, 1),
    ("change_member", 7, 1),
    ("change_workspace", 2, 1),
    ("create_client", 1, 1),
    ("create_invites", 4, 3),
    ("create_sync_run", 2, 1),
    ("create_token", 1, 1),
    ("create_workspace", 1, 1),
    ("delete_client", 2, 1),
    ("delete_connection", 2, 1),
    ("delete_webhook", 2, 1),
    ("explain_member", 8, 0),
    ("get_client", 2, 0),
    ("get_connection", 3, 0),
    ("get_invite", 3, 0),
    ("get_member", 6, 0),
    ("get_sync_run", 3, 0),
    ("get_team", 8, 0),
    ("get_webhook", 3, 0),
    ("get_workspace", 2, 0),
    ("list_audit", 3, 0),
    ("list_clients", 2, 0),
    ("list_deployment_audit", 2, 0),
    ("list_events", 3, 0),
    ("list_invites", 4, 0),
    ("list_members", 7, 0),
    ("list_refused_sign_ins", 3, 0),
    ("list_repositories", 5, 0),
    ("list_sync_runs", 3, 0),
    ("list_teams", 3, 0),
    ("list_tokens", 2, 0),
    ("list_workspaces", 2, 0),
    ("preview_connection", 4, 0),
    ("probe_connection", 3, 2),
    ("put_connection", 3, 1),
    ("put_webhook", 4, 1),
    ("resend_invite", 7, 3),
    ("revoke_invite", 4, 1),
    ("revoke_token", 2, 1),
    ("rotate_webhook_secret", 3, 1),
    ("undo_sync_run", 3, 1),
];

/// What is asked with, where an operation has a body.
pub(crate) fn body(operation: &str, plan_hash: &str) -> Value {
    match operation {
        "create_workspace" => json!({"name": "Another"}),
        "change_workspace" => json!({"name": "Acme & Co"}),
        "probe_connection" => json!({
            "bitbucket_workspace": "acme", "credential": {"kind": "access_token", "token": "ATCT-of-a-test"},
        }),
        "put_connection" => json!({"policy": "any_repository"}),
        "change_member" => json!({"role": "admin"}),
        "create_sync_run" => json!({"mode": "plan"}),
        "approve_sync_run" => json!({ "plan_hash": plan_hash }),
        "create_token" => json!({"name": "ci", "reach": "deployment", "access": "read"}),
        "create_client" => json!({"name": "Shop", "redirect_uris": ["https://shop.example/"]}),
        "put_webhook" => json!({"url": "https://app.example.com/"}),
        "create_invites" => json!({"invites": [{"email": "new@example.com"}]}),
        _ => Value::Null,
    }
}

/// Fills a workspace with so many of everything that is listed.
pub(crate) async fn furnish(world: &World, workspace: WorkspaceId, many: u8) -> Things {
    let admin = &world.deployment.admin;
    let (store, now) = (admin.store(), admin.now());
    let mut things = Things::from([("workspace", workspace.to_string())]);
    let run = RunRecord {
        plan_hash: Some(Plan { lane: Lane::Members, changes: Vec::new(), kept: Vec::new() }.hash()),
        ..crate::runs::record(workspace, admin.new_id(now), RunStatus::Frozen)
    };
    store.put_run(&run, Record::default()).await.unwrap();
    things.insert("run", run.id.to_string());
    for n in 0..many {
        let somebody = mirrored(&world.deployment, workspace, n, n + 1).await;
        let team: TeamId = if n == 0 { somebody.team } else { admin.new_id(now) };
        let group = Team {
            id: team,
            slug: format!("group-{n}").parse().unwrap(),
            name: format!("Group {n}"),
            removed: false,
        };
        let repository: RepositoryUuid =
            format!("{{00000000-0000-4000-a000-0000000000{n:02x}}}").parse().unwrap();
        let responsibility = json!({"team": team, "repository": repository, "permission": "write"});
        let mut transaction = store.transaction();
        for (what, key, value) in [
            ("teams", team.to_string(), json!(group)),
            ("responsibilities", format!("{}#{repository}", somebody.team), responsibility.clone()),
            ("responsible-teams", format!("{repository}#{}", somebody.team), responsibility),
        ] {
            let key = Key::new(format!("{workspace}#{what}"), key);
            transaction.put("row", &key, &value, None, When::Always).unwrap();
        }
        transaction.commit().await.unwrap();
        let invites = json!({"invites": [{"email": format!("i{n}@example.com")}]});
        let path = format!("/v1/workspaces/{workspace}/invites");
        let invited = world.post(&As::bootstrap(), path, &invites).await;
        things.insert("invite", invited.text_at("/items/0/invite/id").to_owned());
        things.insert("member", somebody.member.id.to_string());
        things.insert("team", somebody.team.to_string());
        let made = body("create_token", "");
        let token = world.post(&As::bootstrap(), "/v1/tokens", &made).await;
        things.insert("token", token.text_at("/id").to_owned());
        let client = world.post(&As::bootstrap(), "/v1/clients", &body("create_client", "")).await;
        things.insert("client", client.text_at("/id").to_owned());
    }
    let webhook = body("put_webhook", "");
    world.put(&As::bootstrap(), format!("/v1/workspaces/{workspace}/webhook"), &webhook).await;
    things
}

/// Every operation of the description: its method, its id, its path. What ends a thing comes last.
pub(crate) fn operations() -> Vec<(String, String, String)> {
    let description = serde_json::to_value(rollcall_admin_api::description()).unwrap();
    let mut operations = Vec::new();
    for (path, item) in description["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let id = operation["operationId"].as_str().unwrap().to_owned();
            operations.push((method.to_uppercase(), id, path.clone()));
        }
    }
    operations.sort_by_key(|(method, ..)| method == "DELETE");
    operations
}

/// An operation on what is there.
pub(crate) fn request(method: &str, operation: &str, path: &str, things: &Things) -> Call {
    let mut path =
        things.iter().fold(path.to_owned(), |path, (name, id)| path.replace(&format!("{{{name}}}"), id));
    if operation == "list_events" {
        path = format!("{path}?workspace={}", things["workspace"]);
    }
    let hash = Plan { lane: Lane::Members, changes: Vec::new(), kept: Vec::new() }.hash();
    let body = body(operation, &hash.to_string());
    let call = Call::new(method, path);
    if body.is_null() { call } else { call.json(&body) }
}

/// What each operation costs in a workspace with so many of everything.
async fn costs(many: u8) -> BTreeMap<String, (usize, usize)> {
    let (world, proxy) = behind_proxy().await;
    let workspace = world.deployment.workspace("Acme").await;
    crate::runs::connect(&world, workspace, 1).await;
    let things = furnish(&world, workspace, many).await;
    let token = world.deployment.token(Reach::Deployment, Access::Write).await;
    // The first use is written down, the next ones are not.
    world.get(&token, "/v1/workspaces").await;
    let mut costs = BTreeMap::new();
    for (method, operation, path) in operations() {
        proxy.forget_calls();
        let answer = world.send(request(&method, &operation, &path, &things).by(&token)).await;
        assert!(answer.status.is_success(), "{operation}: {} {}", answer.status, answer.text);
        if method == "GET" && many > 9 && answer.json["items"].is_array() && operation != "list_workspaces" {
            let known = ["list_refused_sign_ins", "list_sync_runs"].contains(&operation.as_str());
            let items = answer.json["items"].as_array().unwrap().len();
            assert!(known || items >= usize::from(many), "{operation}: {items}");
        }
        let calls: Vec<String> = proxy.calls().iter().map(|call| call.operation.clone()).collect();
        let is_read = |call: &&String| ["GetItem", "Query", "BatchGetItem"].contains(&call.as_str());
        let is_write =
            |call: &&String| ["TransactWriteItems", "PutItem", "UpdateItem"].contains(&call.as_str());
        let (reads, writes) = (calls.iter().filter(is_read).count(), calls.iter().filter(is_write).count());
        assert_eq!(reads + writes, calls.len(), "{operation}: {calls:?}");
        costs.insert(operation, (reads, writes));
    }
    proxy.forget_calls();
    world.get(&As::Nobody, "/v1/openapi.json").await;
    world.get(&As::bootstrap(), "/v1/nothing").await;
    assert!(proxy.calls().is_empty());
    costs
}

#[tokio::test(flavor = "multi_thread")]
async fn each_operation_asks_the_table_as_often_as_is_written_here_however_much_there_is() {
    let known: BTreeMap<String, (usize, usize)> =
        COSTS.iter().map(|(operation, reads, writes)| ((*operation).to_owned(), (*reads, *writes))).collect();
    for many in [3, 90] {
        let found = costs(many).await;
        let line = |operation: &str, reads, writes| format!("    (\"{operation}\", {reads}, {writes}),");
        let lines = found.iter().map(|(operation, (reads, writes))| line(operation, reads, writes));
        let table = lines.collect::<Vec<_>>().join("\n");
        assert!(found == known, "with {many} of everything:\n{table}");
    }
}
