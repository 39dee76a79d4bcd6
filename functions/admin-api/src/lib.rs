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
mod members;
pub mod queue;
mod refused;
mod repositories;
mod sync_runs;
mod teams;
mod tokens;
mod workspaces;

use axum::Router;
use axum::middleware::from_fn_with_state;
use rollcall_admin::gate::gate;
use rollcall_admin::idempotency::idempotent;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub use app::App;
pub use description::description;

/// The routes, each with its description.
fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(workspaces::list, workspaces::create))
        .routes(routes!(workspaces::read, workspaces::change))
        .routes(routes!(connection::read, connection::put, connection::delete))
        .routes(routes!(connection::preview::preview))
        .routes(routes!(members::list))
        .routes(routes!(members::read, members::change::change))
        .routes(routes!(members::explain))
        .routes(routes!(teams::list))
        .routes(routes!(teams::read))
        .routes(routes!(repositories::list))
        .routes(routes!(sync_runs::list, sync_runs::create))
        .routes(routes!(sync_runs::read))
        .routes(routes!(sync_runs::approve))
        .routes(routes!(sync_runs::undo))
        .routes(routes!(refused::list))
        .routes(routes!(audit::of_workspace))
        .routes(routes!(audit::of_deployment))
        .routes(routes!(events::list))
        .routes(routes!(tokens::list, tokens::create))
        .routes(routes!(tokens::revoke))
        .routes(routes!(clients::list, clients::create))
        .routes(routes!(clients::read, clients::delete))
}

/// The routes of this function, bare: without fallbacks, so that they can be merged with those of others.
pub fn router(app: App) -> Router {
    let (router, _) = routes().split_for_parts();
    router
        .route_layer(from_fn_with_state(app.admin.clone(), idempotent))
        .route_layer(from_fn_with_state(app.admin.clone(), gate))
        .merge(description::router())
        .with_state(app)
}
