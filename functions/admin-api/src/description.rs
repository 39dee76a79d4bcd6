//! The API's description: OpenAPI 3.1, made from the code.

use std::sync::OnceLock;

use axum::Router;
use axum::routing::get;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use utoipa::openapi::{InfoBuilder, OpenApi, OpenApiBuilder, Server};

use crate::App;

/// The path of the description itself, which anybody may read.
pub(crate) const PATH: &str = "/v1/openapi.json";

/// Describes the routes of this function and those of the function for invites.
pub fn description() -> OpenApi {
    let (_, ours) = crate::routes().split_for_parts();
    let info = InfoBuilder::new()
        .title("Rollcall admin API")
        .version(rollcall_service::VERSION)
        .description(Some(
            "Workspaces, their connections to Bitbucket, members, teams, repositories, invites, sync runs, the audit trail and events.\n\n\
             Lists come in pages: `next` of one page is `cursor` of the next. Whatever goes wrong is told by problem details (RFC 9457). \
             A POST with an `Idempotency-Key` can be repeated safely. What is not yours to see is answered as if it were not there.",
        ))
        .license(None)
        .build();
    let mut all = OpenApiBuilder::new().info(info).servers(Some([Server::new("/")])).build();
    all.merge(ours);
    all.merge(rollcall_invites::description());
    rollcall_admin::description::finish(all, &[])
}

/// The one route that is open to everybody.
pub(crate) fn router() -> Router<App> {
    Router::new().route(PATH, get(answer))
}

async fn answer() -> impl axum::response::IntoResponse {
    static TEXT: OnceLock<Bytes> = OnceLock::new();
    let text = TEXT.get_or_init(|| Bytes::from(description().to_json().unwrap_or_default()));
    ([(CONTENT_TYPE, "application/json")], text.clone())
}
