//! The control interface over HTTP.

use reqwest::Method;
use serde_json::{Value, json};
use standin_bitbucket::{CredentialKind, Refused, World, WorldFile};

use crate::support::{Rig, rig, workspace_token, world};

impl Rig {
    async fn control(&self, method: Method, path: &str, body: Value) -> (u16, Value) {
        let request = self.http.request(method, self.url(&format!("/_control{path}"))).json(&body);
        let response = request.send().await.unwrap();
        (
            response.status().as_u16(),
            serde_json::from_str(&response.text().await.unwrap()).unwrap_or_default(),
        )
    }

    async fn done(&self, method: Method, path: &str, body: Value) -> Value {
        let (status, answer) = self.control(method, path, body).await;
        assert!((200..300).contains(&status), "{path}: {status} {answer}");
        answer
    }
}

#[tokio::test]
async fn everything_that_can_happen_can_be_made_to_happen() {
    let rig = rig(world()).await;
    let token = workspace_token();
    rig.done(Method::POST, "/people", json!({"username": "joan", "name": "Joan Clarke", "role": "member"}))
        .await;
    rig.done(Method::PATCH, "/people/joan", json!({"nickname": "JC", "active": false, "role": "owner"}))
        .await;
    let members = rig.json(&token, "/2.0/workspaces/acme/permissions?q=permission%3D%22owner%22").await;
    assert_eq!(members["size"], 2);
    rig.done(Method::PATCH, "/people/joan", json!({"active": true, "username": "joan2"})).await;
    rig.done(Method::DELETE, "/people/linus", json!({})).await;
    assert_eq!(rig.json(&token, "/2.0/workspaces/acme/members").await["size"], 3);

    let made = rig.done(Method::POST, "/groups", json!({"name": "Quality", "members": ["grace"]})).await;
    assert_eq!(made["slug"], "quality");
    rig.done(Method::PUT, "/groups/quality/members/joan2", json!({})).await;
    rig.done(Method::DELETE, "/groups/quality/members/grace", json!({})).await;
    rig.done(Method::PATCH, "/groups/quality", json!({"name": "QA", "slug": "qa"})).await;
    rig.done(Method::POST, "/projects", json!({"key": "NEW", "name": "New things"})).await;
    rig.done(Method::POST, "/repositories", json!({"slug": "thing", "project": "NEW"})).await;
    rig.done(Method::PUT, "/grants", json!({"project": "NEW", "group": "qa", "level": "write"})).await;
    rig.done(Method::PUT, "/grants", json!({"repository": "thing", "person": "grace", "level": "read"}))
        .await;
    assert_eq!(rig.json(&rig.person("grace"), "/2.0/repositories/acme/thing").await["slug"], "thing");
    rig.done(Method::DELETE, "/grants", json!({"repository": "thing", "person": "grace"})).await;
    assert_eq!(rig.status(&rig.person("grace"), "/2.0/repositories/acme/thing").await, 404);
    rig.done(Method::PATCH, "/repositories/thing", json!({"private": false, "slug": "gadget"})).await;
    assert_eq!(rig.json(&rig.person("grace"), "/2.0/repositories/acme/gadget").await["is_private"], false);
    rig.done(Method::PATCH, "/repositories/gadget", json!({"project": "CORE"})).await;
    rig.done(Method::PATCH, "/projects/NEW", json!({"key": "OLD"})).await;
    rig.done(Method::DELETE, "/projects/OLD", json!({})).await;
    rig.done(Method::DELETE, "/repositories/gadget", json!({})).await;
    rig.done(Method::DELETE, "/groups/qa", json!({})).await;
    rig.done(Method::DELETE, "/people/joan2?account=true", json!({})).await;
    rig.done(Method::PATCH, "/workspace", json!({"slug": "acme2", "name": "Acme, renamed"})).await;
    assert_eq!(rig.json(&token, "/2.0/workspaces/acme2").await["name"], "Acme, renamed");

    rig.done(Method::POST, "/workspaces", json!({"slug": "globex", "owner": "paula"})).await;
    rig.done(Method::POST, "/groups?workspace=globex", json!({"name": "Owners", "members": ["paula"]})).await;
    let globex = rig.done(Method::GET, "/world?workspace=globex", Value::Null).await;
    assert_eq!((&globex["groups"][0]["slug"], &globex["repositories"]), (&"owners".into(), &json!([])));
}

#[tokio::test]
async fn what_cannot_be_is_refused_and_leaves_no_trace() {
    let rig = rig(world()).await;
    let before = rig.done(Method::GET, "/world", Value::Null).await;
    for (method, path, body, status) in [
        (Method::DELETE, "/people/nobody", json!({}), 404),
        (Method::POST, "/people", json!({"username": "ada"}), 409),
        (Method::POST, "/groups", json!({"name": "developers"}), 409),
        (Method::PUT, "/groups/developers/members/paula", json!({}), 422),
        (Method::DELETE, "/projects/CORE", json!({}), 422),
        (Method::POST, "/repositories", json!({"slug": "x", "project": "NONE"}), 404),
        (
            Method::PUT,
            "/grants",
            json!({"repository": "engine", "group": "developers", "level": "create-repo"}),
            422,
        ),
        (Method::PUT, "/grants", json!({"repository": "engine", "level": "read"}), 422),
        (Method::POST, "/groups?workspace=nowhere", json!({"name": "x"}), 404),
        (Method::PATCH, "/behaviour", json!({"hourly_limitt": 1}), 422),
    ] {
        let (found, answer) = rig.control(method, path, body).await;
        assert_eq!(found, status, "{path}");
        assert!(answer["error"].is_string(), "{path}");
    }
    assert_eq!(rig.done(Method::GET, "/world", Value::Null).await, before);
}

#[tokio::test]
async fn faults_clock_and_behaviour_are_set_and_taken_back() {
    let rig = rig(world()).await;
    let token = workspace_token();
    let fault = json!({"path": "/2.0/workspaces/*/members", "act": {"status": 502}, "times": 1});
    let id = rig.done(Method::POST, "/faults", fault).await["id"].clone();
    assert_eq!(rig.status(&token, "/2.0/workspaces/acme/members").await, 502);
    assert_eq!(rig.done(Method::GET, "/faults", Value::Null).await[0]["happened"], 1);
    rig.done(Method::DELETE, &format!("/faults/{id}"), Value::Null).await;
    rig.done(Method::PATCH, "/behaviour", json!({"hourly_limit": 2, "weird": {"fields": true}})).await;
    let behaviour = rig.done(Method::GET, "/behaviour", Value::Null).await;
    assert_eq!((&behaviour["hourly_limit"], &behaviour["token_lifetime"]), (&2.into(), &7200.into()));
    assert_eq!(rig.status(&token, "/2.0/workspaces/acme/members").await, 200);
    assert_eq!(rig.status(&token, "/2.0/workspaces/acme/members").await, 200);
    assert_eq!(rig.status(&token, "/2.0/workspaces/acme/members").await, 429);
    assert_eq!(rig.done(Method::PUT, "/clock", json!({"advance": 3600})).await["offset"], 3600);
    assert_eq!(rig.status(&token, "/2.0/workspaces/acme/members").await, 200);
    rig.done(Method::POST, "/reset", Value::Null).await;
    let behaviour = rig.done(Method::GET, "/behaviour", Value::Null).await;
    assert_eq!(behaviour["hourly_limit"], 1000);
    assert_eq!(rig.done(Method::GET, "/clock", Value::Null).await["offset"], 0);
}

#[tokio::test]
async fn what_was_asked_is_written_down_without_secrets() {
    let rig = rig(world()).await;
    rig.status(&rig.person("grace"), "/2.0/user/workspaces/acme/permission?fields=permission").await;
    rig.status(&workspace_token(), "/2.0/workspaces/acme/members").await;
    rig.status(&crate::support::By::Bearer("nonsense".into()), "/2.0/user").await;
    let seen = rig.done(Method::GET, "/requests", Value::Null).await;
    assert_eq!(seen["counts"]["total"], 3);
    assert_eq!(seen["counts"]["by_path"]["/2.0/workspaces/{workspace}/members"]["access_token"], 1);
    let requests = rig.bitbucket.requests();
    assert_eq!(requests[0].kind, CredentialKind::PersonToken);
    assert_eq!(requests[0].parameter("fields"), Some("permission"));
    assert_eq!((requests[2].status, requests[2].kind), (401, CredentialKind::Unknown));
    assert!(requests.iter().all(|request| request.authorized));
    let text = seen.to_string();
    assert!(!text.contains(crate::support::TOKEN) && !text.contains("nonsense"), "{text}");
    rig.done(Method::DELETE, "/requests", Value::Null).await;
    assert_eq!(rig.bitbucket.counts().total, 0);
}

#[test]
fn a_world_can_be_read_from_a_file() {
    let file = json!({
        "workspace": "acme", "name": "Acme",
        "people": [{"username": "ada", "role": "owner"}, {"username": "eve"}],
        "groups": [{"name": "Staff", "members": ["ada"]}],
        "projects": [{"key": "P", "groups": {"staff": "create-repo"}}],
        "repositories": [{"slug": "r", "project": "P", "people": {"eve": "read"}}, {"slug": "open", "project": "P", "public": true}],
        "access_tokens": {"ATCT-1": ["account"]},
        "behaviour": {"latency_ms": 5},
    });
    let read = |file: Value| serde_json::from_value::<WorldFile>(file).unwrap().into_world();
    let world: World = read(file.clone()).unwrap();
    assert_eq!(world.workspace().repositories().count(), 2);
    assert_eq!(world.behaviour.latency_ms, 5);
    let mut broken = file;
    broken["repositories"][0]["project"] = "Q".into();
    assert_eq!(read(broken).unwrap_err(), Refused::Unknown { what: "project", name: "Q".into() });
}
