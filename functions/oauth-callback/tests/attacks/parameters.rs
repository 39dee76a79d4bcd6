//! Requests that can be read in two ways, or in none, at every endpoint.

use http::{Method, StatusCode};
use rollcall_domain::identity::Provider;

use crate::browser::{FORM, LOGIN, SESSION, request};
use crate::identities;
use crate::rig::{INES, Rig};

#[tokio::test]
async fn a_parameter_that_is_given_twice_is_refused_at_every_endpoint() {
    let rig = Rig::new().await;
    let token = identities::invite(&rig, "somebody@mail.example").await;
    let signed_in = identities::member(&rig, Provider::Google, INES).await;
    for path in [
        "/login?choose=true&choose=true",
        "/login?return_to=/login&return_to=/login",
        "/login/google?return_to=/login&return_to=/login",
        "/login/google?choose=true&choose=false",
        "/login/google?return_to=/login&return%5fto=/authorize",
        "/callback/google?state=a&state=a&code=b",
        "/callback/google?state=a&code=b&code=b",
        "/callback/google?state=a&code=b&st%61te=a",
        "/callback/google?state=a&code=b&session_state=a&session_state=b",
        "/authorize?client_id=a&client_id=b",
        "/authorize?client_id=a&state=a&state=b",
        "/logout?state=a&state=b",
        "/logout?id_token_hint=a&id_token_hint=a",
    ] {
        let mut browser = signed_in.clone();
        let before = browser.cookies.clone();
        let answer = browser.get(path).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{path}");
        assert!(!answer.headers.contains_key("location"), "{path}");
        assert_eq!(
            before.get(SESSION),
            browser.cookies.get(SESSION),
            "{path}: nothing has happened to the session"
        );
        assert!(!browser.cookies.contains_key(LOGIN), "{path}: no login has begun");
    }
    let checks = rig.failed_checks().await;
    assert_eq!(checks.iter().filter(|check| *check == "parameters.repeated").count(), 8, "{checks:?}");
    assert_eq!(checks.iter().filter(|check| *check == "login.parameters").count(), 3, "{checks:?}");

    let accept = format!("token={token}&token={token}&provider=google");
    for (path, body) in [
        ("/invite/accept", accept.as_str()),
        ("/invite/accept", "token=a&provider=google&provider=google"),
        ("/login/unlink", "provider=google&provider=google&subject=1"),
        ("/logout", "confirm=yes&confirm=yes"),
        ("/logout", "session=a&session=b"),
        ("/token", "grant_type=refresh_token&grant_type=refresh_token&client_id=a&client_secret=b"),
        ("/token", "grant_type=authorization_code&code=a&code=b&client_id=a&client_secret=b"),
        ("/introspect", "token=a&token=b&client_id=a&client_secret=b"),
        ("/revoke", "token=a&token=b&client_id=a&client_secret=b"),
    ] {
        let mut browser = signed_in.clone();
        let headers = [("content-type", FORM), ("sec-fetch-site", "same-origin")];
        let answer = browser.send(request(&Method::POST, path, &headers), body.to_owned()).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{path} {body}: {}", answer.body);
        assert!(!answer.headers.contains_key("location"), "{path} {body}");
        assert!(browser.is_signed_in().await, "{path} {body}: nothing has happened to the session");
    }
    let checks = rig.failed_checks().await;
    assert_eq!(checks.iter().filter(|check| *check == "invite.parameters").count(), 2, "{checks:?}");
    assert_eq!(rig.members().await, 1);
}

#[tokio::test]
async fn a_body_of_another_kind_than_a_form_is_refused_at_every_endpoint() {
    let rig = Rig::new().await;
    let token = identities::invite(&rig, "somebody@mail.example").await;
    let signed_in = identities::member(&rig, Provider::Google, INES).await;
    let bodies = [
        ("/invite/accept", format!("token={token}&provider=google")),
        ("/login/unlink", "provider=google&subject=1".to_owned()),
        ("/logout", "confirm=yes".to_owned()),
        ("/token", "grant_type=client_credentials&client_id=a&client_secret=b".to_owned()),
        ("/introspect", "token=a&client_id=a&client_secret=b".to_owned()),
        ("/revoke", "token=a&client_id=a&client_secret=b".to_owned()),
    ];
    for (path, body) in &bodies {
        for kinds in [
            vec![],
            vec!["application/json"],
            vec!["text/plain"],
            vec!["multipart/form-data; boundary=x"],
            vec!["application/x-www-form-urlencoded2"],
            vec![FORM, FORM],
            vec![FORM, "application/json"],
        ] {
            let mut headers: Vec<(&str, &str)> = kinds.iter().map(|kind| ("content-type", *kind)).collect();
            headers.push(("sec-fetch-site", "same-origin"));
            let mut browser = signed_in.clone();
            let answer = browser.send(request(&Method::POST, path, &headers), body.clone()).await;
            assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{path} {kinds:?}: {}", answer.body);
            assert!(!answer.headers.contains_key("location"), "{path} {kinds:?}");
            assert!(browser.is_signed_in().await, "{path} {kinds:?}");
        }
        let headers = [("content-type", FORM), ("sec-fetch-site", "same-origin")];
        let long = format!("{body}&x={}", "x".repeat(300 * 1024));
        let answer = signed_in.clone().send(request(&Method::POST, path, &headers), long).await;
        assert!(matches!(answer.status.as_u16(), 400 | 413), "{path}: {}", answer.status);
    }
}

#[tokio::test]
async fn what_belongs_into_a_body_is_not_taken_from_the_address() {
    let rig = Rig::new().await;
    let token = identities::invite(&rig, INES).await;
    let mut browser = rig.browser();
    // A link that is looked at by a scanner, a form whose field stands in the address.
    for path in [format!("/invite?token={token}"), format!("/invite/accept?token={token}&provider=google")] {
        let answer = browser.get(&path).await;
        assert!(!answer.body.contains(&token) && !answer.headers.contains_key("location"), "{path}");
    }
    let answer = browser.post(&format!("/invite/accept?token={token}&provider=google"), &[]).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    let answer = browser.post("/logout?confirm=yes", &[("state", "x")]).await;
    assert!(
        !answer
            .headers
            .get_all("set-cookie")
            .iter()
            .any(|cookie| cookie.to_str().unwrap().contains("Max-Age=0"))
    );
    assert!(!browser.has_session());
    // None of it has used the invite up.
    assert_eq!(browser.accept(&token, Provider::Google, INES).await.status, StatusCode::SEE_OTHER);
    assert!(browser.has_session());
}

#[tokio::test]
async fn a_field_that_nobody_asked_for_is_refused_and_changes_nothing() {
    let rig = Rig::new().await;
    let token = identities::invite(&rig, INES).await;
    for extra in [("role", "admin"), ("email", "eve@mail.example"), ("workspace", "ws_x"), ("member", "x")] {
        let mut browser = rig.browser();
        let answer =
            browser.post("/invite/accept", &[("token", &token), ("provider", "google"), extra]).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{extra:?}");
        let path = format!("/login/google?{}={}", extra.0, extra.1);
        assert_eq!(browser.get(&path).await.status, StatusCode::BAD_REQUEST, "{extra:?}");
    }
    assert_eq!(rig.members().await, 0);
}
