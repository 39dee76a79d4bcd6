//! Where Bitbucket is.

use thiserror::Error;
use url::{Host, Url};

/// An address that no credential may be sent to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum InvalidEndpoint {
    /// Neither `https:`, nor `http:` on this machine.
    #[error("must begin with https:// (http:// is accepted for this machine only)")]
    Scheme,
    /// Carries a user, a query or a fragment, or has no host.
    #[error("must be an origin, as in https://api.bitbucket.org: no user, query or fragment")]
    NotAnOrigin,
}

/// The two origins of Bitbucket Cloud.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoints {
    web: Url,
    api: Url,
}

impl Endpoints {
    /// From the web origin, where people authorise, and the API's origin.
    pub fn new(web: Url, api: Url) -> Result<Self, InvalidEndpoint> {
        check(&web)?;
        check(&api)?;
        Ok(Self { web, api })
    }

    /// The web origin.
    pub fn web(&self) -> &Url {
        &self.web
    }

    /// The API's origin.
    pub fn api(&self) -> &Url {
        &self.api
    }
}

fn check(url: &Url) -> Result<(), InvalidEndpoint> {
    let local = match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => return Err(InvalidEndpoint::NotAnOrigin),
    };
    let plain = url.username().is_empty() && url.password().is_none();
    if !plain || url.query().is_some() || url.fragment().is_some() {
        return Err(InvalidEndpoint::NotAnOrigin);
    }
    match url.scheme() {
        "https" => Ok(()),
        "http" if local => Ok(()),
        _ => Err(InvalidEndpoint::Scheme),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_go_to_https_or_to_this_machine() {
        let check = |text: &str| check(&text.parse().unwrap());
        for good in
            ["https://api.bitbucket.org", "http://127.0.0.1:8080", "http://[::1]:1", "http://localhost"]
        {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        for bad in ["http://api.bitbucket.org", "ftp://localhost", "http://127.0.0.1.example.com"] {
            assert_eq!(check(bad), Err(InvalidEndpoint::Scheme), "{bad}");
        }
        for bad in ["https://user@api.bitbucket.org", "https://api.bitbucket.org?x=1", "https://a.org#b"] {
            assert_eq!(check(bad), Err(InvalidEndpoint::NotAnOrigin), "{bad}");
        }
    }
}
