//! What every answer carries, and where a write has to come from.

use std::collections::BTreeSet;

use http::{Method, StatusCode};
use rollcall_domain::identity::Provider;
use standin_openid::{Endpoint, Fault, Times};

use crate::browser::{FORM, request};
use crate::identities;
use crate::rig::{INES, PUBLIC, Rig};

#[tokio::test]
async fn every_answer_of_every_route_is_safe_whatever_it_says() {
    let rig = Rig::new().await;
    let signed_in = identities::member(&rig, Provider::Google, INES).await;
    let mut statuses = BTreeSet::new();
    let methods = [
        Method::GET,
        Method::POST,
        Method::PUT,
        Method::DELETE,
        Method::PATCH,
        Method::HEAD,
        Method::OPTIONS,
    ];
    for path in [
        "/",
        "/nothing",
        "/login",
        "/login?workspace=x",
        "/login/google",
        "/login/google?return_to=https://evil.example",
        "/login/github",
        "/login/link",
        "/login/unlink",
        "/login/google/more",
        "/callback/google",
        "/callback/google?code=a&state=b",
        "/callback/google/more",
        "/callback/nobody",
        "/invite",
        "/invite/accept",
        "/authorize",
        "/authorize?client_id=x",
        "/token",
        "/userinfo",
        "/introspect",
        "/revoke",
        "/logout",
        "/logout?id_token_hint=x",
        "/logout?a=1&a=2",
        "/.well-known/openid-configuration",
        "/.well-known/jwks.json",
        "/.well-known/nothing",
        "//evil.example",
        "/%2e%2e/%00",
    ] {
        for method in &methods {
            for accept in ["text/html", "application/json", "*/*"] {
                for mut browser in [rig.browser(), signed_in.clone()] {
                    let headers =
                        [("accept", accept), ("content-type", FORM), ("sec-fetch-site", "same-origin")];
                    // The rig itself looks at the headers of every answer.
                    let answer = browser.send(request(method, path, &headers), String::new()).await;
                    statuses.insert(answer.status.as_u16());
                    let kind = answer.headers.get("content-type").map_or("", |kind| kind.to_str().unwrap());
                    let refused = answer.status.is_client_error();
                    if refused && accept == "text/html" && *method == Method::GET {
                        assert!(kind.starts_with("text/html"), "{method} {path}: {kind}");
                    } else if refused && accept == "application/json" && *method == Method::GET {
                        assert!(kind.starts_with("application/problem+json"), "{method} {path}: {kind}");
                    }
                    if kind.starts_with("text/html") && *method != Method::HEAD {
                        let page = &answer.body;
                        assert!(page.contains("lang=\"en\"") && page.contains("<title>"), "{method} {path}");
                        for foreign in
                            ["src=\"http", "href=\"http", "src=\"//", "href=\"//", "@import", "url("]
                        {
                            assert!(!page.contains(foreign), "{method} {path}: {foreign}");
                        }
                    }
                }
            }
        }
    }
    // What cannot be had by asking plainly.
    let mut browser = rig.browser();
    rig.google.fault(Endpoint::Token, Fault::Answer { status: 500, body: String::new() }, Times::Next(1));
    statuses.insert(browser.sign_in(Provider::Google, INES).await.status.as_u16());
    browser.post("/login/unlink", &[("provider", "google"), ("subject", &"x".repeat(300 * 1024))]).await;
    let long =
        request(&Method::POST, "/invite/accept", &[("content-type", FORM), ("content-length", "99999999")]);
    statuses.insert(browser.send(long, String::new()).await.status.as_u16());
    let stranger = rig.google.people().into_iter().next_back().unwrap().sub;
    statuses.insert(browser.sign_in(Provider::Google, &stranger).await.status.as_u16());
    let hurried = Rig::with_rate("1").await;
    for _ in 0..2 {
        statuses.insert(hurried.browser().get("/login/google").await.status.as_u16());
    }
    assert_eq!(
        statuses,
        BTreeSet::from([200, 303, 400, 401, 403, 404, 405, 413, 429, 503]),
        "each kind was seen"
    );
}

#[tokio::test]
async fn a_write_is_a_post_that_one_of_our_own_pages_has_sent() {
    let rig = Rig::new().await;
    let token = identities::invite(&rig, "somebody@mail.example").await;
    let mut signed_in = identities::member(&rig, Provider::Google, INES).await;
    let accept = format!("token={token}&provider=google");
    let writes = [
        ("/invite/accept", accept.as_str()),
        ("/login/link", "provider=google"),
        ("/login/unlink", "provider=google&subject=1"),
        ("/logout", "confirm=yes"),
    ];
    for (path, body) in writes {
        for headers in [
            vec![],
            vec![("sec-fetch-site", "cross-site")],
            vec![("sec-fetch-site", "same-site")],
            vec![("sec-fetch-site", "none")],
            vec![("sec-fetch-site", "same-origin"), ("origin", "https://evil.example")],
            vec![("sec-fetch-site", "same-origin"), ("sec-fetch-site", "cross-site")],
            vec![("sec-fetch-site", "cross-site"), ("origin", PUBLIC)],
            vec![("origin", "https://evil.example")],
            vec![("origin", "null")],
            vec![("origin", "http://127.0.0.1:8081")],
            vec![("origin", "https://127.0.0.1:8080")],
            vec![("origin", "http://127.0.0.1:8080/")],
            vec![("origin", PUBLIC), ("origin", "https://evil.example")],
            vec![("referer", PUBLIC)],
        ] {
            let mut browser = signed_in.clone();
            let mut all = vec![("content-type", FORM)];
            all.extend(&headers);
            let answer = browser.send(request(&Method::POST, path, &all), body.to_owned()).await;
            assert!(answer.status.is_client_error(), "{path} {headers:?}: {}", answer.status);
            assert!(!answer.headers.contains_key("location"), "{path} {headers:?}");
            assert!(browser.is_signed_in().await, "{path} {headers:?}");
        }
        for method in [Method::GET, Method::PUT, Method::PATCH, Method::DELETE] {
            let mut browser = signed_in.clone();
            let all = [("content-type", FORM), ("sec-fetch-site", "same-origin")];
            browser.send(request(&method, &format!("{path}?{body}"), &all), body.to_owned()).await;
            assert!(browser.has_session() && browser.is_signed_in().await, "{method} {path}");
        }
    }
    assert_eq!(rig.members().await, 1);
    // A browser of old, which says where it comes from in another way.
    let old = [("content-type", FORM), ("origin", PUBLIC)];
    let answer = signed_in.send(request(&Method::POST, "/logout", &old), "confirm=yes".to_owned()).await;
    assert_eq!((answer.status, signed_in.has_session()), (StatusCode::OK, false));
}

#[tokio::test]
async fn no_page_or_link_makes_a_session_by_itself() {
    let rig = Rig::new().await;
    identities::member(&rig, Provider::Google, INES).await;
    let mut browser = rig.browser();
    for path in [
        "/login",
        "/login/google",
        "/invite",
        "/logout",
        "/callback/google?code=x&state=y",
        "/authorize?prompt=none",
    ] {
        browser.get(path).await;
        assert!(!browser.has_session(), "{path}");
    }
    let first = browser.get("/login").await;
    assert!(first.headers.get("set-cookie").is_none(), "looking at the page sets no cookie");
}
