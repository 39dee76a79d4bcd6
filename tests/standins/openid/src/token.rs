//! The token endpoint (RFC 6749 §4.1.3, RFC 7636 §4.6).

use std::collections::BTreeSet;
use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use crate::behaviour::replace;
use crate::flavour::Flavour;
use crate::id_token;
use crate::keys::{base64url, random};
use crate::provider::{AccessToken, Provider};
use crate::routes::{header_text, pairs};

/// A code is good for one minute.
const CODE_LIFETIME: i64 = 60;
/// An access token is good for an hour, as the providers say it: one second less.
const ACCESS_TOKEN_LIFETIME: i64 = 3_599;

/// An error of RFC 6749 §5.2.
struct OAuthError(&'static str, &'static str);

pub(crate) async fn token(
    State(provider): State<Arc<Provider>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let answered = redeem(&provider, &headers, &pairs(&body));
    let (status, document) = match answered {
        Ok(document) => (StatusCode::OK, document),
        Err(OAuthError(error, description)) => {
            let status =
                if error == "invalid_client" { StatusCode::UNAUTHORIZED } else { StatusCode::BAD_REQUEST };
            (status, json!({"error": error, "error_description": description}))
        }
    };
    let mut response =
        (status, [(header::CACHE_CONTROL, "no-store"), (header::PRAGMA, "no-cache")], Json(document))
            .into_response();
    if status == StatusCode::UNAUTHORIZED {
        response.headers_mut().insert(header::WWW_AUTHENTICATE, "Basic".parse().expect("a header value"));
    }
    response
}

fn redeem(
    provider: &Provider,
    headers: &HeaderMap,
    form: &[(String, String)],
) -> Result<serde_json::Value, OAuthError> {
    let mut names = BTreeSet::new();
    if !form.iter().all(|(name, _)| names.insert(name)) {
        return Err(OAuthError("invalid_request", "A parameter is given twice, or the body is not a form."));
    }
    let value = |name: &str| form.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
    let client_id = authenticate(provider, headers, &value)?;
    if value("grant_type") != Some("authorization_code") {
        return Err(OAuthError("unsupported_grant_type", "Only authorization_code is offered."));
    }
    let code = value("code").ok_or(OAuthError("invalid_request", "code is missing."))?;

    let mut world = provider.world();
    let now = world.now();
    let invalid = |why| OAuthError("invalid_grant", why);
    let grant = world.codes.get_mut(code).ok_or(invalid("The code is unknown."))?;
    if grant.client_id != client_id {
        return Err(invalid("The code was issued to another client."));
    }
    let first_use = !std::mem::replace(&mut grant.used, true);
    let grant = grant.clone();
    if !first_use {
        world.access_tokens.retain(|_, token| token.code != code);
        return Err(invalid("The code has been used already."));
    }
    if now - grant.issued_at > CODE_LIFETIME {
        return Err(invalid("The code has expired."));
    }
    if value("redirect_uri") != Some(grant.redirect_uri.as_str()) {
        return Err(invalid("The redirect_uri is not the one of the login."));
    }
    // RFC 7636 §4.1 and §4.6.
    let challenge = value("code_verifier")
        .filter(|verifier| (43..=128).contains(&verifier.len()))
        .map(|verifier| base64url(digest(&SHA256, verifier.as_bytes()).as_ref()));
    if challenge.as_ref() != Some(&grant.challenge) {
        return Err(invalid("The code_verifier does not fit the code_challenge."));
    }

    let access_token = random(32);
    let mut document = json!({
        "access_token": access_token,
        "token_type": "Bearer",
        "expires_in": ACCESS_TOKEN_LIFETIME,
        "scope": grant.scope,
    });
    let members = document.as_object_mut().expect("an object");
    if let Flavour::Microsoft { .. } = provider.flavour {
        members.insert("ext_expires_in".into(), ACCESS_TOKEN_LIFETIME.into());
    }
    if let Some(id_token) = id_token::issue(provider, &mut world, &grant, &access_token) {
        members.insert("id_token".into(), id_token.into());
    }
    replace(members, &world.behaviour.token_answer);
    let token = AccessToken {
        code: code.to_owned(),
        person: grant.person,
        scope: grant.scope,
        expires_at: now + ACCESS_TOKEN_LIFETIME,
    };
    world.access_tokens.insert(access_token, token);
    Ok(document)
}

/// `client_secret_basic` or `client_secret_post` (RFC 6749 §2.3.1), and not both.
fn authenticate<'a>(
    provider: &Provider,
    headers: &HeaderMap,
    value: &impl Fn(&str) -> Option<&'a str>,
) -> Result<String, OAuthError> {
    let refused = OAuthError("invalid_client", "The client is unknown, or its secret is wrong.");
    let in_form = value("client_id").zip(value("client_secret"));
    let (id, secret) = match (header_text(headers, header::AUTHORIZATION.as_str()), in_form) {
        (Some(_), Some(_)) => {
            return Err(OAuthError("invalid_request", "The client shows its secret in two ways."));
        }
        (None, Some((id, secret))) => (id.to_owned(), secret.to_owned()),
        (None, None) => return Err(refused),
        (Some(header), None) => {
            let Some(pair) = basic(header) else { return Err(refused) };
            if value("client_id").is_some_and(|in_form| in_form != pair.0) {
                return Err(OAuthError("invalid_request", "The client names itself in two ways."));
            }
            pair
        }
    };
    let known = provider
        .world()
        .clients
        .iter()
        .any(|client| client.id == id && client.secret == secret && !secret.is_empty());
    if known { Ok(id) } else { Err(refused) }
}

/// Id and secret of an `Authorization: Basic` field, each form-encoded before they are joined.
fn basic(header: &str) -> Option<(String, String)> {
    let encoded = header.strip_prefix("Basic ")?;
    let joined = String::from_utf8(STANDARD.decode(encoded).ok()?).ok()?;
    let (id, secret) = joined.split_once(':')?;
    let decode =
        |text: &str| pairs(format!("x={text}").as_bytes()).into_iter().next().map(|(_, value)| value);
    Some((decode(id)?, decode(secret)?))
}
