//! What is refused, each check over HTTP: no session, no member, and a page that tells nothing.

use std::time::Duration;

use http::StatusCode;
use rollcall_domain::audit::AuditEntry;
use standin_openid::Forgery;

use crate::rig::{Browser, INES, Rig};

/// Starts a login and comes back from the provider: the callback's path and query.
async fn callback(browser: &mut Browser<'_>) -> String {
    let start = browser.get("/login/google").await;
    browser.at_provider(&start.location(), INES).await
}

async fn denied(rig: &Rig, browser: &mut Browser<'_>, callback: &str, check: &str) {
    let answer = browser.get(callback).await;
    assert!(answer.status.is_client_error(), "{check}: {}", answer.status);
    assert!(!browser.has_session(), "{check}");
    assert!(!answer.body.contains(check), "the page names no check");
    let trail = rig.store.audit_page(None, None, 100, false).await.unwrap().items;
    let named = |entry: &AuditEntry| entry.detail["check"] == check;
    assert!(trail.iter().any(named), "{check} is not in the trail: {trail:#?}");
}

#[tokio::test]
async fn a_state_is_used_once_even_with_the_same_cookie() {
    let rig = Rig::new().await;
    let mut browser = rig.browser();
    let url = callback(&mut browser).await;
    let before = browser.clone();
    browser.get(&url).await;
    denied(&rig, &mut browser, &url, "callback.state.unknown").await;
    let mut replayed = before;
    denied(&rig, &mut replayed, &url, "callback.state.used").await;
}

#[tokio::test]
async fn a_login_that_another_browser_started_is_not_finished_here() {
    let rig = Rig::new().await;
    let url = callback(&mut rig.browser()).await;
    denied(&rig, &mut rig.browser(), &url, "callback.state.unknown").await;
}

#[tokio::test]
async fn a_login_dies_after_ten_minutes() {
    let rig = Rig::new().await;
    let mut browser = rig.browser();
    let url = callback(&mut browser).await;
    rig.clock.advance(Duration::from_mins(10));
    denied(&rig, &mut browser, &url, "callback.state.expired").await;
}

#[tokio::test]
async fn an_answer_to_another_providers_callback_is_refused() {
    let rig = Rig::new().await;
    let mut browser = rig.browser();
    let url = callback(&mut browser).await.replace("/callback/google", "/callback/bitbucket");
    denied(&rig, &mut browser, &url, "callback.provider").await;
}

#[tokio::test]
async fn whatever_can_be_read_in_two_ways_is_refused() {
    let rig = Rig::new().await;
    for extra in ["&state=x", "&code=x", "&error=access_denied"] {
        let mut browser = rig.browser();
        let url = callback(&mut browser).await + extra;
        let answer = browser.get(&url).await;
        assert!(answer.status.is_client_error() && !browser.has_session(), "{extra}");
    }
}

#[tokio::test]
async fn a_cookie_that_was_changed_is_no_cookie() {
    let rig = Rig::new().await;
    let mut browser = rig.browser();
    let url = callback(&mut browser).await;
    for value in browser.cookies.values_mut() {
        let last = if value.ends_with('A') { 'B' } else { 'A' };
        value.pop();
        value.push(last);
    }
    denied(&rig, &mut browser, &url, "callback.state.unknown").await;
}

#[tokio::test]
async fn a_forged_token_signs_nobody_in() {
    let rig = Rig::new().await;
    for forgery in [Forgery::Unsigned, Forgery::OtherNonce, Forgery::Expired(3600), Forgery::OtherAudience] {
        let mut browser = rig.browser();
        let url = callback(&mut browser).await;
        rig.google.control().forge_next(forgery.clone());
        let answer = browser.get(&url).await;
        assert!(answer.status.is_client_error() && !browser.has_session(), "{forgery:?}: {}", answer.status);
    }
}

#[tokio::test]
async fn somebody_without_an_invite_is_told_so_and_nothing_else() {
    let rig = Rig::new().await;
    let mut browser = rig.browser();
    let start = browser.get(&format!("/login/google?workspace={}", rig.workspace)).await;
    let url = browser.at_provider(&start.location(), INES).await;
    let answer = browser.get(&url).await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    assert!(answer.body.contains("is not a member of Acme &#38; Sons"), "{}", answer.body);
    assert!(!browser.has_session());
    let trail = rig.store.audit_page(Some(rig.workspace), None, 10, false).await.unwrap().items;
    assert_eq!((trail[0].action.as_str(), &trail[0].detail["email"]), ("sign_in.refused", &INES.into()));
    let suggested = rig.store.refused_sign_ins(rig.workspace, None, 10).await.unwrap().items;
    assert!(suggested.is_empty(), "anybody can make an account and call themselves anything: {suggested:?}");
}

#[tokio::test]
async fn a_return_target_that_is_not_ours_is_refused() {
    let rig = Rig::new().await;
    for target in
        ["https://evil.example", "//evil.example", "/login/../evil", "/other", "/login\\@evil.example"]
    {
        let query =
            url::form_urlencoded::Serializer::new(String::new()).append_pair("return_to", target).finish();
        let answer = rig.browser().get(&format!("/login/google?{query}")).await;
        assert!(answer.status.is_client_error(), "{target}: {}", answer.status);
    }
}

#[tokio::test]
async fn an_address_that_tries_too_often_has_to_wait() {
    let rig = Rig::with_rate("3").await;
    // From the beginning of a minute, so that none ends within the test.
    let into = u64::try_from(rig.now().as_seconds().rem_euclid(60)).unwrap();
    rig.clock.advance(Duration::from_secs(61 - into));
    let mut browser = rig.browser();
    for _ in 0..3 {
        assert_eq!(browser.get("/login/google").await.status, StatusCode::SEE_OTHER);
    }
    let answer = browser.get("/login/google").await;
    assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS);
    assert!(answer.headers.contains_key("retry-after"));
}

#[tokio::test]
async fn an_unknown_provider_is_not_found() {
    let rig = Rig::new().await;
    for path in ["/login/github", "/callback/github?code=a&state=b", "/callback/google/more", "/nothing"] {
        assert_eq!(rig.browser().get(path).await.status, StatusCode::NOT_FOUND, "{path}");
    }
}
