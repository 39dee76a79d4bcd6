//! Admin tokens: made once, shown once, kept as a hash.

use axum::extract::State;
use http::StatusCode;
use rollcall_admin::page::{List, Page};
use rollcall_admin::text::Name;
use rollcall_admin::{Act, Caller, Failure, TOKEN_PREFIX, schema};
use rollcall_domain::authority::{Access, Reach};
use rollcall_domain::{Timestamp, TokenHash, TokenId};
use rollcall_service::rfc3339;
use rollcall_service::web::{FieldError, Json, Path, Problem, Query};
use rollcall_store::{AdminToken, Position, Record};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use crate::App;
use crate::audit::view::ActorView;
use crate::clients::input::ReachView;
use crate::workspaces::Paging;

/// A token to make.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewToken {
    /// What it is called.
    #[schema(value_type = schema::Name)]
    name: Name,
    /// How far it reaches.
    reach: ReachView,
    /// What it may do there.
    #[schema(value_type = schema::Access)]
    access: Access,
    /// Until when it holds. Left out: until it is revoked.
    #[serde(default, with = "rfc3339::serde::option")]
    #[schema(value_type = Option<schema::Time>)]
    expires_at: Option<Timestamp>,
}

/// An admin token, without the token.
#[derive(Serialize, ToSchema)]
#[schema(as = Token)]
pub(crate) struct TokenView {
    /// Its id.
    #[schema(value_type = schema::TokenId)]
    id: TokenId,
    /// What it is called.
    name: String,
    /// How far it reaches.
    reach: ReachView,
    /// What it may do there.
    #[schema(value_type = schema::Access)]
    access: Access,
    /// Who made it.
    made_by: ActorView,
    /// When.
    #[serde(with = "rfc3339::serde")]
    #[schema(value_type = schema::Time)]
    created_at: Timestamp,
    /// Until when it holds.
    #[serde(with = "rfc3339::serde::option")]
    #[schema(value_type = Option<schema::Time>, required)]
    expires_at: Option<Timestamp>,
    /// When it was last used, to the hour.
    #[serde(with = "rfc3339::serde::option")]
    #[schema(value_type = Option<schema::Time>, required)]
    used_at: Option<Timestamp>,
}

impl From<&AdminToken> for TokenView {
    fn from(token: &AdminToken) -> Self {
        Self {
            id: token.id,
            name: token.name.clone(),
            reach: token.reach.into(),
            access: token.access,
            made_by: ActorView::from(&token.made_by),
            created_at: token.created_at,
            expires_at: token.expires_at,
            used_at: token.used_at,
        }
    }
}

/// A token that was just made.
#[derive(Serialize, ToSchema)]
pub(crate) struct MadeToken {
    /// About it.
    #[serde(flatten)]
    about: TokenView,
    /// The token itself, shown this once.
    token: String,
}

/// Lists the admin tokens.
#[utoipa::path(
    get, path = "/v1/tokens", tag = "tokens", operation_id = "list_tokens", params(Paging),
    responses((status = 200, description = "A page of the tokens.", body = Page<TokenView>)),
)]
pub(crate) async fn list(
    State(app): State<App>,
    _: Caller,
    Query(paging): Query<Paging>,
) -> Result<Json<Page<TokenView>>, Failure> {
    let keys = app.admin.keys().await?;
    let list = List::new(&keys.cursors, "tokens");
    let after: Option<Position> = list.start(paging.cursor.as_deref())?;
    let page = app.admin.store().admin_tokens(after.as_ref(), paging.limit.unwrap_or_default().get()).await?;
    Ok(Json(list.page(page.items.iter().map(TokenView::from).collect(), page.next.as_ref())?))
}

/// Makes an admin token. It is shown in this answer and never again.
#[utoipa::path(
    post, path = "/v1/tokens", tag = "tokens", operation_id = "create_token", request_body = NewToken,
    responses((status = 201, description = "The token.", body = MadeToken)),
)]
pub(crate) async fn create(
    State(app): State<App>,
    caller: Caller,
    Json(new): Json<NewToken>,
) -> Result<impl axum::response::IntoResponse, Failure> {
    let now = app.admin.now();
    if new.expires_at.is_some_and(|end| end.has_passed(now)) {
        return Err(Problem::invalid(vec![FieldError::at("/expires_at", "is in the past")]).into());
    }
    let reach = Reach::from(new.reach);
    check_reach(&app, reach, "/reach/workspace").await?;
    let secret = app.admin.random().token_256(TOKEN_PREFIX);
    let token = AdminToken {
        id: app.admin.new_id(now),
        name: new.name.into(),
        hash: TokenHash::of(&secret),
        reach,
        access: new.access,
        made_by: caller.principal().actor(),
        created_at: now,
        expires_at: new.expires_at,
        used_at: None,
    };
    let act = Act {
        workspace: None,
        action: "token.created",
        target: Some(token.id.to_string()),
        why: "An admin token was made.".to_owned(),
        detail: json!({
            "name": token.name,
            "reach": token.reach,
            "access": token.access,
            "expires_at": token.expires_at.map(rfc3339::format),
        }),
    };
    let record = Record { audit: vec![app.admin.audit(&caller, now, act)], events: Vec::new() };
    app.admin.store().create_admin_token(&token, record).await?;
    let made = MadeToken { about: TokenView::from(&token), token: secret.expose().to_owned() };
    Ok((StatusCode::CREATED, Json(made)))
}

/// Whether there is something at the end of the reach.
pub(crate) async fn check_reach(app: &App, reach: Reach, place: &str) -> Result<(), Failure> {
    if let Reach::Workspace(workspace) = reach
        && app.admin.store().workspace(workspace).await?.is_none()
    {
        return Err(Problem::invalid(vec![FieldError::at(place, "there is no such workspace")]).into());
    }
    Ok(())
}

/// The places in a path.
#[derive(Deserialize)]
pub(crate) struct Place {
    token: TokenId,
}

/// Revokes an admin token. It is refused from then on.
#[utoipa::path(
    delete, path = "/v1/tokens/{token}", tag = "tokens", operation_id = "revoke_token",
    params(("token" = schema::TokenId, Path, description = "The token's id.")),
    responses((status = 204, description = "The token is revoked.")),
)]
pub(crate) async fn revoke(
    State(app): State<App>,
    caller: Caller,
    Path(Place { token }): Path<Place>,
) -> Result<StatusCode, Failure> {
    let now = app.admin.now();
    let token = app.admin.store().admin_token_by_id(token).await?.ok_or_else(Problem::not_found)?;
    let act = Act {
        workspace: None,
        action: "token.revoked",
        target: Some(token.id.to_string()),
        why: "An admin token was revoked.".to_owned(),
        detail: json!({ "name": token.name }),
    };
    let record = Record { audit: vec![app.admin.audit(&caller, now, act)], events: Vec::new() };
    match app.admin.store().revoke_admin_token(&token, record).await {
        Ok(()) => Ok(StatusCode::NO_CONTENT),
        Err(error) if error.is_conflict() => Err(Problem::not_found().into()),
        Err(error) => Err(error.into()),
    }
}
