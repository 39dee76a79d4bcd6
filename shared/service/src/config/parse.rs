//! The grammar of each value. A defect is the rest of a sentence that begins with the variable's name.

use core::fmt;
use core::num::NonZeroU32;
use core::time::Duration;

use url::{Host, Url};

type Defect = &'static str;

const NO_URL: Defect = "is not a URL: it is written like https://example.com";
const NOT_HTTPS: Defect = "must be an https URL (http is accepted only for localhost, 127.0.0.0/8 and [::1])";
const USER_INFO: Defect = "must not contain a user name or password";
const NO_QUERY: Defect = "must not contain a query or a fragment";
const NO_PATH: Defect = "must be scheme and host alone, with no path and no slash at the end";
const NOT_CANONICAL: Defect =
    "must be written in its shortest form: lower case, no default port, nothing percent-encoded";

/// Whether a URL points to this machine and nowhere else, whatever its port.
fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// What all URLs of the configuration have in common.
fn trusted(text: &str) -> Result<Url, Defect> {
    let url = Url::parse(text).map_err(|_| NO_URL)?;
    match url.scheme() {
        "https" => {}
        "http" if is_loopback(&url) => {}
        _ => return Err(NOT_HTTPS),
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(USER_INFO);
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(NO_QUERY);
    }
    Ok(url)
}

/// Scheme, host and port, written exactly as a browser writes them in `Origin` (RFC 6454 §6.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    text: String,
    url: Url,
}

impl Origin {
    /// Reads an origin. `https`, or `http` on a loopback host.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let url = trusted(text)?;
        if url.path() != "/" || text.ends_with('/') {
            return Err(NO_PATH);
        }
        if url.origin().ascii_serialization() != text {
            return Err(NOT_CANONICAL);
        }
        Ok(Self { text: text.to_owned(), url })
    }

    /// The origin, with no slash at its end.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The origin as a URL, whose path is `/`.
    pub fn as_url(&self) -> &Url {
        &self.url
    }

    /// The URL of an absolute path below this origin, `path` beginning with a slash. What is not a path is percent-encoded, so
    /// that no path can lead to another host.
    pub fn join(&self, path: &str) -> Url {
        let mut url = self.url.clone();
        url.set_path(path);
        url
    }

    /// Whether browsers reach it over TLS, or on this machine only.
    pub fn is_https(&self) -> bool {
        self.url.scheme() == "https"
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// An OpenID issuer, kept to the letter: tokens are compared with it byte by byte (OpenID Connect Core 1.0 §3.1.3.7).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issuer(String);

impl Issuer {
    /// Reads an issuer: a URL without query and fragment (OpenID Connect Discovery 1.0 §2).
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let url = trusted(text)?;
        // The parser adds the slash that an issuer without a path does not have.
        let canonical =
            url.as_str() == text || (url.path() == "/" && url.as_str().trim_end_matches('/') == text);
        canonical.then(|| Self(text.to_owned())).ok_or(NOT_CANONICAL)
    }

    /// The issuer, exactly as configured.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The name of a DynamoDB table: 3 to 255 of `a-z A-Z 0-9 _ . -` (Amazon DynamoDB Developer Guide, naming rules).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableName(String);

impl TableName {
    /// Reads a table's name.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
        if (3..=255).contains(&text.len()) && text.bytes().all(allowed) {
            Ok(Self(text.to_owned()))
        } else {
            Err("is not a table's name: 3 to 255 letters, digits, dots, dashes and underscores")
        }
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The name or ARN of a secret in Secrets Manager.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretId(String);

impl SecretId {
    /// Reads a name (1 to 512 of `a-z A-Z 0-9 / _ + = . @ -`) or an ARN.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let name = text.rsplit(':').next().unwrap_or_default();
        let arn = text.contains(':');
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"/_+=.@-:".contains(&byte);
        let well_formed = (1..=512).contains(&name.len())
            && text.len() <= 2048
            && text.bytes().all(allowed)
            && (!arn || (text.starts_with("arn:") && text.split(':').count() == 7));
        if well_formed {
            Ok(Self(text.to_owned()))
        } else {
            Err("is neither the name nor the ARN of a secret")
        }
    }

    /// The name or ARN.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

pub(super) fn queue_url(text: &str) -> Result<Url, Defect> {
    let url = trusted(text)?;
    if url.path() == "/" {
        return Err("is not the URL of a queue: it ends with the account and the queue's name");
    }
    Ok(url)
}

pub(super) fn rate(text: &str) -> Result<NonZeroU32, Defect> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse::<NonZeroU32>()
        .ok()
        .filter(|rate| digits && rate.get() <= 10_000)
        .ok_or("is not a whole number from 1 to 10000")
}

/// A number of days, up to a century.
pub(super) fn days(text: &str) -> Result<Duration, Defect> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse::<u32>()
        .ok()
        .filter(|days| digits && (1..=36_500).contains(days))
        .map(|days| Duration::from_hours(24).saturating_mul(days))
        .ok_or("is not a whole number of days, from 1 to 36500")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn http_is_accepted_on_loopback_hosts_only() {
        for good in [
            "http://localhost:8080",
            "http://127.0.0.1:8080",
            "http://127.200.3.4",
            "http://[::1]:3000",
            "https://rollcall.example.com",
            "https://rollcall.example.com:8443",
        ] {
            assert_eq!(Origin::parse(good).unwrap().as_str(), good);
        }
        for bad in [
            "http://rollcall.example.com",
            "http://localhost.example.com",
            "http://127.0.0.1.example.com",
            "http://128.0.0.1",
            "http://0.0.0.0",
            "http://[::]",
            "http://[::ffff:127.0.0.1]",
            "http://192.168.1.1",
            "ftp://localhost",
        ] {
            assert_eq!(Origin::parse(bad), Err(NOT_HTTPS), "{bad}");
        }
    }

    #[test]
    fn an_origin_is_scheme_and_host_in_their_shortest_form() {
        for (bad, defect) in [
            ("", NO_URL),
            ("example.com", NO_URL),
            ("https://", NO_URL),
            ("https://example.com/", NO_PATH),
            ("https://example.com/base", NO_PATH),
            ("https://example.com?q", NO_QUERY),
            ("https://example.com#f", NO_QUERY),
            ("https://user@example.com", USER_INFO),
            ("https://:pass@example.com", USER_INFO),
            ("https://EXAMPLE.com", NOT_CANONICAL),
            ("HTTPS://example.com", NOT_CANONICAL),
            ("https://example.com:443", NOT_CANONICAL),
            (" https://example.com", NOT_CANONICAL),
            ("http://127.1", NOT_CANONICAL),
            ("https:\\\\example.com", NOT_CANONICAL),
        ] {
            assert_eq!(Origin::parse(bad), Err(defect), "{bad:?}");
        }
    }

    #[test]
    fn no_path_leads_away_from_the_origin() {
        let origin = Origin::parse("https://example.com").unwrap();
        assert_eq!(origin.join("/login").as_str(), "https://example.com/login");
        for path in ["//evil.example/x", "/\\evil.example", "@evil.example", "/a?b#c", "https://evil.example"]
        {
            let url = origin.join(path);
            assert_eq!(
                (url.host_str(), url.query(), url.fragment()),
                (Some("example.com"), None, None),
                "{path}"
            );
        }
    }

    #[test]
    fn an_issuer_is_kept_to_the_letter() {
        for good in [
            "https://accounts.google.com",
            "https://login.microsoftonline.com/organizations/v2.0",
            "http://127.0.0.1:9000/google/",
            "https://issuer.example.com/",
        ] {
            assert_eq!(Issuer::parse(good).unwrap().as_str(), good);
        }
        for bad in ["https://accounts.google.com:443", "https://a.example/../b", "https://a.example//"] {
            // The last one is a different issuer from the one without slashes, and stays as it is.
            assert_eq!(Issuer::parse(bad).is_err(), bad != "https://a.example//", "{bad}");
        }
    }

    #[test]
    fn names_of_secrets_and_tables_follow_aws_grammar() {
        assert!(SecretId::parse("rollcall/deployment").is_ok());
        assert!(
            SecretId::parse("arn:aws:secretsmanager:eu-west-1:123456789012:secret:rollcall-AbCdEf").is_ok()
        );
        for bad in ["", "a b", "arn:aws:secretsmanager", "x:y", "a\nb"] {
            assert!(SecretId::parse(bad).is_err(), "{bad:?}");
        }
        assert!(TableName::parse("rollcall-prod_1.x").is_ok());
        for bad in ["", "ab", "a/b", "tablé", &"x".repeat(256)] {
            assert!(TableName::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_rate_is_a_whole_number_from_1_to_10000() {
        for (text, expected) in [("1", Some(1)), ("30", Some(30)), ("10000", Some(10_000)), ("007", Some(7))]
        {
            assert_eq!(rate(text).ok().map(NonZeroU32::get), expected, "{text}");
        }
        for bad in ["", "0", "10001", "+1", "-1", "1.5", " 1", "99999999999999999999"] {
            assert!(rate(bad).is_err(), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_accepted_as_an_origin_is_its_own_serialisation(text in "(https?://)?[a-zA-Z0-9.:@/?#\\[\\]%-]{0,40}") {
            if let Ok(origin) = Origin::parse(&text) {
                prop_assert_eq!(origin.as_url().origin().ascii_serialization(), text);
                prop_assert!(origin.is_https() || is_loopback(origin.as_url()));
            }
        }
    }
}
