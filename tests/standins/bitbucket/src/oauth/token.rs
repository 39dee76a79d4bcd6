//! The token endpoint: `/site/oauth2/access_token`.

use axum::http::{HeaderMap, header};
use serde_json::json;
use uuid::Uuid;

use super::{Sessions, value};
use crate::auth::{authorization, basic};
use crate::reply::Reply;
use crate::world::{Consumer, World};

/// Who a consumer says it is: in the header, or in the body.
pub(crate) fn client(headers: &HeaderMap, form: &[(String, String)]) -> Option<(String, String)> {
    match authorization(headers) {
        Some((scheme, encoded)) if scheme == "basic" => basic(&encoded),
        Some(_) => None,
        None => {
            let key = value(form, "client_id")?;
            Some((key.to_owned(), value(form, "client_secret").unwrap_or_default().to_owned()))
        }
    }
}

/// Gives tokens for a code, a refresh token, or a consumer's own word.
pub(crate) fn token(
    world: &World,
    sessions: &mut Sessions,
    headers: &HeaderMap,
    body: &[u8],
    now_ms: i64,
) -> Reply {
    let media_type =
        headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    // Anything but a form is read as an empty one.
    let is_form = media_type.starts_with("application/x-www-form-urlencoded");
    let form = if is_form { super::pairs(body) } else { Vec::new() };
    let Some(grant) = value(&form, "grant_type") else {
        return refuse("unsupported_grant_type", "Unsupported grant type: None");
    };
    let Some((key, secret)) = client(headers, &form) else {
        return refuse(
            "unauthorized_client",
            "Requests must be authenticated using OAuth client credentials",
        );
    };
    let Some(consumer) = world.consumers.get(&key).filter(|consumer| consumer.secret == secret) else {
        return wrong_client();
    };
    let user = match grant {
        "authorization_code" => code(sessions, consumer, &form, now_ms),
        "refresh_token" => refresh(world, sessions, consumer, &form, now_ms),
        "client_credentials" if consumer.private => Ok(consumer.app_user),
        "client_credentials" => Err(refuse(
            "invalid_grant",
            "Cannot use client_credentials with a consumer marked as \"public\". Calls for auto generated consumers should \
             use urn:bitbucket:oauth2:jwt instead.",
        )),
        other => Err(refuse("unsupported_grant_type", &format!("Unsupported grant type: {other}"))),
    };
    let user = match user {
        Ok(user) => user,
        Err(refusal) => return refusal,
    };
    if !world.account(user).is_some_and(|account| account.active) {
        return refuse("invalid_grant", "The account is not in use.");
    }
    let issued = sessions.issue(world, &key, user, now_ms);
    let names = issued.scopes.into_iter().collect::<Vec<_>>().join(" ");
    let scope = if world.behaviour.old_scopes_key { "scopes" } else { "scope" };
    let mut answer = json!({
        "access_token": issued.access,
        scope: names,
        "token_type": "bearer",
        "expires_in": world.behaviour.token_lifetime,
        "state": grant,
    });
    if let Some(refresh) = issued.refresh {
        answer["refresh_token"] = refresh.into();
    }
    Reply::json(200, answer)
}

fn code(
    sessions: &mut Sessions,
    consumer: &Consumer,
    form: &[(String, String)],
    now_ms: i64,
) -> Result<Uuid, Reply> {
    let invalid = || refuse("invalid_grant", "The specified code is not valid.");
    let code = value(form, "code").ok_or_else(invalid)?;
    let code = sessions.take_code(code, now_ms).ok_or_else(invalid)?;
    // RFC 6749 §4.1.3: given there, it must be given here, and be the same.
    let same_place =
        code.redirect_uri.is_none() || code.redirect_uri.as_deref() == value(form, "redirect_uri");
    if code.consumer == consumer.key && same_place { Ok(code.user) } else { Err(invalid()) }
}

fn refresh(
    world: &World,
    sessions: &mut Sessions,
    consumer: &Consumer,
    form: &[(String, String)],
    now_ms: i64,
) -> Result<Uuid, Reply> {
    let token = value(form, "refresh_token").unwrap_or_default();
    sessions.rotate(world, token, &consumer.key, now_ms).ok_or_else(wrong_client)
}

/// The same for a wrong secret and for a refresh token that has been rotated away.
fn wrong_client() -> Reply {
    refuse("unauthorized_client", "Invalid OAuth client credentials")
}

fn refuse(error: &str, description: &str) -> Reply {
    Reply::json(400, json!({"error_description": description, "error": error}))
}
