//! A provider's metadata (OpenID Connect Discovery 1.0).

use reqwest::Client;
use serde::Deserialize;
use thiserror::Error;
use url::Url;

use super::fetch::{self, FetchFailed};
use super::issuer::IssuerRule;
use super::settings::{OpenIdSettings, is_loopback, is_trustworthy};
use crate::FailedCheck;

/// Why a provider's metadata cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum DiscoveryFailed {
    /// It cannot be read.
    #[error("the provider's metadata cannot be read: {0}")]
    Fetch(FetchFailed),
    /// It is not the JSON document that it should be.
    #[error("the provider's metadata is not the document that OpenID Connect Discovery describes")]
    Form,
    /// It names another issuer than the configured one (OpenID Connect Discovery 1.0 §4.3).
    #[error(
        "the provider's metadata names another issuer than the configured one; check the configured issuer to the letter"
    )]
    Issuer,
    /// An endpoint is not where secrets may be sent.
    #[error("the provider's metadata names an endpoint that is not https")]
    Endpoint,
    /// Neither way of showing our secret that is known here is accepted there.
    #[error("the provider accepts neither client_secret_post nor client_secret_basic")]
    ClientAuthentication,
}

impl FailedCheck for DiscoveryFailed {
    fn check(&self) -> &'static str {
        match self {
            Self::Fetch(_) => "discovery.fetch",
            Self::Form => "discovery.form",
            Self::Issuer => "discovery.issuer",
            Self::Endpoint => "discovery.endpoint",
            Self::ClientAuthentication => "discovery.client_authentication",
        }
    }
}

/// How our secret is shown to the token endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ClientAuthentication {
    Post,
    Basic,
}

/// What is used of a provider's metadata.
#[derive(Debug, Clone)]
pub(crate) struct Metadata {
    pub(crate) authorization_endpoint: Url,
    pub(crate) token_endpoint: Url,
    pub(crate) jwks_uri: Url,
    pub(crate) client_authentication: ClientAuthentication,
    /// Whether answers to the browser always carry `iss` (RFC 9207 §3).
    pub(crate) answers_name_issuer: bool,
}

#[derive(Deserialize)]
struct RawMetadata {
    issuer: String,
    authorization_endpoint: Url,
    token_endpoint: Url,
    jwks_uri: Url,
    #[serde(default)]
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
}

pub(crate) async fn fetch(
    http: &Client,
    settings: &OpenIdSettings,
    rule: &IssuerRule,
) -> Result<Metadata, DiscoveryFailed> {
    let place = format!("{}/.well-known/openid-configuration", settings.issuer.trim_end_matches('/'));
    let place = Url::parse(&place).map_err(|_| DiscoveryFailed::Issuer)?;
    let body = fetch::document(http, &place, settings.deadline).await.map_err(DiscoveryFailed::Fetch)?;
    read(&body, rule, is_loopback(&place))
}

/// `local`: the metadata came from the machine itself, so that its endpoints may be there too.
pub(crate) fn read(body: &[u8], rule: &IssuerRule, local: bool) -> Result<Metadata, DiscoveryFailed> {
    let raw: RawMetadata = serde_json::from_slice(body).map_err(|_| DiscoveryFailed::Form)?;
    if raw.issuer != rule.in_metadata() {
        return Err(DiscoveryFailed::Issuer);
    }
    // The authorization endpoint may have a query of its own (RFC 6749 §3.1); nothing secret is sent there by us.
    let mut authorization = raw.authorization_endpoint.clone();
    authorization.set_query(None);
    for endpoint in [&authorization, &raw.token_endpoint, &raw.jwks_uri] {
        if !is_trustworthy(endpoint) || (is_loopback(endpoint) && !local) {
            return Err(DiscoveryFailed::Endpoint);
        }
    }
    let accepts = |method: &str| match &raw.token_endpoint_auth_methods_supported {
        Some(methods) => methods.iter().any(|known| known == method),
        None => method == "client_secret_basic",
    };
    let client_authentication = if accepts("client_secret_post") {
        ClientAuthentication::Post
    } else if accepts("client_secret_basic") {
        ClientAuthentication::Basic
    } else {
        return Err(DiscoveryFailed::ClientAuthentication);
    };
    Ok(Metadata {
        authorization_endpoint: raw.authorization_endpoint,
        token_endpoint: raw.token_endpoint,
        jwks_uri: raw.jwks_uri,
        client_authentication,
        answers_name_issuer: raw.authorization_response_iss_parameter_supported,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn document() -> Value {
        json!({
            "issuer": "https://op.example",
            "authorization_endpoint": "https://op.example/authorize",
            "token_endpoint": "https://tokens.example/token",
            "jwks_uri": "https://keys.example/jwks",
        })
    }

    fn read_it(document: &Value) -> Result<Metadata, DiscoveryFailed> {
        read(document.to_string().as_bytes(), &IssuerRule::for_configured("https://op.example"), false)
    }

    #[test]
    fn the_issuer_is_compared_to_the_letter() {
        assert!(read_it(&document()).is_ok());
        for issuer in ["https://op.example/", "http://op.example", "https://OP.example", ""] {
            let mut other = document();
            other["issuer"] = issuer.into();
            assert_eq!(read_it(&other).err(), Some(DiscoveryFailed::Issuer), "{issuer}");
        }
    }

    #[test]
    fn endpoints_are_https_and_not_on_this_machine() {
        for endpoint in ["authorization_endpoint", "token_endpoint", "jwks_uri"] {
            for place in [
                "http://op.example/x",
                "https://127.0.0.1/x",
                "http://localhost/x",
                "https://u:p@op.example/x",
            ] {
                let mut other = document();
                other[endpoint] = place.into();
                assert_eq!(read_it(&other).err(), Some(DiscoveryFailed::Endpoint), "{endpoint} {place}");
            }
            let mut other = document();
            other[endpoint] = 5.into();
            assert_eq!(read_it(&other).err(), Some(DiscoveryFailed::Form));
        }
    }

    #[test]
    fn the_way_to_show_our_secret_is_one_that_the_provider_knows() {
        assert_eq!(read_it(&document()).unwrap().client_authentication, ClientAuthentication::Basic);
        for (methods, expected) in [
            (json!(["client_secret_basic", "client_secret_post"]), Ok(ClientAuthentication::Post)),
            (json!(["private_key_jwt", "client_secret_basic"]), Ok(ClientAuthentication::Basic)),
            (json!(["private_key_jwt"]), Err(DiscoveryFailed::ClientAuthentication)),
        ] {
            let mut other = document();
            other["token_endpoint_auth_methods_supported"] = methods;
            assert_eq!(read_it(&other).map(|metadata| metadata.client_authentication), expected);
        }
    }
}
