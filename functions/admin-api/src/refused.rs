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
use serde_json::{Value, json};
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
    /// Their Microsoft tenant, as `pinned.tenant` of an invite takes it.
    #[schema(required)]
    tenant: Option<String>,
    /// When.
    #[serde(with = "rfc3339::serde")]
    #[schema(value_type = schema::Time)]
    at: Timestamp,
    /// What they call themselves, the reason, and what is missing.
    #[schema(value_type = Value)]
    detail: Value,
    /// What invites exactly this person, to be sent to `POST /v1/workspaces/{workspace}/invites` as it is. None where the provider has
    /// verified no address of theirs that the invite could be sent to.
    #[schema(value_type = Option<Value>, required)]
    invite: Option<Value>,
}

impl From<&RefusedSignIn> for RefusedView {
    fn from(refused: &RefusedSignIn) -> Self {
        let provider = refused.identity.provider;
        // Microsoft's ids are unique in a tenant only, and are kept with it.
        let (tenant, subject) = match refused.identity.subject.split_once('/') {
            Some((tenant, subject)) if provider == Provider::Microsoft => (Some(tenant), subject),
            _ => (None, refused.identity.subject.as_str()),
        };
        let pinned = match tenant {
            Some(tenant) => json!({ "provider": provider, "subject": subject, "tenant": tenant }),
            None => json!({ "provider": provider, "subject": subject }),
        };
        let invite = refused.detail.get("email").and_then(Value::as_str).map(
            |email| json!({ "invites": [{ "email": email, "providers": [provider], "pinned": pinned }] }),
        );
        Self {
            provider,
            subject: subject.to_owned(),
            tenant: tenant.map(str::to_owned),
            invite,
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
