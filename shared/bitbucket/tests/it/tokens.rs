//! The tokens of an OAuth consumer, and the code of a sign-in.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::support::{Reply, Server, WORKSPACE, brisk, once};
use rollcall_bitbucket::{Credential, OAuthClient, WorkspaceRef};
use rollcall_domain::Secret;
use rollcall_domain::budget::Purpose;

const TOKEN: &str = "/site/oauth2/access_token";

fn consumer() -> Credential {
    Credential::OAuthConsumer { key: "key".to_owned(), secret: Secret::new("s3cret") }
}

fn workspace() -> Reply {
    Reply::ok(format!(r#"{{"uuid":"{WORKSPACE}","slug":"acme","name":"Acme"}}"#))
}

fn which() -> WorkspaceRef {
    WORKSPACE.parse().unwrap()
}

/// A Bitbucket whose n-th token is `token-n` and lives for two hours.
async fn bitbucket() -> Server {
    let issued = AtomicUsize::new(0);
    Server::start(move |request| {
        if request.path == TOKEN {
            let n = issued.fetch_add(1, Ordering::SeqCst) + 1;
            let token = format!(
                r#"{{"access_token":"token-{n}","token_type":"bearer","expires_in":7200,"scope":"account"}}"#
            );
            return Reply::ok(token).after(Duration::from_millis(50));
        }
        workspace()
    })
    .await
}

#[tokio::test]
async fn however_many_tasks_wait_a_token_is_fetched_once_and_renewed_before_it_ends() {
    let server = bitbucket().await;
    let client = server.client(brisk());
    let many = async || {
        let tasks = (0..20).map(|_| {
            let session = client.session(&consumer(), &server.budget(), Purpose::Sync);
            async move { session.workspace(&which()).await }
        });
        futures_util::future::try_join_all(tasks).await.unwrap();
    };
    many().await;
    assert_eq!(server.count(TOKEN), 1);
    server.pass(Duration::from_secs(7_200 - 301));
    many().await;
    assert_eq!(server.count(TOKEN), 1);
    server.pass(Duration::from_secs(2));
    many().await;
    assert_eq!(server.count(TOKEN), 2);
    let last = server.requests().pop().unwrap();
    assert_eq!(last.authorization.as_deref(), Some("Bearer token-2"));
}

#[tokio::test]
async fn the_consumer_signs_in_with_a_header_and_a_form_and_nothing_in_the_address() {
    let server = bitbucket().await;
    let session = server.client(brisk()).session(&consumer(), &server.budget(), Purpose::Sync);
    session.workspace(&which()).await.unwrap();
    let requests = server.requests();
    assert_eq!(requests[0].authorization.as_deref(), Some("Basic a2V5OnMzY3JldA=="));
    assert_eq!(
        (requests[0].method.as_str(), requests[0].body.as_str()),
        ("POST", "grant_type=client_credentials")
    );
    assert!(requests.iter().all(|request| request.query("access_token").is_none()));
}

#[tokio::test]
async fn a_token_that_is_refused_is_replaced_once_and_not_for_ever() {
    let issued = Arc::new(AtomicUsize::new(0));
    let server = Server::start({
        let issued = Arc::clone(&issued);
        move |request| {
            if request.path == TOKEN {
                let n = issued.fetch_add(1, Ordering::SeqCst) + 1;
                return Reply::ok(format!(r#"{{"access_token":"token-{n}","expires_in":7200}}"#));
            }
            match request.authorization.as_deref() {
                Some("Bearer token-2") => workspace(),
                _ => Reply::new(401, "Token is invalid"),
            }
        }
    })
    .await;
    let client = server.client(brisk());
    let sessions = (0..10).map(|_| {
        let session = client.session(&consumer(), &server.budget(), Purpose::Sync);
        async move { session.workspace(&which()).await }
    });
    futures_util::future::try_join_all(sessions).await.unwrap();
    assert_eq!(issued.load(Ordering::SeqCst), 2, "one token, refused, and one in its place");

    issued.store(2, Ordering::SeqCst);
    let client = server.client(brisk());
    let session = client.session(&consumer(), &server.budget(), Purpose::Sync);
    assert_eq!(session.workspace(&which()).await.unwrap_err().code(), "unauthorized");
    assert_eq!(issued.load(Ordering::SeqCst), 4);
}

#[tokio::test]
async fn a_locked_consumer_is_left_alone_for_minutes() {
    let server = Server::start(|_| {
        Reply::new(
            400,
            r#"{"error":"unauthorized_client","error_description":"Invalid OAuth client credentials"}"#,
        )
    })
    .await;
    let client = server.client(brisk());
    let ask = async || {
        let session = client.session(&consumer(), &server.budget(), Purpose::Sync);
        session.workspace(&which()).await.unwrap_err()
    };
    for _ in 0..10 {
        assert_eq!(ask().await.code(), "locked_out");
    }
    assert_eq!(server.requests().len(), 1);
    server.pass(Duration::from_mins(10));
    assert_eq!(ask().await.wait_until(), Some(server.now().plus(Duration::from_mins(10))));
    assert_eq!(server.requests().len(), 2);
}

#[tokio::test]
async fn a_failed_renewal_is_the_answer_to_all_who_waited_for_it() {
    let server = Server::start(|_| Reply::new(503, "").after(Duration::from_millis(50))).await;
    let client = server.client(once());
    let tasks = (0..10).map(|_| {
        let session = client.session(&consumer(), &server.budget(), Purpose::Sync);
        async move { session.workspace(&which()).await.unwrap_err().code() }
    });
    let codes = futures_util::future::join_all(tasks).await;
    assert!(codes.iter().all(|code| *code == "unavailable"));
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn a_consumer_that_is_not_private_is_told_so() {
    let server = Server::start(|_| {
        Reply::new(
            400,
            r#"{"error":"invalid_grant","error_description":"Cannot use client_credentials with a consumer marked as \"public\"."}"#,
        )
    })
    .await;
    let session = server.client(brisk()).session(&consumer(), &server.budget(), Purpose::Sync);
    let error = session.workspace(&which()).await.unwrap_err();
    assert_eq!(error.code(), "consumer_refused");
    assert!(error.advice().contains("private consumer"), "{}", error.advice());
}

#[tokio::test]
async fn a_changed_secret_never_lives_on_the_old_ones_token() {
    let server = bitbucket().await;
    let client = server.client(brisk());
    for secret in ["old", "new"] {
        let credential = Credential::OAuthConsumer { key: "key".to_owned(), secret: Secret::new(secret) };
        client.session(&credential, &server.budget(), Purpose::Sync).workspace(&which()).await.unwrap();
    }
    assert_eq!(server.count(TOKEN), 2);
}

fn client() -> OAuthClient {
    OAuthClient { key: "key".to_owned(), secret: Secret::new("s3cret") }
}

#[tokio::test]
async fn a_code_is_exchanged_once_with_its_redirect_address() {
    let token = "t".repeat(4_000);
    let server = Server::start(move |_| {
        Reply::ok(format!(
            r#"{{"access_token":"{token}","expires_in":7200,"scopes":"account email repository"}}"#
        ))
    })
    .await;
    let redirect = "https://rollcall.example.com/callback/bitbucket".parse().unwrap();
    let granted = server.client(brisk()).exchange_code(&client(), &Secret::new("c&de"), &redirect).await;
    let granted = granted.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!((granted.token.expose().len(), granted.scopes.len()), (4_000, 3));
    let request = server.requests().pop().unwrap();
    assert_eq!(request.authorization.as_deref(), Some("Basic a2V5OnMzY3JldA=="));
    let form: Vec<_> = url::form_urlencoded::parse(request.body.as_bytes()).into_owned().collect();
    let expected = [
        ("grant_type", "authorization_code"),
        ("code", "c&de"),
        ("redirect_uri", "https://rollcall.example.com/callback/bitbucket"),
    ];
    assert_eq!(form, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
}

#[tokio::test]
async fn a_code_is_never_sent_twice_whatever_happens() {
    let redirect = "https://rollcall.example.com/callback/bitbucket".parse().unwrap();
    for (reply, code) in [
        (Reply::new(500, ""), "unavailable"),
        (Reply::ok(r#"{"access_token":"#).cut(), "cut"),
        (Reply::ok("<html>"), "not_json"),
        (Reply::new(400, r#"{"error":"invalid_grant"}"#), "code_refused"),
        (Reply::new(429, "slow down"), "rate_limited"),
        (Reply::new(302, "").header("location", "/elsewhere"), "redirected"),
        (Reply::ok("{}").after(Duration::from_secs(60)), "timeout"),
    ] {
        let server = Server::start(move |_| reply.clone()).await;
        let limits = rollcall_bitbucket::Limits { deadline: Duration::from_millis(300), ..brisk() };
        let answer = server.client(limits).exchange_code(&client(), &Secret::new("code"), &redirect).await;
        assert_eq!(answer.err().map(|error| error.code()), Some(code));
        assert_eq!(server.requests().len(), 1, "{code}");
    }
}

#[tokio::test]
async fn the_browser_is_sent_to_authorise_with_its_state_and_the_full_redirect_address() {
    let server = bitbucket().await;
    let redirect = "https://rollcall.example.com/callback/bitbucket".parse().unwrap();
    let url = server.client(brisk()).authorize_url(&client(), "st&te", &redirect);
    assert_eq!(url.path(), "/site/oauth2/authorize");
    let pairs: Vec<_> = url.query_pairs().into_owned().collect();
    let expected = [
        ("client_id", "key"),
        ("response_type", "code"),
        ("state", "st&te"),
        ("redirect_uri", "https://rollcall.example.com/callback/bitbucket"),
    ];
    assert_eq!(pairs, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
}
