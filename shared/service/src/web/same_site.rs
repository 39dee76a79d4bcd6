//! Whether a write comes from our own pages (cross-site request forgery).

use http::HeaderMap;
use http::header::{HeaderName, HeaderValue, ORIGIN};
use thiserror::Error;

use crate::config::Origin;

use super::Problem;

/// A write that does not come from our own pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum CrossSite {
    /// The browser says that another site has sent it.
    #[error("sent by another site (Sec-Fetch-Site)")]
    OtherSite,
    /// The page that has sent it is of another origin.
    #[error("sent by a page of another origin (Origin)")]
    OtherOrigin,
    /// Nothing says where it comes from.
    #[error("neither Sec-Fetch-Site nor Origin says where it comes from")]
    Unknown,
}

impl From<CrossSite> for Problem {
    fn from(_: CrossSite) -> Self {
        Self::forbidden("This can only be done from our own pages. Go back, reload the page and try again.")
    }
}

/// Checks that a request whose authority is a cookie was sent by a page of ours. Not for requests that carry a bearer token: no
/// other site can add one.
///
/// `Sec-Fetch-Site`, which no page can set, decides where it is sent (Fetch Metadata, W3C). `Origin` has to agree, but may be
/// `null`: our pages say `Referrer-Policy: no-referrer`, and then browsers hide the origin even from ourselves (Fetch standard,
/// "append a request `Origin` header"). Older browsers without `Sec-Fetch-Site` have to name the origin.
pub fn same_site(headers: &HeaderMap, ours: &Origin) -> Result<(), CrossSite> {
    let origin = single(headers, &ORIGIN).map_err(|()| CrossSite::OtherOrigin)?;
    let site =
        single(headers, &HeaderName::from_static("sec-fetch-site")).map_err(|()| CrossSite::OtherSite)?;
    let is_ours = |origin: &HeaderValue| origin.as_bytes() == ours.as_str().as_bytes();
    match (site.map(HeaderValue::as_bytes), origin) {
        (Some(b"same-origin"), None) => Ok(()),
        (Some(b"same-origin"), Some(origin)) if is_ours(origin) || origin.as_bytes() == b"null" => Ok(()),
        (Some(b"same-origin"), Some(_)) => Err(CrossSite::OtherOrigin),
        (Some(_), _) => Err(CrossSite::OtherSite),
        (None, Some(origin)) if is_ours(origin) => Ok(()),
        (None, Some(_)) => Err(CrossSite::OtherOrigin),
        (None, None) => Err(CrossSite::Unknown),
    }
}

/// The header's value, if it is there; an error if it is there twice.
fn single<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Result<Option<&'h HeaderValue>, ()> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (value, None) => Ok(value),
        (_, Some(_)) => Err(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(site: Option<&str>, origin: Option<&str>) -> Result<(), CrossSite> {
        let mut headers = HeaderMap::new();
        if let Some(site) = site {
            headers.insert("sec-fetch-site", site.parse().unwrap());
        }
        if let Some(origin) = origin {
            headers.insert(ORIGIN, origin.parse().unwrap());
        }
        same_site(&headers, &Origin::parse("https://rollcall.example.com").unwrap())
    }

    #[test]
    fn only_our_own_pages_may_write() {
        let ours = Some("https://rollcall.example.com");
        assert_eq!(check(Some("same-origin"), ours), Ok(()));
        assert_eq!(check(Some("same-origin"), Some("null")), Ok(()));
        assert_eq!(check(Some("same-origin"), None), Ok(()));
        assert_eq!(check(None, ours), Ok(()));
    }

    #[test]
    fn everybody_else_is_refused() {
        let ours = Some("https://rollcall.example.com");
        for site in ["cross-site", "same-site", "none", "", "Same-Origin", "same-origin, same-origin"] {
            assert_eq!(check(Some(site), ours), Err(CrossSite::OtherSite), "{site}");
        }
        for origin in [
            "https://evil.example",
            "http://rollcall.example.com",
            "https://rollcall.example.com:444",
            "https://rollcall.example.com.evil.example",
            "https://rollcall.example.com/",
            "",
        ] {
            assert_eq!(check(None, Some(origin)), Err(CrossSite::OtherOrigin), "{origin}");
            assert_eq!(check(Some("same-origin"), Some(origin)), Err(CrossSite::OtherOrigin), "{origin}");
        }
        assert_eq!(check(None, Some("null")), Err(CrossSite::OtherOrigin));
        assert_eq!(check(None, None), Err(CrossSite::Unknown));
    }

    #[test]
    fn two_origins_are_none() {
        let mut headers = HeaderMap::new();
        headers.append(ORIGIN, HeaderValue::from_static("https://rollcall.example.com"));
        headers.append(ORIGIN, HeaderValue::from_static("https://evil.example"));
        let ours = Origin::parse("https://rollcall.example.com").unwrap();
        assert_eq!(same_site(&headers, &ours), Err(CrossSite::OtherOrigin));
    }
}
