//! Problem details (RFC 9457): how everything that goes wrong is told.

use std::borrow::Cow;

use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use http::{HeaderMap, StatusCode};
use serde::Serialize;
use serde_json::{Map, Value};

/// What precedes the slug in `type`.
const TYPE: &str = "urn:problem-type:rollcall:";

/// One thing that is wrong with a request: where, and what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FieldError {
    /// Where in the body, as a JSON Pointer (RFC 6901).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pointer: Option<String>,
    /// Which parameter of the query or the form.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parameter: Option<String>,
    /// What is wrong, and what would be right.
    pub detail: String,
}

impl FieldError {
    /// About a place in the body.
    pub fn at(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { pointer: Some(pointer.into()), parameter: None, detail: detail.into() }
    }

    /// About a parameter.
    pub fn parameter(name: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { pointer: None, parameter: Some(name.into()), detail: detail.into() }
    }
}

/// Why a request was not done, in words for people and with a type for programs.
///
/// As a response it is `application/problem+json`. [`Web::finish`](super::Web::finish) adds the request's id as `instance`, and
/// shows it as a page to whoever asked for HTML.
#[derive(Debug, Clone)]
pub struct Problem(Box<Inner>);

/// Boxed, so that a `Result` with a problem stays small.
#[derive(Debug, Clone)]
struct Inner {
    slug: &'static str,
    status: StatusCode,
    title: &'static str,
    detail: Option<Cow<'static, str>>,
    errors: Vec<FieldError>,
    members: Map<String, Value>,
    headers: HeaderMap,
}

impl Problem {
    /// A kind of problem: a status, a slug in lower case with dashes for programs, and a title that never varies.
    pub fn new(status: StatusCode, slug: &'static str, title: &'static str) -> Self {
        Self(Box::new(Inner {
            slug,
            status,
            title,
            detail: None,
            errors: Vec::new(),
            members: Map::new(),
            headers: HeaderMap::new(),
        }))
    }

    /// 400: the request cannot be understood.
    pub fn bad_request(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad-request", "The request cannot be understood").detail(detail)
    }

    /// 403: the caller is known and may not do this.
    pub fn forbidden(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", "This is not allowed").detail(detail)
    }

    /// 404: there is nothing here, or nothing that this caller may know of. The two are told alike.
    pub fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found", "There is nothing here")
            .detail("It does not exist, or you have no access to it.")
    }

    /// 409: the present state forbids it.
    pub fn conflict(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::CONFLICT, "conflict", "The present state does not allow this").detail(detail)
    }

    /// 412: what the caller saw has changed since.
    pub fn precondition_failed() -> Self {
        Self::new(StatusCode::PRECONDITION_FAILED, "changed-meanwhile", "It has changed in the meantime")
            .detail("Somebody else has changed it since you read it. Read it again, and repeat the change if it still makes sense.")
    }

    /// 422: understood, and not acceptable.
    pub fn invalid(errors: Vec<FieldError>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", "The request is not acceptable").errors(errors)
    }

    /// 429: too many attempts; `seconds` until the next one makes sense.
    pub fn too_many_requests(seconds: u64) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, "too-many-requests", "Too many attempts")
            .detail("There were too many attempts from your address. Wait a little and try again.")
            .header(http::header::RETRY_AFTER, HeaderValue::from(seconds))
    }

    /// 500: a bug or a broken part of ours. What it is stands in the log.
    pub fn internal() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "Something went wrong on our side")
            .detail("The request was not completed. The log has the details under this request's id.")
    }

    /// 503: something we depend on does not answer; try again later.
    pub fn unavailable(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", "Try again later").detail(detail)
    }

    /// What happened in this case, and what to do about it.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<Cow<'static, str>>) -> Self {
        self.0.detail = Some(detail.into());
        self
    }

    /// Each thing that is wrong with the request.
    #[must_use]
    pub fn errors(mut self, errors: Vec<FieldError>) -> Self {
        self.0.errors = errors;
        self
    }

    /// A further member. Members of RFC 9457 itself cannot be replaced.
    #[must_use]
    pub fn member(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.0.members.insert(name.to_owned(), value.into());
        self
    }

    /// A header of the response.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.0.headers.append(name, value);
        self
    }

    /// The response's status.
    pub fn status(&self) -> StatusCode {
        self.0.status
    }

    /// The kind, for programs and for the log.
    pub fn slug(&self) -> &'static str {
        self.0.slug
    }

    /// The kind, for people.
    pub fn title(&self) -> &'static str {
        self.0.title
    }

    /// What happened in this case.
    pub fn detail_text(&self) -> Option<&str> {
        self.0.detail.as_deref()
    }

    /// The problem as JSON, with the id of the request where it is known.
    pub fn to_json(&self, request_id: Option<&str>) -> Value {
        let mut json = self.0.members.clone();
        json.insert("type".to_owned(), format!("{TYPE}{}", self.0.slug).into());
        json.insert("title".to_owned(), self.0.title.into());
        json.insert("status".to_owned(), self.0.status.as_u16().into());
        if let Some(detail) = &self.0.detail {
            json.insert("detail".to_owned(), detail.as_ref().into());
        }
        if !self.0.errors.is_empty() {
            json.insert("errors".to_owned(), serde_json::json!(self.0.errors));
        }
        if let Some(id) = request_id {
            json.insert("instance".to_owned(), format!("urn:uuid:{id}").into());
        }
        Value::Object(json)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = self.to_json(None).to_string();
        let headers = self.0.headers.clone();
        let mut response = (self.0.status, headers, body).into_response();
        let media_type = HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(CONTENT_TYPE, media_type);
        response.extensions_mut().insert(self);
        response
    }
}
