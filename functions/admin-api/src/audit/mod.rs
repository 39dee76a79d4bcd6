//! The audit trail, page by page as JSON or as NDJSON.

pub(crate) mod view;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::HeaderMap;
use http::header::{ACCEPT, CONTENT_TYPE, HeaderName, HeaderValue};
use rollcall_admin::page::{Limit, List, Page};
use rollcall_admin::{Caller, Failure, InWorkspace, schema};
use rollcall_domain::WorkspaceId;
use rollcall_domain::audit::AuditEntry;
use rollcall_service::web::{Json, Problem, Query};
use rollcall_store::Position;
use serde::Deserialize;
use utoipa::IntoParams;

use crate::App;
use view::AuditView;

/// The media type of one JSON object a line.
const NDJSON: &str = "application/x-ndjson";
/// Where the export goes on. Missing: this was the end.
const NEXT: HeaderName = HeaderName::from_static("rollcall-next");

#[derive(Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Order {
    #[default]
    Newest,
    Oldest,
}

/// Where in the trail.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct AuditQuery {
    /// How many entries at most.
    #[param(value_type = Option<u16>, minimum = 1, maximum = 100)]
    limit: Option<Limit>,
    /// Where to go on: `next` of the page before, or the header `Rollcall-Next` of an export.
    #[param(value_type = Option<schema::Cursor>, inline)]
    cursor: Option<String>,
    /// Which entries come first: `newest` (default) or `oldest`.
    #[param(value_type = Option<String>, pattern = "^(newest|oldest)$")]
    order: Option<Order>,
}

/// Reads a workspace's audit trail. `Accept: application/x-ndjson` gives one entry a line, and the cursor in the header
/// `Rollcall-Next`.
#[utoipa::path(
    get, path = "/v1/workspaces/{workspace}/audit", tag = "audit", operation_id = "list_audit",
    params(("workspace" = schema::WorkspaceId, Path, description = "The workspace."), AuditQuery),
    responses((status = 200, description = "A page of the trail.", content(
        (Page<AuditView> = "application/json"),
        (String = "application/x-ndjson"),
    ), headers(("Rollcall-Next" = String, description = "With NDJSON: where the export goes on. Missing: this was the end.")))),
)]
pub(crate) async fn of_workspace(
    State(app): State<App>,
    asked: InWorkspace,
    headers: HeaderMap,
    Query(query): Query<AuditQuery>,
) -> Result<Response, Failure> {
    app.admin.workspace(asked.workspace).await?;
    page(&app, Some(asked.workspace), &headers, &query).await
}

/// Reads the trail of what concerns the whole deployment: tokens and clients.
#[utoipa::path(
    get, path = "/v1/audit", tag = "audit", operation_id = "list_deployment_audit", params(AuditQuery),
    responses((status = 200, description = "A page of the trail.", content(
        (Page<AuditView> = "application/json"),
        (String = "application/x-ndjson"),
    ), headers(("Rollcall-Next" = String, description = "With NDJSON: where the export goes on. Missing: this was the end.")))),
)]
pub(crate) async fn of_deployment(
    State(app): State<App>,
    _: Caller,
    headers: HeaderMap,
    Query(query): Query<AuditQuery>,
) -> Result<Response, Failure> {
    page(&app, None, &headers, &query).await
}

async fn page(
    app: &App,
    workspace: Option<WorkspaceId>,
    headers: &HeaderMap,
    query: &AuditQuery,
) -> Result<Response, Failure> {
    let keys = app.admin.keys().await?;
    let order = query.order.unwrap_or_default();
    let of = workspace.map_or_else(|| "deployment".to_owned(), |workspace| workspace.to_string());
    let name = if order == Order::Oldest { "oldest" } else { "newest" };
    let list = List::new(&keys.cursors, format!("{of}/audit/{name}"));
    let after: Option<Position> = list.start(query.cursor.as_deref())?;
    let limit = query.limit.unwrap_or_default().get();
    let page = app.admin.store().audit_page(workspace, after.as_ref(), limit, order == Order::Oldest).await?;
    // What has expired is gone, even where the table has not deleted it yet.
    let now = app.admin.now();
    let is_kept = |entry: &&AuditEntry| {
        app.admin.config().audit_kept.is_none_or(|kept| !entry.at.plus(kept).has_passed(now))
    };
    let items: Vec<AuditView> = page.items.iter().filter(is_kept).map(AuditView::from).collect();
    let page = list.page(items, page.next.as_ref())?;
    if wants_lines(headers) { lines(&page) } else { Ok(Json(page).into_response()) }
}

fn wants_lines(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    accepted
        .flat_map(|value| value.split(','))
        .any(|range| range.split(';').next().is_some_and(|name| name.trim().eq_ignore_ascii_case(NDJSON)))
}

fn lines(page: &Page<AuditView>) -> Result<Response, Failure> {
    let mut text = String::new();
    for entry in &page.items {
        text.push_str(&serde_json::to_string(entry).map_err(|_| Problem::internal())?);
        text.push('\n');
    }
    let mut response = ([(CONTENT_TYPE, NDJSON)], text).into_response();
    if let Some(next) = page.next.as_deref().and_then(|next| HeaderValue::from_str(next).ok()) {
        response.headers_mut().insert(NEXT, next);
    }
    Ok(response)
}
