//! `POST /revoke`: an application gives back what a sign-in gave (RFC 7009).

use axum::body::Bytes;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, StatusCode};
use rollcall_domain::GrantId;
use rollcall_identity::provider::{Client, RefreshToken, TokenError, TokenQuery};
use rollcall_service::web::ClientAddress;

use super::client;
use super::refused::Refused;
use crate::app::{App, Derived};
use rollcall_identity::provider::GrantRow;

/// Revokes the grant behind a token, and so every token of it, access tokens included. Unknown and dead tokens are answered like
/// those that were revoked just now (RFC 7009 §2.2).
pub async fn revoke(
    State(app): State<App>,
    ClientAddress(address): ClientAddress,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refused> {
    let derived = app.derived().await?;
    let query = TokenQuery::parse(&body, client::authorization(&headers)?)?;
    let client = client::proved(&app, &derived, address, &query.client).await?;
    if let Some(grant) = behind(&app, &derived, &client, query.token.expose()).await? {
        app.store().revoke_family(grant).await?;
        tracing::info!(%grant, client = %client.id, "an application has revoked a grant");
    }
    Ok(StatusCode::OK.into_response())
}

/// The grant behind a token of this client's. Somebody else's token is refused, as RFC 7009 §2.1 asks.
async fn behind(
    app: &App,
    derived: &Derived,
    client: &Client,
    token: &str,
) -> Result<Option<GrantId>, Refused> {
    let (grant, owner) = if let Some(token) = RefreshToken::parse(token) {
        let row = app.store().family::<GrantRow>(token.family()).await?;
        // A token that was made up must not end anything: the family's key tells.
        match row.filter(|row| row.family.is_ours(&token)) {
            Some(row) => (row.family.grant.id, row.family.grant.client),
            None => return Ok(None),
        }
    } else if let Ok(token) = derived.issuer.member_token(token, app.now()) {
        (token.grant, token.client)
    } else {
        return Ok(None);
    };
    if owner == client.id {
        Ok(Some(grant))
    } else {
        tracing::warn!(check = "revoke.client", client = %client.id, "a client wants to revoke another one's token");
        Err(TokenError::InvalidGrant.into())
    }
}
