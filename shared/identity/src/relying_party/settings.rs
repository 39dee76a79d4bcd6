//! How Rollcall is registered with an OpenID provider.

use core::time::Duration;

use rollcall_domain::Secret;
use rollcall_domain::identity::Provider;
use thiserror::Error;
use url::{Host, Url};

use super::issuer::{IssuerRule, Tenants};

/// What the operator has to mend before a provider can be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvalidSettings {
    /// The issuer is no URL of the form an issuer has (OpenID Connect Discovery 1.0 §2).
    #[error(
        "{0}: the issuer must be an https URL without query and fragment (http only for a loopback host)"
    )]
    Issuer(Provider),
    /// The callback is not a URL to which codes may be sent.
    #[error(
        "{0}: the callback must be an https URL without query and fragment (http only for a loopback host)"
    )]
    Callback(Provider),
    /// The client id or secret is missing.
    #[error("{0}: the client id and the client secret must not be empty")]
    Client(Provider),
    /// Bitbucket speaks OAuth 2.0 without OpenID Connect.
    #[error("{0} is not an OpenID provider")]
    NotOpenId(Provider),
}

/// One provider and our registration there.
#[derive(Clone)]
pub struct OpenIdSettings {
    /// Google or Microsoft.
    pub provider: Provider,
    /// The issuer, to the letter. For Microsoft, `…/organizations/v2.0` or `…/common/v2.0` stand for any tenant.
    pub issuer: String,
    /// Our id there.
    pub client_id: String,
    /// Our secret there.
    pub client_secret: Secret,
    /// Our callback as registered there: one path of its own for each provider.
    pub callback: Url,
    /// The Microsoft tenants whose people may sign in.
    pub tenants: Tenants,
    /// How long one request to the provider may take, from the first byte sent to the last byte read.
    pub deadline: Duration,
}

/// A deadline that leaves room for the rest of a sign-in while the browser waits.
pub const DEFAULT_DEADLINE: Duration = Duration::from_secs(5);

impl OpenIdSettings {
    /// Checks what can be checked without asking the provider.
    pub fn check(&self) -> Result<IssuerRule, InvalidSettings> {
        let provider = self.provider;
        if provider == Provider::Bitbucket {
            return Err(InvalidSettings::NotOpenId(provider));
        }
        let issuer = Url::parse(&self.issuer).map_err(|_| InvalidSettings::Issuer(provider))?;
        if !is_trustworthy(&issuer) {
            return Err(InvalidSettings::Issuer(provider));
        }
        if !is_trustworthy(&self.callback) {
            return Err(InvalidSettings::Callback(provider));
        }
        if self.client_id.is_empty() || self.client_secret.is_empty() {
            return Err(InvalidSettings::Client(provider));
        }
        Ok(IssuerRule::for_configured(&self.issuer))
    }
}

/// Whether a URL names a place that codes and secrets may be sent to: https, or http to the machine itself, and nothing in it
/// but scheme, host, port and path.
pub(crate) fn is_trustworthy(url: &Url) -> bool {
    let plain = url.query().is_none()
        && url.fragment().is_none()
        && url.username().is_empty()
        && url.password().is_none();
    plain && (url.scheme() == "https" || (url.scheme() == "http" && is_loopback(url)))
}

/// Whether a URL leads to the machine itself.
pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> OpenIdSettings {
        OpenIdSettings {
            provider: Provider::Google,
            issuer: "https://accounts.google.com".into(),
            client_id: "client".into(),
            client_secret: Secret::new("secret"),
            callback: Url::parse("https://rollcall.example/callback/google").unwrap(),
            tenants: Tenants::Any,
            deadline: DEFAULT_DEADLINE,
        }
    }

    #[test]
    fn sound_settings_pass_and_each_fault_is_named() {
        assert!(settings().check().is_ok());
        for issuer in [
            "",
            "accounts.google.com",
            "http://accounts.google.com",
            "https://a.example/?x=1",
            "https://u@a.example",
        ] {
            let broken = OpenIdSettings { issuer: issuer.into(), ..settings() };
            assert_eq!(broken.check(), Err(InvalidSettings::Issuer(Provider::Google)), "{issuer}");
        }
        let callback = Url::parse("http://rollcall.example/callback/google").unwrap();
        assert_eq!(
            OpenIdSettings { callback, ..settings() }.check(),
            Err(InvalidSettings::Callback(Provider::Google))
        );
        assert_eq!(
            OpenIdSettings { client_secret: Secret::new(""), ..settings() }.check(),
            Err(InvalidSettings::Client(Provider::Google))
        );
        assert_eq!(
            OpenIdSettings { provider: Provider::Bitbucket, ..settings() }.check(),
            Err(InvalidSettings::NotOpenId(Provider::Bitbucket))
        );
    }

    #[test]
    fn http_is_for_the_machine_itself() {
        for (url, trusted) in [
            ("http://127.0.0.1:8080/x", true),
            ("http://[::1]/x", true),
            ("http://localhost/x", true),
            ("http://localhost.evil.example/x", false),
            ("http://127.0.0.1.evil.example/x", false),
            ("ftp://localhost/x", false),
        ] {
            assert_eq!(is_trustworthy(&Url::parse(url).unwrap()), trusted, "{url}");
        }
    }
}
