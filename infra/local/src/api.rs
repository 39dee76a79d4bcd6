//! The admin API, as an admin with a token calls it.

use core::time::Duration;

use reqwest::{Method, StatusCode};
use rollcall_domain::Secret;
use serde_json::Value;
use thiserror::Error;

/// How long an answer may take: connecting makes many calls to Bitbucket.
const DEADLINE: Duration = Duration::from_secs(120);

/// A call has no answer to work with.
#[derive(Debug, Error)]
pub enum ApiError {
    /// Nobody answered.
    #[error("{method} {path}: no answer: {why}")]
    NoAnswer {
        /// How.
        method: Method,
        /// What.
        path: String,
        /// Why.
        why: String,
    },
    /// The answer is a refusal (RFC 9457).
    #[error("{method} {path}: {status}: {}", problem_text(.problem))]
    Refused {
        /// How.
        method: Method,
        /// What.
        path: String,
        /// The status.
        status: StatusCode,
        /// The problem details.
        problem: Value,
    },
    /// The answer lacks what it has to have.
    #[error("the answer has no {0}")]
    Lacks(&'static str),
}

/// Title, detail and errors in one line.
fn problem_text(problem: &Value) -> String {
    let text = |value: &Value, name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
    let mut parts: Vec<String> = ["title", "detail"].iter().filter_map(|name| text(problem, name)).collect();
    for error in problem.get("errors").and_then(Value::as_array).into_iter().flatten() {
        let at = text(error, "pointer").or_else(|| text(error, "parameter"));
        let detail = text(error, "detail").unwrap_or_default();
        parts.push(format!("{} {detail}", at.unwrap_or_default()));
    }
    if parts.is_empty() { "no reason is given".to_owned() } else { parts.join(": ") }
}

/// The API with a token.
#[derive(Clone)]
pub struct Api {
    http: reqwest::Client,
    base: String,
    token: Secret,
}

impl Api {
    /// The API below a base URL without a slash at its end.
    pub fn new(http: reqwest::Client, base: impl Into<String>, token: Secret) -> Self {
        Self { http, base: base.into(), token }
    }

    /// Calls it. An answer without a body is `null`.
    pub async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value, ApiError> {
        let no_answer = |error: reqwest::Error| ApiError::NoAnswer {
            method: method.clone(),
            path: path.to_owned(),
            why: error.without_url().to_string(),
        };
        let mut request = self
            .http
            .request(method.clone(), format!("{}{path}", self.base))
            .timeout(DEADLINE)
            .bearer_auth(self.token.expose());
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = request.send().await.map_err(no_answer)?;
        let status = answer.status();
        let bytes = answer.bytes().await.map_err(no_answer)?;
        let value: Value = serde_json::from_slice(&bytes).unwrap_or_default();
        if status.is_success() {
            Ok(value)
        } else {
            Err(ApiError::Refused { method, path: path.to_owned(), status, problem: value })
        }
    }

    /// `GET`.
    pub async fn get(&self, path: &str) -> Result<Value, ApiError> {
        self.call(Method::GET, path, None).await
    }

    /// `POST`.
    pub async fn post(&self, path: &str, body: &Value) -> Result<Value, ApiError> {
        self.call(Method::POST, path, Some(body)).await
    }

    /// `PUT`.
    pub async fn put(&self, path: &str, body: &Value) -> Result<Value, ApiError> {
        self.call(Method::PUT, path, Some(body)).await
    }

    /// A whole list, page after page.
    pub async fn list(&self, path: &str) -> Result<Vec<Value>, ApiError> {
        let mut items = Vec::new();
        let mut after: Option<String> = None;
        loop {
            let joint = if path.contains('?') { '&' } else { '?' };
            let page = match &after {
                None => self.get(path).await?,
                Some(cursor) => {
                    let cursor: String = url::form_urlencoded::byte_serialize(cursor.as_bytes()).collect();
                    self.get(&format!("{path}{joint}cursor={cursor}")).await?
                }
            };
            let Some(found) = page.get("items").and_then(Value::as_array) else {
                return Err(ApiError::Lacks("items"));
            };
            items.extend(found.iter().cloned());
            match page.get("next").and_then(Value::as_str) {
                Some(next) => after = Some(next.to_owned()),
                None => return Ok(items),
            }
        }
    }
}

/// A text in an answer.
pub fn text<'v>(value: &'v Value, pointer: &str, name: &'static str) -> Result<&'v str, ApiError> {
    value.pointer(pointer).and_then(Value::as_str).ok_or(ApiError::Lacks(name))
}
