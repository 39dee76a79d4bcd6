//! Browser sign-in and the OpenID provider: start, provider callbacks, accepting an invite, and the endpoints applications use.
//!
//! | a browser comes to | and is served by |
//! |---|---|
//! | `GET /login`, `GET /login/{provider}` | [`login`] |
//! | `POST /login/link` | [`link`] |
//! | `POST /login/unlink` | [`unlink`] |
//! | `GET /callback/{provider}` | [`callback`], which hands over to [`sign_in`], [`invite`] or [`link`] |
//! | `GET /invite`, `POST /invite/accept` | [`invite`] |
//! | everything applications use | `openid` |
//!
//! A sign-in with Bitbucket has two legs: [`redeem`] turns the code into the person's token, and [`evidence`] asks everything else
//! at once. [`enter`] writes member, session, audit entry and event in one transaction.

pub mod app;
pub mod audit;
pub mod callback;
mod cookies;
pub mod enter;
pub mod evidence;
pub mod failure;
pub mod invite;
pub mod link;
pub mod login;
pub mod openid;
pub mod pages;
pub mod redeem;
pub mod session;
pub mod sign_in;
mod signed_in;
pub mod unlink;
mod workspace_set;

use axum::Router;
use axum::routing::{get, post};

pub use app::{App, Parts};

/// The routes. Fallbacks, headers and error pages are added once, by [`rollcall_service::web::Web::finish`].
pub fn router(app: App) -> Router {
    Router::new()
        .route("/login", get(login::page))
        .route("/login/{provider}", get(login::start))
        .route("/login/link", post(link::start))
        .route("/login/unlink", post(unlink::unlink))
        .route("/callback/{provider}", get(callback::callback))
        .route("/invite", get(invite::page))
        .route("/invite/accept", post(invite::accept))
        .merge(openid::routes())
        .with_state(app)
}
