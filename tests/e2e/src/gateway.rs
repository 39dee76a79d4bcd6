//! An HTTP API on this machine: requests become events, events go to the function that the template names, answers come back.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::{Response, StatusCode, header};
use axum::response::IntoResponse as _;
use standin_aws::LambdaRuntime;
use standin_aws::event::{HttpAnswer, HttpEvent};
use tokio::net::TcpListener;

use crate::template::{Route, choose, routes};

/// The functions' timeout, as the template sets it.
const TIMEOUT: Duration = Duration::from_secs(25);
/// The largest body that an HTTP API takes.
const LARGEST: usize = 6 * 1024 * 1024;

/// Where requests go.
pub struct Gateway {
    routes: Vec<Route>,
    functions: BTreeMap<String, Arc<LambdaRuntime>>,
}

/// Opens the gateway's socket, so that its address is known before the functions are started.
pub async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// Serves the template's routes with these functions, as long as the test lives.
pub fn serve(listener: TcpListener, functions: BTreeMap<String, Arc<LambdaRuntime>>) {
    let gateway = Arc::new(Gateway { routes: routes(), functions });
    let router = Router::new().fallback(pass_on).with_state(gateway);
    tokio::spawn(async move { axum::serve(listener, router).await });
}

async fn pass_on(State(gateway): State<Arc<Gateway>>, request: Request) -> Response<axum::body::Body> {
    let (parts, body) = request.into_parts();
    let (method, path) = (parts.method.as_str(), parts.uri.path());
    let Some(route) = choose(&gateway.routes, method, path) else {
        return (StatusCode::NOT_FOUND, axum::Json(serde_json::json!({ "message": "Not Found" })))
            .into_response();
    };
    let body = to_bytes(body, LARGEST).await.unwrap_or_default();
    let event = event(&parts, &body).route(&route.key).build();
    let function = gateway.functions.get(&route.function).expect("every function of a route is there");
    let answer = function.invoke(event, TIMEOUT).await;
    match answer
        .map_err(|error| error.to_string())
        .and_then(|answer| HttpAnswer::read(&answer).map_err(|error| error.to_string()))
    {
        Ok(answer) => response(answer),
        Err(error) => {
            eprintln!("{method} {path}: {error}");
            let message = serde_json::json!({ "message": "Internal Server Error" });
            (StatusCode::INTERNAL_SERVER_ERROR, axum::Json(message)).into_response()
        }
    }
}

fn event(parts: &axum::http::request::Parts, body: &Bytes) -> HttpEvent {
    let mut event = HttpEvent::new(parts.method.as_str(), parts.uri.path()).source_ip("127.0.0.1");
    for (name, value) in url::form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes()) {
        event = event.query(&name, &value);
    }
    let mut media_type = None;
    for (name, value) in &parts.headers {
        let value = String::from_utf8_lossy(value.as_bytes());
        match *name {
            header::COOKIE => {
                for cookie in value.split("; ") {
                    let (name, value) = cookie.split_once('=').unwrap_or((cookie, ""));
                    event = event.cookie(name, value);
                }
            }
            header::CONTENT_TYPE => media_type = Some(value.into_owned()),
            // The gateway puts its own there.
            header::HOST => {}
            _ => event = event.header(name.as_str(), &value),
        }
    }
    match (media_type, body.is_empty()) {
        (Some(media_type), _) => event.body(&media_type, body.to_vec()),
        (None, false) => event.body("application/octet-stream", body.to_vec()),
        (None, true) => event,
    }
}

fn response(answer: HttpAnswer) -> Response<axum::body::Body> {
    let mut response = Response::builder().status(answer.status);
    for (name, value) in answer.headers.iter().filter(|(name, _)| name != "content-length") {
        response = response.header(name, value);
    }
    for cookie in &answer.cookies {
        response = response.header(header::SET_COOKIE, cookie);
    }
    response.body(answer.body.into()).unwrap()
}
