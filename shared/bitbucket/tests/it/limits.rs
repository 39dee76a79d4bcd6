//! Rate limits, and what errors tell.

use std::time::Duration;

use rollcall_domain::budget::Purpose;
use serde_json::json;

use crate::support::{Reply, Server, access_token, brisk, not_found, once, uuid, workspace};

#[tokio::test]
async fn after_a_429_nothing_is_sent_for_as_long_as_bitbucket_says_or_for_minutes() {
    for (header, pause) in
        [(None, 300), (Some(("retry-after", "42")), 42), (Some(("x-ratelimit-reset", "90")), 90)]
    {
        let server = Server::start(move |_| {
            let reply = Reply::new(429, "Rate limit for this resource has been exceeded");
            header.map_or(reply.clone(), |(name, value)| reply.header(name, value))
        })
        .await;
        let session = server.session(brisk());
        let error = session.user().await.unwrap_err();
        let until = server.now().plus(Duration::from_secs(pause));
        assert_eq!((error.code(), error.wait_until()), ("rate_limited", Some(until)));
        assert_eq!(session.user().await.unwrap_err().code(), "paused");
        assert_eq!(server.requests().len(), 1);
        server.pass(Duration::from_secs(pause));
        assert_eq!(session.user().await.unwrap_err().code(), "rate_limited");
    }
}

#[tokio::test]
async fn when_few_calls_are_left_syncs_leave_them_to_sign_ins() {
    let server =
        Server::start(|_| Reply::ok(json!({"uuid": uuid(1, 1)})).header("X-RateLimit-NearLimit", "true"))
            .await;
    let client = server.client(once());
    let budget = server.budget();
    let sync = client.session(&access_token(), &budget, Purpose::Sync);
    sync.user().await.unwrap();
    assert_eq!(sync.user().await.unwrap_err().code(), "paused");
    client.session(&access_token(), &budget, Purpose::SignIn).user().await.unwrap();
}

#[tokio::test]
async fn no_error_ever_carries_the_token_or_the_query() {
    let body = "ATCT-sesame ada@example.com";
    for status in [200, 302, 400, 401, 403, 404, 410, 429, 500] {
        let server = Server::start(move |_| Reply::new(status, if status == 200 { body } else { "" })).await;
        let asked = ["ada@example.com".parse().unwrap()];
        let error = server.session(once()).members_by_email(&workspace(), &asked).await.unwrap_err();
        let text = format!("{error} {error:?} {}", error.advice());
        for secret in ["sesame", "ada", "acme", "127.0.0.1"] {
            assert!(!text.contains(secret), "{status}: {text}");
        }
    }
    let nobody = rollcall_bitbucket::Endpoints::new(
        "http://127.0.0.1:1".parse().unwrap(),
        "http://127.0.0.1:1".parse().unwrap(),
    );
    let server = Server::start(|_| not_found()).await;
    let client =
        rollcall_bitbucket::Bitbucket::new(crate::support::http(), nobody.unwrap(), server.clock(), once());
    let error = client.session(&access_token(), &server.budget(), Purpose::Sync).user().await.unwrap_err();
    assert_eq!(error.code(), "unreachable");
}
