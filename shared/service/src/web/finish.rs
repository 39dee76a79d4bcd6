//! What surrounds every route: ids, logs, limits, problem details and headers.

use core::panic::AssertUnwindSafe;
use core::time::Duration;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, MatchedPath, Request, State};
use axum::middleware::{self, Next};
use axum::response::{Html, IntoResponse, Response};
use futures_util::FutureExt as _;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue};
use http::{HeaderMap, StatusCode};
use tracing::Instrument as _;

use super::body::{BODY_LIMIT, too_large};
use super::{PagePolicy, Problem, RequestId, accept, headers};
use crate::clock::Stopwatch;
use crate::random::{self, Random, SystemRandom};
use crate::telemetry::Metrics;

/// Shows a problem to a person: a whole page as a response. Status and headers are added afterwards.
type ProblemPage = Arc<dyn Fn(&Problem, &RequestId) -> Response + Send + Sync>;

/// What surrounds the routes of a function, or of several at once.
#[derive(Clone)]
pub struct Web {
    random: Arc<dyn Random>,
    page: ProblemPage,
    metrics: Option<Metrics>,
}

impl Default for Web {
    fn default() -> Self {
        Self::new()
    }
}

impl Web {
    /// With a plain page for problems.
    pub fn new() -> Self {
        Self { random: Arc::new(SystemRandom), page: Arc::new(plain_page), metrics: None }
    }

    /// With another source of request ids.
    #[must_use]
    pub fn random(mut self, random: Arc<dyn Random>) -> Self {
        self.random = random;
        self
    }

    /// With another page for problems.
    #[must_use]
    pub fn problem_page(
        mut self,
        page: impl Fn(&Problem, &RequestId) -> Response + Send + Sync + 'static,
    ) -> Self {
        self.page = Arc::new(page);
        self
    }

    /// With a count and a duration for each request.
    #[must_use]
    pub fn metrics(mut self, metrics: Metrics) -> Self {
        self.metrics = Some(metrics);
        self
    }

    /// Surrounds the routes: request ids, a span and a log line for each request, the body limit, problem details for unknown paths,
    /// methods and panics, and the security headers on everything. Once, after all routers are merged.
    pub fn finish(self, router: Router) -> Router {
        router
            .fallback(async || Problem::not_found())
            .method_not_allowed_fallback(async || {
                Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", "This cannot be done here")
                    .detail("The Allow header lists what can.")
            })
            .layer(DefaultBodyLimit::max(BODY_LIMIT))
            .layer(middleware::from_fn_with_state(self, around))
    }
}

async fn around(State(web): State<Web>, mut request: Request, next: Next) -> Response {
    let watch = Stopwatch::start();
    let id = request
        .extensions()
        .get::<RequestId>()
        .cloned()
        .unwrap_or_else(|| RequestId::from_random(random::bytes(&*web.random)));
    request.extensions_mut().insert(id.clone());
    let method = request.method().clone();
    // The route, not the path: a path may hold what does not belong in a log.
    let route = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    let wants_html = accept::prefers_html(request.headers());
    let span = tracing::info_span!(
        "request",
        request_id = id.as_str(),
        method = method.as_str(),
        route = route.as_deref().unwrap_or("(none)"),
        workspace = tracing::field::Empty,
        run = tracing::field::Empty,
    );

    let response = async {
        if announces_too_much(request.headers()) {
            return too_large().into_response();
        }
        match AssertUnwindSafe(next.run(request)).catch_unwind().await {
            Ok(response) => response,
            // The panic hook has logged it. Only where several requests share a process does it unwind: on the local stack and in
            // tests. A deployed function ends (see the release profile), and Lambda answers for it.
            Err(_) => Problem::internal().into_response(),
        }
    }
    .instrument(span.clone())
    .await;

    let mut response = web.present(response, &id, wants_html);
    headers::apply(response.headers_mut());
    if let Ok(value) = HeaderValue::from_str(id.as_str()) {
        response.headers_mut().insert(HeaderName::from_static("x-request-id"), value);
    }
    let _entered = span.enter();
    web.report(&response, watch.elapsed());
    response
}

/// Whether the body is announced to be over the limit, so that nothing of it need be read.
fn announces_too_much(headers: &HeaderMap) -> bool {
    headers
        .get(CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse::<usize>().ok())
        .is_some_and(|length| length > BODY_LIMIT)
}

impl Web {
    /// Gives a problem its `instance`, and its page where one is wanted. An error that some other layer has made becomes a problem.
    fn present(&self, response: Response, id: &RequestId, wants_html: bool) -> Response {
        let status = response.status();
        let Some(problem) = response.extensions().get::<Problem>().cloned().or_else(|| foreign(&response))
        else {
            return response;
        };
        let (mut parts, _) = response.into_parts();
        let page = if wants_html {
            (self.page)(&problem, id)
        } else {
            let mut json = Response::new(Body::from(problem.to_json(Some(id.as_str())).to_string()));
            json.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
            json
        };
        let (page_parts, body) = page.into_parts();
        parts.headers.remove(CONTENT_LENGTH);
        for (name, value) in &page_parts.headers {
            parts.headers.insert(name, value.clone());
        }
        parts.status = status;
        Response::from_parts(parts, body)
    }

    fn report(&self, response: &Response, took: Duration) {
        let status = response.status();
        let problem = response.extensions().get::<Problem>().map(Problem::slug);
        let millis = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        if status.is_server_error() {
            tracing::error!(status = status.as_u16(), problem, millis, "answered");
        } else {
            tracing::info!(status = status.as_u16(), problem, millis, "answered");
        }
        if let Some(metrics) = &self.metrics {
            let class = match status.as_u16() {
                500.. => "5xx",
                400..=499 => "4xx",
                300..=399 => "3xx",
                _ => "2xx",
            };
            metrics
                .record()
                .dimension("status", class)
                .count("Requests", 1)
                .duration("RequestDuration", took)
                .write();
        }
    }
}

/// An error without problem details, empty or in plain text: from axum itself, or from a handler that forgot them.
fn foreign(response: &Response) -> Option<Problem> {
    let status = response.status();
    let plain = response
        .headers()
        .get(CONTENT_TYPE)
        .is_none_or(|media_type| media_type.as_bytes().starts_with(b"text/plain"));
    if !plain || !(status.is_client_error() || status.is_server_error()) {
        return None;
    }
    Some(match status {
        StatusCode::NOT_FOUND => Problem::not_found(),
        status if status.is_server_error() => {
            Problem::new(status, "internal", "Something went wrong on our side")
        }
        status => Problem::new(status, "bad-request", "The request cannot be understood"),
    })
}

const STYLE: &str = "body{font:1rem/1.5 system-ui,sans-serif;max-width:36rem;margin:15vh auto;padding:0 1rem;color:#1b1b1f;\
background:#fff}h1{font-size:1.4rem}small{color:#55555e}@media(prefers-color-scheme:dark){body{color:#ececf1;background:#1b1b1f}\
small{color:#b4b4bd}}";

/// A page that says the same as the JSON.
fn plain_page(problem: &Problem, id: &RequestId) -> Response {
    let title = escape(problem.title());
    let detail = escape(problem.detail_text().unwrap_or_default());
    let policy = PagePolicy::new().style(STYLE).header();
    let page = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width\"><title>{title}</title><style>{STYLE}</style></head><body><main><h1>{title}</h1>\
         <p>{detail}</p><p><small>Request {id}</small></p></main></body></html>"
    );
    ([(http::header::CONTENT_SECURITY_POLICY, policy)], Html(page)).into_response()
}

fn escape(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut escaped, character| {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
        escaped
    })
}
