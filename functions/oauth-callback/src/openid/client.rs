//! Requests in which an application proves who it is: to the token endpoint, introspection and revocation.

use core::net::IpAddr;

use http::HeaderMap;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use rollcall_identity::provider::{Client, ClientCredentials, TokenError, authenticate};

use super::limits;
use super::refused::Refused;
use crate::app::{App, Derived};

/// The `Authorization` header of a request whose body is a form.
pub(super) fn authorization(headers: &HeaderMap) -> Result<Option<&str>, TokenError> {
    if !declares_form(headers) {
        return Err(TokenError::InvalidRequest("the body has to be application/x-www-form-urlencoded"));
    }
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let value = values.next();
    if values.next().is_some() {
        return Err(TokenError::InvalidRequest("the Authorization header is sent twice"));
    }
    let text = value.map(|value| value.to_str().map_err(|_| TokenError::InvalidClient { basic: true }));
    text.transpose()
}

/// Whether the body is declared, once, as a form.
pub(super) fn declares_form(headers: &HeaderMap) -> bool {
    let mut types = headers.get_all(CONTENT_TYPE).iter();
    let form = types.next().and_then(|value| value.to_str().ok()).is_some_and(|value| {
        let name = value.split(';').next().unwrap_or_default().trim();
        name.eq_ignore_ascii_case("application/x-www-form-urlencoded")
    });
    form && types.next().is_none()
}

/// Finds the client, checks that it is who it says it is, and counts the request.
pub(super) async fn proved(
    app: &App,
    derived: &Derived,
    address: Option<IpAddr>,
    credentials: &ClientCredentials,
) -> Result<Client, Refused> {
    let client = app.store().openid_client::<Client>(credentials.id).await?;
    let outcome = authenticate(credentials, client.as_ref()).cloned();
    match &outcome {
        Ok(client) if !client.is_public() => limits::client(app, derived, client.id).await?,
        // A public client proves nothing by its id, and whoever failed has proved nothing either.
        Ok(_) | Err(_) => limits::address(app, derived, address).await?,
    }
    Ok(outcome?)
}
