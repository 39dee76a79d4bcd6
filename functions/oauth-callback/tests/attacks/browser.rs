//! A browser that keeps cookies and remembers all that it was sent, and requests that no browser would make.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::IpAddr;

use axum::body::Body;
use http::header::{CONTENT_TYPE, COOKIE, LOCATION, SET_COOKIE};
use http::{HeaderMap, Method, Request, StatusCode};
use rollcall_domain::identity::Provider;
use url::Url;

use crate::rig::{PUBLIC, Rig};

pub(crate) const SESSION: &str = "__Host-rollcall-session";
pub(crate) const LOGIN: &str = "__Host-rollcall-login";
pub(crate) const FORM: &str = "application/x-www-form-urlencoded";

#[derive(Clone)]
pub(crate) struct Browser<'r> {
    rig: &'r Rig,
    pub(crate) cookies: BTreeMap<String, String>,
    pub(crate) address: IpAddr,
    /// Which instance of the function its requests come to.
    pub(crate) instance: usize,
    /// Every header and every body that it was sent.
    pub(crate) seen: String,
}

pub(crate) fn form(fields: &[(&str, &str)]) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()
}

impl<'r> Browser<'r> {
    pub(crate) fn new(rig: &'r Rig) -> Self {
        let address = [192, 0, 2, 1].into();
        Self { rig, cookies: BTreeMap::new(), address, instance: 0, seen: String::new() }
    }

    pub(crate) async fn get(&mut self, path: &str) -> Answer {
        self.send(Request::get(path), String::new()).await
    }

    pub(crate) async fn get_with(&mut self, path: &str, headers: &[(&str, &str)]) -> Answer {
        let request =
            headers.iter().fold(Request::get(path), |request, (name, value)| request.header(*name, *value));
        self.send(request, String::new()).await
    }

    /// A form of our own pages.
    pub(crate) async fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let request = Request::post(path).header(CONTENT_TYPE, FORM).header("sec-fetch-site", "same-origin");
        self.send(request, form(fields)).await
    }

    pub(crate) async fn send(&mut self, mut request: http::request::Builder, body: String) -> Answer {
        let cookies: Vec<String> =
            self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        if !cookies.is_empty() {
            request = request.header(COOKIE, cookies.join("; "));
        }
        let headers = request.headers_ref().unwrap();
        if !headers.contains_key("accept") {
            request = request.header("accept", "text/html");
        }
        let answer =
            self.rig.serve(self.instance, self.address, request.body(Body::from(body)).unwrap()).await;
        for cookie in answer.headers.get_all(SET_COOKIE) {
            let (name, rest) = cookie.to_str().unwrap().split_once('=').unwrap();
            let value = rest.split(';').next().unwrap();
            if value.is_empty() {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        write!(self.seen, "{:?}\n{}\n", answer.headers, answer.body).unwrap();
        answer
    }

    pub(crate) fn has_session(&self) -> bool {
        self.cookies.contains_key(SESSION)
    }

    /// Whether the session that it has, if it has one, still holds.
    pub(crate) async fn is_signed_in(&mut self) -> bool {
        self.get("/login").await.body.contains("You are signed in")
    }

    /// Starts a login; where the provider is, with what is sent along.
    pub(crate) async fn start(&mut self, provider: Provider) -> Url {
        self.get(&format!("/login/{provider}")).await.location()
    }

    /// Starts a login and comes back from the provider: the path and query of the callback.
    pub(crate) async fn callback(&mut self, provider: Provider, person: &str) -> String {
        let to_provider = self.start(provider).await;
        at_provider(&to_provider, person).await
    }

    /// A whole login.
    pub(crate) async fn sign_in(&mut self, provider: Provider, person: &str) -> Answer {
        let callback = self.callback(provider, person).await;
        self.get(&callback).await
    }

    /// Accepts an invite by a whole login.
    pub(crate) async fn accept(&mut self, token: &str, provider: Provider, person: &str) -> Answer {
        let start = self.post("/invite/accept", &[("token", token), ("provider", provider.as_str())]).await;
        if start.status != StatusCode::SEE_OTHER {
            return start;
        }
        let callback = at_provider(&start.location(), person).await;
        self.get(&callback).await
    }
}

/// Signs in at the provider as somebody; the path and query of the callback that the provider sends the browser to.
pub(crate) async fn at_provider(to_provider: &Url, person: &str) -> String {
    let mut url = to_provider.clone();
    url.query_pairs_mut().append_pair("_person", person);
    let http =
        reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().build().unwrap();
    let answer = http.get(url).send().await.unwrap();
    let location =
        answer.headers().get(LOCATION).unwrap_or_else(|| panic!("{}", answer.status())).to_str().unwrap();
    let back = Url::parse(location).unwrap();
    format!("{}?{}", back.path(), back.query().unwrap())
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

    /// Every answer, good or bad, carries the headers that a browser needs to be safe, and cookies that only this host gets.
    pub(crate) fn assert_safe(&self, path: &str) {
        let header = |name: &str| {
            self.headers.get(name).unwrap_or_else(|| panic!("{path}: {name} is missing")).to_str().unwrap()
        };
        let age: u64 = header("strict-transport-security")
            .strip_prefix("max-age=")
            .unwrap()
            .split(';')
            .next()
            .unwrap()
            .parse()
            .unwrap();
        assert!(age >= 31_536_000, "{path}: a year at least");
        let policy = header("content-security-policy");
        assert!(
            policy.starts_with("default-src 'none'; frame-ancestors 'none'; base-uri 'none'"),
            "{path}: {policy}"
        );
        assert!(!policy.contains("unsafe-") && !policy.contains(" *"), "{path}: {policy}");
        assert_eq!(header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(header("referrer-policy"), "no-referrer", "{path}");
        let public = path.starts_with("/.well-known/") && self.status == StatusCode::OK;
        assert_eq!(
            header("cache-control"),
            if public { "public, max-age=300" } else { "no-store" },
            "{path}"
        );
        let redirected = self.status.is_redirection();
        assert!(!redirected || self.status == StatusCode::SEE_OTHER, "{path}: {}", self.status);
        assert!(self.headers.keys().all(|name| !name.as_str().starts_with("access-control-")), "{path}");
        for cookie in self.headers.get_all(SET_COOKIE) {
            let cookie = cookie.to_str().unwrap();
            let mut attributes: Vec<&str> = cookie.split("; ").skip(1).collect();
            attributes.retain(|attribute| !attribute.starts_with("Max-Age="));
            assert!(cookie.starts_with("__Host-"), "{path}: {cookie}");
            assert_eq!(attributes, ["Path=/", "Secure", "HttpOnly", "SameSite=Lax"], "{path}: {cookie}");
        }
    }
}

/// A parameter of a URL, which is there once at most.
pub(crate) fn parameter(url: &Url, name: &str) -> Option<String> {
    let mut found = url.query_pairs().filter(|(known, _)| known == name).map(|(_, value)| value.into_owned());
    let value = found.next();
    assert!(found.next().is_none(), "{name} is given twice in {url}");
    value
}

/// A request of a program, with all that it says of itself.
pub(crate) fn request(method: &Method, path: &str, headers: &[(&str, &str)]) -> http::request::Builder {
    let request = Request::builder().method(method.clone()).uri(path);
    headers.iter().fold(request, |request, (name, value)| request.header(*name, *value))
}
