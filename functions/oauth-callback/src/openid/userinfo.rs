//! `GET`, `POST /userinfo`: who a member is at this moment (OpenID Connect Core 1.0 §5.3).

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use rollcall_identity::FailedCheck as _;
use rollcall_identity::provider::UserInfo;
use rollcall_service::web::{Bearer, unauthorized};

use super::limits;
use super::standing::{self, Fallen};
use crate::app::App;
use crate::failure::Failure;

/// Answers with the member's claims. A token that does not stand any more is refused like one that never did.
pub async fn userinfo(State(app): State<App>, Bearer(token): Bearer) -> Result<Response, Failure> {
    let derived = app.derived().await?;
    let now = app.now();
    let token = match derived.issuer.member_token(token.expose(), now) {
        Ok(token) => token,
        Err(refused) => return Ok(denied(refused.check())),
    };
    limits::grant(&app, &derived, token.grant).await?;
    let standing = match standing::of_token(&app, &token, now).await {
        Ok(standing) => standing,
        Err(Fallen::Store(error)) => return Err(error.into()),
        Err(fallen) => return Ok(denied(fallen.check())),
    };
    let about = standing::about(&app, &standing.member).await?;
    Ok(Json(UserInfo::new(&token, standing.row.family.grant.provider, &about)).into_response())
}

fn denied(check: &'static str) -> Response {
    tracing::warn!(check, "an access token was refused");
    unauthorized().into_response()
}
