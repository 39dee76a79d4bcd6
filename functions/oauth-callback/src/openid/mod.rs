//! What applications use: Rollcall as an ordinary OpenID provider.
//!
//! | an application or a browser comes to | and is served by |
//! |---|---|
//! | `GET /.well-known/openid-configuration`, `GET /.well-known/jwks.json` | [`metadata`] |
//! | `GET /authorize` | [`authorize`] |
//! | `POST /token` | [`token`] |
//! | `GET`, `POST /userinfo` | [`userinfo`] |
//! | `POST /introspect` | [`introspect`] |
//! | `POST /revoke` | [`revoke`] |
//! | `GET`, `POST /logout` | [`logout`] |
//!
//! What the messages mean is decided in `rollcall_identity::provider`. Here they are read, the table is asked, and the outcome is
//! written. A signed token is never believed alone: [`standing`] reads the member, the grant and the session again, strongly
//! consistent, whenever something is decided by one.
//!
//! No answer carries a CORS header: applications that run in the browser only have a server part that calls these endpoints.

pub mod authorize;
mod client;
pub mod introspect;
mod limits;
pub mod logout;
pub mod metadata;
pub mod refused;
pub mod revoke;
pub mod standing;
pub mod token;
pub mod userinfo;

use axum::Router;
use axum::routing::{get, post};

use crate::app::App;

/// The routes.
pub fn routes() -> Router<App> {
    Router::new()
        .route("/.well-known/openid-configuration", get(metadata::discovery))
        .route("/.well-known/jwks.json", get(metadata::key_set))
        .route("/authorize", get(authorize::authorize))
        .route("/token", post(token::token))
        .route("/userinfo", get(userinfo::userinfo).post(userinfo::userinfo))
        .route("/introspect", post(introspect::introspect))
        .route("/revoke", post(revoke::revoke))
        .route("/logout", get(logout::asked).post(logout::posted))
}
