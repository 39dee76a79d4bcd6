//! Authorization codes (RFC 6749 §4.1): one use, one minute, bound to all that they were asked for with.

use core::time::Duration;

use rollcall_domain::{ClientId, Secret, Timestamp, TokenHash};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::grant::Grant;
use crate::FailedCheck;
use crate::encoding::{is_random_text, random_text};
use crate::pkce::{Challenge, Verifier};

/// The application's server redeems a code at once.
const LIFETIME: Duration = Duration::from_mins(1);

/// A code as it is sent through the browser: 256 random bits.
#[derive(Clone)]
pub struct AuthorizationCode(Secret);

impl AuthorizationCode {
    /// A new one from 32 random bytes.
    pub fn new(random: [u8; 32]) -> Self {
        Self(random_text(&random))
    }

    /// Reads one that was presented; `None` if it cannot be ours.
    pub fn parse(text: &str) -> Option<Self> {
        is_random_text(text, 32).then(|| Self(Secret::new(text)))
    }

    /// The key that its record is stored under.
    pub fn hash(&self) -> TokenHash {
        TokenHash::of(&self.0)
    }

    /// The text, for the redirect.
    pub fn secret(&self) -> &Secret {
        &self.0
    }
}

/// Why a code is not redeemed. The application is told `invalid_grant` for all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum CodeRefused {
    /// Used before. Everything that the first use gave has to be revoked (RFC 6749 §4.1.2).
    #[error("the code was used before; what it gave is revoked")]
    Reused,
    /// Older than a minute.
    #[error("the code is older than a minute")]
    Expired,
    /// Issued to another client.
    #[error("the code was issued to another client")]
    OtherClient,
    /// Asked for with another redirect URI.
    #[error("the code was asked for with another redirect URI")]
    RedirectUri,
    /// The verifier does not answer the challenge.
    #[error("the code verifier does not answer the challenge")]
    Verifier,
}

impl FailedCheck for CodeRefused {
    fn check(&self) -> &'static str {
        match self {
            Self::Reused => "code.reused",
            Self::Expired => "code.expired",
            Self::OtherClient => "code.client",
            Self::RedirectUri => "code.redirect_uri",
            Self::Verifier => "code.verifier",
        }
    }
}

/// What is stored under a code's hash.
///
/// It is kept, marked as redeemed, for as long as what it gave can live, so that a second use is noticed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CodeRecord {
    /// What redeeming it gives.
    pub grant: Grant,
    /// The redirect URI it was asked for with.
    pub redirect_uri: String,
    /// The PKCE challenge it was asked for with.
    pub challenge: Challenge,
    /// When it ends.
    pub expires_at: Timestamp,
    /// When it was redeemed. The caller sets it by a conditional write: of two at once, one wins.
    pub redeemed_at: Option<Timestamp>,
}

impl CodeRecord {
    /// The record of a fresh code.
    pub fn new(grant: Grant, redirect_uri: String, challenge: Challenge, now: Timestamp) -> Self {
        Self { grant, redirect_uri, challenge, expires_at: now.plus(LIFETIME), redeemed_at: None }
    }

    /// Whether a client that has proved who it is may redeem it now.
    pub fn redeem(
        &self,
        client: ClientId,
        redirect_uri: &str,
        verifier: &Verifier,
        now: Timestamp,
    ) -> Result<&Grant, CodeRefused> {
        // First whose it is: somebody else's attempt must not revoke anything.
        if self.grant.client != client {
            return Err(CodeRefused::OtherClient);
        }
        if self.redeemed_at.is_some() {
            return Err(CodeRefused::Reused);
        }
        if self.expires_at.has_passed(now) {
            return Err(CodeRefused::Expired);
        }
        if self.redirect_uri != redirect_uri {
            return Err(CodeRefused::RedirectUri);
        }
        if !self.challenge.is_answered_by(verifier) {
            return Err(CodeRefused::Verifier);
        }
        Ok(&self.grant)
    }
}

#[cfg(test)]
mod tests {
    use super::super::grant::tests::grant;
    use super::*;
    use proptest::prelude::*;

    const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);
    const REDIRECT: &str = "https://app.example/callback";

    fn record() -> CodeRecord {
        CodeRecord::new(grant(), REDIRECT.into(), Verifier::new([1; 32]).challenge(), NOW)
    }

    #[test]
    fn the_client_that_asked_for_it_redeems_it_within_a_minute() {
        let redeemed = record();
        let end = NOW.plus(Duration::from_mins(1));
        let verifier = Verifier::new([1; 32]);
        assert_eq!(redeemed.redeem(grant().client, REDIRECT, &verifier, NOW), Ok(&grant()));
        assert_eq!(redeemed.redeem(grant().client, REDIRECT, &verifier, end), Err(CodeRefused::Expired));
    }

    #[test]
    fn each_binding_is_checked() {
        let verifier = Verifier::new([1; 32]);
        let other_client = ClientId::new(NOW, [9; 10]);
        assert_eq!(record().redeem(other_client, REDIRECT, &verifier, NOW), Err(CodeRefused::OtherClient));
        assert_eq!(
            record().redeem(grant().client, "https://app.example/other", &verifier, NOW),
            Err(CodeRefused::RedirectUri)
        );
        assert_eq!(
            record().redeem(grant().client, REDIRECT, &Verifier::new([2; 32]), NOW),
            Err(CodeRefused::Verifier)
        );
        let mut used = record();
        used.redeemed_at = Some(NOW);
        assert_eq!(used.redeem(grant().client, REDIRECT, &verifier, NOW), Err(CodeRefused::Reused));
        assert_eq!(
            used.redeem(other_client, REDIRECT, &verifier, NOW),
            Err(CodeRefused::OtherClient),
            "somebody else's attempt revokes nothing"
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(10_000))]
        #[test]
        fn a_mutated_code_is_another_code_or_none(at in 0_usize..43, byte in 0_u8..128) {
            let code = AuthorizationCode::new([3; 32]);
            let mut text = code.secret().expose().as_bytes().to_vec();
            prop_assume!(text[at] != byte);
            text[at] = byte;
            if let Some(other) = AuthorizationCode::parse(&String::from_utf8(text).unwrap()) {
                prop_assert!(!other.hash().matches(&code.hash()));
            }
        }
    }
}
