//! Troubles of the provider, other answers than usual, and control from another process.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use standin_openid::{Client, Endpoint, Fault, Flavour, Person, Times, people};

use crate::support::{REDIRECT, SECRET, claims, form, location, login, rig};

const INES: &str = "Ines Okafor";

#[tokio::test]
async fn an_endpoint_is_down_for_as_long_as_told() {
    let rig = rig(Flavour::Google, people::at_google()).await;
    let down = Fault::Answer { status: 503, body: "down".into() };
    rig.provider.fault(Endpoint::Keys, down, Times::Next(2));
    let status = async || rig.http.get(rig.endpoint("jwks_uri")).send().await.unwrap().status().as_u16();
    assert_eq!([status().await, status().await, status().await], [503, 503, 200]);
    assert_eq!(rig.provider.count(Endpoint::Keys), 3);
    assert_eq!(rig.provider.requests(Endpoint::Keys)[0].status, 503);

    let refused = Fault::oauth_error("invalid_client");
    rig.provider.fault(Endpoint::Token, refused, Times::Always);
    for _ in 0..2 {
        let answer = rig.redeem(&form("any")).await;
        assert_eq!(answer.status(), 401);
        assert_eq!(answer.json::<Value>().await.unwrap()["error"], "invalid_client");
    }
    rig.provider.heal();
    assert!(rig.tokens(INES).await["id_token"].is_string());
}

#[tokio::test]
async fn a_redirect_at_the_token_endpoint_leaves_the_code_unused() {
    let rig = rig(Flavour::Google, people::at_google()).await;
    let elsewhere = Fault::Redirect { status: 307, location: "http://127.0.0.1:9/steal".into() };
    rig.provider.fault(Endpoint::Token, elsewhere, Times::Next(1));
    let code = rig.code(INES).await;
    let answer = rig.redeem(&form(&code)).await;
    assert_eq!(
        (answer.status().as_u16(), &answer.headers()["location"]),
        (307, &"http://127.0.0.1:9/steal".parse().unwrap())
    );
    assert_eq!(rig.redeem(&form(&code)).await.status(), 200);
}

#[tokio::test]
async fn a_huge_answer_is_right_but_for_its_size_and_says_no_length() {
    let rig = rig(Flavour::Google, people::at_google()).await;
    rig.provider.fault(Endpoint::Keys, Fault::Padding(3_000_001), Times::Next(1));
    let answer = rig.http.get(rig.endpoint("jwks_uri")).send().await.unwrap();
    assert_eq!(answer.content_length(), None);
    let body = answer.bytes().await.unwrap();
    assert!(body.len() > 3_000_001 && serde_json::from_slice::<Value>(&body).unwrap()["keys"].is_array());
}

#[tokio::test]
async fn an_answer_breaks_off_comes_late_or_not_at_all() {
    let rig = rig(Flavour::Google, people::at_google()).await;
    let get = || rig.http.get(rig.endpoint("jwks_uri"));
    rig.provider.fault(Endpoint::Keys, Fault::Cut, Times::Next(1));
    assert!(get().send().await.unwrap().bytes().await.is_err());

    rig.provider.fault(Endpoint::Keys, Fault::Delay(150), Times::Next(1));
    let start = Instant::now();
    assert_eq!(get().send().await.unwrap().status(), 200);
    assert!(start.elapsed() >= Duration::from_millis(150));

    rig.provider.fault(Endpoint::Keys, Fault::Silence, Times::Next(1));
    assert!(get().timeout(Duration::from_millis(100)).send().await.unwrap_err().is_timeout());
    assert_eq!(rig.provider.count(Endpoint::Keys), 3, "also what was never answered is counted");
}

#[tokio::test]
async fn metadata_and_answers_can_be_changed() {
    let rig = rig(Flavour::Google, people::at_google()).await;
    rig.provider.change(|behaviour| {
        behaviour.advertise_answer_issuer = true;
        behaviour.metadata.insert("issuer".into(), "https://evil.example".into());
        behaviour.metadata.insert("userinfo_endpoint".into(), Value::Null);
        behaviour.token_answer.insert("token_type".into(), "mac".into());
        behaviour.userinfo.insert("sub".into(), "another".into());
        behaviour.answer_parameters.push(("state".into(), "again".into()));
        behaviour.token_lifetime = 60;
        behaviour.decoy_keys = false;
    });
    let place = format!("{}/.well-known/openid-configuration", rig.provider.issuer());
    let metadata: Value = rig.http.get(place).send().await.unwrap().json().await.unwrap();
    assert_eq!(metadata["issuer"], "https://evil.example");
    assert_eq!(metadata["authorization_response_iss_parameter_supported"], true);
    assert!(metadata.get("userinfo_endpoint").is_none());
    let states = rig.answer(INES).await.into_iter().filter(|(name, _)| name == "state").count();
    assert_eq!(states, 2);
    let tokens = rig.tokens(INES).await;
    assert_eq!(tokens["token_type"], "mac");
    let told = claims(tokens["id_token"].as_str().unwrap());
    assert_eq!(told["exp"].as_i64().unwrap() - told["iat"].as_i64().unwrap(), 60);
    let userinfo = rig
        .http
        .get(rig.endpoint("userinfo_endpoint"))
        .bearer_auth(tokens["access_token"].as_str().unwrap())
        .send()
        .await
        .unwrap();
    assert_eq!(userinfo.json::<Value>().await.unwrap()["sub"], "another");
    assert_eq!(rig.keys().await["keys"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn people_and_clients_come_change_and_go() {
    let rig = rig(Flavour::Google, people::at_google()).await;
    let ines = rig.provider.people()[0].clone();
    let before = claims(&rig.id_token(INES).await);
    rig.provider.put_person(Person { email: Some("ines@new.example".into()), ..ines.clone() });
    let after = claims(&rig.id_token(INES).await);
    assert_eq!((&after["email"], &after["sub"]), (&json!("ines@new.example"), &before["sub"]));
    rig.provider.put_person(ines.clone().with_email_verified(Some("true".into())));
    assert_eq!(claims(&rig.id_token(INES).await)["email_verified"], "true");
    rig.provider.put_person(ines.clone().with_email_verified(None));
    assert!(claims(&rig.id_token(INES).await).get("email_verified").is_none());
    assert!(rig.provider.remove_person(&ines.sub) && !rig.provider.remove_person(&ines.sub));
    let mut parameters = login();
    parameters.push(("_person", INES.into()));
    assert_eq!(rig.authorize(&parameters).await.status(), 400);

    let code = rig.code("Tomasz Wrona").await;
    rig.provider.put_client(Client::new("rollcall", "rotated", REDIRECT));
    assert_eq!(rig.redeem(&form(&code)).await.status(), 401);
    rig.provider.put_client(Client::new("rollcall", SECRET, REDIRECT));
    assert_eq!(rig.redeem(&form(&code)).await.status(), 200);
}

#[tokio::test]
async fn another_process_controls_the_provider_over_http() {
    let rig = rig(Flavour::microsoft_organizations(), people::at_microsoft()).await;
    let at = |path: &str| format!("{}/_control/{path}", rig.provider.origin());
    let fine = async |request: reqwest::RequestBuilder| {
        let response = request.send().await.unwrap();
        assert!(response.status().is_success(), "{response:?}");
    };
    fine(rig.http.put(at("clock")).json(&json!({"set": 1_800_000_000}))).await;
    fine(rig.http.put(at("clock")).json(&json!({"advance": 60}))).await;
    fine(rig.http.put(at("behaviour")).json(&json!({"answer_issuer": {"other": "https://evil.example"}})))
        .await;
    let fault =
        json!({"endpoint": "keys", "fault": {"answer": {"status": 500, "body": ""}}, "times": {"next": 1}});
    fine(rig.http.post(at("faults")).json(&fault)).await;
    assert_eq!(rig.http.get(rig.endpoint("jwks_uri")).send().await.unwrap().status(), 500);
    let kid = rig.provider.signing_kid();
    fine(rig.http.post(at("keys/rotate"))).await;
    assert_ne!(rig.provider.signing_kid(), kid);
    assert_eq!(rig.http.post(at("keys/lose")).send().await.unwrap().status(), 404);
    let person = json!({"name": "New Person", "sub": "new", "tid": people::HARBOUR_STUDIO, "xms_edov": "1"});
    fine(rig.http.post(at("people")).json(&person)).await;

    let mut parameters = login();
    parameters.push(("_person", "New Person".into()));
    let answer = location(&rig.authorize(&parameters).await);
    assert!(answer.contains(&("iss".into(), "https://evil.example".into())));
    let code = &answer.iter().find(|(name, _)| name == "code").unwrap().1;
    let tokens: Value = rig.redeem(&form(code)).await.json().await.unwrap();
    let told = claims(tokens["id_token"].as_str().unwrap());
    assert_eq!((&told["iat"], &told["xms_edov"]), (&json!(1_800_000_060), &json!("1")));
    assert!(told.get("email").is_none() && told.get("oid").is_none());

    let requests: Value = rig.http.get(at("requests")).send().await.unwrap().json().await.unwrap();
    assert!(requests.as_array().unwrap().iter().any(|request| request["endpoint"] == "token"));
    fine(rig.http.delete(at("requests"))).await;
    assert!(rig.provider.all_requests().is_empty());
    fine(rig.http.delete(at("people/new"))).await;
    assert_eq!(rig.http.delete(at("people/new")).send().await.unwrap().status(), 404);
}
