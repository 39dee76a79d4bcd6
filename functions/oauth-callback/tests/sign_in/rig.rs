//! The function's router on a real table, a Google that is played, and a browser that keeps cookies.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::future::BoxFuture;
use http::header::{CONTENT_TYPE, COOKIE, LOCATION, SET_COOKIE};
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::BodyExt as _;
use rollcall_bitbucket::{Bitbucket, Endpoints, Limits};
use rollcall_domain::{Secret, Timestamp, WorkspaceId};
use rollcall_identity::provider::generate_signing_key;
use rollcall_oauth_callback::{App, Parts, pages, router};
use rollcall_service::clock::{Clock as _, SettableClock};
use rollcall_service::config::{self, Config};
use rollcall_service::random::SystemRandom;
use rollcall_service::secrets::{FetchFailed, Secrets, Source};
use rollcall_service::telemetry::Metrics;
use rollcall_service::web::{ClientAddress, Web};
use rollcall_store::workspaces::Workspace;
use rollcall_store::{Record, Store, testing};
use serde_json::json;
use standin_openid::{Client, Flavour, Running, people};
use tower::ServiceExt as _;
use url::Url;

pub(crate) const PUBLIC: &str = "http://127.0.0.1:8080";
/// Somebody at the played Google.
pub(crate) const INES: &str = "ines.okafor@mail.example";

pub(crate) struct Rig {
    pub(crate) google: Running,
    pub(crate) store: Store,
    pub(crate) clock: SettableClock,
    pub(crate) workspace: WorkspaceId,
    router: Router,
}

struct Document(String);

impl Source for Document {
    fn fetch(&self) -> BoxFuture<'_, Result<Secret, FetchFailed>> {
        let document = self.0.clone();
        Box::pin(async move { Ok(Secret::new(document)) })
    }
}

impl Rig {
    pub(crate) async fn new() -> Self {
        Self::with_rate("1000").await
    }

    pub(crate) async fn with_rate(rate: &str) -> Self {
        let callback = format!("{PUBLIC}/callback/google");
        let clients = vec![Client::new("rollcall", "google-secret", callback)];
        let anywhere = "127.0.0.1:0".parse().unwrap();
        let google =
            standin_openid::start(Flavour::Google, clients, people::at_google(), anywhere).await.unwrap();
        let clock = SettableClock::running();
        let store = testing::store().await;
        let workspace = WorkspaceId::new(clock.now(), [1; 10]);
        let row = Workspace {
            id: workspace,
            name: "Acme & Sons".into(),
            language: "en".into(),
            invite_rules: rollcall_domain::invite::DomainRules::default(),
            created_at: clock.now(),
            version: 0,
        };
        store.create_workspace(&row, Record::default()).await.unwrap();
        let router = finished(&google, &store, &clock, rate);
        Self { google, store, clock, workspace, router }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(crate) fn browser(&self) -> Browser<'_> {
        Browser { rig: self, cookies: BTreeMap::new() }
    }
}

fn finished(google: &Running, store: &Store, clock: &SettableClock, rate: &str) -> Router {
    let document = json!({
        "providers": {
            "google": { "client_id": "rollcall", "client_secret": "google-secret" },
            "bitbucket": { "client_id": "key", "client_secret": "secret" },
        },
        "signing_keys": [{ "kid": "1", "state": "current", "private_key": generate_signing_key().unwrap().expose() }],
        "sealing_keys": [{ "id": "1", "key": STANDARD.encode([7; 32]) }],
    });
    let issuer = google.issuer();
    let variables = [
        (config::PUBLIC_URL, PUBLIC),
        (config::TABLE, store.table()),
        (config::SECRET_ID, "rollcall"),
        (config::GOOGLE_ISSUER, issuer.as_str()),
        (config::SIGN_IN_RATE, rate),
    ];
    let config = Config::from_map(variables).unwrap();
    let http =
        reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().build().unwrap();
    let endpoints =
        Endpoints::new(config.bitbucket_url.as_url().clone(), config.bitbucket_api_url.as_url().clone());
    let ticking = clock.clone();
    let shared: Arc<dyn rollcall_service::clock::Clock> = Arc::new(clock.clone());
    let app = App::new(Parts {
        bitbucket: Bitbucket::new(
            http.clone(),
            endpoints.unwrap(),
            Arc::new(move || ticking.now()),
            Limits::default(),
        ),
        config,
        random: Arc::new(SystemRandom),
        secrets: Arc::new(Secrets::from_source(Document(document.to_string()), shared.clone())),
        clock: shared,
        store: store.clone(),
        http,
        application: rollcall_service::secrets::Application::default(),
        metrics: Metrics::discarded("oauth-callback", Arc::new(clock.clone())),
    });
    let page =
        |problem: &_, id: &_| pages::problem(&rollcall_service::secrets::Application::default(), problem, id);
    Web::new().problem_page(page).finish(router(app))
}

/// What came back.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn location(&self) -> Url {
        let location = self
            .headers
            .get(LOCATION)
            .unwrap_or_else(|| panic!("no redirect: {} {}", self.status, self.body));
        Url::parse(PUBLIC).unwrap().join(location.to_str().unwrap()).unwrap()
    }

    /// Every answer carries the headers that a browser needs to be safe, on success and on failure.
    pub(crate) fn assert_safe(&self) {
        let header = |name: &str| {
            self.headers.get(name).unwrap_or_else(|| panic!("{name} is missing")).to_str().unwrap()
        };
        assert!(header("strict-transport-security").contains("max-age=63072000"));
        assert!(header("content-security-policy").contains("default-src 'none'"));
        assert!(header("content-security-policy").contains("frame-ancestors 'none'"));
        assert_eq!(header("x-content-type-options"), "nosniff");
        assert_eq!(header("referrer-policy"), "no-referrer");
        assert_eq!(header("cache-control"), "no-store");
        for cookie in self.headers.get_all(SET_COOKIE) {
            let cookie = cookie.to_str().unwrap();
            assert!(cookie.starts_with("__Host-"), "{cookie}");
            for attribute in ["; Secure", "; HttpOnly", "; SameSite=Lax", "; Path=/"] {
                assert!(cookie.contains(attribute), "{cookie}");
            }
            assert!(!cookie.contains("Domain"), "{cookie}");
        }
    }
}

/// A browser: it keeps cookies, says where a form comes from, and follows nothing by itself.
#[derive(Clone)]
pub(crate) struct Browser<'r> {
    rig: &'r Rig,
    pub(crate) cookies: BTreeMap<String, String>,
}

impl Browser<'_> {
    pub(crate) async fn get(&mut self, path: &str) -> Answer {
        self.send(Method::GET, path, None).await
    }

    pub(crate) async fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let form = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        self.send(Method::POST, path, Some(form)).await
    }

    pub(crate) async fn send(&mut self, method: Method, path: &str, form: Option<String>) -> Answer {
        let cookies: Vec<String> =
            self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let mut request = Request::builder().method(method).uri(path).header("accept", "text/html");
        if !cookies.is_empty() {
            request = request.header(COOKIE, cookies.join("; "));
        }
        if form.is_some() {
            request = request
                .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
                .header("sec-fetch-site", "same-origin");
        }
        let mut request = request.body(Body::from(form.unwrap_or_default())).unwrap();
        request.extensions_mut().insert(ClientAddress(Some([192, 0, 2, 1].into())));
        let response = self.rig.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
        let answer = Answer { status: parts.status, headers: parts.headers, body };
        answer.assert_safe();
        for cookie in answer.headers.get_all(SET_COOKIE) {
            let (name, rest) = cookie.to_str().unwrap().split_once('=').unwrap();
            let value = rest.split(';').next().unwrap();
            if value.is_empty() {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        answer
    }

    pub(crate) fn has_session(&self) -> bool {
        self.cookies.contains_key("__Host-rollcall-session")
    }

    /// Signs in at the provider as somebody; the path and query of the callback that the provider sends the browser to.
    pub(crate) async fn at_provider(&self, to_provider: &Url, person: &str) -> String {
        let mut url = to_provider.clone();
        url.query_pairs_mut().append_pair("_person", person);
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()
            .unwrap();
        let answer = http.get(url).send().await.unwrap();
        let location =
            answer.headers().get(LOCATION).unwrap_or_else(|| panic!("{}", answer.status())).to_str().unwrap();
        let back = Url::parse(location).unwrap();
        format!("{}?{}", back.path(), back.query().unwrap())
    }
}
