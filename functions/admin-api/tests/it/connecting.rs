//! Connecting workspaces to the stand-in Bitbucket.

use rollcall_admin::credential;
use rollcall_admin::testing::{Answered, As, Call};
use rollcall_bitbucket::Credential;
use rollcall_domain::WorkspaceId;
use rollcall_domain::connection::Health;
use rollcall_domain::member::Role;
use rollcall_store::runs::Mode;
use serde_json::{Value, json};
use standin_bitbucket::{Consumer, Level, On, Running, To, start};

use crate::support::{World, actions};

pub(crate) async fn bitbucket() -> Running {
    let world = standin_bitbucket::World::new("acme")
        .with_owner("ada")
        .with_members(&["grace", "linus"])
        .with_group("Developers", &["grace", "linus"])
        .with_project("CORE")
        .with_private("CORE", &["engine", "brakes"])
        .with_grant(On::Project("CORE"), To::Group("developers"), Level::Write)
        .with_consumer(Consumer::for_itself("key", "hunter2"))
        .with_consumer(Consumer::for_itself("weak", "hunter3").with_scopes("repository"));
    start(world, "127.0.0.1:0".parse().unwrap()).await.unwrap()
}

fn consumer(key: &str, secret: &str) -> Value {
    json!({"kind": "oauth_consumer", "key": key, "secret": secret})
}

pub(crate) fn body() -> Value {
    json!({"bitbucket_workspace": "acme", "credential": consumer("key", "hunter2")})
}

async fn connect(world: &World, workspace: WorkspaceId, body: &Value) -> Answered {
    world.put(&As::bootstrap(), format!("/v1/workspaces/{workspace}/connection"), body).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_is_probed_sealed_written_down_and_synced() {
    let bitbucket = bitbucket().await;
    let world = World::with_bitbucket(&bitbucket.url()).await;
    let workspace = world.deployment.workspace("Acme").await;
    let made = connect(&world, workspace, &body()).await;
    assert_eq!(made.status, 201, "{}", made.text);
    assert_eq!(made.text_at("/connection/bitbucket/slug"), "acme");
    assert_eq!(made.json["probe"]["usable"], true);
    assert!(made.json["probe"]["lines"].as_array().unwrap().len() >= 8);
    assert!(!made.text.contains("hunter2"));
    assert_eq!(made.text_at("/sync_run/state"), "queued");
    assert_eq!(world.queue.asked.lock().unwrap().len(), 1);

    let admin = &world.deployment.admin;
    let connected = admin.store().connection(workspace).await.unwrap().unwrap();
    assert!(!connected.sealed_credential.contains("hunter2"));
    let keys = admin.keys().await.ok().unwrap();
    let opened = credential::open(&keys.sealing, workspace, &connected.sealed_credential).ok().unwrap();
    assert!(matches!(opened, Credential::OAuthConsumer { secret, .. } if secret.expose() == "hunter2"));

    let path = format!("/v1/workspaces/{workspace}/connection");
    let shown = world.get(&As::bootstrap(), path.clone()).await;
    assert_eq!((shown.json["probe"].clone(), shown.header("etag")), (Value::Null, Some("\"v1\"")));
    let probed = world.get(&As::bootstrap(), format!("{path}?probe=true")).await;
    assert_eq!(probed.json["probe"]["usable"], true);
    let trail = world.get(&As::bootstrap(), format!("/v1/workspaces/{workspace}/audit")).await;
    assert_eq!(actions(&trail), ["connection.made", "sync.asked_for"]);
    assert!(!trail.text.contains("hunter2"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_credential_that_cannot_do_it_is_told_how_to_be_mended_and_changes_nothing() {
    let bitbucket = bitbucket().await;
    let world = World::with_bitbucket(&bitbucket.url()).await;
    let workspace = world.deployment.workspace("Acme").await;
    for (credential, slug) in [
        (consumer("key", "wrong"), "acme"),
        (consumer("weak", "hunter3"), "acme"),
        (consumer("key", "hunter2"), "nobody"),
        (json!({"kind": "access_token", "token": "revoked"}), "acme"),
        (json!({"kind": "api_token", "email": "ada@example.com", "token": "x"}), "acme"),
    ] {
        let body = json!({"bitbucket_workspace": slug, "credential": credential});
        let refused = connect(&world, workspace, &body).await;
        assert_eq!(refused.status, 422, "{}", refused.text);
        assert_eq!(refused.json["probe"]["usable"], false);
        let lines = refused.json["probe"]["lines"].as_array().unwrap();
        let first = lines.iter().find(|line| line["works"] == false).unwrap();
        assert!(
            !first["detail"].as_str().unwrap().is_empty() && !first["takes"].as_str().unwrap().is_empty()
        );
    }
    assert!(world.deployment.admin.store().connection(workspace).await.unwrap().is_none());
    assert!(world.queue.asked.lock().unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_workspaces_that_race_for_one_bitbucket_workspace_one_wins_and_the_others_learn_nothing() {
    let bitbucket = bitbucket().await;
    let world = World::with_bitbucket(&bitbucket.url()).await;
    let mut workspaces = Vec::new();
    for n in 0..8 {
        workspaces.push(world.deployment.workspace(&format!("Tenant {n}")).await);
    }
    let body = body();
    let racing = workspaces.iter().map(|workspace| connect(&world, *workspace, &body));
    let answers = futures_util::future::join_all(racing).await;
    let won: Vec<usize> = (0..8).filter(|n| answers[*n].status == 201).collect();
    assert_eq!(won.len(), 1, "{:?}", answers.iter().map(|answer| answer.status).collect::<Vec<_>>());
    for (n, lost) in answers.iter().enumerate().filter(|(n, _)| !won.contains(n)) {
        assert_eq!(lost.status, 409, "{n}: {}", lost.text);
        let others = workspaces.iter().any(|workspace| lost.text.contains(&workspace.to_string()));
        assert!(!others && !lost.text.contains("Tenant"), "{}", lost.text);
    }
    let uuid = bitbucket.read(|world| world.workspace().uuid);
    let claimed =
        world.deployment.admin.store().connected_to(uuid.to_string().parse().unwrap()).await.unwrap();
    assert_eq!(claimed, Some(workspaces[won[0]]));
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_change_without_a_credential_and_a_new_credential_is_synced_again() {
    let bitbucket = bitbucket().await;
    let world = World::with_bitbucket(&bitbucket.url()).await;
    let workspace = world.deployment.workspace("Acme").await;
    let nothing = connect(&world, workspace, &json!({"policy": "any_repository"})).await;
    assert_eq!(
        (nothing.status.as_u16(), nothing.text_at("/errors/0/pointer")),
        (422, "/bitbucket_workspace")
    );
    connect(&world, workspace, &body()).await;
    let calls = bitbucket.requests().len();

    let changed =
        connect(&world, workspace, &json!({"policy": "any_repository", "caps": {"percent": 5}})).await;
    assert_eq!((changed.status.as_u16(), changed.text_at("/connection/policy")), (200, "any_repository"));
    assert_eq!((&changed.json["probe"], &changed.json["sync_run"]), (&Value::Null, &Value::Null));
    assert_eq!(changed.json["connection"]["caps"], json!({"least": 3, "percent": 5}));
    assert_eq!(bitbucket.requests().len(), calls, "nothing was asked of Bitbucket");

    let stale = Call::new("PUT", format!("/v1/workspaces/{workspace}/connection"))
        .by(&As::bootstrap())
        .with("if-match", "\"v1\"")
        .json(&json!({"policy": "workspace_member"}));
    assert_eq!(world.send(stale).await.status, 412);

    let rotated = connect(&world, workspace, &json!({"credential": consumer("key", "hunter2")})).await;
    assert_eq!((rotated.status.as_u16(), rotated.text_at("/connection/policy")), (200, "any_repository"));
    assert_eq!(rotated.text_at("/sync_run/mode"), "apply");
    let trail = world.get(&As::bootstrap(), format!("/v1/workspaces/{workspace}/audit")).await;
    let expected = [
        "connection.credential_replaced",
        "connection.made",
        "connection.settings_changed",
        "sync.asked_for",
        "sync.asked_for",
    ];
    assert_eq!(actions(&trail), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn disconnecting_forgets_the_credential_suspends_nobody_and_frees_the_bitbucket_workspace() {
    let bitbucket = bitbucket().await;
    let world = World::with_bitbucket(&bitbucket.url()).await;
    let store = world.deployment.admin.store();
    let workspace = world.deployment.workspace("Acme").await;
    let (member, _) = world.deployment.member(workspace, "ada", Role::Admin).await;
    connect(&world, workspace, &body()).await;
    let path = format!("/v1/workspaces/{workspace}/connection");
    let ended = world.delete(&As::bootstrap(), path.clone()).await;
    assert_eq!((ended.status.as_u16(), ended.text_at("/connection/health/state")), (200, "disconnected"));
    assert!(ended.text_at("/message").contains("nobody was suspended"));
    let kept = store.connection(workspace).await.unwrap().unwrap();
    assert!(
        kept.sealed_credential.is_empty() && matches!(kept.connection.health, Health::Disconnected { .. })
    );
    assert_eq!(store.member(workspace, member.id).await.unwrap().unwrap().state, member.state);
    let sync = world
        .post(&As::bootstrap(), format!("/v1/workspaces/{workspace}/sync-runs"), &json!({"mode": "apply"}))
        .await;
    assert_eq!(sync.status, 409);
    assert_eq!(world.delete(&As::bootstrap(), path.clone()).await.status, 200, "again changes nothing");

    let without = connect(&world, workspace, &json!({})).await;
    assert_eq!((without.status.as_u16(), without.text_at("/errors/0/pointer")), (422, "/credential"));
    let again = connect(&world, workspace, &json!({"credential": consumer("key", "hunter2")})).await;
    assert_eq!((again.status.as_u16(), again.text_at("/connection/health/state")), (200, "new"));
    world.delete(&As::bootstrap(), path).await;
    let other = world.deployment.workspace("Other").await;
    assert_eq!(connect(&world, other, &body()).await.status, 201);
    let late = connect(&world, workspace, &json!({"credential": consumer("key", "hunter2")})).await;
    assert_eq!(late.status, 409, "it is the other's now");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_plan_can_be_shown_before_anything_is_mirrored() {
    let bitbucket = bitbucket().await;
    let world = World::with_bitbucket(&bitbucket.url()).await;
    let workspace = world.deployment.workspace("Acme").await;
    let mut body = body();
    body["start"] = json!("plan");
    let made = connect(&world, workspace, &body).await;
    assert_eq!(made.text_at("/sync_run/mode"), "plan");
    let run = made.text_at("/sync_run/id").parse().unwrap();
    let kept = world.deployment.admin.store().run(workspace, run).await.unwrap().unwrap();
    assert_eq!(kept.mode, Mode::Plan);
}
