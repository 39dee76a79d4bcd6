//! An answer before it is sent, so that faults can still change it.

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;
use serde_json::Value;

use crate::refusal::Refusal;

/// What an answer consists of.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Content {
    Json(Value),
    Text(String),
    Html(String),
    Empty,
}

/// An answer before it is sent.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) content: Content,
}

impl Reply {
    pub(crate) fn new(status: u16, content: Content) -> Self {
        Self { status, headers: Vec::new(), content }
    }

    pub(crate) fn json(status: u16, value: Value) -> Self {
        Self::new(status, Content::Json(value))
    }

    pub(crate) fn found(location: &str) -> Self {
        Self::new(302, Content::Empty).with("location", location)
    }

    pub(crate) fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    /// The body as it is sent, with its media type.
    pub(crate) fn body(&self) -> (Option<&'static str>, String) {
        match &self.content {
            Content::Json(value) => (Some("application/json; charset=utf-8"), value.to_string()),
            Content::Text(text) => (Some("text/plain"), text.clone()),
            Content::Html(html) => (Some("text/html; charset=utf-8"), html.clone()),
            Content::Empty => (None, String::new()),
        }
    }

    /// The response with another body, such as a part of its own.
    pub(crate) fn response_with(&self, body: Body) -> Response {
        let mut response = Response::new(body);
        *response.status_mut() =
            StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let media_type = self.body().0.map(|media_type| ("content-type", media_type.to_owned()));
        for (name, value) in media_type.into_iter().chain(self.headers.iter().cloned()) {
            if let Ok(value) = HeaderValue::from_str(&value) {
                response.headers_mut().insert(HeaderName::from_static(name), value);
            }
        }
        response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response
    }

    pub(crate) fn into_response(self) -> Response {
        self.response_with(Body::from(self.body().1))
    }
}

impl From<Refusal> for Reply {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Json(status, value) => Self::json(status, value),
            Refusal::Text(status, text) => Self::new(status, Content::Text(text.to_owned())),
        }
    }
}
