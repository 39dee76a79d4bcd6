//! The admin API: workspaces, connections, members, teams, repositories, sync runs, audit, events, tokens and clients.
//!
//! Each subject has a file of its own with its routes. The [gate](rollcall_admin::gate) before all of them authenticates and
//! authorises; what all routes have in common besides is added by
//! [`Web::finish`](rollcall_service::web::Web::finish), after the routers of several functions were merged.

mod app;
mod audit;
mod clients;
mod connection;
mod description;
mod events;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod members;
pub mod queue;
mod refused;
mod repositories;
mod sync_runs;
mod teams;
mod tokens;
mod webhook;
mod workspaces;

use axum::Router;
use axum::middleware::from_fn_with_state;
use rollcall_admin::gate::gate;
use rollcall_admin::idempotency::idempotent;

pub use app::App;
pub use description::description;

/// Every handler of this function: the one list that both the router and the description are made of.
macro_rules! with_handlers {
    ($($made_by:tt)*) => {
        $($made_by)*!(
            workspaces::list, workspaces::create, workspaces::read, workspaces::change,
            connection::read, connection::put, connection::probe, connection::delete,
            connection::preview::preview,
            members::list, members::read, members::change::change, members::explain,
            teams::list, teams::read,
            repositories::list,
            sync_runs::list, sync_runs::create, sync_runs::read, sync_runs::approve, sync_runs::undo,
            refused::list,
            audit::of_workspace, audit::of_deployment,
            events::list,
            tokens::list, tokens::create, tokens::revoke,
            clients::list, clients::create, clients::read, clients::delete,
            webhook::read, webhook::put, webhook::rotate, webhook::delete,
        )
    };
}
use with_handlers;

/// The routes of this function, bare: without fallbacks, so that they can be merged with those of others.
pub fn router(app: App) -> Router {
    with_handlers!(rollcall_admin::router)
        .route_layer(from_fn_with_state(app.admin.clone(), idempotent))
        .route_layer(from_fn_with_state(app.admin.clone(), gate))
        .merge(description::router())
        .with_state(app)
}
