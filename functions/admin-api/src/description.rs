//! The API's description: OpenAPI 3.1, made from the code.
//!
//! What makes it is as large as half of the function, and always makes the same: it is made when the code changes, into
//! `openapi.json`, and a test holds the file against the code.

use axum::Router;
use axum::routing::get;
use http::header::CONTENT_TYPE;
use utoipa::openapi::schema::{AdditionalProperties, Schema};
use utoipa::openapi::{InfoBuilder, OpenApi, OpenApiBuilder, RefOr, Server};

use crate::{
    App, audit, clients, connection, events, members, refused, repositories, sync_runs, teams, tokens,
    webhook, with_handlers, workspaces,
};

/// The path of the description itself, which anybody may read.
pub(crate) const PATH: &str = "/v1/openapi.json";

/// Describes the routes of this function and those of the function for invites.
pub fn description() -> OpenApi {
    let ours = with_handlers!(rollcall_admin::described);
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
    if let Some(components) = &mut all.components {
        components.schemas.entry("Credential".to_owned()).and_modify(close);
    }
    rollcall_admin::description::finish(all, &[])
}

/// Says of each of several kinds of object that it has no further members, which is not said of variants otherwise.
fn close(kinds: &mut RefOr<Schema>) {
    if let RefOr::T(Schema::OneOf(kinds)) = kinds {
        for kind in &mut kinds.items {
            if let RefOr::T(Schema::Object(kind)) = kind {
                kind.additional_properties = Some(Box::new(AdditionalProperties::FreeForm(false)));
            }
        }
    }
}

/// The one route that is open to everybody.
pub(crate) fn router() -> Router<App> {
    Router::new().route(PATH, get(answer))
}

/// The description as it is answered.
const TEXT: &str = include_str!("../openapi.json");

async fn answer() -> impl axum::response::IntoResponse {
    ([(CONTENT_TYPE, "application/json")], TEXT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_answered_is_what_the_code_describes() {
        let answered: serde_json::Value = serde_json::from_str(TEXT).unwrap();
        let described = serde_json::to_value(description()).unwrap();
        assert!(answered == described, "cargo run -p rollcall-admin-api --example openapi");
    }
}
