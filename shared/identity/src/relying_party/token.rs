//! Redeeming a code at an OpenID provider's token endpoint.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::{Client, Request, StatusCode};
use rollcall_domain::Secret;
use serde::Deserialize;
use thiserror::Error;
use url::form_urlencoded::{Serializer, byte_serialize};
use zeroize::Zeroizing;

use super::discovery::{ClientAuthentication, Metadata};
use super::fetch::{self, FetchFailed};
use super::settings::OpenIdSettings;
use crate::FailedCheck;
use crate::pkce::Verifier;

/// Why a code was not redeemed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ExchangeFailed {
    /// The token endpoint gave no usable answer.
    #[error("the token endpoint gave no usable answer: {0}")]
    Fetch(FetchFailed),
    /// The provider does not accept our id and secret (`invalid_client`). The secret may have been rotated: read it again once.
    #[error(
        "the provider does not accept the client id and secret; check them in the secret, and whether the provider's has expired"
    )]
    Client,
    /// The code is unknown, used, expired, or not for this login (`invalid_grant`).
    #[error("the provider does not accept the code")]
    Code,
    /// Any other refusal.
    #[error(
        "the provider refuses the token request; check the registration of the client there, its callback above all"
    )]
    Refused,
    /// The answer is not what a token endpoint answers.
    #[error("the token endpoint's answer has no ID token in the form that OpenID Connect describes")]
    Form,
}

impl FailedCheck for ExchangeFailed {
    fn check(&self) -> &'static str {
        match self {
            Self::Fetch(failed) => failed.check(),
            Self::Client => "token.client",
            Self::Code => "token.code",
            Self::Refused => "token.refused",
            Self::Form => "token.form",
        }
    }
}

#[derive(Deserialize)]
struct Answer {
    id_token: Secret,
    token_type: String,
    #[serde(default)]
    access_token: Option<Secret>,
}

/// What a code was redeemed for.
pub(crate) struct Tokens {
    pub(crate) id_token: Secret,
    /// Only to see that the ID token belongs to it. Nothing is asked with it, and it is dropped.
    pub(crate) access_token: Option<Secret>,
}

#[derive(Deserialize)]
struct Refusal {
    error: String,
}

/// Redeems a code.
pub(crate) async fn exchange(
    http: &Client,
    metadata: &Metadata,
    settings: &OpenIdSettings,
    code: &Secret,
    verifier: &Verifier,
) -> Result<Tokens, ExchangeFailed> {
    let request = request(http, metadata, settings, code, verifier)?;
    let (status, body) =
        fetch::send(http, request, settings.deadline).await.map_err(ExchangeFailed::Fetch)?;
    read(status, &body)
}

fn request(
    http: &Client,
    metadata: &Metadata,
    settings: &OpenIdSettings,
    code: &Secret,
    verifier: &Verifier,
) -> Result<Request, ExchangeFailed> {
    let mut form = Serializer::new(String::new());
    form.append_pair("grant_type", "authorization_code")
        .append_pair("code", code.expose())
        .append_pair("redirect_uri", settings.callback.as_str())
        .append_pair("code_verifier", verifier.secret().expose());
    let mut request = http
        .post(metadata.token_endpoint.clone())
        .header(ACCEPT, "application/json")
        .header(CONTENT_TYPE, "application/x-www-form-urlencoded");
    match metadata.client_authentication {
        ClientAuthentication::Post => {
            form.append_pair("client_id", &settings.client_id)
                .append_pair("client_secret", settings.client_secret.expose());
        }
        ClientAuthentication::Basic => {
            request = request.header(AUTHORIZATION, basic(&settings.client_id, &settings.client_secret)?);
        }
    }
    request.body(form.finish()).build().map_err(|_| ExchangeFailed::Form)
}

/// RFC 6749 §2.3.1: both halves are form-encoded before they are joined.
fn basic(id: &str, secret: &Secret) -> Result<HeaderValue, ExchangeFailed> {
    let encode = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
    let pair = Zeroizing::new(format!("{}:{}", encode(id), encode(secret.expose())));
    let text = Zeroizing::new(format!("Basic {}", STANDARD.encode(pair.as_bytes())));
    let mut value = HeaderValue::from_str(&text).map_err(|_| ExchangeFailed::Client)?;
    value.set_sensitive(true);
    Ok(value)
}

/// Reads what a token endpoint answered.
pub(crate) fn read(status: StatusCode, body: &[u8]) -> Result<Tokens, ExchangeFailed> {
    if status == StatusCode::OK {
        let answer: Answer = serde_json::from_slice(body).map_err(|_| ExchangeFailed::Form)?;
        let bearer = answer.token_type.eq_ignore_ascii_case("bearer");
        if !bearer || answer.id_token.is_empty() {
            return Err(ExchangeFailed::Form);
        }
        return Ok(Tokens { id_token: answer.id_token, access_token: answer.access_token });
    }
    if !status.is_client_error() || status == StatusCode::TOO_MANY_REQUESTS {
        return Err(ExchangeFailed::Fetch(FetchFailed::Status(status.as_u16())));
    }
    match serde_json::from_slice::<Refusal>(body) {
        Ok(refusal) if refusal.error == "invalid_client" => Err(ExchangeFailed::Client),
        Ok(refusal) if refusal.error == "invalid_grant" => Err(ExchangeFailed::Code),
        _ => Err(ExchangeFailed::Refused),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error_of(status: u16, body: &str) -> Option<ExchangeFailed> {
        read(StatusCode::from_u16(status).unwrap(), body.as_bytes()).err()
    }

    #[test]
    fn answers_are_read_by_status_and_form() {
        for (status, body, expected) in [
            (200, r#"{"id_token":"a.b.c","token_type":"Bearer"}"#, None),
            (200, r#"{"id_token":"a.b.c","token_type":"DPoP"}"#, Some(ExchangeFailed::Form)),
            (200, r#"{"id_token":5,"token_type":"Bearer"}"#, Some(ExchangeFailed::Form)),
            (200, r#"{"id_token":"","token_type":"Bearer"}"#, Some(ExchangeFailed::Form)),
            (200, r#"{"access_token":"x","token_type":"Bearer"}"#, Some(ExchangeFailed::Form)),
            (200, r#"{"id_token":"a","id_token":"b","token_type":"Bearer"}"#, Some(ExchangeFailed::Form)),
            (200, "", Some(ExchangeFailed::Form)),
            (400, r#"{"error":"invalid_grant"}"#, Some(ExchangeFailed::Code)),
            (401, r#"{"error":"invalid_client"}"#, Some(ExchangeFailed::Client)),
            (400, r#"{"error":"invalid_request"}"#, Some(ExchangeFailed::Refused)),
            (403, "no", Some(ExchangeFailed::Refused)),
            (429, "{}", Some(ExchangeFailed::Fetch(FetchFailed::Status(429)))),
            (503, r#"{"error":"invalid_grant"}"#, Some(ExchangeFailed::Fetch(FetchFailed::Status(503)))),
            (
                204,
                r#"{"id_token":"a.b.c","token_type":"Bearer"}"#,
                Some(ExchangeFailed::Fetch(FetchFailed::Status(204))),
            ),
        ] {
            assert_eq!(error_of(status, body), expected, "{status} {body}");
        }
    }

    #[test]
    fn special_characters_of_id_and_secret_survive_basic_authentication() {
        let value = basic("id:1", &Secret::new("s e:c%ret")).unwrap();
        assert_eq!(value.as_bytes(), b"Basic aWQlM0ExOnMrZSUzQWMlMjVyZXQ=");
        assert!(value.is_sensitive());
    }
}
