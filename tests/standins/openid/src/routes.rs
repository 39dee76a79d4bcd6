//! Which path leads where, with the log and the troubles in between.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{MethodRouter, get, post};

use crate::flavour::Flavour;
use crate::log::{Endpoint, Request};
use crate::provider::Provider;
use crate::{authorize, control, discovery, token, userinfo};

/// No request of a relying party comes near it.
const LARGEST_BODY: usize = 64 * 1024;

pub(crate) fn router(provider: &Arc<Provider>) -> Router {
    let paths = provider.flavour.paths("{tenant}");
    let discovery = match provider.flavour {
        Flavour::Google => "/.well-known/openid-configuration",
        Flavour::Microsoft { .. } => "/{tenant}/v2.0/.well-known/openid-configuration",
    };
    let observed = |endpoint, methods: MethodRouter<Arc<Provider>>| {
        methods.layer(from_fn_with_state((provider.clone(), endpoint), observe))
    };
    Router::new()
        .route(discovery, observed(Endpoint::Discovery, get(discovery::metadata)))
        .route(&paths.keys, observed(Endpoint::Keys, get(discovery::keys)))
        .route(&paths.authorize, observed(Endpoint::Authorize, get(authorize::authorize)))
        .route(&paths.token, observed(Endpoint::Token, post(token::token)))
        .route(
            &paths.userinfo,
            observed(Endpoint::Userinfo, get(userinfo::userinfo).post(userinfo::userinfo)),
        )
        .nest("/_control", control::router())
        .with_state(provider.clone())
}

/// Writes the request down, and lets a trouble happen to it.
async fn observe(
    State((provider, endpoint)): State<(Arc<Provider>, Endpoint)>,
    request: axum::extract::Request,
    next: Next,
) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = axum::body::to_bytes(body, LARGEST_BODY).await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    let is_form = header_text(&parts.headers, header::CONTENT_TYPE.as_str())
        .is_some_and(|kind| kind.starts_with("application/x-www-form-urlencoded"));
    let mut entry = Request {
        endpoint,
        method: parts.method.to_string(),
        path: parts.uri.path().to_owned(),
        query: pairs(parts.uri.query().unwrap_or_default().as_bytes()),
        form: if is_form { pairs(&body) } else { Vec::new() },
        headers: parts
            .headers
            .iter()
            .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
            .collect(),
        status: 0,
    };
    let (place, fault) = {
        let mut world = provider.world();
        world.log.push(entry.clone());
        (world.log.len() - 1, world.take_fault(endpoint))
    };
    let instead = match &fault {
        Some(fault) => fault.before().await,
        None => None,
    };
    let response = match (instead, &fault) {
        (Some(response), _) => response,
        (None, fault) => {
            let response = next.run(axum::extract::Request::from_parts(parts, Body::from(body))).await;
            match fault {
                Some(fault) => fault.after(response).await,
                None => response,
            }
        }
    };
    // The log may have been emptied meanwhile.
    let mut world = provider.world();
    if let Some(logged) = world.log.get_mut(place).filter(|logged| **logged == entry) {
        entry.status = response.status().as_u16();
        *logged = entry;
    }
    response
}

/// The parameters of a query or a form, in order.
pub(crate) fn pairs(text: &[u8]) -> Vec<(String, String)> {
    serde_urlencoded::from_bytes(text).unwrap_or_default()
}

pub(crate) fn header_text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}
