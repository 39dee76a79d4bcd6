//! `GET /authorize`, discovery and keys.

use http::StatusCode;
use rollcall_domain::{ClientId, Timestamp, WorkspaceId};

use crate::rig::{PUBLIC, REDIRECT, Rig, request};

#[tokio::test]
async fn discovery_names_the_endpoints_that_are_there() {
    let rig = Rig::new().await;
    let document = rig.get("/.well-known/openid-configuration").send().await.json();
    assert_eq!(document["issuer"], PUBLIC);
    assert_eq!(document["code_challenge_methods_supported"], serde_json::json!(["S256"]));
    for (name, post) in [
        ("authorization_endpoint", false),
        ("userinfo_endpoint", false),
        ("jwks_uri", false),
        ("end_session_endpoint", false),
        ("token_endpoint", true),
        ("introspection_endpoint", true),
        ("revocation_endpoint", true),
    ] {
        let path = document[name].as_str().unwrap().strip_prefix(PUBLIC).unwrap().to_owned();
        let call = if post { rig.post(&path, &[]) } else { rig.get(&path) };
        let status = call.send().await.status;
        assert!(
            status != StatusCode::NOT_FOUND && status != StatusCode::METHOD_NOT_ALLOWED,
            "{name}: {status}"
        );
    }
}

#[tokio::test]
async fn somebody_who_is_signed_in_brings_the_application_a_code() {
    let rig = Rig::new().await;
    let (ada, (client, _)) = (rig.ada().await, rig.client().await);
    let answer = ada.authorize(&client, &[]).await;
    assert!(answer.location().as_str().starts_with(REDIRECT));
    assert!(answer.location_parameter("code").unwrap().len() >= 43);
    assert_eq!(answer.location_parameter("state").as_deref(), Some("the state"));
    assert_eq!(answer.location_parameter("iss").as_deref(), Some(PUBLIC), "RFC 9207 §2");
}

#[tokio::test]
async fn somebody_who_is_not_signed_in_signs_in_and_comes_back_to_the_same_request() {
    let rig = Rig::new().await;
    let (client, _) = rig.client().await;
    let answer = rig.get(&request(&client, &[])).send().await;
    assert_eq!(answer.location().path(), "/login");
    let back = answer.location_parameter("return_to").unwrap();
    let ada = rig.ada().await;
    let answer = rig.get(&back).cookie(&ada.session.cookie).send().await;
    assert!(answer.location_parameter("code").is_some());
    assert_eq!(answer.location_parameter("state").as_deref(), Some("the state"));
}

#[tokio::test]
async fn a_request_that_names_no_sound_application_ends_on_a_page_and_nothing_is_redirected() {
    let rig = Rig::new().await;
    let (ada, (client, _)) = (rig.ada().await, rig.client().await);
    let unknown = ClientId::new(Timestamp::EPOCH, [9; 10]).to_string();
    for changes in [
        ("client_id", None),
        ("client_id", Some("x")),
        ("client_id", Some(unknown.as_str())),
        ("redirect_uri", None),
        ("redirect_uri", Some("https://evil.example/callback")),
        ("redirect_uri", Some("https://app.example/callback/")),
        ("redirect_uri", Some("https://app.example/callback?x=1")),
    ] {
        let answer = ada.authorize(&client, &[changes]).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{changes:?}");
        assert!(answer.headers.get("location").is_none() && answer.body.contains("<html"), "{changes:?}");
    }
    let twice = format!("{}&state=other", request(&client, &[]));
    assert_eq!(rig.get(&twice).cookie(&ada.session.cookie).send().await.status, StatusCode::BAD_REQUEST);
    let trail = rig.store.audit_page(None, None, 50, true).await.unwrap();
    let denied = trail.items.iter().filter(|entry| entry.action == "sign_in.denied");
    assert_eq!(denied.count(), 8, "each leaves an entry that names the check");
}

#[tokio::test]
async fn everything_else_that_is_wrong_the_application_is_told() {
    let rig = Rig::new().await;
    let (ada, (client, _)) = (rig.ada().await, rig.client().await);
    for (change, error) in [
        (("response_type", Some("token")), "unsupported_response_type"),
        (("scope", Some("email")), "invalid_scope"),
        (("code_challenge", None), "invalid_request"),
        (("code_challenge_method", Some("plain")), "invalid_request"),
        (("request_uri", Some("https://evil.example")), "request_uri_not_supported"),
        (("prompt", Some("none login")), "invalid_request"),
    ] {
        let answer = ada.authorize(&client, &[change]).await;
        assert!(answer.location().as_str().starts_with(REDIRECT), "{change:?}");
        assert_eq!(answer.location_parameter("error").as_deref(), Some(error), "{change:?}");
        assert_eq!(answer.location_parameter("state").as_deref(), Some("the state"));
        assert_eq!(answer.location_parameter("iss").as_deref(), Some(PUBLIC));
        assert_eq!(answer.location_parameter("code"), None);
    }
}

#[tokio::test]
async fn without_a_page_nobody_can_sign_in() {
    let rig = Rig::new().await;
    let (ada, (client, _)) = (rig.ada().await, rig.client().await);
    let answer = rig.get(&request(&client, &[("prompt", Some("none"))])).send().await;
    assert_eq!(answer.location_parameter("error").as_deref(), Some("login_required"));
    assert!(ada.authorize(&client, &[("prompt", Some("none"))]).await.location_parameter("code").is_some());
    let hint = [("prompt", Some("none")), ("id_token_hint", Some("made.up.hint"))];
    assert_eq!(
        ada.authorize(&client, &hint).await.location_parameter("error").as_deref(),
        Some("login_required")
    );
}

#[tokio::test]
async fn whoever_the_application_expects_has_to_be_the_one_who_is_signed_in() {
    let rig = Rig::new().await;
    let (ada, eve) = (rig.ada().await, rig.ada().await);
    let ((client, secret), (other, others)) = (rig.client().await, rig.client().await);
    let adas = ada.tokens(&client, &secret, "openid").await["id_token"].as_str().unwrap().to_owned();
    let elsewhere = ada.tokens(&other, &others, "openid").await["id_token"].as_str().unwrap().to_owned();
    for (who, hint, error) in [
        (&ada, &adas, None),
        (&eve, &adas, Some("login_required")),
        (&ada, &elsewhere, Some("login_required")),
    ] {
        let silent = [("prompt", Some("none")), ("id_token_hint", Some(hint.as_str()))];
        let answer = who.authorize(&client, &silent).await;
        assert_eq!(answer.location_parameter("error").as_deref(), error);
    }
    let answer = eve.authorize(&client, &[("id_token_hint", Some(adas.as_str()))]).await;
    assert_eq!(
        (answer.location().path(), answer.location_parameter("choose").as_deref()),
        ("/login", Some("true"))
    );
}

#[tokio::test]
async fn an_application_can_ask_for_a_fresh_sign_in() {
    let rig = Rig::new().await;
    let (ada, (client, _)) = (rig.ada().await, rig.client().await);
    for change in [("prompt", Some("login")), ("max_age", Some("0"))] {
        let answer = ada.authorize(&client, &[change]).await;
        assert_eq!(answer.location().path(), "/login", "{change:?}");
        assert_eq!(answer.location_parameter("fresh").as_deref(), Some("true"), "{change:?}");
    }
}

#[tokio::test]
async fn a_client_of_another_workspace_gets_no_code_for_this_ones_members() {
    let rig = Rig::new().await;
    let other = WorkspaceId::new(rig.now(), [9; 10]);
    let (client, _) = rig.client_with(|client| client.workspace = Some(other)).await;
    let ada = rig.ada().await;
    let answer = ada.authorize(&client, &[]).await;
    assert_eq!(answer.location().path(), "/login");
    assert_eq!(answer.location_parameter("workspace"), Some(other.to_string()));
}

#[tokio::test]
async fn a_members_codes_are_limited_per_minute_and_the_application_is_told() {
    let rig = Rig::with(PUBLIC, "3").await;
    let (ada, (client, _)) = (rig.ada().await, rig.client().await);
    let mut errors = Vec::new();
    for _ in 0..7 {
        errors.extend(ada.authorize(&client, &[]).await.location_parameter("error"));
    }
    assert!(
        !errors.is_empty() && errors.iter().all(|error| error == "temporarily_unavailable"),
        "{errors:?}"
    );
}
