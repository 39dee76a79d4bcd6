//! `POST /token`, `/introspect`, `/revoke` and `/userinfo`, as they are meant to be used, and as they are not.

use core::time::Duration;

use futures_util::future::join;
use http::StatusCode;
use rollcall_domain::Secret;
use rollcall_domain::identity::Provider;
use rollcall_identity::provider::{MAX_TEAMS_IN_TOKEN, generate_signing_key};
use serde_json::json;

use crate::rig::{PUBLIC, REDIRECT, Rig, form, header_of, verified, verifier};

const OFFLINE: &str = "openid email profile offline_access";

#[tokio::test]
async fn a_code_becomes_tokens_that_say_who_it_is() {
    let rig = Rig::new().await;
    let (ada, (client, secret)) = (rig.ada().await, rig.client().await);
    let tokens = ada.tokens(&client, &secret, "openid email").await;
    assert_eq!((&tokens["token_type"], &tokens["expires_in"]), (&json!("Bearer"), &json!(300)));
    assert_eq!(tokens.get("refresh_token"), None, "offline_access was not asked for");

    let id_token = verified(&rig, tokens["id_token"].as_str().unwrap()).await;
    assert_eq!((&id_token["iss"], &id_token["aud"]), (&json!(PUBLIC), &json!(client.id)));
    assert_eq!((&id_token["sub"], &id_token["nonce"]), (&json!(ada.id), &json!("the nonce")));
    assert_eq!((&id_token["workspace"], &id_token["idp"]), (&json!(rig.workspace), &json!(Provider::Google)));

    let access = tokens["access_token"].as_str().unwrap();
    assert_eq!(header_of(access)["typ"], "at+jwt");
    let info = rig.userinfo(access).await.json();
    assert_eq!((&info["sub"], &info["email"]), (&json!(ada.id), &json!("ada@example.com")));
    assert_eq!((&info["role"], &info["teams"]), (&json!("member"), &json!([])));
    let told = rig.introspect(&client, &secret, access).await;
    assert_eq!((&told["active"], &told["sub"]), (&json!(true), &json!(ada.id)));
}

#[tokio::test]
async fn a_code_is_bound_to_its_verifier_its_redirect_uri_and_its_client() {
    let rig = Rig::new().await;
    let (ada, (client, secret), (other, others)) = (rig.ada().await, rig.client().await, rig.client().await);
    let code = ada.code(&client, "openid").await;
    let right = verifier();
    let right = right.secret().expose();
    let wrong = "a".repeat(43);
    rig.redeem_with(&client, &secret, &code, REDIRECT, &wrong).await.assert_refused(400, "invalid_grant");
    let elsewhere = "https://app.example/other";
    rig.redeem_with(&client, &secret, &code, elsewhere, right).await.assert_refused(400, "invalid_grant");
    rig.redeem(&other, &others, &code).await.assert_refused(400, "invalid_grant");
    // None of these attempts has used it up.
    assert_eq!(rig.redeem(&client, &secret, &code).await.status, StatusCode::OK);

    let late = ada.code(&client, "openid").await;
    rig.clock.advance(Duration::from_mins(1));
    rig.redeem(&client, &secret, &late).await.assert_refused(400, "invalid_grant");
    rig.redeem(&client, &secret, &"A".repeat(43)).await.assert_refused(400, "invalid_grant");
}

#[tokio::test]
async fn a_code_that_is_used_twice_revokes_all_that_it_gave() {
    let rig = Rig::new().await;
    let (ada, (client, secret)) = (rig.ada().await, rig.client().await);
    let code = ada.code(&client, OFFLINE).await;
    let tokens = rig.redeem(&client, &secret, &code).await.json();
    rig.redeem(&client, &secret, &code).await.assert_refused(400, "invalid_grant");

    let (access, refresh) =
        (tokens["access_token"].as_str().unwrap(), tokens["refresh_token"].as_str().unwrap());
    assert_eq!(rig.userinfo(access).await.status, StatusCode::UNAUTHORIZED);
    rig.refresh(&client, &secret, refresh).await.assert_refused(400, "invalid_grant");
    for token in [access, refresh] {
        assert_eq!(rig.introspect(&client, &secret, token).await, json!({ "active": false }));
    }
    let trail = rig.store.audit_page(Some(rig.workspace), None, 50, true).await.unwrap();
    assert_eq!(trail.items.iter().filter(|entry| entry.action == "grant.revoked").count(), 1);
}

#[tokio::test]
async fn of_two_who_redeem_a_code_at_once_at_most_one_gets_tokens_and_none_keeps_them() {
    let rig = Rig::new().await;
    let (ada, (client, secret)) = (rig.ada().await, rig.client().await);
    for _ in 0..5 {
        let code = ada.code(&client, "openid").await;
        let (a, b) = join(rig.redeem(&client, &secret, &code), rig.redeem(&client, &secret, &code)).await;
        let given: Vec<_> = [a, b].into_iter().filter(|answer| answer.status == StatusCode::OK).collect();
        assert!(given.len() <= 1);
        for answer in given {
            let access = answer.json()["access_token"].as_str().unwrap().to_owned();
            assert_eq!(rig.userinfo(&access).await.status, StatusCode::UNAUTHORIZED);
        }
    }
}

#[tokio::test]
async fn a_refresh_token_gives_the_next_one_and_a_second_use_ends_them_all() {
    let rig = Rig::new().await;
    let (ada, (client, secret)) = (rig.ada().await, rig.client().await);
    let first = ada.tokens(&client, &secret, OFFLINE).await["refresh_token"].as_str().unwrap().to_owned();
    let answer = rig.refresh(&client, &secret, &first).await.json();
    let id_token = verified(&rig, answer["id_token"].as_str().unwrap()).await;
    assert_eq!((&id_token["sub"], id_token.get("nonce")), (&json!(ada.id), None));
    let second = answer["refresh_token"].as_str().unwrap().to_owned();
    assert_ne!(first, second);
    let third =
        rig.refresh(&client, &secret, &second).await.json()["refresh_token"].as_str().unwrap().to_owned();
    assert_eq!(rig.introspect(&client, &secret, &third).await["active"], true);

    rig.refresh(&client, &secret, &first).await.assert_refused(400, "invalid_grant");
    rig.refresh(&client, &secret, &third).await.assert_refused(400, "invalid_grant");
    let access = answer["access_token"].as_str().unwrap();
    assert_eq!(rig.userinfo(access).await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_made_up_refresh_token_ends_nothing_and_another_clients_use_ends_the_family() {
    let rig = Rig::new().await;
    let (ada, (client, secret), (other, others)) = (rig.ada().await, rig.client().await, rig.client().await);
    let token = ada.tokens(&client, &secret, OFFLINE).await["refresh_token"].as_str().unwrap().to_owned();
    let parts: Vec<&str> = token.splitn(3, '.').collect();
    let guess = format!("{}.{}.{}", parts[0], "A".repeat(22), parts[2]);
    rig.refresh(&client, &secret, &guess).await.assert_refused(400, "invalid_grant");
    let next =
        rig.refresh(&client, &secret, &token).await.json()["refresh_token"].as_str().unwrap().to_owned();

    assert_eq!(
        rig.introspect(&other, &others, &next).await,
        json!({ "active": false }),
        "asking ends nothing"
    );
    assert_eq!(rig.introspect(&client, &secret, &next).await["active"], true);
    rig.refresh(&other, &others, &next).await.assert_refused(400, "invalid_grant");
    rig.refresh(&client, &secret, &next).await.assert_refused(400, "invalid_grant");
}

#[tokio::test]
async fn of_two_who_refresh_at_once_none_keeps_the_family() {
    let rig = Rig::new().await;
    let (ada, (client, secret)) = (rig.ada().await, rig.client().await);
    let token = ada.tokens(&client, &secret, OFFLINE).await["refresh_token"].as_str().unwrap().to_owned();
    let (a, b) = join(rig.refresh(&client, &secret, &token), rig.refresh(&client, &secret, &token)).await;
    let given: Vec<_> = [a, b].into_iter().filter(|answer| answer.status == StatusCode::OK).collect();
    assert_eq!(given.len(), 1);
    let next = given[0].json()["refresh_token"].as_str().unwrap().to_owned();
    rig.refresh(&client, &secret, &next).await.assert_refused(400, "invalid_grant");
}

#[tokio::test]
async fn a_refresh_can_ask_for_less_and_never_for_more() {
    let rig = Rig::new().await;
    let (ada, (client, secret)) = (rig.ada().await, rig.client().await);
    let token = ada.tokens(&client, &secret, "openid offline_access").await;
    let token = token["refresh_token"].as_str().unwrap();
    let ask = |scope: &'static str, token: String| {
        let (rig, client, secret) = (&rig, &client, &secret);
        async move {
            let fields =
                [("grant_type", "refresh_token"), ("refresh_token", token.as_str()), ("scope", scope)];
            rig.post("/token", &fields).basic(client, secret).send().await
        }
    };
    ask("openid email", token.to_owned()).await.assert_refused(400, "invalid_scope");
    assert_eq!(ask("openid", token.to_owned()).await.json()["scope"], "openid");
}

#[tokio::test]
async fn a_family_ends_when_it_was_not_used_for_two_weeks() {
    let rig = Rig::new().await;
    let (ada, (client, secret)) = (rig.ada().await, rig.client().await);
    let token = ada.tokens(&client, &secret, OFFLINE).await["refresh_token"].as_str().unwrap().to_owned();
    rig.clock.advance(Duration::from_hours(13 * 24));
    let next =
        rig.refresh(&client, &secret, &token).await.json()["refresh_token"].as_str().unwrap().to_owned();
    rig.clock.advance(Duration::from_hours(14 * 24));
    rig.refresh(&client, &secret, &next).await.assert_refused(400, "invalid_grant");
}

#[tokio::test]
async fn a_client_has_to_prove_who_it_is() {
    let rig = Rig::new().await;
    let (ada, (client, secret)) = (rig.ada().await, rig.client().await);
    let wrong = Secret::new("rck_wrong");
    let code = ada.code(&client, "openid").await;
    let refused = rig.redeem(&client, &wrong, &code).await;
    refused.assert_refused(401, "invalid_client");
    assert!(refused.headers["www-authenticate"].to_str().unwrap().starts_with("Basic "));

    let (id, verifier) = (client.id.to_string(), verifier());
    let mut fields = vec![
        ("grant_type", "authorization_code"),
        ("code", code.as_str()),
        ("redirect_uri", REDIRECT),
        ("code_verifier", verifier.secret().expose()),
        ("client_id", id.as_str()),
    ];
    rig.post("/token", &fields).send().await.assert_refused(401, "invalid_client");
    fields.push(("client_secret", "rck_wrong"));
    rig.post("/token", &fields).send().await.assert_refused(401, "invalid_client");
    rig.post("/token", &fields).basic(&client, &secret).send().await.assert_refused(400, "invalid_request");
    fields.pop();
    fields.push(("client_secret", secret.expose()));
    assert_eq!(rig.post("/token", &fields).send().await.status, StatusCode::OK);
    for path in ["/introspect", "/revoke"] {
        rig.post(path, &[("token", "x")])
            .basic(&client, &wrong)
            .send()
            .await
            .assert_refused(401, "invalid_client");
    }
}

#[tokio::test]
async fn a_public_client_proves_itself_by_pkce_and_may_not_ask_about_tokens() {
    let rig = Rig::new().await;
    let (client, _) = rig.client_with(|client| client.secrets.clear()).await;
    let ada = rig.ada().await;
    let (id, verifier) = (client.id.to_string(), verifier());
    let code = ada.code(&client, "openid").await;
    let fields = [
        ("grant_type", "authorization_code"),
        ("code", code.as_str()),
        ("redirect_uri", REDIRECT),
        ("code_verifier", verifier.secret().expose()),
        ("client_id", id.as_str()),
    ];
    let tokens = rig.post("/token", &fields).send().await.json();
    let access = tokens["access_token"].as_str().unwrap();
    let query = [("token", access), ("client_id", id.as_str())];
    rig.post("/introspect", &query).send().await.assert_refused(401, "invalid_client");
    assert_eq!(rig.userinfo(access).await.status, StatusCode::OK);
    assert_eq!(rig.post("/revoke", &query).send().await.status, StatusCode::OK);
    assert_eq!(rig.userinfo(access).await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn what_cannot_be_read_without_ambiguity_is_refused_in_json() {
    let rig = Rig::new().await;
    let (client, secret) = rig.client().await;
    for fields in [
        vec![],
        vec![("grant_type", "password")],
        vec![("grant_type", "refresh_token"), ("grant_type", "refresh_token")],
        vec![("grant_type", "authorization_code"), ("code", "x"), ("redirect_uri", REDIRECT)],
    ] {
        let answer = rig.post("/token", &fields).basic(&client, &secret).send().await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{fields:?}");
        assert!(answer.json()["error"].is_string() && answer.json()["error_description"].is_string());
    }
    let (id, secret) = (client.id.to_string(), secret.expose());
    let in_query = format!("/token?{}", form(&[("client_id", &id), ("client_secret", secret)]));
    let answer = rig.post(&in_query, &[("grant_type", "client_credentials")]).send().await;
    answer.assert_refused(400, "invalid_request");
}

#[tokio::test]
async fn a_machine_gets_what_it_was_registered_with_and_applications_get_nothing_that_way() {
    let rig = Rig::new().await;
    let ((machine, secret), (app, apps)) = (rig.machine().await, rig.client().await);
    let fields = [("grant_type", "client_credentials")];
    let tokens = rig.post("/token", &fields).basic(&machine, &secret).send().await.json();
    assert_eq!((&tokens["scope"], tokens.get("refresh_token")), (&json!("admin:read"), None));
    let access = tokens["access_token"].as_str().unwrap();
    assert_eq!(rig.introspect(&machine, &secret, access).await["active"], true);
    assert_eq!(rig.introspect(&app, &apps, access).await, json!({ "active": false }));
    assert_eq!(rig.userinfo(access).await.status, StatusCode::UNAUTHORIZED);
    let more = [("grant_type", "client_credentials"), ("scope", "admin:write")];
    rig.post("/token", &more).basic(&machine, &secret).send().await.assert_refused(400, "invalid_scope");
    rig.post("/token", &fields).basic(&app, &apps).send().await.assert_refused(400, "unauthorized_client");
}

#[tokio::test]
async fn only_an_access_token_of_ours_opens_userinfo() {
    let rig = Rig::new().await;
    let (ada, (client, secret)) = (rig.ada().await, rig.client().await);
    let tokens = ada.tokens(&client, &secret, OFFLINE).await;
    let access = tokens["access_token"].as_str().unwrap().to_owned();
    for other in [tokens["id_token"].as_str().unwrap(), tokens["refresh_token"].as_str().unwrap(), "x"] {
        let answer = rig.userinfo(other).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
        assert!(answer.headers["www-authenticate"].to_str().unwrap().contains("invalid_token"));
    }
    assert_eq!(rig.get("/userinfo").send().await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(
        rig.get(&format!("/userinfo?access_token={access}")).send().await.status,
        StatusCode::UNAUTHORIZED
    );
    rig.clock.advance(Duration::from_mins(5));
    assert_eq!(rig.userinfo(&access).await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn an_application_revokes_its_own_grants_only() {
    let rig = Rig::new().await;
    let (ada, (client, secret), (other, others)) = (rig.ada().await, rig.client().await, rig.client().await);
    let tokens = ada.tokens(&client, &secret, OFFLINE).await;
    let (access, refresh) =
        (tokens["access_token"].as_str().unwrap(), tokens["refresh_token"].as_str().unwrap());
    for token in [access, refresh] {
        let answer = rig.post("/revoke", &[("token", token)]).basic(&other, &others).send().await;
        answer.assert_refused(400, "invalid_grant");
    }
    assert_eq!(rig.userinfo(access).await.status, StatusCode::OK);
    for token in [refresh, refresh, "unknown"] {
        let answer = rig.post("/revoke", &[("token", token)]).basic(&client, &secret).send().await;
        assert_eq!((answer.status, answer.body.as_str()), (StatusCode::OK, ""));
    }
    assert_eq!(rig.userinfo(access).await.status, StatusCode::UNAUTHORIZED);
    rig.refresh(&client, &secret, refresh).await.assert_refused(400, "invalid_grant");
}

#[tokio::test]
async fn whoever_proves_nothing_is_limited_by_address_and_an_application_is_not_held_up_by_it() {
    let rig = Rig::with(PUBLIC, "3").await;
    let (client, secret) = rig.client().await;
    let wrong = Secret::new("rck_wrong");
    let mut held_up = None;
    // Twice the limit and one: however the minute falls, one minute sees more than the limit.
    for _ in 0..7 {
        let answer = rig.refresh(&client, &wrong, "x").await;
        held_up = held_up.or(Some(answer).filter(|answer| answer.status == StatusCode::TOO_MANY_REQUESTS));
    }
    let last = held_up.expect("a refusal");
    assert!(last.headers["retry-after"].to_str().unwrap().parse::<u64>().unwrap() <= 60);
    assert!(last.json()["error"].is_string());
    rig.refresh(&client, &secret, "x").await.assert_refused(400, "invalid_grant");
}

#[tokio::test]
async fn keys_that_are_rotated_while_the_function_is_warm_are_taken_up_and_break_no_sign_in() {
    let rig = Rig::new().await;
    let (ada, (client, secret)) = (rig.ada().await, rig.client().await);
    let (one, two) = (generate_signing_key().unwrap(), generate_signing_key().unwrap());
    let published =
        async || rig.get("/.well-known/jwks.json").send().await.json()["keys"].as_array().unwrap().len();
    let six_minutes = Duration::from_mins(6);

    rig.rotate(&[("current", &one), ("next", &two)]);
    rig.clock.advance(six_minutes);
    assert_eq!(published().await, 2, "the next key is published before it signs");
    let before = ada.tokens(&client, &secret, "openid").await["id_token"].as_str().unwrap().to_owned();

    rig.rotate(&[("current", &two), ("previous", &one)]);
    rig.clock.advance(six_minutes);
    let after = ada.tokens(&client, &secret, "openid").await["id_token"].as_str().unwrap().to_owned();
    assert_ne!(header_of(&before)["kid"], header_of(&after)["kid"]);
    for token in [&before, &after] {
        assert_eq!(verified(&rig, token).await["sub"], json!(ada.id));
    }
}

#[tokio::test]
async fn a_token_is_the_business_of_its_application_and_of_the_api_it_is_for() {
    let rig = Rig::new().await;
    let (client, secret) = rig.client_with(|client| client.audience = Some("the-api".into())).await;
    let (api, apis) = rig.client_with(|client| client.audience = Some("the-api".into())).await;
    let (other, others) = rig.client().await;
    let tokens = rig.ada().await.tokens(&client, &secret, "openid").await;
    let access = tokens["access_token"].as_str().unwrap();
    assert_eq!(rig.introspect(&api, &apis, access).await["aud"], "the-api");
    assert_eq!(rig.introspect(&other, &others, access).await, json!({ "active": false }));
}

#[tokio::test]
async fn the_uses_of_one_access_token_are_limited_per_minute() {
    let rig = Rig::with(PUBLIC, "3").await;
    let (ada, (client, secret)) = (rig.ada().await, rig.client().await);
    let tokens = ada.tokens(&client, &secret, "openid").await;
    let mut statuses = Vec::new();
    for _ in 0..7 {
        statuses.push(rig.userinfo(tokens["access_token"].as_str().unwrap()).await.status);
    }
    assert!(statuses.contains(&StatusCode::TOO_MANY_REQUESTS), "{statuses:?}");
}

#[tokio::test]
async fn a_member_of_as_many_teams_as_a_token_names_is_told_all_of_them_everywhere() {
    let rig = Rig::new().await;
    let (ada, (client, secret)) = (rig.ada().await, rig.client().await);
    let teams = rig.teams(MAX_TEAMS_IN_TOKEN).await;
    ada.change(|member| member.by_invite.as_mut().unwrap().teams = teams).await;
    let tokens = ada.tokens(&client, &secret, "openid email profile offline_access").await;
    let access = tokens["access_token"].as_str().unwrap();
    assert_eq!(verified(&rig, access).await["teams"].as_array().unwrap().len(), MAX_TEAMS_IN_TOKEN);
    let info = rig.userinfo(access).await;
    assert_eq!(info.status, StatusCode::OK, "{} for {} bytes", info.body, access.len());
    assert_eq!(info.json()["teams"].as_array().unwrap().len(), MAX_TEAMS_IN_TOKEN);
    assert_eq!(rig.introspect(&client, &secret, access).await["active"], true);
}
