//! What Rollcall signs in to Bitbucket with.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::HeaderValue;
use rollcall_domain::{Secret, TokenHash};

/// A credential for the API. Tokens may have any length: new ones are JWTs of more than 2,500 characters.
#[derive(Clone)]
pub enum Credential {
    /// A workspace access token (Bitbucket Premium). No person is behind it.
    WorkspaceAccessToken(Secret),
    /// A private OAuth consumer, which gets its tokens by `client_credentials` (RFC 6749 §4.4).
    OAuthConsumer {
        /// The consumer's key.
        key: String,
        /// The consumer's secret.
        secret: Secret,
    },
    /// A person's API token with scopes.
    ApiToken {
        /// The e-mail address of the Atlassian account.
        email: String,
        /// The token.
        token: Secret,
    },
    /// The token of a person who is signing in. Used for that sign-in and dropped.
    PersonToken(Secret),
}

/// Tells credentials apart without giving anything away: what budgets and tokens are kept under.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CredentialId(TokenHash);

impl core::fmt::Display for CredentialId {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.0.fmt(f)
    }
}

impl Credential {
    /// The id of this credential: a hash of all of it.
    ///
    /// Calls with OAuth tokens count against their consumer, whoever signed in; for sign-ins use
    /// [`OAuthClient::id`](crate::OAuthClient::id) instead.
    pub fn id(&self) -> CredentialId {
        match self {
            Self::WorkspaceAccessToken(token) => id("access_token", "", token),
            Self::OAuthConsumer { key, .. } => consumer_id(key),
            Self::ApiToken { email, token } => id("api_token", email, token),
            Self::PersonToken(token) => id("person", "", token),
        }
    }

    /// The header of a credential that needs no renewal; `None` for the others. Values that no header can carry give `Err`.
    pub(crate) fn header(&self) -> Option<Result<HeaderValue, UnusableText>> {
        match self {
            Self::WorkspaceAccessToken(token) | Self::PersonToken(token) => Some(bearer(token)),
            Self::ApiToken { email, token } => Some(basic(email, token)),
            Self::OAuthConsumer { .. } => None,
        }
    }
}

/// The id of an OAuth consumer: Bitbucket counts the calls of all its tokens together.
pub(crate) fn consumer_id(key: &str) -> CredentialId {
    id("consumer", key, &Secret::new(""))
}

fn id(kind: &str, name: &str, secret: &Secret) -> CredentialId {
    CredentialId(TokenHash::of(&Secret::new(format!("{kind}\n{name}\n{}", secret.expose()))))
}

/// A credential that cannot be sent: it contains control characters.
#[derive(Debug, Clone, Copy)]
pub(crate) struct UnusableText;

/// `Authorization: Bearer` (RFC 6750 §2.1).
pub(crate) fn bearer(token: &Secret) -> Result<HeaderValue, UnusableText> {
    sensitive(&format!("Bearer {}", token.expose()))
}

/// `Authorization: Basic` (RFC 7617 §2).
pub(crate) fn basic(user: &str, password: &Secret) -> Result<HeaderValue, UnusableText> {
    sensitive(&format!("Basic {}", STANDARD.encode(format!("{user}:{}", password.expose()))))
}

fn sensitive(text: &str) -> Result<HeaderValue, UnusableText> {
    let mut value = HeaderValue::from_str(text).map_err(|_| UnusableText)?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_of_any_length_fit_into_the_header_and_are_not_printed_with_it() {
        let token = Secret::new("t".repeat(16_000));
        let header = bearer(&token).unwrap_or_else(|_| panic!("no header"));
        assert_eq!(header.len(), 16_007);
        assert_eq!(format!("{header:?}"), "Sensitive");
        assert!(bearer(&Secret::new("a\r\nX-Evil: 1")).is_err());
    }

    #[test]
    fn credentials_differ_by_everything_but_a_consumer_only_by_its_key() {
        let consumer = |key: &str, secret: &str| {
            Credential::OAuthConsumer { key: key.to_owned(), secret: Secret::new(secret) }.id()
        };
        assert_eq!(consumer("k", "old"), consumer("k", "new"));
        assert_ne!(consumer("k", "s"), consumer("l", "s"));
        let access = Credential::WorkspaceAccessToken(Secret::new("t")).id();
        assert_ne!(access, Credential::PersonToken(Secret::new("t")).id());
        assert_ne!(access, Credential::WorkspaceAccessToken(Secret::new("u")).id());
    }
}
