//! What providers answer, read as a sign-in reads it, for a fuzzer. Everything here answers whether it was accepted.

use rollcall_domain::identity::Provider;
use rollcall_domain::{Secret, Timestamp};

use crate::jwk::ProviderKeys;
use crate::relying_party::{IssuerRule, Tenants, discovery, id_token as checks, token};

/// When it is.
pub const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);
/// Whom the token has to be for.
pub const CLIENT: &str = "our-client";
/// Of which login it has to be.
pub const NONCE: &str = "the-nonce";
/// Google's issuer.
pub const GOOGLE: &str = "https://accounts.google.com";
/// Microsoft's, for people of any organisation.
pub const MICROSOFT: &str = "https://login.microsoftonline.com/organizations/v2.0";

/// An ID token of a provider that publishes these keys. A visitor who comes of it has an identity of that provider.
pub fn id_token(token: &str, keys: &[u8], provider: Provider) -> bool {
    let Some(keys) = ProviderKeys::parse(keys) else { return false };
    let issuer = if provider == Provider::Google { GOOGLE } else { MICROSOFT };
    let rule = IssuerRule::for_configured(issuer);
    let (token, nonce) = (Secret::new(token), Secret::new(NONCE));
    let expected = checks::Expected {
        provider,
        rule: &rule,
        tenants: &Tenants::Any,
        client_id: CLIENT,
        nonce: &nonce,
        max_age: None,
        answer_issuer: None,
        access_token: None,
        now: NOW,
    };
    checks::verify(&token, &keys, &expected).is_ok_and(|visitor| {
        assert_eq!(visitor.identity.provider, provider, "it is whom the provider says");
        assert!(!visitor.identity.subject.is_empty() && !visitor.display_name.chars().any(char::is_control));
        true
    })
}

/// A key set. It is never accepted as an empty one.
pub fn key_set(body: &[u8]) -> bool {
    ProviderKeys::parse(body).is_some()
}

/// What a token endpoint answers.
pub fn token_answer(status: u16, body: &[u8]) -> bool {
    reqwest::StatusCode::from_u16(status).is_ok_and(|status| token::read(status, body).is_ok())
}

/// A provider's metadata.
pub fn metadata(body: &[u8]) -> bool {
    discovery::read(body, &IssuerRule::for_configured(GOOGLE), false).is_ok()
}
