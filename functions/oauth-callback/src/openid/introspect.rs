//! `POST /introspect`: whether a token is valid at this moment (RFC 7662).

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use futures_util::future::try_join;
use http::HeaderMap;
use rollcall_domain::Timestamp;
use rollcall_domain::authority::Access;
use rollcall_identity::FailedCheck as _;
use rollcall_identity::provider::{
    Client, Introspection, MachineToken, MemberToken, RefreshLimits, RefreshToken, TokenError, TokenQuery,
};
use rollcall_service::web::ClientAddress;
use rollcall_store::StoreError;

use super::client;
use super::refused::Refused;
use super::standing::{self, Fallen};
use crate::app::{App, Derived};
use rollcall_identity::provider::GrantRow;

/// Answers a client that has a secret, about tokens that were issued to it or are meant for it. Everything else is "not active".
pub async fn introspect(
    State(app): State<App>,
    ClientAddress(address): ClientAddress,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refused> {
    let derived = app.derived().await?;
    let query = TokenQuery::parse(&body, client::authorization(&headers)?)?;
    let client = client::proved(&app, &derived, address, &query.client).await?;
    if client.is_public() {
        // Anybody can name a public client's id: the endpoint would tell anybody which tokens are valid (RFC 7662 §4).
        return Err(TokenError::InvalidClient { basic: false }.into());
    }
    let now = app.now();
    let token = query.token.expose();
    let found = if let Ok(token) = derived.issuer.member_token(token, now) {
        of_member(&app, &client, &token, now).await?
    } else if let Ok(token) = derived.issuer.machine_token(token, now) {
        of_machine(&derived, &client, &token)
    } else if let Some(token) = RefreshToken::parse(token) {
        of_refresh(&app, &client, &token, now).await?
    } else {
        None
    };
    Ok(Json(found.unwrap_or_else(Introspection::inactive)).into_response())
}

async fn of_member(
    app: &App,
    client: &Client,
    token: &MemberToken,
    now: Timestamp,
) -> Result<Option<Introspection>, StoreError> {
    if !token.concerns(client) {
        return Ok(None);
    }
    let standing = match standing::of_token(app, token, now).await {
        Ok(standing) => standing,
        Err(fallen) => return inactive(fallen),
    };
    let about = standing::about(app, &standing.member).await?;
    Ok(Some(Introspection::of_member(token, about.role, &about.teams, app.public_url())))
}

/// The client that asks has just been read: what it was registered with has to cover what the token says.
fn of_machine(derived: &Derived, client: &Client, token: &MachineToken) -> Option<Introspection> {
    let registered = client.machine.filter(|_| token.client == client.id)?;
    let covered = registered.reach == token.machine.reach && token.machine.access <= registered.access;
    let scope = match token.machine.access {
        Access::Read => "admin:read",
        Access::Write => "admin:write",
    };
    let issuer = &derived.issuer;
    covered.then(|| Introspection::of_machine(token, scope, &issuer.admin_audience(), issuer.issuer()))
}

/// Asking does not use a token, and somebody else's question ends nothing.
async fn of_refresh(
    app: &App,
    client: &Client,
    token: &RefreshToken,
    now: Timestamp,
) -> Result<Option<Introspection>, StoreError> {
    let Some(GrantRow { family, .. }) = app.store().family::<GrantRow>(token.family()).await? else {
        return Ok(None);
    };
    let grant = &family.grant;
    let member = match try_join(standing::member(app, grant, now), standing::not_ended(app, grant)).await {
        Ok((member, ())) => member,
        Err(fallen) => return inactive(fallen),
    };
    if standing::serves(client, grant).is_err() {
        return Ok(None);
    }
    let limits = RefreshLimits::default();
    if let Err(refused) = family.check(token, client.id, member.epoch, limits, now) {
        tracing::info!(check = refused.check(), "a refresh token is not active");
        return Ok(None);
    }
    Ok(Some(Introspection::of_refresh(grant, family.rotated_at, family.ends_at(limits), app.public_url())))
}

fn inactive(fallen: Fallen) -> Result<Option<Introspection>, StoreError> {
    match fallen {
        Fallen::Store(error) => Err(error),
        fallen => {
            tracing::info!(check = fallen.check(), "a token is not active");
            Ok(None)
        }
    }
}
