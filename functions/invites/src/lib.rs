//! Invites: issuing, listing, re-sending and revoking them. Accepting one is a sign-in, and lives with the other sign-ins.

mod feedback;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod input;
mod issue;
mod limits;
mod link;
pub mod mail;
pub mod mailer;
mod one;
mod view;

use std::sync::Arc;

use axum::Router;
use axum::extract::FromRef;
use axum::middleware::from_fn_with_state;
use rollcall_admin::Admin;
use rollcall_admin::gate::gate;
use rollcall_admin::idempotency::idempotent;
use utoipa::openapi::OpenApi;

pub use feedback::{Feedback, note_feedback};
use mailer::Mailer;

/// Everything that the routes work with. Clones share it.
#[derive(Clone)]
pub struct App {
    /// Table, keys, clock, configuration.
    pub admin: Admin,
    /// What sends mail. Without it, links are returned to whoever issues an invite.
    pub mailer: Option<Arc<dyn Mailer>>,
}

impl FromRef<App> for Admin {
    fn from_ref(app: &App) -> Self {
        app.admin.clone()
    }
}

/// Every handler of this function: the one list that both the router and the description are made of.
macro_rules! with_handlers {
    ($($made_by:tt)*) => { $($made_by)*!(issue::list, issue::create, one::read, one::revoke, one::resend) };
}

/// The routes of this function, bare: without fallbacks, so that they can be merged with those of others.
pub fn router(app: App) -> Router {
    with_handlers!(rollcall_admin::router)
        .route_layer(from_fn_with_state(app.admin.clone(), idempotent))
        .route_layer(from_fn_with_state(app.admin.clone(), gate))
        .with_state(app)
}

/// The description of the routes, for the one document that describes them all.
pub fn description() -> OpenApi {
    with_handlers!(rollcall_admin::described)
}
