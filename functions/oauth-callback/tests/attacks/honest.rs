//! Sound tokens, to be changed afterwards: one of ours for an application, and what Google's token endpoint answers.

use http::StatusCode;
use rollcall_domain::identity::Provider;
use rollcall_domain::{ClientId, TokenHash};
use rollcall_identity::Verifier;
use rollcall_identity::provider::{Client, RedirectUri, new_client_secret};
use rollcall_service::random::{self, SystemRandom};
use rollcall_store::Record;
use serde_json::Value;
use url::Url;

use crate::browser::{Browser, form};
use crate::rig::{INES, PUBLIC, Rig};

const REDIRECT: &str = "https://app.example/callback";

/// The access token that an application gets for whoever is signed in in the browser.
pub(crate) async fn access_token(rig: &Rig, browser: &mut Browser<'_>) -> String {
    let secret = new_client_secret(random::bytes(&SystemRandom));
    let client = Client {
        id: ClientId::new(rig.now(), random::bytes(&SystemRandom)),
        name: "App".into(),
        secrets: vec![TokenHash::of(&secret)],
        redirect_uris: vec![RedirectUri::parse(REDIRECT).unwrap()],
        post_logout_redirect_uris: vec![],
        backchannel_logout_uri: None,
        audience: None,
        workspace: None,
        machine: None,
    };
    rig.store.create_client(client.id, &client, Record::default()).await.unwrap();
    let (id, verifier) = (client.id.to_string(), Verifier::new([5; 32]));
    let query = form(&[
        ("client_id", &id),
        ("redirect_uri", REDIRECT),
        ("response_type", "code"),
        ("scope", "openid email"),
        ("code_challenge", verifier.challenge().as_str()),
        ("code_challenge_method", "S256"),
    ]);
    let back = browser.get(&format!("/authorize?{query}")).await.location();
    let code = crate::browser::parameter(&back, "code").unwrap_or_else(|| panic!("{back}"));
    let fields = [
        ("grant_type", "authorization_code"),
        ("code", code.as_str()),
        ("redirect_uri", REDIRECT),
        ("code_verifier", verifier.secret().expose()),
        ("client_id", id.as_str()),
        ("client_secret", secret.expose()),
    ];
    let answer = browser.post("/token", &fields).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    let tokens: Value = serde_json::from_str(&answer.body).unwrap();
    tokens["access_token"].as_str().unwrap().to_owned()
}

/// What Google's token endpoint answers to somebody's code, as text.
pub(crate) async fn token_answer(rig: &Rig) -> String {
    let http = rollcall_service::http::client().unwrap();
    let verifier = Verifier::new([6; 32]);
    let callback = format!("{PUBLIC}/callback/{}", Provider::Google);
    let origin = rig.google.origin();
    let query = form(&[
        ("client_id", "rollcall"),
        ("redirect_uri", &callback),
        ("response_type", "code"),
        ("scope", "openid email profile"),
        ("state", "a-state-of-another-login"),
        ("nonce", "a-nonce-of-another-login"),
        ("code_challenge", verifier.challenge().as_str()),
        ("code_challenge_method", "S256"),
        ("_person", INES),
    ]);
    let back = http.get(format!("{origin}/o/oauth2/v2/auth?{query}")).send().await.unwrap();
    let back = Url::parse(back.headers()["location"].to_str().unwrap()).unwrap();
    let fields = form(&[
        ("grant_type", "authorization_code"),
        ("code", &crate::browser::parameter(&back, "code").unwrap()),
        ("redirect_uri", &callback),
        ("client_id", "rollcall"),
        ("client_secret", "google-secret"),
        ("code_verifier", verifier.secret().expose()),
    ]);
    let call = http.post(format!("{origin}/token")).header("content-type", crate::browser::FORM).body(fields);
    let answer = call.send().await.unwrap();
    assert_eq!(answer.status(), 200);
    answer.text().await.unwrap()
}
