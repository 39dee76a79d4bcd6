//! Proof Key for Code Exchange (RFC 7636), method S256 only.

use rollcall_domain::Secret;
use serde::{Deserialize, Serialize};

use crate::encoding::{base64url, is_random_text, random_text, same, sha256};

/// The secret that the party which asked for a code shows when it redeems the code.
#[derive(Clone)]
pub struct Verifier(Secret);

impl Verifier {
    /// A fresh one from 32 random bytes: 43 characters, the form that RFC 7636 §4.1 recommends.
    pub fn new(random: [u8; 32]) -> Self {
        Self(random_text(&random))
    }

    /// Reads one that was presented: 43 to 128 of the unreserved characters (RFC 7636 §4.1); `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
        ((43..=128).contains(&text.len()) && text.bytes().all(unreserved)).then(|| Self(Secret::new(text)))
    }

    /// Its S256 challenge.
    pub fn challenge(&self) -> Challenge {
        Challenge(base64url(sha256(self.0.expose().as_bytes())))
    }

    /// The text, for the token request.
    pub fn secret(&self) -> &Secret {
        &self.0
    }
}

/// The S256 challenge of a [`Verifier`]: public, and kept with the code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Challenge(String);

impl Challenge {
    /// Reads one that was presented: a SHA-256 in base64url, 43 characters; `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        is_random_text(text, 32).then(|| Self(text.to_owned()))
    }

    /// As it is written in an authorization request.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this is the challenge of a verifier, in constant time.
    pub fn is_answered_by(&self, verifier: &Verifier) -> bool {
        same(&self.0, &verifier.challenge().0)
    }
}

impl TryFrom<String> for Challenge {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text).ok_or("not an S256 code challenge")
    }
}

impl From<Challenge> for String {
    fn from(challenge: Challenge) -> Self {
        challenge.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_rfc_7636_appendix_b_holds() {
        let verifier = Verifier::parse("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk").unwrap();
        assert_eq!(verifier.challenge().as_str(), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
    }

    #[test]
    fn only_the_verifier_of_the_challenge_answers_it() {
        let challenge = Verifier::new([1; 32]).challenge();
        assert!(challenge.is_answered_by(&Verifier::new([1; 32])));
        assert!(!challenge.is_answered_by(&Verifier::new([2; 32])));
    }

    #[test]
    fn malformed_verifiers_and_challenges_are_not_read() {
        for bad in ["", &"a".repeat(42), &"a".repeat(129), &format!("{} ", "a".repeat(43)), &"é".repeat(30)]
        {
            assert!(Verifier::parse(bad).is_none(), "{bad}");
        }
        for bad in ["", &"a".repeat(42), &"a".repeat(44), &format!("{}+", "a".repeat(42))] {
            assert!(Challenge::parse(bad).is_none(), "{bad}");
        }
    }
}
