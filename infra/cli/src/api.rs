//! Talking to the admin API.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use core::time::Duration;

use reqwest::{Method, Response, StatusCode};
use serde_json::Value;
use thiserror::Error;
use url::{Host, Url};

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
    /// A run ended badly, or something is wrong with what was looked at.
    #[error("{0}")]
    Found(String),
    /// What was to be shown could not be written.
    #[error("the output cannot be written: {0}")]
    Output(#[from] std::io::Error),
}

impl Failed {
    /// The exit status for scripts.
    pub(crate) const fn status(&self) -> u8 {
        match self {
            Self::Environment(_) => 2,
            Self::Unreachable { .. } | Self::NotRollcall(_) => 4,
            Self::Refused(_) | Self::Found(_) | Self::Output(_) => 1,
        }
    }

    /// Whether nobody reads any more, as behind `| head`: there is nobody to tell.
    pub(crate) fn is_unheard(&self) -> bool {
        matches!(self, Self::Output(error) if error.kind() == std::io::ErrorKind::BrokenPipe)
    }

    /// Whether the API has nothing there that the token may see.
    pub(crate) fn is_not_found(&self) -> bool {
        matches!(self, Self::Refused(problem) if problem.get("status").and_then(Value::as_u64) == Some(404))
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

/// Where names of this machine lead. Port 0 stands for the one of the address.
const LOOPBACK: [SocketAddr; 2] = [
    SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0),
    SocketAddr::new(IpAddr::V6(Ipv6Addr::LOCALHOST), 0),
];

/// Whether an address is this machine's, and by which name if by one. `localhost` and everything below it is nobody else (RFC 6761 §6.3).
#[expect(clippy::option_option, reason = "whether it is, and whether it has a name")]
fn this_machine(url: &Url) -> Option<Option<String>> {
    match url.host()? {
        Host::Ipv4(address) => address.is_loopback().then_some(None),
        Host::Ipv6(address) => address.is_loopback().then_some(None),
        Host::Domain(name) => {
            (name == "localhost" || name.ends_with(".localhost")).then(|| Some(name.to_owned()))
        }
    }
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
        let mut http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(Duration::from_secs(60));
        match (base.scheme(), this_machine(&base)) {
            ("http" | "https", Some(name)) => {
                // Neither a proxy nor a name server may lead the token elsewhere.
                http = http.no_proxy();
                if let Some(name) = name {
                    http = http.resolve_to_addrs(&name, &LOOPBACK);
                }
            }
            ("https", None) => {}
            _ => {
                return Err(Failed::Environment(
                    "the address must be https, or http on this machine".to_owned(),
                ));
            }
        }
        let http = http.build().map_err(|error| Failed::Environment(format!("no HTTP client: {error}")))?;
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

    #[test]
    fn localhost_and_every_name_below_it_is_this_machine_and_nothing_that_looks_like_it() {
        for url in [
            "http://localhost:8080",
            "http://api.localhost:4566/stage/",
            "http://LOCALHOST",
            "http://127.0.0.1:1",
            "http://127.1.2.3",
            "http://[::1]:8080",
        ] {
            assert!(this_machine(&url.parse().unwrap()).is_some(), "{url}");
        }
        for url in [
            "http://rollcall.example.com",
            "http://localhost.example.com",
            "http://notlocalhost",
            "http://localhost@example.com",
            "http://10.0.0.1",
            "http://[::ffff:10.0.0.1]",
            "http://0.0.0.0",
        ] {
            assert!(this_machine(&url.parse().unwrap()).is_none(), "{url}");
        }
    }
}
