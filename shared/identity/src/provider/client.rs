//! Applications and machines that are registered with Rollcall.

use rollcall_domain::authority::{Access, Reach};
use rollcall_domain::{ClientId, Secret, TokenHash, WorkspaceId};
use serde::{Deserialize, Serialize};
use thiserror::Error;
use url::{Host, Url};

use super::token_request::TokenError;
use super::tokens::machine_access_named;
use crate::encoding::{base64url, hashes_as_hex};

/// Why a text cannot be registered as a redirect URI.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum InvalidRedirectUri {
    /// Not an absolute URL.
    #[error("a redirect URI is an absolute URL")]
    Form,
    /// Neither https nor http to the machine itself.
    #[error("a redirect URI is https, or http to a loopback host for programs on the person's own machine")]
    Scheme,
    /// A fragment, a user name, a wildcard, or a form that is not the one that browsers send.
    #[error(
        "a redirect URI has no fragment, no user name and no wildcard, and is written as a browser would write it"
    )]
    NotExact,
    /// Longer than 1,000 characters.
    #[error("a redirect URI has at most 1,000 characters")]
    TooLong,
}

/// A place that codes may be sent to, compared to the letter (RFC 9700 §2.1).
///
/// One exception (RFC 8252 §7.3): where `http://127.0.0.1/…` or `http://[::1]/…` is registered by a public client, the port may be
/// any, because a program on a desktop takes the port it gets. `localhost` is compared to the letter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RedirectUri(String);

impl RedirectUri {
    /// Reads one that is to be registered.
    pub fn parse(text: &str) -> Result<Self, InvalidRedirectUri> {
        if text.len() > 1000 {
            return Err(InvalidRedirectUri::TooLong);
        }
        let url = Url::parse(text).map_err(|_| InvalidRedirectUri::Form)?;
        let local = matches!(url.host(), Some(Host::Domain("localhost"))) || loopback_address(&url);
        match url.scheme() {
            "https" if url.has_host() => {}
            "http" if local => {}
            _ => return Err(InvalidRedirectUri::Scheme),
        }
        let written =
            url.as_str() == text || (url.path() == "/" && url.as_str().strip_suffix('/') == Some(text));
        let plain = url.fragment().is_none() && url.username().is_empty() && url.password().is_none();
        if !written || !plain || text.contains('*') {
            return Err(InvalidRedirectUri::NotExact);
        }
        Ok(Self(text.to_owned()))
    }

    /// As it was registered.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a request may name this one.
    fn matches(&self, requested: &str, any_port: bool) -> bool {
        if self.0 == requested {
            return true;
        }
        let (Ok(registered), Ok(mut url)) = (Url::parse(&self.0), Url::parse(requested)) else {
            return false;
        };
        if !any_port
            || url.as_str() != requested
            || registered.scheme() != "http"
            || !loopback_address(&registered)
        {
            return false;
        }
        url.set_port(registered.port()).is_ok() && url == registered
    }
}

fn loopback_address(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        _ => false,
    }
}

impl TryFrom<String> for RedirectUri {
    type Error = InvalidRedirectUri;

    fn try_from(text: String) -> Result<Self, InvalidRedirectUri> {
        Self::parse(&text)
    }
}

impl From<RedirectUri> for String {
    fn from(uri: RedirectUri) -> Self {
        uri.0
    }
}

/// What a machine may do with the admin API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct MachineAccess {
    /// How far it reaches.
    pub reach: Reach,
    /// What it may do there.
    pub access: Access,
}

/// An application or machine, as registered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Client {
    /// Its id.
    pub id: ClientId,
    /// What people call it.
    pub name: String,
    /// The hashes of its secrets: several while one is being replaced. None: a public client, which proves itself by PKCE alone.
    #[serde(with = "hashes_as_hex", default)]
    pub secrets: Vec<TokenHash>,
    /// Where codes may be sent. None: no sign-in through this client.
    #[serde(default)]
    pub redirect_uris: Vec<RedirectUri>,
    /// Where the browser may be sent after logout.
    #[serde(default)]
    pub post_logout_redirect_uris: Vec<RedirectUri>,
    /// Where logout tokens are sent (OpenID Connect Back-Channel Logout 1.0). The same rules hold for it as for a redirect URI.
    #[serde(default)]
    pub backchannel_logout_uri: Option<RedirectUri>,
    /// The audience of its access tokens: the API they are for. `None`: the client's own id.
    #[serde(default)]
    pub audience: Option<String>,
    /// Whose members may sign in through it; `None`: those of every workspace.
    #[serde(default)]
    pub workspace: Option<WorkspaceId>,
    /// What it may do with the admin API by itself; `None`: nothing.
    #[serde(default)]
    pub machine: Option<MachineAccess>,
}

impl Client {
    /// Whether it has no secret.
    pub fn is_public(&self) -> bool {
        self.secrets.is_empty()
    }

    /// Whether a code may be sent to this URI.
    pub fn may_redirect_to(&self, uri: &str) -> bool {
        self.redirect_uris.iter().any(|registered| registered.matches(uri, self.is_public()))
    }

    /// Whether the browser may be sent to this URI after logout.
    pub fn may_return_to(&self, uri: &str) -> bool {
        self.post_logout_redirect_uris.iter().any(|registered| registered.matches(uri, false))
    }

    /// Whether this is one of its secrets. Every hash is compared, each in constant time.
    pub fn has_secret(&self, secret: &Secret) -> bool {
        let presented = TokenHash::of(secret);
        self.secrets.iter().fold(false, |found, known| found | known.matches(&presented))
    }

    /// What a request for client credentials gets: what the client was registered with, or less if it asks for less.
    pub fn machine_access(&self, scope: Option<&str>) -> Result<MachineAccess, TokenError> {
        let machine = self.machine.filter(|_| !self.is_public()).ok_or(TokenError::UnauthorizedClient)?;
        let asked = match scope {
            None => machine.access,
            Some(scope) => machine_access_named(scope).ok_or(TokenError::InvalidScope)?,
        };
        if asked <= machine.access {
            Ok(MachineAccess { access: asked, ..machine })
        } else {
            Err(TokenError::InvalidScope)
        }
    }

    /// The audience of its access tokens.
    pub fn audience(&self) -> String {
        self.audience.clone().unwrap_or_else(|| self.id.to_string())
    }
}

/// A new client secret from 32 random bytes. Shown once; only its hash is kept.
pub fn new_client_secret(random: [u8; 32]) -> Secret {
    Secret::new(format!("rck_{}", base64url(random)))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use rollcall_domain::Timestamp;

    pub(crate) const REDIRECT: &str = "https://app.example/callback";

    pub(crate) fn client(secret: Option<&str>) -> Client {
        Client {
            id: ClientId::new(Timestamp::EPOCH, [1; 10]),
            name: "The application".into(),
            secrets: secret.map(|secret| TokenHash::of(&Secret::new(secret))).into_iter().collect(),
            redirect_uris: vec![RedirectUri::parse(REDIRECT).unwrap()],
            post_logout_redirect_uris: vec![RedirectUri::parse("https://app.example/bye").unwrap()],
            backchannel_logout_uri: None,
            audience: None,
            workspace: None,
            machine: None,
        }
    }

    #[test]
    fn only_exact_uris_can_be_registered() {
        for good in [
            "https://app.example/callback",
            "https://app.example/cb?tenant=1",
            "https://app.example",
            "http://127.0.0.1/cb",
            "http://[::1]:8080/cb",
            "http://localhost:3000/cb",
        ] {
            assert!(RedirectUri::parse(good).is_ok(), "{good}");
        }
        for (bad, why) in [
            ("/callback", InvalidRedirectUri::Form),
            ("http://app.example/cb", InvalidRedirectUri::Scheme),
            ("http://127.0.0.1.evil.example/cb", InvalidRedirectUri::Scheme),
            ("javascript:alert(1)", InvalidRedirectUri::Scheme),
            ("myapp:/cb", InvalidRedirectUri::Scheme),
            ("https://app.example/cb#x", InvalidRedirectUri::NotExact),
            ("https://u@app.example/cb", InvalidRedirectUri::NotExact),
            ("https://*.app.example/cb", InvalidRedirectUri::NotExact),
            ("https://app.example/a/../cb", InvalidRedirectUri::NotExact),
            ("HTTPS://app.example/cb", InvalidRedirectUri::NotExact),
            ("https://app.example:443/cb", InvalidRedirectUri::NotExact),
        ] {
            assert_eq!(RedirectUri::parse(bad), Err(why), "{bad}");
        }
    }

    #[test]
    fn a_code_goes_to_a_registered_uri_to_the_letter() {
        let client = client(Some("s"));
        assert!(client.may_redirect_to(REDIRECT));
        for other in [
            "https://app.example/callback/",
            "https://app.example/callback?x=1",
            "https://app.example/callback#x",
            "https://app.example/Callback",
            "https://app.example:443/callback",
            "https://app.example/x/../callback",
            "https://app.example.evil.example/callback",
            "http://app.example/callback",
            "",
        ] {
            assert!(!client.may_redirect_to(other), "{other}");
        }
    }

    #[test]
    fn a_desktop_program_may_take_any_port_of_the_loopback_address() {
        let mut public = client(None);
        public.redirect_uris =
            ["http://127.0.0.1/cb", "http://localhost/cb"].map(|uri| RedirectUri::parse(uri).unwrap()).into();
        assert!(public.may_redirect_to("http://127.0.0.1:49152/cb"));
        for other in [
            "http://127.0.0.1:49152/other",
            "http://127.0.0.2:49152/cb",
            "https://127.0.0.1:49152/cb",
            "http://127.0.0.1:49152/cb?x",
            "http://u@127.0.0.1:49152/cb",
            "http://localhost:49152/cb",
            "http://127.0.0.1:49152/./cb",
        ] {
            assert!(!public.may_redirect_to(other), "{other}");
        }
        let mut confidential = client(Some("s"));
        confidential.redirect_uris = public.redirect_uris;
        assert!(!confidential.may_redirect_to("http://127.0.0.1:49152/cb"));
    }

    #[test]
    fn a_machine_may_ask_for_less_than_it_was_registered_with_and_not_for_more() {
        let machine = |access| Client {
            machine: Some(MachineAccess { reach: Reach::Deployment, access }),
            ..client(Some("s"))
        };
        let granted = |client: &Client, scope| client.machine_access(scope).map(|machine| machine.access);
        assert_eq!(granted(&machine(Access::Write), None), Ok(Access::Write));
        assert_eq!(granted(&machine(Access::Write), Some("admin:read")), Ok(Access::Read));
        assert_eq!(granted(&machine(Access::Read), Some("admin:write")), Err(TokenError::InvalidScope));
        assert_eq!(granted(&machine(Access::Read), Some("openid")), Err(TokenError::InvalidScope));
        assert_eq!(granted(&client(Some("s")), None), Err(TokenError::UnauthorizedClient));
        let public = Client { secrets: vec![], ..machine(Access::Read) };
        assert_eq!(granted(&public, None), Err(TokenError::UnauthorizedClient));
    }

    #[test]
    fn while_a_secret_is_replaced_both_are_accepted() {
        let mut client = client(Some("old"));
        client.secrets.push(TokenHash::of(&Secret::new("new")));
        assert!(client.has_secret(&Secret::new("old")) && client.has_secret(&Secret::new("new")));
        assert!(!client.has_secret(&Secret::new("")) && !client.has_secret(&Secret::new("other")));
    }
}
