//! Providers that are down, slow, too talkative, or in the middle of a change of keys.

use core::time::Duration;
use std::sync::Arc;

use rollcall_identity::relying_party::{
    AuthorizeHints, DiscoveryFailed, ExchangeFailed, FetchFailed, IdTokenRefused, KeysFailed, OpenIdSettings,
    SignInFailed,
};
use serde_json::json;
use standin_openid::{Endpoint, Fault, Flavour, Forgery, Times};

use crate::rig::{NOW, Rig, later};

fn down() -> Fault {
    Fault::Answer { status: 503, body: "{}".into() }
}

const KEY_UNKNOWN: SignInFailed = SignInFailed::IdToken(IdTokenRefused::KeyUnknown);

#[tokio::test]
async fn known_keys_serve_while_the_key_server_is_down() {
    let rig = Rig::google().await;
    rig.sign_in(NOW).await.unwrap();
    rig.standin.fault(Endpoint::Keys, down(), Times::Always);
    for hours in [1, 2, 23] {
        let now = later(Duration::from_hours(hours));
        rig.standin.set_clock(now.as_seconds());
        assert!(rig.sign_in(now).await.is_ok(), "after {hours} h");
    }
    let now = later(Duration::from_hours(24));
    rig.standin.set_clock(now.as_seconds());
    let refused = rig.sign_in(now).await.unwrap_err();
    assert_eq!(refused, SignInFailed::Keys(KeysFailed::Fetch(FetchFailed::Status(503))));
    assert!(refused.is_temporary());
}

#[tokio::test]
async fn a_change_of_keys_without_notice_costs_one_more_fetch_and_no_login() {
    let rig = Rig::google().await;
    rig.sign_in(NOW).await.unwrap();
    rig.standin.rotate_keys();
    assert!(rig.sign_in(NOW).await.is_ok());
    assert_eq!(rig.standin.count(Endpoint::Keys), 2);
}

#[tokio::test]
async fn a_key_that_is_published_ahead_costs_no_login_when_it_is_used() {
    let rig = Rig::google().await;
    rig.standin.publish_next_key();
    rig.sign_in(NOW).await.unwrap();
    rig.standin.sign_with_newest_key();
    assert!(rig.sign_in(NOW).await.is_ok());
    assert_eq!(rig.standin.count(Endpoint::Keys), 1);
}

#[tokio::test]
async fn unknown_keys_are_asked_for_once_per_cool_down() {
    let rig = Rig::google().await;
    rig.sign_in(NOW).await.unwrap();
    for _ in 0..5 {
        rig.standin.forge_next(Forgery::UnknownKid);
        assert_eq!(rig.sign_in(NOW).await, Err(KEY_UNKNOWN));
    }
    assert_eq!(rig.standin.count(Endpoint::Keys), 2);
    assert!(rig.sign_in(NOW).await.is_ok(), "known keys serve all the while");
    rig.standin.sign_with_unpublished_key();
    rig.standin.retire_other_keys();
    assert_eq!(rig.sign_in(later(Duration::from_secs(59))).await, Err(KEY_UNKNOWN));
    assert!(rig.sign_in(later(Duration::from_secs(60))).await.is_ok());
    assert_eq!(rig.standin.count(Endpoint::Keys), 3);
}

#[tokio::test]
async fn many_logins_at_once_ask_for_a_new_key_once() {
    let rig = Arc::new(Rig::google().await);
    rig.sign_in(NOW).await.unwrap();
    rig.standin.rotate_keys();
    rig.standin.fault(Endpoint::Keys, Fault::Delay(50), Times::Always);
    let logins: Vec<_> = (0..20)
        .map(|_| {
            let rig = Arc::clone(&rig);
            tokio::spawn(async move { rig.sign_in(NOW).await.is_ok() })
        })
        .collect();
    for login in logins {
        assert!(login.await.unwrap());
    }
    assert_eq!(rig.standin.count(Endpoint::Keys), 2);
}

#[tokio::test]
async fn a_withdrawn_key_is_out_of_use_within_the_hour() {
    let rig = Rig::google().await;
    rig.sign_in(NOW).await.unwrap();
    rig.standin.publish_next_key();
    let now = later(Duration::from_mins(61));
    rig.standin.set_clock(now.as_seconds());
    rig.sign_in(now).await.unwrap();
    assert_eq!(
        rig.standin.count(Endpoint::Keys),
        2,
        "the set is read again though every key in use is known"
    );
}

#[tokio::test]
async fn a_broken_key_set_is_no_empty_one() {
    for body in [r#"{"keys":[]}"#, "{}", "", "<html>", r#"{"keys":[{"kty":"oct","kid":"x","k":"AA"}]}"#] {
        let rig = Rig::google().await;
        rig.sign_in(NOW).await.unwrap();
        rig.standin.fault(Endpoint::Keys, Fault::Answer { status: 200, body: body.into() }, Times::Always);
        let now = later(Duration::from_hours(2));
        rig.standin.set_clock(now.as_seconds());
        assert!(rig.sign_in(now).await.is_ok(), "{body}: the last good set goes on serving");
        let fresh = Rig::google().await;
        fresh.standin.fault(Endpoint::Keys, Fault::Answer { status: 200, body: body.into() }, Times::Always);
        assert_eq!(fresh.sign_in(NOW).await, Err(SignInFailed::Keys(KeysFailed::Form)), "{body}");
    }
}

#[tokio::test]
async fn metadata_that_names_another_issuer_or_an_unsafe_place_is_refused() {
    for (member, value, expected) in [
        ("issuer", json!("https://evil.example"), DiscoveryFailed::Issuer),
        ("issuer", json!(null), DiscoveryFailed::Form),
        ("token_endpoint", json!("http://evil.example/token"), DiscoveryFailed::Endpoint),
        ("jwks_uri", json!("http://evil.example/keys"), DiscoveryFailed::Endpoint),
        ("jwks_uri", json!("file:///etc/passwd"), DiscoveryFailed::Endpoint),
        ("authorization_endpoint", json!("javascript:alert(1)"), DiscoveryFailed::Endpoint),
    ] {
        let rig = Rig::google().await;
        rig.standin.change(|behaviour| {
            behaviour.metadata.insert(member.into(), value.clone());
        });
        let login = rig.begin(NOW);
        let refused = rig.provider.authorize_url(&login, &AuthorizeHints::default(), NOW).await;
        assert_eq!(refused, Err(SignInFailed::Discovery(expected)), "{member} {value}");
    }
}

#[tokio::test]
async fn a_provider_that_was_down_at_the_first_login_is_asked_again_a_moment_later() {
    let rig = Rig::google().await;
    rig.standin.fault(Endpoint::Discovery, down(), Times::Next(1));
    let attempt = |seconds| {
        let login = rig.begin(NOW);
        let rig = &rig;
        async move {
            let now = later(Duration::from_secs(seconds));
            rig.provider.authorize_url(&login, &AuthorizeHints::default(), now).await
        }
    };
    let failed = attempt(0).await.unwrap_err();
    assert_eq!(failed, SignInFailed::Discovery(DiscoveryFailed::Fetch(FetchFailed::Status(503))));
    assert!(failed.is_temporary());
    assert_eq!(attempt(1).await, Err(failed), "not asked again within two seconds");
    assert_eq!(rig.standin.count(Endpoint::Discovery), 1);
    assert!(attempt(2).await.is_ok());
}

#[tokio::test]
async fn no_endpoint_is_followed_to_another_place() {
    let trap = Rig::google().await;
    for status in [301, 302, 303, 307, 308] {
        for endpoint in [Endpoint::Discovery, Endpoint::Keys, Endpoint::Token] {
            let rig = Rig::google().await;
            let location = format!("{}/token", trap.standin.origin());
            let returned = if endpoint == Endpoint::Token { Some(rig.go(NOW).await.unwrap()) } else { None };
            rig.standin.fault(endpoint, Fault::Redirect { status, location }, Times::Always);
            let failed = match &returned {
                Some(returned) => rig.finish(returned, NOW).await.unwrap_err(),
                None => rig.provider.warm(NOW).await.unwrap_err(),
            };
            let expected = match endpoint {
                Endpoint::Discovery => {
                    SignInFailed::Discovery(DiscoveryFailed::Fetch(FetchFailed::Redirected))
                }
                Endpoint::Keys => SignInFailed::Keys(KeysFailed::Fetch(FetchFailed::Redirected)),
                _ => SignInFailed::Exchange(ExchangeFailed::Fetch(FetchFailed::Redirected)),
            };
            assert_eq!(failed, expected, "{status} {endpoint:?}");
        }
    }
    assert_eq!(trap.standin.all_requests().len(), 0);
}

#[tokio::test]
async fn a_client_that_follows_redirects_by_mistake_gets_nobody_in() {
    let following = reqwest::Client::builder().no_proxy().build().unwrap();
    let rig = Rig::with_client(Flavour::Google, |_| {}, following).await;
    let location = format!("{}/oauth2/v3/certs?elsewhere", rig.standin.origin());
    rig.standin.fault(Endpoint::Keys, Fault::Redirect { status: 302, location }, Times::Next(1));
    let expected = SignInFailed::Keys(KeysFailed::Fetch(FetchFailed::Redirected));
    assert_eq!(rig.provider.warm(NOW).await, Err(expected));
}

#[tokio::test]
async fn an_endless_a_broken_and_a_silent_answer_end_the_login_and_nothing_else() {
    let impatient = |settings: &mut OpenIdSettings| settings.deadline = Duration::from_millis(400);
    for (fault, expected) in [
        (Fault::Padding(300 * 1024), FetchFailed::TooLarge),
        (Fault::Cut, FetchFailed::Unreachable),
        (Fault::Silence, FetchFailed::TimedOut),
    ] {
        let rig = Rig::new(Flavour::Google, impatient).await;
        rig.sign_in(NOW).await.unwrap();
        rig.standin.fault(Endpoint::Token, fault.clone(), Times::Next(1));
        let failed = rig.sign_in(NOW).await.unwrap_err();
        assert_eq!(failed, SignInFailed::Exchange(ExchangeFailed::Fetch(expected)), "{fault:?}");
        assert!(failed.is_temporary());
        assert!(rig.sign_in(NOW).await.is_ok(), "{fault:?}");
        let fresh = Rig::new(Flavour::Google, impatient).await;
        fresh.standin.fault(Endpoint::Keys, fault.clone(), Times::Next(1));
        assert_eq!(
            fresh.provider.warm(NOW).await,
            Err(SignInFailed::Keys(KeysFailed::Fetch(expected))),
            "{fault:?}"
        );
    }
}

#[tokio::test]
async fn what_the_token_endpoint_refuses_is_told_apart() {
    let rig = Rig::google().await;
    for (code, expected) in [
        ("invalid_client", ExchangeFailed::Client),
        ("invalid_grant", ExchangeFailed::Code),
        ("invalid_request", ExchangeFailed::Refused),
    ] {
        rig.standin.fault(Endpoint::Token, Fault::oauth_error(code), Times::Next(1));
        let failed = rig.sign_in(NOW).await.unwrap_err();
        assert_eq!(failed.is_about_our_secret(), code == "invalid_client");
        assert_eq!(failed, SignInFailed::Exchange(expected), "{code}");
        assert!(!failed.is_temporary());
    }
}
