//! Who somebody is: the provider's immutable id, and nothing else.

use core::fmt;
use core::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::bitbucket::AccountUuid;

/// Where somebody signs in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Provider {
    /// Bitbucket Cloud, by OAuth 2.0.
    Bitbucket,
    /// Google, by OpenID Connect.
    Google,
    /// Microsoft Entra, by OpenID Connect.
    Microsoft,
}

impl Provider {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Bitbucket, Self::Google, Self::Microsoft];

    /// As it is written in paths, claims and the table.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Bitbucket => "bitbucket",
            Self::Google => "google",
            Self::Microsoft => "microsoft",
        }
    }

    /// As people call it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bitbucket => "Bitbucket",
            Self::Google => "Google",
            Self::Microsoft => "Microsoft",
        }
    }
}

impl fmt::Display for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text names no provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("not a provider: expected bitbucket, google or microsoft")]
pub struct UnknownProvider;

impl FromStr for Provider {
    type Err = UnknownProvider;

    fn from_str(text: &str) -> Result<Self, UnknownProvider> {
        Self::ALL.into_iter().find(|provider| provider.as_str() == text).ok_or(UnknownProvider)
    }
}

/// The only key of a person who signs in: provider, issuer, and the id that this issuer never gives to anybody else.
///
/// Bitbucket: the account's UUID. Google: `sub`. Microsoft: the tenant as issuer, `tid` and `oid` as subject. E-mail addresses,
/// usernames, nicknames, slugs and display names change hands and are never part of it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Identity {
    /// Which provider vouches for it.
    pub provider: Provider,
    /// The issuer, exactly as configured or as the verified token says.
    pub issuer: String,
    /// The immutable id within the issuer.
    pub subject: String,
}

impl Identity {
    /// The identity of a Bitbucket account at a Bitbucket web origin.
    pub fn bitbucket(issuer: impl Into<String>, account: AccountUuid) -> Self {
        Self { provider: Provider::Bitbucket, issuer: issuer.into(), subject: account.to_string() }
    }

    /// The Bitbucket account behind it, if that is what it is.
    pub fn account(&self) -> Option<AccountUuid> {
        (self.provider == Provider::Bitbucket).then(|| self.subject.parse().ok()).flatten()
    }
}

/// Why a text is not taken for an e-mail address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum InvalidEmail {
    /// Nothing before or after the `@`, or no `@`.
    #[error("an e-mail address has the form name@domain")]
    Form,
    /// More than one `@`.
    #[error("an e-mail address has exactly one @")]
    TwoAts,
    /// A letter outside ASCII, which can look like another one.
    #[error("only plain ASCII addresses are accepted, because letters of other scripts can look alike")]
    NotAscii,
    /// A space, a control character, a quote, a bracket or a comment.
    #[error("the address contains a character that is not accepted: {0:?}")]
    Character(char),
    /// Longer than RFC 5321 §4.5.3.1 allows.
    #[error("the address is longer than 254 characters, or its part before the @ longer than 64")]
    TooLong,
    /// The domain is no host name with a dot.
    #[error("the part after the @ is not a domain name")]
    Domain,
}

/// An e-mail address, strictly parsed, its ASCII letters in lower case: an attribute to compare and to write to, never a key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EmailAddress(String);

impl EmailAddress {
    /// The whole address.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What stands after the `@`.
    pub fn domain(&self) -> &str {
        self.0.split_once('@').map_or("", |(_, domain)| domain)
    }
}

impl FromStr for EmailAddress {
    type Err = InvalidEmail;

    fn from_str(text: &str) -> Result<Self, InvalidEmail> {
        if !text.is_ascii() {
            return Err(InvalidEmail::NotAscii);
        }
        let accepted = |c: char| c.is_ascii_alphanumeric() || "@.!#$%&'*+/=?^_`{|}~-".contains(c);
        if let Some(refused) = text.chars().find(|c| !accepted(*c)) {
            return Err(InvalidEmail::Character(refused));
        }
        let (local, domain) = text.split_once('@').ok_or(InvalidEmail::Form)?;
        if domain.contains('@') {
            return Err(InvalidEmail::TwoAts);
        }
        if local.is_empty()
            || domain.is_empty()
            || local.starts_with('.')
            || local.ends_with('.')
            || local.contains("..")
        {
            return Err(InvalidEmail::Form);
        }
        if text.len() > 254 || local.len() > 64 {
            return Err(InvalidEmail::TooLong);
        }
        let label = |label: &str| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
                && !label.starts_with('-')
                && !label.ends_with('-')
        };
        if !domain.contains('.') || !domain.split('.').all(label) {
            return Err(InvalidEmail::Domain);
        }
        Ok(Self(text.to_ascii_lowercase()))
    }
}

impl fmt::Display for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for EmailAddress {
    type Error = InvalidEmail;

    fn try_from(text: String) -> Result<Self, InvalidEmail> {
        text.parse()
    }
}

impl From<EmailAddress> for String {
    fn from(address: EmailAddress) -> Self {
        address.0
    }
}

/// Somebody whom a provider has just vouched for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Visitor {
    /// Who it is.
    pub identity: Identity,
    /// What to call them on a page. Anybody may call themselves anything.
    pub display_name: String,
    /// The addresses that the provider says were verified, in the type it is known to say it in.
    pub verified_emails: Vec<EmailAddress>,
    /// The Microsoft tenant or Google hosted domain that vouches, where there is one.
    pub organisation: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_compared_without_regard_to_ascii_case_and_to_nothing_else() {
        let address: EmailAddress = "Ada.Lovelace@Example.com".parse().unwrap();
        assert_eq!(address.as_str(), "ada.lovelace@example.com");
        assert_eq!(address.domain(), "example.com");
        assert_ne!(address, "adalovelace@example.com".parse().unwrap());
        assert_ne!(address, "ada.lovelace+x@example.com".parse().unwrap());
    }

    #[test]
    fn every_trick_has_its_own_refusal() {
        for (text, refusal) in [
            ("attacker@evil.com@company.com", InvalidEmail::TwoAts),
            ("adm\u{131}n@example.com", InvalidEmail::NotAscii),
            ("ada@ex\u{430}mple.com", InvalidEmail::NotAscii),
            ("ada@example.com\n", InvalidEmail::Character('\n')),
            ("\"a b\"@example.com", InvalidEmail::Character('"')),
            ("<ada@example.com>", InvalidEmail::Character('<')),
            ("ada@example.com,eve@example.com", InvalidEmail::Character(',')),
            ("ada", InvalidEmail::Form),
            ("@example.com", InvalidEmail::Form),
            ("a..b@example.com", InvalidEmail::Form),
            ("ada@localhost", InvalidEmail::Domain),
            ("ada@-example.com", InvalidEmail::Domain),
            ("ada@example..com", InvalidEmail::Domain),
        ] {
            assert_eq!(text.parse::<EmailAddress>(), Err(refusal), "{text:?}");
        }
        assert_eq!(
            format!("{}@example.com", "a".repeat(65)).parse::<EmailAddress>(),
            Err(InvalidEmail::TooLong)
        );
    }
}
