//! A server that answers as a test scripts it, and sessions against it.

use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{Response, request::Parts};
use axum::routing::any;
use rollcall_bitbucket::{
    Bitbucket, BitbucketWorkspace, CallBudget, Clock, Credential, Endpoints, Limits, Session,
};
use rollcall_domain::bitbucket::AccountUuid;
use rollcall_domain::budget::{Allowance, Purpose};
use rollcall_domain::{Secret, Timestamp};
use serde_json::{Value, json};
use url::Url;

/// What came to the server.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: Vec<(String, String)>,
    pub(crate) host: String,
    pub(crate) authorization: Option<String>,
    pub(crate) body: String,
    /// How many requests were being answered when this one came, itself included.
    pub(crate) at_once: usize,
}

impl Request {
    pub(crate) fn query(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// What the server answers.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: String,
    pub(crate) delay: Duration,
    /// Announces this many bytes more than come, and breaks the connection.
    pub(crate) cut_by: usize,
}

#[allow(clippy::needless_pass_by_value, reason = "bodies are made where they are handed over")]
impl Reply {
    pub(crate) fn new(status: u16, body: impl ToString) -> Self {
        Self { status, headers: Vec::new(), body: body.to_string(), delay: Duration::ZERO, cut_by: 0 }
    }

    pub(crate) fn ok(body: impl ToString) -> Self {
        Self::new(200, body)
    }

    pub(crate) fn header(mut self, name: &'static str, value: impl ToString) -> Self {
        self.headers.push((name, value.to_string()));
        self
    }

    pub(crate) fn after(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    pub(crate) fn cut(mut self) -> Self {
        self.cut_by = 7;
        self
    }
}

type Script = dyn Fn(&Request) -> Reply + Send + Sync;

struct Inner {
    script: Box<Script>,
    log: Mutex<Vec<Request>>,
    at_once: AtomicUsize,
}

/// The server. It ends with the test.
#[derive(Clone)]
pub(crate) struct Server {
    pub(crate) url: Url,
    inner: Arc<Inner>,
    http: reqwest::Client,
    /// The clock that sessions of this server go by, in milliseconds.
    pub(crate) time: Arc<AtomicI64>,
}

impl Server {
    pub(crate) async fn start(script: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
        let inner =
            Arc::new(Inner { script: Box::new(script), log: Mutex::default(), at_once: AtomicUsize::new(0) });
        let router = axum::Router::new().fallback(any(answer)).with_state(Arc::clone(&inner));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, inner, http: http(), time: Arc::new(AtomicI64::new(1_700_000_000_000)) }
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.inner.log.lock().unwrap().clone()
    }

    pub(crate) fn count(&self, path: &str) -> usize {
        self.requests().iter().filter(|request| request.path == path).count()
    }

    pub(crate) fn pass(&self, time: Duration) {
        self.time.fetch_add(i64::try_from(time.as_millis()).unwrap(), Ordering::SeqCst);
    }

    pub(crate) fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.time.load(Ordering::SeqCst))
    }

    pub(crate) fn clock(&self) -> Clock {
        let time = Arc::clone(&self.time);
        Arc::new(move || Timestamp::from_millis(time.load(Ordering::SeqCst)))
    }

    pub(crate) fn client(&self, limits: Limits) -> Bitbucket {
        let endpoints = Endpoints::new(self.url.clone(), self.url.clone()).unwrap();
        Bitbucket::new(self.http.clone(), endpoints, self.clock(), limits)
    }

    pub(crate) fn budget(&self) -> CallBudget {
        CallBudget::in_memory(Allowance::new(1_000_000, 0), self.clock())
    }

    pub(crate) fn session(&self, limits: Limits) -> Session {
        self.client(limits).session(&access_token(), &self.budget(), Purpose::Sync)
    }
}

async fn answer(State(inner): State<Arc<Inner>>, parts: Parts, body: Bytes) -> Response<Body> {
    let at_once = inner.at_once.fetch_add(1, Ordering::SeqCst) + 1;
    let pairs = url::form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes());
    let header = |name: &str| parts.headers.get(name).map(|value| value.to_str().unwrap().to_owned());
    let request = Request {
        method: parts.method.to_string(),
        path: parts.uri.path().to_owned(),
        query: pairs.into_owned().collect(),
        host: header("host").unwrap(),
        authorization: header("authorization"),
        body: String::from_utf8(body.to_vec()).unwrap(),
        at_once,
    };
    inner.log.lock().unwrap().push(request.clone());
    let reply = (inner.script)(&request);
    tokio::time::sleep(reply.delay).await;
    inner.at_once.fetch_sub(1, Ordering::SeqCst);
    let mut response = Response::builder().status(reply.status);
    for (name, value) in &reply.headers {
        response = response.header(*name, value);
    }
    if reply.cut_by == 0 {
        return response.body(Body::from(reply.body)).unwrap();
    }
    let length = reply.body.len() + reply.cut_by;
    let broken = std::io::Error::other("the test breaks the connection");
    let parts = futures_util::stream::iter([Ok(Bytes::from(reply.body)), Err(broken)]);
    response.header("content-length", length).body(Body::from_stream(parts)).unwrap()
}

/// An HTTP client as the functions build it: no redirects, no proxy.
pub(crate) fn http() -> reqwest::Client {
    let builder = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy();
    builder.build().unwrap()
}

/// Limits without a pause before another attempt.
pub(crate) fn brisk() -> Limits {
    Limits { retry_pause: Duration::ZERO, deadline: Duration::from_secs(5), ..Limits::default() }
}

/// The same, with one attempt only.
pub(crate) fn once() -> Limits {
    Limits { attempts: 1, ..brisk() }
}

pub(crate) fn access_token() -> Credential {
    Credential::WorkspaceAccessToken(Secret::new("ATCT-sesame"))
}

pub(crate) const WORKSPACE: &str = "{aaaaaaaa-0000-0000-0000-000000000001}";

pub(crate) fn workspace() -> BitbucketWorkspace {
    BitbucketWorkspace {
        uuid: WORKSPACE.parse().unwrap(),
        slug: "acme".parse().unwrap(),
        name: "Acme".to_owned(),
    }
}

/// The UUID of the n-th of something.
pub(crate) fn uuid(kind: u8, n: u64) -> String {
    format!("{{{kind:08x}-0000-0000-0000-{n:012x}}}")
}

/// The path of the workspace, asked for by its UUID.
pub(crate) const ACME: &str = "/2.0/workspaces/%7Baaaaaaaa-0000-0000-0000-000000000001%7D";

pub(crate) fn here() -> Reply {
    Reply::ok(json!({"uuid": WORKSPACE, "slug": "acme", "name": "Acme"}))
}

pub(crate) fn account(n: u64) -> AccountUuid {
    uuid(1, n).parse().unwrap()
}

pub(crate) fn member(n: u64) -> Value {
    json!({"user": {"uuid": uuid(1, n), "type": "user"}, "workspace": {"uuid": WORKSPACE}})
}

pub(crate) fn list(values: impl IntoIterator<Item = Value>) -> Reply {
    let values: Vec<Value> = values.into_iter().collect();
    Reply::ok(json!({"size": values.len(), "pagelen": 100, "page": 1, "values": values}))
}

pub(crate) fn not_found() -> Reply {
    Reply::new(404, r#"{"type":"error","error":{"message":"Not found"}}"#)
}

pub(crate) fn refusal(message: &str, detail: &Value) -> Value {
    json!({"type": "error", "error": {"message": message, "detail": detail}})
}
