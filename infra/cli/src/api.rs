//! Talking to the admin API.

use core::time::Duration;

use reqwest::{Method, Response, StatusCode};
use serde_json::Value;
use thiserror::Error;
use url::Url;

/// Why a call gave no answer to work with.
#[derive(Debug, Error)]
pub(crate) enum Failed {
    /// The environment lacks something.
    #[error("{0}")]
    Environment(String),
    /// Nobody answers there.
    #[error("Rollcall cannot be reached at {url}: {why}")]
    Unreachable {
        /// Where.
        url: String,
        /// Why.
        why: String,
    },
    /// The API says no (RFC 9457).
    #[error("{}", problem_text(.0))]
    Refused(Value),
    /// The answer is not what the API answers.
    #[error("the answer from {0} is not Rollcall's; is the address right?")]
    NotRollcall(String),
    /// A run ended badly.
    #[error("{0}")]
    Run(String),
}

impl Failed {
    /// The exit status for scripts.
    pub(crate) const fn status(&self) -> u8 {
        match self {
            Self::Environment(_) => 2,
            Self::Unreachable { .. } | Self::NotRollcall(_) => 4,
            Self::Refused(_) | Self::Run(_) => 1,
        }
    }
}

fn problem_text(problem: &Value) -> String {
    let text = |name: &str| problem.get(name).and_then(Value::as_str);
    let mut lines = vec![text("title").unwrap_or("refused").to_owned()];
    lines.extend(text("detail").map(str::to_owned));
    for error in problem.get("errors").and_then(Value::as_array).into_iter().flatten() {
        let at = ["pointer", "parameter"].iter().find_map(|name| error.get(name).and_then(Value::as_str));
        let detail = error.get("detail").and_then(Value::as_str).unwrap_or("not acceptable");
        lines.push(format!("  {}: {detail}", at.unwrap_or("the request")));
    }
    lines.join("\n")
}

/// The API with a token.
pub(crate) struct Api {
    http: reqwest::Client,
    base: Url,
    token: String,
}

impl Api {
    /// Reads the token from the environment.
    pub(crate) fn new(base: Url) -> Result<Self, Failed> {
        let missing =
            || Failed::Environment("ROLLCALL_TOKEN is not set: put an admin token there".to_owned());
        let token =
            std::env::var("ROLLCALL_TOKEN").ok().filter(|token| !token.is_empty()).ok_or_else(missing)?;
        let loopback = matches!(base.host_str(), Some("127.0.0.1" | "localhost" | "[::1]"));
        if base.scheme() != "https" && !loopback {
            return Err(Failed::Environment("the address must be https, or http on this machine".to_owned()));
        }
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(Duration::from_secs(60))
            .build()
            .map_err(|error| Failed::Environment(format!("no HTTP client: {error}")))?;
        Ok(Self { http, base, token })
    }

    /// Asks.
    pub(crate) async fn get(&self, path: &str, query: &[(&str, String)]) -> Result<Value, Failed> {
        self.call(Method::GET, path, query, None).await
    }

    /// Asks for something to be done.
    pub(crate) async fn send(&self, method: Method, path: &str, body: &Value) -> Result<Value, Failed> {
        self.call(method, path, &[], Some(body)).await
    }

    /// All entries of a list, page by page, at most `most` of them.
    pub(crate) async fn list(
        &self,
        path: &str,
        query: &[(&str, String)],
        most: usize,
    ) -> Result<Vec<Value>, Failed> {
        let mut items = Vec::new();
        let mut cursor: Option<String> = None;
        loop {
            let mut query = query.to_vec();
            query.extend(cursor.take().map(|cursor| ("cursor", cursor)));
            let page = self.get(path, &query).await?;
            items.extend(page.get("items").and_then(Value::as_array).into_iter().flatten().cloned());
            cursor = page.get("next").and_then(Value::as_str).map(str::to_owned);
            if cursor.is_none() || items.len() >= most {
                items.truncate(most);
                return Ok(items);
            }
        }
    }

    async fn call(
        &self,
        method: Method,
        path: &str,
        query: &[(&str, String)],
        body: Option<&Value>,
    ) -> Result<Value, Failed> {
        let unreachable = |error: &reqwest::Error| {
            let why = if error.is_timeout() { "no answer in time" } else { "no connection" };
            Failed::Unreachable { url: self.base.to_string(), why: why.to_owned() }
        };
        let url = self.base.join(path).map_err(|_| Failed::NotRollcall(self.base.to_string()))?;
        let mut request = self.http.request(method, url).bearer_auth(&self.token).query(query);
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = request.send().await.map_err(|error| unreachable(&error))?;
        self.read(response).await
    }

    async fn read(&self, response: Response) -> Result<Value, Failed> {
        let status = response.status();
        let bytes = response.bytes().await.map_err(|_| Failed::NotRollcall(self.base.to_string()))?;
        if status == StatusCode::NO_CONTENT {
            return Ok(Value::Null);
        }
        let json: Value =
            serde_json::from_slice(&bytes).map_err(|_| Failed::NotRollcall(self.base.to_string()))?;
        if status.is_success() { Ok(json) } else { Err(Failed::Refused(json)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_refusal_is_told_with_what_is_wrong_and_where() {
        let problem = json!({"title": "The request is not acceptable", "errors": [{"pointer": "/name", "detail": "is missing"}]});
        assert_eq!(
            Failed::Refused(problem).to_string(),
            "The request is not acceptable\n  /name: is missing"
        );
    }
}
