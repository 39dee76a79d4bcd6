//! Admin tokens and clients.

use core::time::Duration;

use rollcall_admin::testing::{As, Call, START};
use rollcall_domain::{Secret, TokenHash};
use rollcall_service::rfc3339;
use serde_json::json;

use crate::support::{World, actions};

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_shown_once_kept_as_a_hash_and_refused_after_its_end_or_revocation() {
    let world = World::start().await;
    let workspace = world.deployment.workspace("Acme").await;
    let end = START.plus(Duration::from_hours(1));
    let body = json!({
        "name": "ci", "reach": {"workspace": workspace}, "access": "read", "expires_at": rfc3339::format(end),
    });
    let made = world.post(&As::bootstrap(), "/v1/tokens", &body).await;
    assert_eq!(made.status, 201, "{}", made.text);
    let token = made.text_at("/token").to_owned();
    assert!(token.starts_with("rca_") && token.len() == 47);
    let id = made.text_at("/id").to_owned();
    let listed = world.get(&As::bootstrap(), "/v1/tokens").await;
    assert_eq!(listed.text_at("/items/0/id"), id);
    let hash = TokenHash::of(&Secret::new(token.clone())).to_string();
    assert!(!listed.text.contains(&token) && !listed.text.contains(&hash));

    let holder = As::Bearer(token);
    let path = format!("/v1/workspaces/{workspace}");
    assert_eq!(world.get(&holder, path.clone()).await.status, 200);
    let used = world.get(&As::bootstrap(), "/v1/tokens").await;
    assert_eq!(used.text_at("/items/0/used_at"), rfc3339::format(START));
    world.deployment.clock.set(end);
    assert_eq!(world.get(&holder, path.clone()).await.status, 401, "its end");
    world.deployment.clock.set(START);
    assert_eq!(world.delete(&As::bootstrap(), format!("/v1/tokens/{id}")).await.status, 204);
    assert_eq!(world.get(&holder, path).await.status, 401, "revoked");
    assert_eq!(world.delete(&As::bootstrap(), format!("/v1/tokens/{id}")).await.status, 404);
    let trail = world.get(&As::bootstrap(), "/v1/audit").await;
    assert_eq!(actions(&trail), ["token.created", "token.revoked"]);
    assert!(!trail.text.contains(&hash));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_reaches_only_what_is_there_and_does_not_begin_in_the_past() {
    let world = World::start().await;
    let refused = async |body| {
        let answer = world.post(&As::bootstrap(), "/v1/tokens", &body).await;
        (answer.status.as_u16(), answer.json["errors"][0]["pointer"].as_str().unwrap_or_default().to_owned())
    };
    let nowhere = "ws_00000000000070008000000000000000";
    let reach = json!({"workspace": nowhere});
    assert_eq!(
        refused(json!({"name": "x", "reach": reach, "access": "read"})).await,
        (422, "/reach/workspace".into())
    );
    let past =
        json!({"name": "x", "reach": "deployment", "access": "read", "expires_at": "2020-01-01T00:00:00Z"});
    assert_eq!(refused(past).await, (422, "/expires_at".into()));
    for (body, pointer) in [
        (json!({"name": "", "reach": "deployment", "access": "read"}), "/name"),
        (json!({"name": "x", "reach": "everything", "access": "read"}), "/reach"),
        (json!({"name": "x", "reach": "deployment", "access": "admin"}), "/access"),
        (json!({"name": "x", "reach": "deployment", "access": "read", "role": "admin"}), "/role"),
    ] {
        assert_eq!(refused(body.clone()).await, (422, pointer.to_owned()), "{body}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clients_secret_is_shown_once_and_its_uris_are_exact() {
    let world = World::start().await;
    let body = json!({"name": "Shop", "redirect_uris": ["https://shop.example/callback"]});
    let made = world.post(&As::bootstrap(), "/v1/clients", &body).await;
    assert_eq!(made.status, 201, "{}", made.text);
    let secret = made.text_at("/client_secret").to_owned();
    let path = format!("/v1/clients/{}", made.text_at("/id"));
    let shown = world.get(&As::bootstrap(), path.clone()).await;
    assert_eq!((shown.text_at("/name"), shown.text_at("/audience")), ("Shop", made.text_at("/id")));
    let hash = TokenHash::of(&Secret::new(secret.clone())).to_string();
    assert!(!shown.text.contains(&secret) && !shown.text.contains(&hash));
    let public = json!({"name": "CLI", "public": true, "redirect_uris": ["http://127.0.0.1/callback"]});
    assert!(world.post(&As::bootstrap(), "/v1/clients", &public).await.json["client_secret"].is_null());

    let audience = "https://rollcall.example.com/v1";
    for (body, pointer) in [
        (json!({"name": "x", "redirect_uris": ["https://shop.example/*"]}), "/redirect_uris/0"),
        (json!({"name": "x", "redirect_uris": ["javascript:alert(1)"]}), "/redirect_uris/0"),
        (json!({"name": "x"}), "/redirect_uris"),
        (json!({"name": "x", "redirect_uris": ["https://a.example/"], "audience": audience}), "/audience"),
        (
            json!({"name": "x", "public": true, "machine": {"reach": "deployment", "access": "read"}}),
            "/machine",
        ),
        (json!({"name": "x", "redirect_uris": [], "secrets": []}), "/secrets"),
    ] {
        let refused = world.post(&As::bootstrap(), "/v1/clients", &body).await;
        assert_eq!((refused.status.as_u16(), refused.text_at("/errors/0/pointer")), (422, pointer), "{body}");
    }
    assert_eq!(world.delete(&As::bootstrap(), path.clone()).await.status, 204);
    assert_eq!(world.get(&As::bootstrap(), path).await.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn under_the_same_key_a_token_is_made_once_and_shown_again_to_its_maker_only() {
    let world = World::start().await;
    let body = json!({"name": "ci", "reach": "deployment", "access": "write"});
    let call = |who: &As, key: &str, body| {
        Call::new("POST", "/v1/tokens").by(who).with("idempotency-key", key).json(body)
    };
    let first = world.send(call(&As::bootstrap(), "k1", &body)).await;
    let again = world.send(call(&As::bootstrap(), "k1", &body)).await;
    assert_eq!((first.status, first.text.as_str()), (again.status, again.text.as_str()));
    assert_eq!(
        (first.header("idempotency-replayed"), again.header("idempotency-replayed")),
        (None, Some("true"))
    );
    let other_body = json!({"name": "other", "reach": "deployment", "access": "write"});
    assert_eq!(world.send(call(&As::bootstrap(), "k1", &other_body)).await.status, 422);
    let holder = As::Bearer(first.text_at("/token").to_owned());
    let theirs = world.send(call(&holder, "k1", &body)).await;
    assert_ne!(theirs.text_at("/id"), first.text_at("/id"), "a key is its caller's own");
    assert_eq!(world.get(&As::bootstrap(), "/v1/tokens").await.json["items"].as_array().unwrap().len(), 2);

    let bad =
        json!({"name": "ci", "reach": "deployment", "access": "write", "expires_at": "2020-01-01T00:00:00Z"});
    let refused = world.send(call(&As::bootstrap(), "k2", &bad)).await;
    let repeated = world.send(call(&As::bootstrap(), "k2", &bad)).await;
    assert_eq!((refused.status.as_u16(), repeated.status.as_u16()), (422, 422));
    world.deployment.clock.advance(Duration::from_hours(25));
    let late = world.send(call(&As::bootstrap(), "k1", &body)).await;
    assert_ne!(late.text_at("/id"), first.text_at("/id"), "after a day the key is free");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_requests_under_one_key_at_the_same_time_one_is_done() {
    let world = World::start().await;
    let body = json!({"name": "ci", "reach": "deployment", "access": "write"});
    let calls = (0..12).map(|_| {
        let call =
            Call::new("POST", "/v1/tokens").by(&As::bootstrap()).with("idempotency-key", "k").json(&body);
        world.send(call)
    });
    let answers = futures_util::future::join_all(calls).await;
    let made = answers
        .iter()
        .filter(|answer| answer.status == 201 && answer.header("idempotency-replayed").is_none());
    assert_eq!(made.count(), 1);
    assert!(answers.iter().all(|answer| answer.status == 201 || answer.status == 409));
    assert_eq!(world.get(&As::bootstrap(), "/v1/tokens").await.json["items"].as_array().unwrap().len(), 1);
}
