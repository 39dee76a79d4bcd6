//! The conventions over HTTP: what every answer has in common, whatever went wrong.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may panic"
)]

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::response::IntoResponse as _;
use axum::routing::{get, post};
use http::header::{
    ACCEPT, ALLOW, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE, RETRY_AFTER, SET_COOKIE,
};
use http::{Request, StatusCode};
use http_body_util::BodyExt as _;
use rollcall_service::clock::SystemClock;
use rollcall_service::random::SeededRandom;
use rollcall_service::telemetry::Metrics;
use rollcall_service::web::{
    Bearer, EntityTag, Form, IfMatch, Json, PagePolicy, Path, Problem, Query, Web, see_other, unauthorized,
};
use serde::Deserialize;
use serde_json::Value;
use tower::ServiceExt as _;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Invite {
    email: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Paging {
    limit: Option<u8>,
}

fn routes() -> Router {
    Router::new()
        .route("/ok", get(async || "ok"))
        .route(
            "/page",
            get(async || ([(CONTENT_SECURITY_POLICY, PagePolicy::new().style("p{}").header())], "page")),
        )
        .route("/redirect", get(async || see_other("/ok")))
        .route("/panic", get(async || -> &'static str { panic!("on purpose") }))
        .route("/json", post(async |Json(invite): Json<Invite>| invite.email))
        .route("/form", post(async |Form(invite): Form<Invite>| invite.email))
        .route("/query", get(async |Query(paging): Query<Paging>| paging.limit.unwrap_or(100).to_string()))
        .route("/members/{member}", get(async |Path(id): Path<rollcall_domain::MemberId>| id.to_string()))
        .route("/bearer", get(async |bearer: Bearer| bearer.0.expose().len().to_string()))
        .route("/refused", get(async || unauthorized()))
        .route("/limited", get(async || Problem::too_many_requests(7)))
        .route(
            "/cookie",
            get(async || ([(SET_COOKIE, "a=; Max-Age=0")], Problem::forbidden("no")).into_response()),
        )
        .route("/bare", get(async || StatusCode::BAD_GATEWAY))
        .route("/axum", post(async |axum::Json(_): axum::Json<Value>| "never"))
        .route(
            "/changed",
            post(async |condition: IfMatch| {
                condition.check(&EntityTag::of_version(2)).map(|()| (EntityTag::of_version(3), "changed"))
            }),
        )
        .route(
            "/oauth",
            get(async || {
                (StatusCode::BAD_REQUEST, axum::Json(serde_json::json!({"error": "invalid_grant"})))
            }),
        )
}

struct Answer {
    status: u16,
    headers: http::HeaderMap,
    body: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    fn header(&self, name: impl http::header::AsHeaderName) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

async fn send(request: Request<Body>) -> Answer {
    let router = Web::new().random(Arc::new(SeededRandom::new(1))).finish(routes());
    let (parts, body) = router.oneshot(request).await.unwrap().into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    Answer {
        status: parts.status.as_u16(),
        headers: parts.headers,
        body: String::from_utf8(body.to_vec()).unwrap(),
    }
}

fn request(method: &str, path: &str) -> http::request::Builder {
    Request::builder().method(method).uri(path)
}

async fn fetch(path: &str) -> Answer {
    send(request("GET", path).body(Body::empty()).unwrap()).await
}

async fn post_as(path: &str, media_type: &str, body: impl Into<Body>) -> Answer {
    send(request("POST", path).header(CONTENT_TYPE, media_type).body(body.into()).unwrap()).await
}

/// One answer of each kind: success, redirect, and every way to go wrong.
async fn one_of_each() -> Vec<(&'static str, Answer)> {
    vec![
        ("ok", fetch("/ok").await),
        ("page", fetch("/page").await),
        ("redirect", fetch("/redirect").await),
        ("unknown route", fetch("/nowhere").await),
        ("unknown method", send(request("DELETE", "/ok").body(Body::empty()).unwrap()).await),
        ("panic", fetch("/panic").await),
        ("media type", post_as("/json", "text/plain", "{}").await),
        ("not JSON", post_as("/json", "application/json", "{").await),
        ("not expected", post_as("/json", "application/json", "{}").await),
        ("too large", post_as("/json", "application/json", vec![b' '; 256 * 1024 + 1]).await),
        ("no token", fetch("/bearer").await),
        ("refused", fetch("/refused").await),
        ("limited", fetch("/limited").await),
        ("bare", fetch("/bare").await),
        ("axum's own", post_as("/axum", "application/json", "{").await),
        ("OAuth", fetch("/oauth").await),
    ]
}

#[tokio::test]
async fn every_answer_carries_the_security_headers_and_its_id() {
    for (name, answer) in one_of_each().await {
        assert_eq!(
            answer.header("strict-transport-security"),
            "max-age=63072000; includeSubDomains",
            "{name}"
        );
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{name}");
        assert_eq!(answer.header("referrer-policy"), "no-referrer", "{name}");
        assert_eq!(answer.header("cache-control"), "no-store", "{name}");
        let policy = answer.header(CONTENT_SECURITY_POLICY);
        assert!(policy.starts_with("default-src 'none'; frame-ancestors 'none'"), "{name}: {policy}");
        assert_eq!(policy.contains("style-src"), name == "page", "{name}");
        assert_eq!(answer.header("x-request-id").len(), 36, "{name}");
    }
}

#[tokio::test]
async fn every_failure_is_told_as_problem_details_with_the_requests_id() {
    let expected = [
        ("unknown route", 404),
        ("unknown method", 405),
        ("panic", 500),
        ("media type", 415),
        ("not JSON", 400),
        ("not expected", 422),
        ("too large", 413),
        ("no token", 401),
        ("refused", 401),
        ("limited", 429),
        ("bare", 502),
        ("axum's own", 400),
    ];
    let answers = one_of_each().await;
    for (name, status) in expected {
        let (_, answer) = answers.iter().find(|(other, _)| *other == name).unwrap();
        assert_eq!(answer.status, status, "{name}");
        assert_eq!(answer.header(CONTENT_TYPE), "application/problem+json", "{name}");
        let json = answer.json();
        assert_eq!(json["status"], status, "{name}");
        assert_eq!(json["instance"], format!("urn:uuid:{}", answer.header("x-request-id")), "{name}");
        assert!(json["type"].as_str().unwrap().starts_with("urn:problem-type:rollcall:"), "{name}");
        assert!(!json["title"].as_str().unwrap().is_empty(), "{name}");
        assert!(!answer.body.contains("on purpose"), "{name}");
    }
    let (_, oauth) = answers.iter().find(|(name, _)| *name == "OAuth").unwrap();
    assert_eq!((oauth.status, oauth.json()), (400, serde_json::json!({"error": "invalid_grant"})));
}

#[tokio::test]
async fn headers_that_explain_a_failure_stay_with_it() {
    let methods = send(request("DELETE", "/json").body(Body::empty()).unwrap()).await;
    assert_eq!(methods.header(ALLOW), "POST");
    let methods = send(request("POST", "/ok").body(Body::empty()).unwrap()).await;
    assert_eq!(methods.header(ALLOW), "GET,HEAD");
    assert_eq!(
        post_as("/form", "application/json", "{}").await.header(ACCEPT),
        "application/x-www-form-urlencoded"
    );
    assert_eq!(fetch("/limited").await.header(RETRY_AFTER), "7");
    assert_eq!(fetch("/cookie").await.header(SET_COOKIE), "a=; Max-Age=0");
    assert_eq!(fetch("/bearer").await.header("www-authenticate"), "Bearer realm=\"rollcall\"");
    assert_eq!(
        fetch("/refused").await.header("www-authenticate"),
        "Bearer realm=\"rollcall\", error=\"invalid_token\""
    );
}

#[tokio::test]
async fn a_browser_gets_the_same_problem_as_a_page() {
    let html =
        |path: &str| request("GET", path).header(ACCEPT, "text/html,*/*;q=0.8").body(Body::empty()).unwrap();
    let page = send(html("/nowhere")).await;
    assert_eq!(page.status, 404);
    assert_eq!(page.header(CONTENT_TYPE), "text/html; charset=utf-8");
    assert!(page.body.contains("<h1>There is nothing here</h1>") && page.body.contains("lang=\"en\""));
    assert!(page.body.contains(page.header("x-request-id")));
    assert!(page.header(CONTENT_SECURITY_POLICY).contains("style-src 'sha256-"));
    assert!(page.headers.get(CONTENT_LENGTH).is_none_or(|length| *length == page.body.len().to_string()));
    assert_eq!(send(html("/cookie")).await.header(SET_COOKIE), "a=; Max-Age=0");
    assert_eq!(send(html("/ok")).await.body, "ok");
}

#[tokio::test]
async fn a_detail_cannot_become_markup_on_the_page() {
    let router = Router::new().route("/", get(async || Problem::bad_request("<script>alert('1')</script>")));
    let request = request("GET", "/").header(ACCEPT, "text/html").body(Body::empty()).unwrap();
    let body = Web::new()
        .finish(router)
        .oneshot(request)
        .await
        .unwrap()
        .into_body()
        .collect()
        .await
        .unwrap()
        .to_bytes();
    let body = String::from_utf8(body.to_vec()).unwrap();
    assert!(!body.contains("<script") && body.contains("&lt;script&gt;alert(&#39;1&#39;)"), "{body}");
}

#[tokio::test]
async fn bodies_parameters_and_paths_are_read_when_they_are_right() {
    assert_eq!(post_as("/json", "application/json", "{\"email\":\"a@b.example\"}").await.body, "a@b.example");
    assert_eq!(
        post_as("/form", "application/x-www-form-urlencoded", "email=a%40b.example").await.body,
        "a@b.example"
    );
    assert_eq!(fetch("/query?limit=5").await.body, "5");
    let id = rollcall_domain::MemberId::new(rollcall_domain::Timestamp::EPOCH, [1; 10]);
    assert_eq!(fetch(&format!("/members/{id}")).await.body, id.to_string());
}

#[tokio::test]
async fn what_is_not_an_id_is_not_there() {
    for path in
        ["/members/1", "/members/ws_00000000000070000101010101010101", "/members/%00", "/members/..%2f"]
    {
        assert_eq!(fetch(path).await.status, 404, "{path}");
    }
}

#[tokio::test]
async fn a_repeated_or_unknown_parameter_is_refused_and_named() {
    let repeated = fetch("/query?limit=5&limit=6").await;
    assert_eq!((repeated.status, &repeated.json()["errors"][0]["parameter"]), (400, &"limit".into()));
    assert_eq!(fetch("/query?other=5").await.status, 400);
    assert_eq!(post_as("/form", "application/x-www-form-urlencoded", "email=a&email=b").await.status, 400);
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_even_if_its_size_is_not_announced() {
    let chunk = || Ok::<_, std::io::Error>(bytes::Bytes::from(vec![b' '; 64 * 1024]));
    let stream = futures_util::stream::iter((0..5).map(move |_| chunk()));
    let answer = post_as("/json", "application/json", Body::from_stream(stream)).await;
    assert_eq!(
        (answer.status, answer.json()["type"].as_str()),
        (413, Some("urn:problem-type:rollcall:too-large"))
    );
    let announced = request("POST", "/nowhere").header(CONTENT_LENGTH, "262145").body(Body::empty()).unwrap();
    assert_eq!(send(announced).await.status, 413);
}

#[tokio::test]
async fn a_write_names_the_version_it_changes() {
    let with = async |tag: Option<&str>| {
        let request =
            tag.into_iter().fold(request("POST", "/changed"), |request, tag| request.header("if-match", tag));
        send(request.body(Body::empty()).unwrap()).await
    };
    assert_eq!(with(None).await.status, 428);
    assert_eq!(with(Some("\"v1\"")).await.status, 412);
    let changed = with(Some("\"v2\"")).await;
    assert_eq!((changed.status, changed.header("etag")), (200, "\"v3\""));
}

#[tokio::test]
async fn routers_of_several_functions_are_finished_once_and_together() {
    let other = Router::new().route("/json", get(async || "the other function's"));
    let router = Web::new().finish(routes().merge(other));
    let answer = router.clone().oneshot(request("GET", "/json").body(Body::empty()).unwrap()).await.unwrap();
    assert_eq!(answer.status(), 200);
    let answer = router.oneshot(request("PUT", "/json").body(Body::empty()).unwrap()).await.unwrap();
    let allow = answer.headers()[ALLOW].to_str().unwrap();
    assert!(allow.contains("GET") && allow.contains("POST"), "{allow}");
}

#[tokio::test]
async fn each_request_is_counted_by_the_class_of_its_status() {
    let (metrics, captured) = Metrics::captured("test", Arc::new(SystemClock));
    let router = Web::new().metrics(metrics).finish(routes());
    for path in ["/ok", "/nowhere", "/panic"] {
        router.clone().oneshot(request("GET", path).body(Body::empty()).unwrap()).await.unwrap();
    }
    let classes: Vec<Value> = captured.records().iter().map(|record| record["status"].clone()).collect();
    assert_eq!(classes, ["2xx", "4xx", "5xx"]);
    assert!((captured.total("Requests") - 3.0).abs() < f64::EPSILON);
}
