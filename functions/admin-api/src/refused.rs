//! Refused sign-ins: who wanted in and what they lack, so that an admin can invite them.

use axum::extract::State;
use rollcall_admin::page::{List, Page};
use rollcall_admin::{Failure, InWorkspace, schema};
use rollcall_domain::Timestamp;
use rollcall_domain::identity::Provider;
use rollcall_service::rfc3339;
use rollcall_service::web::{Json, Query};
use rollcall_store::{Position, RefusedSignIn};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::App;
use crate::workspaces::Paging;

/// The latest refused sign-in of somebody.
#[derive(Serialize, ToSchema)]
#[schema(as = RefusedSignIn)]
pub(crate) struct RefusedView {
    /// Where they signed in.
    #[schema(value_type = schema::Provider)]
    provider: Provider,
    /// Their immutable id there, as `pinned.subject` of an invite takes it.
    subject: String,
    /// When.
    #[serde(with = "rfc3339::serde")]
    #[schema(value_type = schema::Time)]
    at: Timestamp,
    /// What they call themselves, the reason, and what is missing.
    #[schema(value_type = Value)]
    detail: Value,
}

impl From<&RefusedSignIn> for RefusedView {
    fn from(refused: &RefusedSignIn) -> Self {
        Self {
            provider: refused.identity.provider,
            subject: refused.identity.subject.clone(),
            at: refused.at,
            detail: refused.detail.clone(),
        }
    }
}

/// Lists the latest refused sign-in of each person within the last 30 days.
#[utoipa::path(
    get, path = "/v1/workspaces/{workspace}/refused-sign-ins", tag = "members", operation_id = "list_refused_sign_ins",
    params(("workspace" = schema::WorkspaceId, Path, description = "The workspace."), Paging),
    responses((status = 200, description = "A page of the refused sign-ins.", body = Page<RefusedView>)),
)]
pub(crate) async fn list(
    State(app): State<App>,
    asked: InWorkspace,
    Query(paging): Query<Paging>,
) -> Result<Json<Page<RefusedView>>, Failure> {
    let keys = app.admin.keys().await?;
    let list = List::new(&keys.cursors, format!("{}/refused", asked.workspace));
    let after: Option<Position> = list.start(paging.cursor.as_deref())?;
    app.admin.workspace(asked.workspace).await?;
    let limit = paging.limit.unwrap_or_default().get();
    let page = app.admin.store().refused_sign_ins(asked.workspace, after.as_ref(), limit).await?;
    Ok(Json(list.page(page.items.iter().map(RefusedView::from).collect(), page.next.as_ref())?))
}
