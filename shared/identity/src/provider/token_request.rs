//! Requests to the token endpoint (RFC 6749 §3.2), and those that prove themselves alike: introspection and revocation.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rollcall_domain::{ClientId, Secret};
use serde::Serialize;
use thiserror::Error;
use zeroize::Zeroizing;

use super::client::Client;
use super::code::AuthorizationCode;
use super::refresh::RefreshToken;
use crate::FailedCheck;
use crate::parameters::{Parameters, RefusedParameters, decode};
use crate::pkce::Verifier;

/// Why a request is refused, as the client is told (RFC 6749 §5.2).
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TokenError {
    /// A parameter is missing, repeated or wrong.
    #[error("{0}")]
    InvalidRequest(&'static str),
    /// The body cannot be read without ambiguity.
    #[error("{0}")]
    Parameters(#[from] RefusedParameters),
    /// The client did not prove who it is.
    #[error("the client is not known, or its secret is wrong")]
    InvalidClient {
        /// Whether it tried by HTTP Basic, and has to be answered in kind.
        basic: bool,
    },
    /// The code or the refresh token is not valid, for whichever reason.
    #[error("the code or refresh token is not valid; start over with a new sign-in")]
    InvalidGrant,
    /// The client may not use this grant.
    #[error("this client may not use this grant")]
    UnauthorizedClient,
    /// Another grant type than those that the metadata lists.
    #[error("this grant type is not supported")]
    UnsupportedGrantType,
    /// More is asked for than was granted.
    #[error("the scope is more than was granted")]
    InvalidScope,
    /// Something needed is down; the same request can succeed in a moment.
    #[error("the service cannot answer at the moment; try again")]
    TemporarilyUnavailable,
}

/// The JSON body of a refusal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TokenErrorBody {
    error: &'static str,
    error_description: String,
}

impl TokenError {
    /// The `error` member.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::InvalidRequest(_) | Self::Parameters(_) => "invalid_request",
            Self::InvalidClient { .. } => "invalid_client",
            Self::InvalidGrant => "invalid_grant",
            Self::UnauthorizedClient => "unauthorized_client",
            Self::UnsupportedGrantType => "unsupported_grant_type",
            Self::InvalidScope => "invalid_scope",
            Self::TemporarilyUnavailable => "temporarily_unavailable",
        }
    }

    /// The HTTP status.
    pub const fn status(&self) -> u16 {
        match self {
            Self::InvalidClient { .. } => 401,
            Self::TemporarilyUnavailable => 503,
            _ => 400,
        }
    }

    /// The `WWW-Authenticate` header, where one is due (RFC 6749 §5.2).
    pub const fn challenge(&self) -> Option<&'static str> {
        match self {
            Self::InvalidClient { basic: true } => Some("Basic realm=\"Rollcall\", charset=\"UTF-8\""),
            _ => None,
        }
    }

    /// The JSON body.
    pub fn body(&self) -> TokenErrorBody {
        TokenErrorBody { error: self.code(), error_description: self.to_string() }
    }
}

impl FailedCheck for TokenError {
    fn check(&self) -> &'static str {
        match self {
            Self::InvalidRequest(_) => "token_request.parameter",
            Self::Parameters(refused) => refused.check(),
            Self::InvalidClient { .. } => "token_request.client",
            Self::InvalidGrant => "token_request.grant",
            Self::UnauthorizedClient => "token_request.not_allowed",
            Self::UnsupportedGrantType => "token_request.grant_type",
            Self::InvalidScope => "token_request.scope",
            Self::TemporarilyUnavailable => "token_request.unavailable",
        }
    }
}

/// Who a client says it is.
pub struct ClientCredentials {
    /// Its id.
    pub id: ClientId,
    secret: Option<Secret>,
    basic: bool,
}

/// What is asked for.
pub enum GrantRequest {
    /// To redeem a code.
    Code {
        /// The code; `None` if the text cannot be one of ours.
        code: Option<AuthorizationCode>,
        /// The redirect URI that it was asked for with.
        redirect_uri: String,
        /// The PKCE verifier.
        verifier: Verifier,
    },
    /// To use a refresh token.
    Refresh {
        /// The token; `None` if the text cannot be one of ours.
        token: Option<RefreshToken>,
        /// The scopes asked for; `None`: those that were granted.
        scope: Option<String>,
    },
    /// To let the client itself in (machines).
    ClientCredentials {
        /// The scope asked for.
        scope: Option<String>,
    },
}

/// A request to the token endpoint. It holds secrets and has no `Debug`.
pub struct TokenRequest {
    /// Who asks.
    pub client: ClientCredentials,
    /// What for.
    pub grant: GrantRequest,
}

impl TokenRequest {
    /// Reads the body and the `Authorization` header.
    pub fn parse(body: &[u8], authorization: Option<&str>) -> Result<Self, TokenError> {
        let parameters = Parameters::from_form(body)?;
        let required = |name, message| parameters.text(name).ok_or(TokenError::InvalidRequest(message));
        let grant = match required("grant_type", "grant_type is missing")? {
            "authorization_code" => GrantRequest::Code {
                code: AuthorizationCode::parse(required("code", "code is missing")?),
                redirect_uri: required("redirect_uri", "redirect_uri is missing")?.to_owned(),
                verifier: Verifier::parse(required(
                    "code_verifier",
                    "code_verifier is missing; PKCE is required",
                )?)
                .ok_or(TokenError::InvalidRequest(
                    "code_verifier has to be 43 to 128 unreserved characters",
                ))?,
            },
            "refresh_token" => GrantRequest::Refresh {
                token: RefreshToken::parse(required("refresh_token", "refresh_token is missing")?),
                scope: parameters.text("scope").map(str::to_owned),
            },
            "client_credentials" => {
                GrantRequest::ClientCredentials { scope: parameters.text("scope").map(str::to_owned) }
            }
            _ => return Err(TokenError::UnsupportedGrantType),
        };
        Ok(Self { client: credentials(&parameters, authorization)?, grant })
    }
}

/// A request about one token: introspection (RFC 7662) or revocation (RFC 7009). The `token_type_hint` is not needed: our tokens tell
/// by their form what they are.
pub struct TokenQuery {
    /// Who asks.
    pub client: ClientCredentials,
    /// About which token.
    pub token: Secret,
}

impl TokenQuery {
    /// Reads the body and the `Authorization` header.
    pub fn parse(body: &[u8], authorization: Option<&str>) -> Result<Self, TokenError> {
        let parameters = Parameters::from_form(body)?;
        let token = parameters.secret("token").ok_or(TokenError::InvalidRequest("token is missing"))?.clone();
        Ok(Self { client: credentials(&parameters, authorization)?, token })
    }
}

/// Checks that a client is who it says it is. `client` is what was found under the id.
///
/// A public client has nothing to show here: what it may do, PKCE and the tokens' own binding decide.
pub fn authenticate<'a>(
    credentials: &ClientCredentials,
    client: Option<&'a Client>,
) -> Result<&'a Client, TokenError> {
    let refused = TokenError::InvalidClient { basic: credentials.basic };
    let client = client.filter(|client| client.id == credentials.id).ok_or(refused.clone())?;
    let proved = match &credentials.secret {
        Some(secret) => client.has_secret(secret),
        None => client.is_public(),
    };
    if proved { Ok(client) } else { Err(refused) }
}

/// Exactly one way of authentication (RFC 6749 §2.3).
fn credentials(
    parameters: &Parameters,
    authorization: Option<&str>,
) -> Result<ClientCredentials, TokenError> {
    let in_body = parameters.text("client_id");
    if parameters.text("client_assertion").is_some() || parameters.text("client_assertion_type").is_some() {
        return Err(TokenError::InvalidRequest("client assertions are not supported"));
    }
    let Some(header) = authorization else {
        let id = in_body
            .ok_or(TokenError::InvalidRequest("client_id is missing"))?
            .parse()
            .map_err(|_| TokenError::InvalidClient { basic: false })?;
        return Ok(ClientCredentials {
            id,
            secret: parameters.secret("client_secret").cloned(),
            basic: false,
        });
    };
    let refused = TokenError::InvalidClient { basic: true };
    if parameters.text("client_secret").is_some() {
        return Err(TokenError::InvalidRequest("the client secret is given in two ways; use one"));
    }
    let (id, secret) = basic(header).ok_or(refused.clone())?;
    if in_body.is_some_and(|other| other != id) {
        return Err(TokenError::InvalidRequest("two different client ids are given"));
    }
    let id = id.parse().map_err(|_| refused)?;
    Ok(ClientCredentials { id, secret: Some(secret), basic: true })
}

fn basic(header: &str) -> Option<(String, Secret)> {
    let (scheme, encoded) = header.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") || encoded.len() > 1024 {
        return None;
    }
    let pair = Zeroizing::new(STANDARD.decode(encoded.trim()).ok()?);
    let at = pair.iter().position(|byte| *byte == b':')?;
    let (id, secret) = pair.split_at_checked(at)?;
    Some((decode(id).ok()?, Secret::new(decode(secret.get(1..)?).ok()?)))
}

#[cfg(test)]
mod tests {
    use super::super::client::tests::client;
    use super::*;
    use proptest::prelude::*;

    fn id() -> String {
        client(None).id.to_string()
    }

    fn header(id: &str, secret: &str) -> String {
        format!("Basic {}", STANDARD.encode(format!("{id}:{secret}")))
    }

    fn body(changes: &[(&str, &str)]) -> String {
        let code = AuthorizationCode::new([1; 32]);
        let verifier = Verifier::new([2; 32]);
        let mut pairs = vec![
            ("grant_type", "authorization_code"),
            ("code", code.secret().expose()),
            ("redirect_uri", "https://app.example/callback"),
            ("code_verifier", verifier.secret().expose()),
        ];
        pairs.retain(|(name, _)| changes.iter().all(|(changed, _)| changed != name));
        pairs.extend(changes.iter().filter(|(_, value)| !value.is_empty()));
        url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
    }

    fn refusal(body: &str, authorization: Option<&str>) -> Option<TokenError> {
        TokenRequest::parse(body.as_bytes(), authorization).err()
    }

    #[test]
    fn a_client_proves_itself_by_header_or_body_and_not_by_both() {
        let confidential = client(Some("s3:cret"));
        let header = header(&id(), "s3%3Acret");
        let request = TokenRequest::parse(body(&[]).as_bytes(), Some(&header)).ok().unwrap();
        assert!(authenticate(&request.client, Some(&confidential)).is_ok());
        let posted = body(&[("client_id", &id()), ("client_secret", "s3:cret")]);
        let request = TokenRequest::parse(posted.as_bytes(), None).ok().unwrap();
        assert!(authenticate(&request.client, Some(&confidential)).is_ok());
        assert!(matches!(refusal(&posted, Some(&header)), Some(TokenError::InvalidRequest(_))));
        let other_id = body(&[("client_id", "cli_other")]);
        assert!(matches!(refusal(&other_id, Some(&header)), Some(TokenError::InvalidRequest(_))));
    }

    #[test]
    fn who_has_a_secret_has_to_show_it_and_who_has_none_cannot() {
        let credentials = |secret: &str| {
            TokenRequest::parse(body(&[("client_id", &id()), ("client_secret", secret)]).as_bytes(), None)
                .ok()
                .unwrap()
                .client
        };
        let refused = TokenError::InvalidClient { basic: false };
        let confidential = client(Some("right"));
        assert!(authenticate(&credentials("right"), Some(&confidential)).is_ok());
        assert_eq!(authenticate(&credentials("wrong"), Some(&confidential)), Err(refused.clone()));
        assert_eq!(authenticate(&credentials(""), Some(&confidential)), Err(refused.clone()));
        assert!(authenticate(&credentials(""), Some(&client(None))).is_ok());
        assert_eq!(authenticate(&credentials("any"), Some(&client(None))), Err(refused.clone()));
        assert_eq!(authenticate(&credentials("right"), None), Err(refused));
    }

    #[test]
    fn a_refusal_by_header_is_answered_with_a_challenge() {
        for bad in ["Basic", "Basic !", "Bearer x", "Basic eA==", &header("nobody", "x")] {
            let refused = refusal(&body(&[]), Some(bad)).unwrap();
            assert_eq!(refused, TokenError::InvalidClient { basic: true }, "{bad}");
            assert_eq!(refused.status(), 401);
            assert!(refused.challenge().unwrap().starts_with("Basic "));
        }
        assert_eq!(TokenError::InvalidGrant.challenge(), None);
        assert_eq!(serde_json::to_value(TokenError::InvalidGrant.body()).unwrap()["error"], "invalid_grant");
    }

    #[test]
    fn missing_and_repeated_parameters_are_named() {
        let id = id();
        for name in ["grant_type", "code", "redirect_uri", "code_verifier"] {
            let body = body(&[("client_id", &id), (name, "")]);
            let refused = refusal(&body, None).unwrap();
            assert!(refused.to_string().contains(name), "{name}: {refused}");
            assert_eq!(refused.code(), "invalid_request");
        }
        let repeated = format!("{}&code=x", body(&[("client_id", &id)]));
        assert_eq!(refusal(&repeated, None).unwrap().code(), "invalid_request");
        let other = body(&[("client_id", &id), ("grant_type", "password")]);
        assert_eq!(refusal(&other, None), Some(TokenError::UnsupportedGrantType));
    }

    #[test]
    fn a_code_that_cannot_be_ours_is_read_as_no_code() {
        let body = body(&[("client_id", &id()), ("code", "x")]);
        let request = TokenRequest::parse(body.as_bytes(), None).ok().unwrap();
        assert!(matches!(request.grant, GrantRequest::Code { code: None, .. }));
    }

    proptest! {
        #[test]
        fn any_body_and_header_is_read_or_refused(body in prop::collection::vec(any::<u8>(), 0..200), header in "(Basic )?[A-Za-z0-9+/=]{0,60}") {
            let _ = TokenRequest::parse(&body, Some(&header));
            let _ = TokenQuery::parse(&body, None);
        }
    }
}
