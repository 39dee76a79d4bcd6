//! What happens to every request: recognised, written down, delayed, counted, checked, answered, made faulty.

use core::time::Duration;

use axum::extract::State as Extracted;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, header};
use axum::response::Response;

use crate::auth::{Actor, Caller, CredentialKind, authenticate};
use crate::contract::{Asking, Contract};
use crate::control::{Control, State};
use crate::faults::{self, Act, FaultId, Instead, Subject};
use crate::fields::Fields;
use crate::log::Request;
use crate::refusal::Refusal;
use crate::reply::{Content, Reply};
use crate::rest::{self, Call, Route};
use crate::{oauth, weird};

const AUTHORIZE: &str = "/site/oauth2/authorize";
const TOKEN: &str = "/site/oauth2/access_token";

/// No request of a client comes near it.
const LARGEST_BODY: usize = 64 * 1024;

/// Calls in an hour from one address without a credential.
const ANONYMOUS_LIMIT: u64 = 60;

/// A request, taken apart.
struct Asked {
    method: Method,
    headers: HeaderMap,
    path: String,
    raw_query: String,
    query: Vec<(String, String)>,
    body: bytes::Bytes,
    origin: String,
    route: Option<(&'static Route, Vec<String>)>,
}

/// A request that has been written down.
struct Begun {
    number: u64,
    caller: Result<Caller, Refusal>,
    fault: Option<(FaultId, Act)>,
    latency: Duration,
}

/// Counts a request as under way for as long as it lives, also where the client goes away.
struct UnderWay(Control);

impl UnderWay {
    fn new(control: &Control) -> Self {
        let at_once = &mut control.state().at_once;
        at_once.now += 1;
        at_once.most = at_once.most.max(at_once.now);
        Self(control.clone())
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.state().at_once.now -= 1;
    }
}

/// Answers everything but `/_control`.
pub(crate) async fn serve(
    Extracted(control): Extracted<Control>,
    request: axum::extract::Request,
) -> Response {
    let _under_way = UnderWay::new(&control);
    let (parts, body) = request.into_parts();
    let Ok(body) = axum::body::to_bytes(body, LARGEST_BODY).await else {
        return Reply::from(Refusal::message(413, "The request is too large.")).into_response();
    };
    let asked = Asked::new(parts, body);
    let begun = begin(&mut control.state(), &asked);
    control.changed();
    let response = respond(&control, &asked, &begun).await;
    control.state().log.end(begun.number, response.status().as_u16());
    control.changed();
    response
}

impl Asked {
    fn new(parts: Parts, body: bytes::Bytes) -> Self {
        let host = parts.headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or("localhost");
        let origin = format!("http://{host}");
        let path = parts.uri.path().to_owned();
        let raw_query = parts.uri.query().unwrap_or_default().to_owned();
        let query = oauth::pairs(raw_query.as_bytes());
        let route = rest::find(&path);
        Self { method: parts.method, headers: parts.headers, path, raw_query, query, body, origin, route }
    }

    fn template(&self) -> &'static str {
        match (&self.route, self.path.as_str()) {
            (Some((route, _)), _) => route.template,
            (None, AUTHORIZE) => AUTHORIZE,
            (None, TOKEN) => TOKEN,
            (None, _) => "",
        }
    }

    fn path_and_query(&self) -> String {
        if self.raw_query.is_empty() {
            self.path.clone()
        } else {
            format!("{}?{}", self.path, self.raw_query)
        }
    }
}

fn begin(state: &mut State, asked: &Asked) -> Begun {
    let now_ms = state.clock.now_ms();
    let caller = if asked.path == TOKEN {
        Ok(consumer(asked))
    } else {
        authenticate(&state.world, &state.sessions, &asked.headers, now_ms)
    };
    let (kind, credential) = match &caller {
        Ok(caller) => (caller.kind, caller.name.clone()),
        Err(_) => (CredentialKind::Unknown, "unknown".to_owned()),
    };
    let is_secret = |name: &str| matches!(name, "code" | "state" | "access_token" | "client_secret");
    let number = state.log.begin(Request {
        number: 0,
        method: asked.method.to_string(),
        path: asked.path.clone(),
        template: asked.template().to_owned(),
        query: asked.query.iter().filter(|(name, _)| !is_secret(name)).cloned().collect(),
        authorized: asked.headers.contains_key(header::AUTHORIZATION),
        kind,
        credential,
        status: 0,
    });
    let page = crate::paging::number(&asked.query);
    let subject = Subject { path: &asked.path, query: &asked.query, page, kind };
    let fault = state.faults.take(&subject);
    Begun { number, caller, fault, latency: Duration::from_millis(state.world.behaviour.latency_ms) }
}

/// A consumer at the token endpoint, known or not, as it is written down.
fn consumer(asked: &Asked) -> Caller {
    let key =
        oauth::client(&asked.headers, &oauth::pairs(&asked.body)).map(|(key, _)| key).unwrap_or_default();
    Caller { kind: CredentialKind::Consumer, name: format!("consumer:{key}"), ..Caller::anonymous() }
}

async fn respond(control: &Control, asked: &Asked, begun: &Begun) -> Response {
    if !begun.latency.is_zero() {
        tokio::time::sleep(begun.latency).await;
    }
    if let Some((id, act)) = &begun.fault {
        let as_json_429 = control.read(|world| world.behaviour.json_429);
        match faults::before(act, as_json_429, &asked.path_and_query()) {
            Some(Instead::Reply(reply)) => return reply.into_response(),
            Some(Instead::Silence) => std::future::pending().await,
            Some(Instead::Later(delay)) => tokio::time::sleep(delay).await,
            Some(Instead::WhenGone) => control.gone(*id).await,
            None => {}
        }
    }
    let reply = answer(&mut control.state(), asked, &begun.caller);
    if begun.fault.is_none() {
        hold_to_contract(&mut control.state(), asked, begun.caller.as_ref().ok(), &reply);
    }
    match &begun.fault {
        Some((_, act)) => faults::after(act, reply),
        None => reply.into_response(),
    }
}

fn answer(state: &mut State, asked: &Asked, caller: &Result<Caller, Refusal>) -> Reply {
    let now_ms = state.clock.now_ms();
    match (asked.path.as_str(), &asked.method) {
        (AUTHORIZE, &Method::GET) => {
            oauth::authorize(&state.world, &mut state.sessions, &asked.raw_query, now_ms)
        }
        (TOKEN, &Method::POST) => {
            oauth::token(&state.world, &mut state.sessions, &asked.headers, &asked.body, now_ms)
        }
        (AUTHORIZE | TOKEN, _) => Reply::new(405, Content::Text("Method Not Allowed".to_owned())),
        _ => api(state, asked, caller, now_ms),
    }
}

fn api(state: &mut State, asked: &Asked, caller: &Result<Caller, Refusal>, now_ms: i64) -> Reply {
    let caller = match caller {
        Ok(caller) => caller,
        Err(refusal) => return refusal.clone().into(),
    };
    let headers = match count(state, asked, caller, now_ms) {
        Ok(headers) => headers,
        Err(refusal) => return refusal.into(),
    };
    let Some((route, values)) = &asked.route else {
        return Refusal::not_found("Resource not found").into();
    };
    if asked.method != Method::GET {
        return Refusal::message(405, "This stand-in can only be read.").into();
    }
    let call = Call {
        world: &state.world,
        caller,
        route,
        values: values.clone(),
        query: &asked.query,
        fields: Fields::parse(&asked.query),
        origin: &asked.origin,
        path: &asked.path,
    };
    let mut reply = match call.answer() {
        Ok(value) => {
            let mut value = call.fields.apply(value);
            weird::apply(state.world.behaviour.weird, &mut value);
            Reply::json(200, value)
        }
        Err(refusal) => refusal.into(),
    };
    reply.headers.extend(headers);
    if caller.kind != CredentialKind::None {
        let scopes = caller.scopes.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
        reply =
            reply.with("x-oauth-scopes", &scopes).with("x-accepted-oauth-scopes", &route.scopes.join(", "));
    }
    if caller.kind == CredentialKind::AccessToken {
        reply = reply.with("x-credential-type", "workspace_access_token");
    }
    reply
}

/// Writes down what is wrong with a request and its answer, where that is wanted.
fn hold_to_contract(state: &mut State, asked: &Asked, caller: Option<&Caller>, reply: &Reply) {
    let Some(breaches) = state.breaches.as_mut().filter(|_| asked.path.starts_with("/2.0/")) else { return };
    let mut asking = Asking::with_method(asked.method.as_str(), &asked.path).queries(&asked.query);
    let scopes: Vec<&str> =
        caller.into_iter().flat_map(|caller| &caller.scopes).map(String::as_str).collect();
    if caller.is_some_and(|caller| !matches!(caller.kind, CredentialKind::ApiToken | CredentialKind::None)) {
        asking = asking.scopes(&scopes);
    }
    let contract = Contract::official();
    let mut found = contract.check_request(&asking);
    if let Content::Json(answer) = &reply.content {
        found.extend(contract.check_answer(&asking, reply.status, answer));
    }
    breaches
        .extend(found.iter().map(|breach| format!("{} {}: {breach}", asked.method, asked.path_and_query())));
}

/// Counts a call, and gives the headers that tell how many are left, where there are any.
fn count(
    state: &mut State,
    asked: &Asked,
    caller: &Caller,
    now_ms: i64,
) -> Result<Vec<(&'static str, String)>, Refusal> {
    let behaviour = &state.world.behaviour;
    let scaled = caller.kind == CredentialKind::AccessToken && asked.path.starts_with("/2.0/repositories/");
    let (pool, limit) = match caller.actor {
        Actor::Anonymous => ("anonymous", ANONYMOUS_LIMIT),
        _ if scaled => ("scaled", behaviour.scaled_limit),
        _ => ("api", behaviour.hourly_limit),
    };
    let too_many = |()| Refusal::rate_limit(behaviour.json_429);
    let used = state.limits.count(&caller.name, pool, limit, now_ms).map_err(too_many)?;
    Ok(match caller.actor {
        Actor::Anonymous => vec![
            ("x-ratelimit-limit", format!("{limit}, {limit};w=3600")),
            ("x-ratelimit-remaining", used.remaining.to_string()),
            ("x-ratelimit-reset", used.reset.to_string()),
        ],
        _ if scaled => vec![
            ("x-ratelimit-limit", used.limit.to_string()),
            ("x-ratelimit-resource", "api".to_owned()),
            ("x-ratelimit-nearlimit", (used.remaining < used.limit / 5).to_string()),
        ],
        _ => Vec::new(),
    })
}
