//! What the provider says about itself: discovery and the public keys. Both are public and change seldom.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::header::{CACHE_CONTROL, HeaderValue};
use rollcall_identity::provider::ProviderMetadata;

use crate::app::App;
use crate::failure::Failure;

/// A key is published for longer than this before it signs, and for longer than this after.
const FIVE_MINUTES: HeaderValue = HeaderValue::from_static("public, max-age=300");

/// `GET /.well-known/openid-configuration` (OpenID Connect Discovery 1.0 §4).
pub async fn discovery(State(app): State<App>) -> Response {
    ([(CACHE_CONTROL, FIVE_MINUTES)], Json(ProviderMetadata::new(app.public_url()))).into_response()
}

/// `GET /.well-known/jwks.json` (RFC 7517 §5).
pub async fn key_set(State(app): State<App>) -> Result<Response, Failure> {
    let derived = app.derived().await?;
    Ok(([(CACHE_CONTROL, FIVE_MINUTES)], Json(derived.issuer.key_set())).into_response())
}
