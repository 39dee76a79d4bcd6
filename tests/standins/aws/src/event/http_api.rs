//! What an API Gateway HTTP API calls a function with (payload format 2.0), and what the function answers.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Map, Value, json};
use thiserror::Error;

use crate::account::{ACCOUNT, REGION, new_id};
use crate::clock;

/// A request on its way through an HTTP API.
#[derive(Debug, Clone)]
pub struct HttpEvent {
    method: String,
    path: String,
    route: Option<String>,
    query: Vec<(String, String)>,
    headers: Vec<(String, String)>,
    cookies: Vec<String>,
    body: Option<Vec<u8>>,
    path_parameters: Map<String, Value>,
    source_ip: String,
    domain: String,
    at: i64,
}

impl HttpEvent {
    /// A request of a browser. The path is as the browser sends it, without query.
    pub fn new(method: &str, path: &str) -> Self {
        Self {
            method: method.to_owned(),
            path: path.to_owned(),
            route: None,
            query: Vec::new(),
            headers: Vec::new(),
            cookies: Vec::new(),
            body: None,
            path_parameters: Map::new(),
            source_ip: "203.0.113.7".into(),
            domain: format!("a1b2c3d4e5.execute-api.{REGION}.amazonaws.com"),
            at: clock::system(),
        }
    }

    /// `GET`.
    pub fn get(path: &str) -> Self {
        Self::new("GET", path)
    }

    /// `POST`.
    pub fn post(path: &str) -> Self {
        Self::new("POST", path)
    }

    /// A parameter of the query. Can be given again.
    #[must_use]
    pub fn query(mut self, name: &str, value: &str) -> Self {
        self.query.push((name.to_owned(), value.to_owned()));
        self
    }

    /// A header field. Given again, the values are joined by commas, as the gateway does it.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_ascii_lowercase(), value.to_owned()));
        self
    }

    /// A cookie.
    #[must_use]
    pub fn cookie(mut self, name: &str, value: &str) -> Self {
        self.cookies.push(format!("{name}={value}"));
        self
    }

    /// The body, with its media type. One that is not text travels in base64.
    #[must_use]
    pub fn body(self, media_type: &str, body: impl Into<Vec<u8>>) -> Self {
        let mut event = self.header("content-type", media_type);
        event.body = Some(body.into());
        event
    }

    /// A JSON body.
    #[must_use]
    pub fn json(self, body: &Value) -> Self {
        self.body("application/json", body.to_string())
    }

    /// A form in the body.
    #[must_use]
    pub fn form(self, fields: &[(&str, &str)]) -> Self {
        let body = serde_urlencoded::to_string(fields).expect("pairs of texts make a form");
        self.body("application/x-www-form-urlencoded", body)
    }

    /// The route of the API that was matched (`GET /callback/{provider}`). Without it: `$default`.
    #[must_use]
    pub fn route(mut self, route: &str) -> Self {
        self.route = Some(route.to_owned());
        self
    }

    /// A parameter that the route found in the path.
    #[must_use]
    pub fn path_parameter(mut self, name: &str, value: &str) -> Self {
        self.path_parameters.insert(name.to_owned(), value.into());
        self
    }

    /// Where the request comes from.
    #[must_use]
    pub fn source_ip(mut self, address: &str) -> Self {
        address.clone_into(&mut self.source_ip);
        self
    }

    /// The domain that was asked: the API's own one, or a custom one.
    #[must_use]
    pub fn domain(mut self, domain: &str) -> Self {
        domain.clone_into(&mut self.domain);
        self
    }

    /// When it was asked, in milliseconds since 1970.
    #[must_use]
    pub fn at(mut self, milliseconds: i64) -> Self {
        self.at = milliseconds;
        self
    }

    /// The event.
    pub fn build(self) -> Value {
        let route = self.route.clone().unwrap_or_else(|| "$default".into());
        let mut fields = self.headers;
        // What any browser sends.
        for (name, value) in [("accept", "*/*"), ("user-agent", "Mozilla/5.0 (stand-in)")] {
            if !fields.iter().any(|(known, _)| known == name) {
                fields.push((name.to_owned(), value.to_owned()));
            }
        }
        let user_agent = fields.iter().find(|(name, _)| name == "user-agent").map(|(_, value)| value.clone());
        fields.push(("host".into(), self.domain.clone()));
        fields.push(("x-forwarded-for".into(), self.source_ip.clone()));
        fields.push(("x-forwarded-port".into(), "443".into()));
        fields.push(("x-forwarded-proto".into(), "https".into()));
        fields.push(("x-amzn-trace-id".into(), "Root=1-67891233-abcdef012345678912345678".into()));
        if let Some(body) = &self.body {
            fields.push(("content-length".into(), body.len().to_string()));
        }
        let mut event = json!({
            "version": "2.0",
            "routeKey": route,
            "rawPath": self.path,
            "rawQueryString": serde_urlencoded::to_string(&self.query).expect("pairs of texts make a query"),
            "headers": joined(&fields),
            "requestContext": {
                "accountId": ACCOUNT,
                "apiId": "a1b2c3d4e5",
                "domainName": self.domain,
                "domainPrefix": self.domain.split('.').next(),
                "http": {
                    "method": self.method,
                    "path": self.path,
                    "protocol": "HTTP/1.1",
                    "sourceIp": self.source_ip,
                    "userAgent": user_agent,
                },
                "requestId": new_id(),
                "routeKey": route,
                "stage": "$default",
                "time": common_log_time(self.at),
                "timeEpoch": self.at,
            },
            "isBase64Encoded": false,
        });
        // The gateway leaves out what is empty.
        if !self.query.is_empty() {
            event["queryStringParameters"] = joined(&self.query);
        }
        if !self.cookies.is_empty() {
            event["cookies"] = self.cookies.into();
        }
        if !self.path_parameters.is_empty() {
            event["pathParameters"] = self.path_parameters.into();
        }
        match self.body.map(String::from_utf8) {
            None => {}
            Some(Ok(text)) => event["body"] = text.into(),
            Some(Err(bytes)) => {
                event["body"] = STANDARD.encode(bytes.as_bytes()).into();
                event["isBase64Encoded"] = true.into();
            }
        }
        event
    }
}

/// What is given more than once is joined by commas.
fn joined(pairs: &[(String, String)]) -> Value {
    let mut map: BTreeMap<&str, String> = BTreeMap::new();
    for (name, value) in pairs {
        map.entry(name)
            .and_modify(|known| {
                known.push(',');
                known.push_str(value);
            })
            .or_insert_with(|| value.clone());
    }
    json!(map)
}

/// `12/Mar/2020:19:03:58 +0000`.
fn common_log_time(milliseconds: i64) -> String {
    Timestamp::from_millisecond(milliseconds).map_or_else(
        |_| String::new(),
        |at| at.to_zoned(TimeZone::UTC).strftime("%d/%b/%Y:%H:%M:%S %z").to_string(),
    )
}

/// The answer of a function, as the gateway sends it on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpAnswer {
    /// The status.
    pub status: u16,
    /// The header fields, names in lower case, without `set-cookie`.
    pub headers: Vec<(String, String)>,
    /// The values of `set-cookie`, in order.
    pub cookies: Vec<String>,
    /// The body.
    pub body: Vec<u8>,
}

/// The gateway would answer 500 to this.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the function's answer is not one that an HTTP API understands: {0}")]
pub struct MalformedAnswer(String);

impl HttpAnswer {
    /// Reads an answer in payload format 2.0.
    pub fn read(answer: &Value) -> Result<Self, MalformedAnswer> {
        let malformed = |what: &str| MalformedAnswer(what.to_owned());
        let status = answer["statusCode"]
            .as_u64()
            .and_then(|status| u16::try_from(status).ok())
            .ok_or_else(|| malformed("statusCode is missing"))?;
        let mut headers = Vec::new();
        let members = |name: &str| answer.get(name).and_then(Value::as_object).into_iter().flatten();
        for (name, value) in members("headers") {
            let value = value.as_str().ok_or_else(|| malformed("a header field is not a text"))?;
            headers.push((name.to_ascii_lowercase(), value.to_owned()));
        }
        // The gateway of this payload format ignores `multiValueHeaders`; `cookies` is the only list.
        let cookies = match answer.get("cookies") {
            None | Some(Value::Null) => Vec::new(),
            Some(list) => serde_json::from_value(list.clone())
                .map_err(|_| malformed("cookies is not a list of texts"))?,
        };
        let text = answer.get("body").and_then(Value::as_str).unwrap_or_default();
        let body = if answer["isBase64Encoded"] == true {
            STANDARD.decode(text).map_err(|_| malformed("the body is not base64"))?
        } else {
            text.as_bytes().to_vec()
        };
        Ok(Self { status, headers, cookies, body })
    }

    /// The value of a header field.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON; `null` where it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}
