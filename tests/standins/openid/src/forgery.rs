//! The ways in which an ID token can be bad.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What is wrong with an ID token. Several can be wrong at once; later ones see what earlier ones have done.
///
/// In JSON: `"unsigned"`, `{"claim": {"name": "exp", "value": "tomorrow"}}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Forgery {
    // The signature (RFC 8725 §2.1, §3.1)
    /// `alg` is `none` and there is no signature.
    Unsigned,
    /// `alg` is `none` in another spelling (`None`, `nOnE`), without signature.
    UnsignedAs(String),
    /// `alg` is `HS256`, and the HMAC's secret is the published public key as PEM.
    SignedWithPublicKey,
    /// `alg` is `HS256`, and the HMAC's secret is the client's secret, which OpenID Connect allows and we do not.
    SignedWithClientSecret,
    /// Signed by the right key with this algorithm: `RS384`, `RS512`, `PS256`.
    OtherAlgorithm(String),
    /// The signature is damaged.
    BrokenSignature,
    /// The signature is missing, though the header says `RS256`.
    NoSignature,
    /// Signed by a key that is not published, under the published key's `kid`.
    ForeignKey,
    /// Signed by a key that is not published, under a `kid` that is not published either.
    UnknownKid,
    /// Signed by the right key, without `kid`.
    NoKid,
    /// Microsoft: signed by the key that is published for personal accounts alone. Somebody who has cached the key set from
    /// before does not know its `kid`.
    KeyOfPersonalAccounts,
    /// The claims were changed after signing: another `sub`.
    ChangedAfterSigning,

    // The header (RFC 8725 §3.10, RFC 7515 §4.1)
    /// Signed by a foreign key, which the header brings along as `jwk`.
    OwnKeyInHeader,
    /// Signed by a foreign key, which is to be fetched from the `jku` of the header.
    KeyUrlInHeader(String),
    /// Signed by a foreign key, with an `x5u` in the header.
    CertificateUrlInHeader(String),
    /// `crit` names an extension that nobody understands (RFC 7515 §4.1.11).
    UnknownCritical,
    /// `typ` is this: `logout+jwt`, `at+jwt`.
    Type(String),
    /// A header parameter is this.
    Header {
        /// Its name.
        name: String,
        /// Its value.
        value: Value,
    },

    // The claims (OpenID Connect Core 1.0 §3.1.3.7)
    /// `iss` is this.
    Issuer(String),
    /// Microsoft: `tid` is another tenant's, `iss` is not.
    TenantNotOfIssuer(String),
    /// Microsoft: both `tid` and `iss` are of this tenant.
    Tenant(String),
    /// `aud` is another client.
    OtherAudience,
    /// `aud` lists the client and another one.
    ExtraAudience,
    /// `aud` is a list of the client alone: unusual, and right.
    AudienceAsList,
    /// `azp` is another client.
    OtherAuthorizedParty,
    /// `exp` was so many seconds ago.
    Expired(i64),
    /// `exp` is right, as a text.
    ExpiryAsText,
    /// `exp` is missing.
    NoExpiry,
    /// `iat` is missing.
    NoIssueTime,
    /// `iat` is so many seconds ahead.
    IssuedInFuture(i64),
    /// `nbf` is so many seconds ahead.
    NotYetValid(i64),
    /// `nonce` is another one.
    OtherNonce,
    /// `nonce` is missing.
    NoNonce,
    /// `at_hash` does not fit the access token.
    OtherAccessTokenHash,
    /// `sub` is missing.
    NoSubject,
    /// A claim is this.
    Claim {
        /// Its name.
        name: String,
        /// Its value.
        value: Value,
    },
    /// A claim is missing.
    WithoutClaim(String),
    /// It is a logout token (OpenID Connect Back-Channel Logout 1.0 §2.4), in type and claims.
    LogoutToken,

    // Its place
    /// This text stands where the ID token should.
    Text(String),
    /// There is no ID token.
    Absent,
}

impl Forgery {
    /// A claim with a value: `Forgery::claim("email_verified", "true")`.
    pub fn claim(name: &str, value: impl Into<Value>) -> Self {
        Self::Claim { name: name.to_owned(), value: value.into() }
    }

    /// Without a claim.
    pub fn without(name: &str) -> Self {
        Self::WithoutClaim(name.to_owned())
    }
}
