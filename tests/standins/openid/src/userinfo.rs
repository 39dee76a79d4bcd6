//! The userinfo endpoint (OpenID Connect Core 1.0 §5.3).

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde_json::{Map, Value};

use crate::behaviour::replace;
use crate::id_token::{insert, profile};
use crate::provider::Provider;
use crate::routes::header_text;

pub(crate) async fn userinfo(State(provider): State<Arc<Provider>>, headers: HeaderMap) -> Response {
    let world = provider.world();
    let token = header_text(&headers, header::AUTHORIZATION.as_str())
        .and_then(|value| value.strip_prefix("Bearer "))
        .and_then(|token| world.access_tokens.get(token))
        .filter(|token| token.expires_at > world.now());
    let Some(token) = token else {
        return (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, "Bearer error=\"invalid_token\"")])
            .into_response();
    };
    let mut claims = Map::new();
    insert(&mut claims, "sub", Some(Value::from(token.person.sub.clone())));
    profile(&mut claims, &token.person, &token.scope);
    replace(&mut claims, &token.person.claims);
    replace(&mut claims, &world.behaviour.userinfo);
    Json(claims).into_response()
}
