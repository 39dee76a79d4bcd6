//! Checking an ID token and reading the person out of it (OpenID Connect Core 1.0 §3.1.3.7, RFC 8725).

use core::time::Duration;

use jsonwebtoken::Algorithm;
use rollcall_domain::identity::{EmailAddress, Identity, Provider, Visitor};
use rollcall_domain::{Secret, Timestamp};
use serde_json::Value;
use thiserror::Error;

use super::issuer::{IssuerRule, Tenants, is_tenant_id};
use crate::FailedCheck;
use crate::encoding::{half_hash, same};
use crate::jwk::ProviderKeys;
use crate::jwt::{Broken, Claims, Unverified, WrongType};

/// Google and Microsoft sign with this, and nothing else is accepted from them.
pub(crate) const ALGORITHM: Algorithm = Algorithm::RS256;
/// How far the provider's clock may be from ours.
const SKEW: Duration = Duration::from_mins(1);
/// No provider's subject is longer (OpenID Connect Core 1.0 §2).
const LONGEST_SUBJECT: usize = 255;
/// A display name is cut here, in characters.
const LONGEST_NAME: usize = 100;

macro_rules! refusals {
    ($($(#[$doc:meta])* $name:ident = $check:literal, $text:literal;)+) => {
        /// Why an ID token is refused: one variant for each check.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
        pub enum IdTokenRefused {
            $($(#[$doc])* #[error($text)] $name,)+
        }

        impl FailedCheck for IdTokenRefused {
            fn check(&self) -> &'static str {
                match self {
                    $(Self::$name => concat!("id_token.", $check),)+
                }
            }
        }
    };
}

refusals! {
    /// It is no signed JWT, or longer than 16 KiB.
    Form = "form", "it is not a signed token";
    /// Another algorithm than RS256: `none` and HMAC above all (RFC 8725 §3.1).
    Algorithm = "alg", "it is signed with an algorithm that is not allowed";
    /// It says it is another kind of token (RFC 8725 §3.11).
    Type = "typ", "it is another kind of token";
    /// It demands an extension that is not known here (RFC 7515 §4.1.11).
    Critical = "crit", "it demands an extension that is not known";
    /// It does not name the key.
    KeyUnnamed = "kid.missing", "it does not name the key that signed it";
    /// The provider publishes no key of that name.
    KeyUnknown = "kid.unknown", "the provider publishes no key of the name that it gives";
    /// The provider publishes the key for another issuer.
    KeyIssuer = "kid.issuer", "the key that signed it belongs to another issuer";
    /// The signature is not the key's.
    Signature = "signature", "its signature is wrong";
    /// The claims are no object, or one is there twice.
    Claims = "claims", "its claims cannot be read";
    /// Not the issuer of this login, or not the one of the token's own tenant.
    Issuer = "iss", "it comes from another issuer";
    /// Not for us, or not for us alone.
    Audience = "aud", "it is not meant for this client, or not for it alone";
    /// Issued to another client.
    AuthorizedParty = "azp", "it was issued to another client";
    /// No end, or none that is a number.
    ExpiryMissing = "exp.missing", "it has no end that is a number";
    /// The end is past.
    Expired = "exp", "it has ended";
    /// No time of issue, or none that is a number.
    IssuedAtMissing = "iat.missing", "it has no time of issue that is a number";
    /// Issued in the future.
    IssuedInFuture = "iat", "it was issued in the future";
    /// Not valid yet, or the claim is no number.
    NotYetValid = "nbf", "it is not valid yet";
    /// No nonce.
    NonceMissing = "nonce.missing", "it carries no nonce";
    /// The nonce of another login.
    Nonce = "nonce", "it belongs to another login";
    /// It belongs to another access token than it came with.
    AccessTokenHash = "at_hash", "it belongs to another access token";
    /// A logout token (OpenID Connect Back-Channel Logout 1.0 §2.6).
    LogoutToken = "events", "it is a logout token";
    /// No subject, or one that is too long or not printable.
    Subject = "sub", "it names nobody";
    /// The provider does not say when the person signed in there, although it was asked to.
    AuthTimeMissing = "auth_time.missing", "it does not say when the person signed in";
    /// The person signed in there too long ago.
    AuthTooOld = "auth_time", "the person signed in too long ago";
    /// Microsoft: no tenant, or not the id of one.
    Tenant = "tid", "it names no tenant";
    /// Microsoft: the tenant is not among the allowed ones.
    TenantNotAllowed = "tid.not_allowed", "its tenant is not among the allowed ones";
    /// Microsoft: no object id, or not the id of an account.
    ObjectId = "oid", "it names no account";
    /// Google: `email_verified` is there and neither `true` nor `false`. Read loosely, it would let anybody in.
    EmailVerifiedType = "email_verified", "it says in an unknown way whether the address is verified";
    /// A claim about the person is of the wrong type.
    ProfileType = "profile", "a claim about the person is of the wrong type";
}

impl From<Broken> for IdTokenRefused {
    fn from(broken: Broken) -> Self {
        match broken {
            Broken::Form => Self::Form,
            Broken::Critical => Self::Critical,
            Broken::Claims => Self::Claims,
        }
    }
}

/// What a token has to fit.
pub(crate) struct Expected<'a> {
    pub(crate) provider: Provider,
    pub(crate) rule: &'a IssuerRule,
    pub(crate) tenants: &'a Tenants,
    pub(crate) client_id: &'a str,
    pub(crate) nonce: &'a Secret,
    pub(crate) max_age: Option<Duration>,
    /// The issuer that the answer to the browser named, where it named one.
    pub(crate) answer_issuer: Option<&'a str>,
    /// The access token that came with it.
    pub(crate) access_token: Option<&'a Secret>,
    pub(crate) now: Timestamp,
}

/// The name of the key that a token says it is signed with, to see whether it is known before all else is checked.
pub(crate) fn key_name(token: &Secret) -> Option<String> {
    Unverified::parse(token.expose()).ok()?.kid().map(str::to_owned)
}

/// Checks everything, in the order signature, issuer, audience, times, login, person.
pub(crate) fn verify(
    token: &Secret,
    keys: &ProviderKeys,
    expected: &Expected<'_>,
) -> Result<Visitor, IdTokenRefused> {
    let token = Unverified::parse(token.expose())?;
    if !token.has_algorithm(ALGORITHM) {
        return Err(IdTokenRefused::Algorithm);
    }
    if token.has_any_type() && !token.has_type("jwt") {
        return Err(IdTokenRefused::Type);
    }
    let claims = signed_claims(&token, keys, expected)?;
    if claims.get("events").is_some() {
        return Err(IdTokenRefused::LogoutToken);
    }
    check_audience(&claims, expected.client_id)?;
    check_times(&claims, expected)?;
    let nonce = text(&claims, "nonce", IdTokenRefused::Nonce)?.ok_or(IdTokenRefused::NonceMissing)?;
    if !same(nonce, expected.nonce.expose()) {
        return Err(IdTokenRefused::Nonce);
    }
    // Optional in this flow, and wrong only if somebody has put two answers together (OpenID Connect Core 1.0 §3.1.3.8).
    if let Some(hash) = text(&claims, "at_hash", IdTokenRefused::AccessTokenHash)?
        && expected.access_token.is_none_or(|token| !same(hash, &half_hash(token)))
    {
        return Err(IdTokenRefused::AccessTokenHash);
    }
    let issuer = text(&claims, "iss", IdTokenRefused::Issuer)?.ok_or(IdTokenRefused::Issuer)?;
    if expected.answer_issuer.is_some_and(|answered| answered != issuer) {
        return Err(IdTokenRefused::Issuer);
    }
    visitor(&claims, issuer, expected)
}

/// The claims, once key, signature and issuer have been found to belong together.
fn signed_claims(
    token: &Unverified<'_>,
    keys: &ProviderKeys,
    expected: &Expected<'_>,
) -> Result<Claims, IdTokenRefused> {
    let kid = token.kid().ok_or(IdTokenRefused::KeyUnnamed)?;
    let mut candidates = keys.named(kid).filter(|key| key.algorithm == ALGORITHM).peekable();
    if candidates.peek().is_none() {
        return Err(IdTokenRefused::KeyUnknown);
    }
    let key =
        candidates.find(|key| token.is_signed_by(&key.key, ALGORITHM)).ok_or(IdTokenRefused::Signature)?;
    let claims = token.claims()?;
    let tenant =
        text(&claims, "tid", IdTokenRefused::Tenant)?.filter(|_| expected.provider == Provider::Microsoft);
    let issuer = text(&claims, "iss", IdTokenRefused::Issuer)?.ok_or(IdTokenRefused::Issuer)?;
    if !expected.rule.accepts(issuer, tenant) {
        return Err(IdTokenRefused::Issuer);
    }
    if key.issuer.as_deref().is_some_and(|named| !expected.rule.key_may_sign(named, issuer, tenant)) {
        return Err(IdTokenRefused::KeyIssuer);
    }
    Ok(claims)
}

fn check_audience(claims: &Claims, client_id: &str) -> Result<(), IdTokenRefused> {
    if claims.sole_audience() != Some(client_id) {
        return Err(IdTokenRefused::Audience);
    }
    match text(claims, "azp", IdTokenRefused::AuthorizedParty)? {
        Some(party) if party != client_id => Err(IdTokenRefused::AuthorizedParty),
        _ => Ok(()),
    }
}

fn check_times(claims: &Claims, expected: &Expected<'_>) -> Result<(), IdTokenRefused> {
    let time = |name, refusal| {
        let seconds = claims.seconds(name).map_err(|WrongType| refusal)?;
        Ok::<_, IdTokenRefused>(seconds.map(Timestamp::from_seconds))
    };
    let now = expected.now;
    let end = time("exp", IdTokenRefused::ExpiryMissing)?.ok_or(IdTokenRefused::ExpiryMissing)?;
    if end.plus(SKEW).has_passed(now) {
        return Err(IdTokenRefused::Expired);
    }
    let issued = time("iat", IdTokenRefused::IssuedAtMissing)?.ok_or(IdTokenRefused::IssuedAtMissing)?;
    if issued > now.plus(SKEW) {
        return Err(IdTokenRefused::IssuedInFuture);
    }
    if time("nbf", IdTokenRefused::NotYetValid)?.is_some_and(|start| start > now.plus(SKEW)) {
        return Err(IdTokenRefused::NotYetValid);
    }
    if let Some(age) = expected.max_age {
        let signed_in =
            time("auth_time", IdTokenRefused::AuthTimeMissing)?.ok_or(IdTokenRefused::AuthTimeMissing)?;
        if signed_in.plus(age).plus(SKEW) < now {
            return Err(IdTokenRefused::AuthTooOld);
        }
    }
    Ok(())
}

fn visitor(claims: &Claims, issuer: &str, expected: &Expected<'_>) -> Result<Visitor, IdTokenRefused> {
    let printable = |text: &&str| {
        !text.is_empty() && text.len() <= LONGEST_SUBJECT && text.bytes().all(|byte| byte.is_ascii_graphic())
    };
    let subject =
        text(claims, "sub", IdTokenRefused::Subject)?.filter(printable).ok_or(IdTokenRefused::Subject)?;
    let email = text(claims, "email", IdTokenRefused::ProfileType)?;
    let (subject, organisation, is_verified) = match expected.provider {
        Provider::Microsoft => {
            let tenant = text(claims, "tid", IdTokenRefused::Tenant)?
                .filter(|tenant| is_tenant_id(tenant))
                .ok_or(IdTokenRefused::Tenant)?;
            if !expected.tenants.contains(tenant) {
                return Err(IdTokenRefused::TenantNotAllowed);
            }
            // Account ids have the form of tenant ids. `sub` is another one for every client and of no use as a key.
            let account = text(claims, "oid", IdTokenRefused::ObjectId)?
                .filter(|account| is_tenant_id(account))
                .ok_or(IdTokenRefused::ObjectId)?;
            (format!("{tenant}/{account}"), Some(tenant.to_owned()), domain_owner_verified(claims))
        }
        Provider::Google | Provider::Bitbucket => {
            let is_verified = match claims.get("email_verified") {
                None => false,
                Some(Value::Bool(is_verified)) => *is_verified,
                Some(_) => return Err(IdTokenRefused::EmailVerifiedType),
            };
            let domain = text(claims, "hd", IdTokenRefused::ProfileType)?.map(str::to_ascii_lowercase);
            (subject.to_owned(), domain, is_verified)
        }
    };
    // An address that our parser does not accept is no address to us, verified or not.
    let email = email.and_then(|email| email.parse::<EmailAddress>().ok()).filter(|_| is_verified);
    let name =
        text(claims, "name", IdTokenRefused::ProfileType)?.map(displayable).filter(|name| !name.is_empty());
    let display_name = name
        .or_else(|| email.as_ref().map(ToString::to_string))
        .unwrap_or_else(|| format!("Somebody from {}", expected.provider.name()));
    Ok(Visitor {
        identity: Identity { provider: expected.provider, issuer: issuer.to_owned(), subject },
        display_name,
        verified_emails: email.into_iter().collect(),
        organisation,
    })
}

/// Whether Microsoft says that the owner of the address's domain vouches for it.
///
/// An address in a Microsoft token is whatever the tenant's admin typed, and `email_verified` is never sent for organisations. The
/// optional claim `xms_edov` tells; it is documented as a boolean and has been seen as `true` and as `"1"`. These two are
/// accepted and nothing else.
fn domain_owner_verified(claims: &Claims) -> bool {
    match claims.get("xms_edov") {
        Some(Value::Bool(is_verified)) => *is_verified,
        Some(Value::String(text)) => text == "1",
        _ => false,
    }
}

/// A name without what could disturb a page or a log line: control characters, and marks that turn the writing direction.
fn displayable(name: &str) -> String {
    let disturbs = |c: char| {
        c.is_control()
            || matches!(c, '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{FEFF}')
    };
    let kept: String = name.chars().filter(|c| !disturbs(*c)).take(LONGEST_NAME).collect();
    kept.trim().to_owned()
}

fn text<'a>(
    claims: &'a Claims,
    name: &str,
    refusal: IdTokenRefused,
) -> Result<Option<&'a str>, IdTokenRefused> {
    claims.text(name).map_err(|WrongType| refusal)
}

#[cfg(test)]
mod tests;
