//! What is sent to the providers, and what their answers can do here.

use std::collections::BTreeSet;
use std::time::Duration;

use http::StatusCode;
use rollcall_domain::identity::Provider;
use rollcall_identity::Verifier;
use serde_json::json;
use standin_bitbucket::{Act, Fault as BitbucketFault};
use standin_openid::{Endpoint, Fault, Forgery, Times};

use crate::browser::{at_provider, parameter};
use crate::identities;
use crate::rig::{ASTRID, GRACE, GRACES_ADDRESS, INES, PUBLIC, Rig, object};

const OPENID: [(Provider, &str); 2] = [(Provider::Google, INES), (Provider::Microsoft, ASTRID)];

#[tokio::test]
async fn a_login_asks_for_a_code_with_exactly_the_documented_scopes() {
    let rig = Rig::new().await;
    for (provider, scope) in [
        (Provider::Google, Some("openid email profile")),
        (Provider::Microsoft, Some("openid email profile")),
        // They are set where the consumer is registered.
        (Provider::Bitbucket, None),
    ] {
        let url = rig.browser().start(provider).await;
        assert_eq!(parameter(&url, "scope").as_deref(), scope, "{provider}");
        assert_eq!(parameter(&url, "response_type").as_deref(), Some("code"), "{provider}");
        let mode = scope.map(|_| "query");
        assert_eq!(parameter(&url, "response_mode").as_deref(), mode, "a form would come without our cookie");
        for never in ["access_type", "client_secret", "code_verifier", "request", "request_uri"] {
            assert_eq!(parameter(&url, never), None, "{provider}");
        }
    }
}

#[tokio::test]
async fn the_callback_is_the_registered_one_whatever_the_request_says_about_hosts() {
    let rig = Rig::new().await;
    let lies = [
        ("host", "evil.example"),
        ("x-forwarded-host", "evil.example"),
        ("x-forwarded-proto", "http"),
        ("x-forwarded-port", "81"),
        ("x-original-host", "evil.example"),
        ("forwarded", "host=evil.example;proto=http"),
        ("x-rewrite-url", "/callback/evil"),
    ];
    let mut callbacks = BTreeSet::new();
    for provider in Provider::ALL {
        let mut browser = rig.browser();
        let answer = browser.get_with(&format!("/login/{provider}"), &lies).await;
        let url = answer.location();
        let callback = parameter(&url, "redirect_uri").unwrap();
        assert_eq!(callback, format!("{PUBLIC}/callback/{provider}"));
        assert!(!format!("{:?}{}", answer.headers, answer.body).contains("evil.example"));
        assert!(callbacks.insert(callback), "each provider has its own");
    }
    // What the provider's servers are told, too; and where the browser is sent in the end.
    identities::member(&rig, Provider::Google, INES).await;
    let mut browser = rig.browser();
    let start = browser.start(Provider::Google).await;
    let callback = at_provider(&start, INES).await;
    let answer = browser.get_with(&callback, &lies).await;
    assert_eq!(answer.headers["location"], "/login");
    let redeemed = rig.google.requests(Endpoint::Token).pop().unwrap();
    assert_eq!(redeemed.parameter("redirect_uri"), Some(&*format!("{PUBLIC}/callback/google")));
    let document = browser.get_with("/.well-known/openid-configuration", &lies).await;
    assert!(!document.body.contains("evil.example"));
}

#[tokio::test]
async fn each_login_has_a_challenge_of_its_own_that_the_token_call_answers() {
    let rig = Rig::new().await;
    for (provider, person) in OPENID {
        let mut challenges = BTreeSet::new();
        let mut nonces = BTreeSet::new();
        for _ in 0..2 {
            let mut browser = rig.browser();
            let start = browser.start(provider).await;
            assert_eq!(parameter(&start, "code_challenge_method").as_deref(), Some("S256"));
            let challenge = parameter(&start, "code_challenge").unwrap();
            let nonce = parameter(&start, "nonce").unwrap();
            let callback = at_provider(&start, person).await;
            browser.get(&callback).await;
            let call = rig.openid(provider).requests(Endpoint::Token).pop().unwrap();
            let verifier = Verifier::parse(call.parameter("code_verifier").unwrap()).unwrap();
            assert_eq!(verifier.challenge().as_str(), challenge, "RFC 7636 §4.6");
            assert_ne!(call.parameter("code_verifier"), Some(nonce.as_str()));
            assert!(nonce.len() * 6 >= 128);
            assert!(challenges.insert(challenge) && nonces.insert(nonce), "{provider}");
        }
    }
}

#[tokio::test]
async fn a_nonce_of_another_login_ends_it_before_any_token_is_used() {
    let rig = Rig::new().await;
    for (provider, person) in OPENID {
        for (forgery, check) in [
            (Forgery::OtherNonce, "id_token.nonce"),
            (Forgery::NoNonce, "id_token.nonce.missing"),
            (Forgery::claim("nonce", 5), "id_token.nonce"),
            (Forgery::claim("nonce", ""), "id_token.nonce"),
        ] {
            let mut browser = rig.browser();
            let callback = browser.callback(provider, person).await;
            rig.openid(provider).forge_next(forgery);
            assert_eq!(browser.get(&callback).await.status, StatusCode::BAD_REQUEST);
            assert_eq!((rig.failed_checks().await[0].as_str(), browser.has_session()), (check, false));
        }
        assert_eq!(rig.openid(provider).count(Endpoint::Userinfo), 0);
    }
}

#[tokio::test]
async fn no_token_code_or_secret_of_a_provider_reaches_the_browser_or_the_table() {
    let rig = Rig::new().await;
    let access = "the-access-token-of-the-provider";
    for standin in [&rig.google, &rig.microsoft] {
        standin.change(|behaviour| {
            behaviour.token_answer =
                object(json!({ "access_token": access, "refresh_token": "the-refresh-token" }));
        });
    }
    let mut seen = String::new();
    let mut secrets: Vec<String> =
        ["google-secret", "microsoft-secret", access, "the-refresh-token"].map(str::to_owned).into();
    for (provider, person) in OPENID {
        // `at_hash` would be of the token that the provider really gave.
        rig.openid(provider).forge_next(Forgery::without("at_hash"));
        let token = identities::invite(&rig, person).await;
        let mut browser = rig.browser();
        let start =
            browser.post("/invite/accept", &[("token", &token), ("provider", provider.as_str())]).await;
        let callback = at_provider(&start.location(), person).await;
        browser.get(&callback).await;
        assert!(browser.has_session(), "{:?}", rig.failed_checks().await);
        browser.get("/login").await;
        let call = rig.openid(provider).requests(Endpoint::Token).pop().unwrap();
        secrets.extend(["code", "code_verifier"].map(|name| call.parameter(name).unwrap().to_owned()));
        seen.push_str(&browser.seen);
        secrets.push(token);
    }
    let mut grace = identities::member(&rig, Provider::Bitbucket, GRACE).await;
    assert!(grace.is_signed_in().await);
    seen.push_str(&grace.seen);
    let table = rig.table().await;
    assert!(table.contains(INES) && table.contains(GRACES_ADDRESS), "the whole table was read");
    for secret in &secrets {
        assert!(!table.contains(secret.as_str()), "{secret} lies in the table");
        assert!(!seen.contains(secret.as_str()), "{secret} was sent to the browser");
    }
    for (name, value) in &grace.cookies {
        assert!(!table.contains(value.as_str()), "{name} lies in the table");
    }
    assert!(!seen.contains("eyJhbGciOi"), "a JWT was sent to the browser");
}

#[tokio::test]
async fn a_redirect_of_a_provider_is_not_followed() {
    let rig = Rig::new().await;
    let trap = Rig::new().await;
    let location = format!("{}/token", trap.google.origin());
    for (provider, person) in OPENID {
        for status in [302, 307, 308] {
            let mut browser = rig.browser();
            let callback = browser.callback(provider, person).await;
            let fault = Fault::Redirect { status, location: location.clone() };
            rig.openid(provider).fault(Endpoint::Token, fault, Times::Next(1));
            let answer = browser.get(&callback).await;
            assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
            assert_eq!(
                (rig.failed_checks().await[0].as_str(), browser.has_session()),
                ("upstream.redirect", false)
            );
        }
    }
    let mut browser = rig.browser();
    let callback = browser.callback(Provider::Bitbucket, GRACE).await;
    let away = Act::Redirect(trap.google.origin().to_owned());
    rig.bitbucket.fault(BitbucketFault::at("/site/oauth2/access_token", away).once());
    assert_eq!(browser.get(&callback).await.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(!browser.has_session());
    assert_eq!(trap.google.all_requests().len(), 0, "no code went elsewhere");
}

#[tokio::test]
async fn whatever_a_provider_answers_instead_of_tokens_signs_nobody_in() {
    let rig = Rig::new().await;
    let answers = [
        (200, ""),
        (200, "null"),
        (200, "[]"),
        (200, "{}"),
        (200, "<html>sign in</html>"),
        (200, r#"{"id_token":null,"token_type":"Bearer"}"#),
        (200, r#"{"id_token":"","token_type":"Bearer"}"#),
        (200, r#"{"id_token":"a.b.c","token_type":"Bearer"}"#),
        (200, r#"{"id_token":"a.b.c","token_type":"mac"}"#),
        (200, r#"{"id_token":["a.b.c"],"token_type":"Bearer"}"#),
        (200, r#"{"id_token":"e30.e30.","id_token":"e30.e30.","token_type":"Bearer"}"#),
        (200, "\u{0}\u{1}\u{2}"),
        (201, r#"{"id_token":"a.b.c","token_type":"Bearer"}"#),
        (400, r#"{"error":"invalid_grant"}"#),
        (400, r#"{"error":5}"#),
        (403, "forbidden"),
        (429, "slow down"),
        (500, ""),
        (503, "<html>"),
    ];
    for (provider, person) in OPENID {
        for (status, body) in answers {
            let mut browser = rig.browser();
            let callback = browser.callback(provider, person).await;
            rig.openid(provider).fault(
                Endpoint::Token,
                Fault::Answer { status, body: body.into() },
                Times::Next(1),
            );
            let answer = browser.get(&callback).await;
            assert!(matches!(answer.status.as_u16(), 400 | 503), "{status} {body}: {}", answer.status);
            assert!(!browser.has_session(), "{status} {body}");
            assert!(body.len() < 3 || !answer.body.contains(body), "nothing of it is repeated: {body}");
        }
        for fault in [Fault::Cut, Fault::Padding(300 * 1024)] {
            let mut browser = rig.browser();
            let callback = browser.callback(provider, person).await;
            rig.openid(provider).fault(Endpoint::Token, fault, Times::Next(1));
            assert_eq!(browser.get(&callback).await.status, StatusCode::SERVICE_UNAVAILABLE);
            assert!(!browser.has_session());
        }
    }
    assert_eq!(rig.members().await, 0);
}

#[tokio::test]
async fn whatever_bitbucket_answers_instead_of_what_was_asked_is_neither_yes_nor_no() {
    let rig = Rig::new().await;
    let token = identities::invite(&rig, GRACES_ADDRESS).await;
    let garbage = |body: &str| Act::Answer {
        status: 200,
        media_type: "application/json".to_owned(),
        body: body.to_owned(),
    };
    for path in ["/site/oauth2/access_token", "/2.0/user", "/2.0/user/emails"] {
        for act in [
            garbage("{}"),
            garbage("[]"),
            garbage("null"),
            garbage("\u{0}"),
            Act::Html200,
            Act::Nothing200,
            Act::Status(500),
            Act::CutJson,
            Act::BreakOff,
        ] {
            let told = format!("{path} {act:?}");
            let mut browser = rig.browser();
            let start = browser.post("/invite/accept", &[("token", &token), ("provider", "bitbucket")]).await;
            let callback = at_provider(&start.location(), GRACE).await;
            let fault = rig.bitbucket.fault(BitbucketFault::at(path, act));
            let answer = browser.get(&callback).await;
            rig.bitbucket.remove_fault(fault);
            assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{told}: {}", answer.body);
            assert!(!browser.has_session(), "{told}");
            assert_eq!(rig.failed_checks().await[0], "bitbucket.unanswered", "{told}");
        }
    }
    assert_eq!(rig.members().await, 0);
}

#[tokio::test]
async fn a_secret_that_was_rotated_while_the_function_was_warm_is_read_anew_once() {
    let rig = Rig::new().await;
    identities::member(&rig, Provider::Google, INES).await;
    let reads = rig.secret_reads();
    rig.rotate_google_secret("the-new-secret", true);
    rig.advance(Duration::from_secs(31));
    let mut browser = rig.browser();
    let callback = browser.callback(Provider::Google, INES).await;
    rig.google.forget_requests();
    assert_eq!(browser.get(&callback).await.status, StatusCode::SEE_OTHER);
    assert_eq!((rig.secret_reads() - reads, rig.google.count(Endpoint::Token)), (1, 2));
    // Nobody told Secrets Manager: each login is refused, and neither side is asked without an end.
    rig.rotate_google_secret("nobody-knows", false);
    let reads = rig.secret_reads();
    rig.google.forget_requests();
    rig.advance(Duration::from_secs(31));
    for _ in 0..5 {
        let mut browser = rig.browser();
        let callback = browser.callback(Provider::Google, INES).await;
        assert_eq!(browser.get(&callback).await.status, StatusCode::BAD_REQUEST);
        assert_eq!(rig.failed_checks().await[0], "token.client");
    }
    assert_eq!((rig.secret_reads() - reads, rig.google.count(Endpoint::Token)), (1, 5));
}
