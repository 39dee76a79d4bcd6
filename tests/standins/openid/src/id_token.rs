//! ID tokens: as they should be, and forged.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::hmac;
use aws_lc_rs::signature::{
    RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RSA_PSS_SHA256, RsaEncoding,
};
use serde_json::{Map, Value, json};
use std::sync::Arc;

use crate::behaviour::replace;
use crate::flavour::Flavour;
use crate::forgery::Forgery;
use crate::keys::{SigningKey, base64url, random};
use crate::people::Person;
use crate::provider::{Grant, Provider, World};

/// The client that a token was not issued to.
const OTHER_CLIENT: &str = "another-client";

/// Makes the ID token of a login, with the forgery that is due. `None`: there is to be none.
pub(crate) fn issue(
    provider: &Provider,
    world: &mut World,
    grant: &Grant,
    access_token: &str,
) -> Option<String> {
    let mut draft = Draft::honest(provider, world, grant, access_token);
    for forgery in world.forgeries.pop_front().unwrap_or_default() {
        draft.forge(&forgery, provider, world, grant);
    }
    draft.encode()
}

/// A token that is being made.
struct Draft {
    header: Map<String, Value>,
    claims: Map<String, Value>,
    signature: Signature,
    place: Place,
}

/// What stands where the token should.
enum Place {
    Token,
    Text(String),
    Nothing,
}

enum Signature {
    Rsa(Arc<SigningKey>, &'static dyn RsaEncoding),
    Hmac(Vec<u8>),
    /// An RSA signature with one bit turned.
    Broken(Arc<SigningKey>),
    /// An RSA signature of other claims than are sent.
    OfOtherClaims(Arc<SigningKey>),
    Empty,
}

impl Draft {
    fn honest(provider: &Provider, world: &World, grant: &Grant, access_token: &str) -> Self {
        let now = world.now();
        let person = &grant.person;
        let key = world.keys.signing();
        let mut claims = Map::new();
        insert(
            &mut claims,
            "iss",
            Some(provider.flavour.token_issuer(&provider.origin, person.tid.as_deref()).into()),
        );
        insert(&mut claims, "aud", Some(grant.client_id.clone().into()));
        insert(&mut claims, "sub", Some(person.sub.clone().into()));
        insert(&mut claims, "iat", Some(now.into()));
        insert(&mut claims, "exp", Some((now + world.behaviour.token_lifetime).into()));
        insert(&mut claims, "nonce", Some(grant.nonce.clone().into()));
        profile(&mut claims, person, &grant.scope);
        match provider.flavour {
            Flavour::Google => {
                insert(&mut claims, "azp", Some(grant.client_id.clone().into()));
                insert(&mut claims, "hd", person.hd.clone().map(Value::from));
                insert(&mut claims, "at_hash", Some(half_hash(access_token).into()));
            }
            Flavour::Microsoft { .. } => {
                insert(&mut claims, "nbf", Some(now.into()));
                insert(&mut claims, "tid", person.tid.clone().map(Value::from));
                insert(&mut claims, "oid", person.oid.clone().map(Value::from));
                insert(&mut claims, "preferred_username", person.email.clone().map(Value::from));
                insert(&mut claims, "xms_edov", person.xms_edov.clone());
                insert(&mut claims, "uti", Some(random(16).into()));
                insert(&mut claims, "ver", Some("2.0".into()));
            }
        }
        replace(&mut claims, &person.claims);
        let header = object(json!({"alg": "RS256", "kid": key.kid, "typ": "JWT"}));
        Self { header, claims, signature: Signature::Rsa(key, &RSA_PKCS1_SHA256), place: Place::Token }
    }

    fn forge(&mut self, forgery: &Forgery, provider: &Provider, world: &mut World, grant: &Grant) {
        match forgery {
            Forgery::Unsigned => self.unsigned("none"),
            Forgery::UnsignedAs(spelling) => self.unsigned(spelling),
            Forgery::SignedWithPublicKey => {
                self.hmac(world.keys.signing().public_pem().into_bytes());
            }
            Forgery::SignedWithClientSecret => {
                let secret = world
                    .clients
                    .iter()
                    .find(|client| client.id == grant.client_id)
                    .map(|client| client.secret.clone());
                self.hmac(secret.unwrap_or_default().into_bytes());
            }
            Forgery::OtherAlgorithm(algorithm) => {
                let encoding: &'static dyn RsaEncoding = match algorithm.as_str() {
                    "RS384" => &RSA_PKCS1_SHA384,
                    "RS512" => &RSA_PKCS1_SHA512,
                    "PS256" => &RSA_PSS_SHA256,
                    _ => &RSA_PKCS1_SHA256,
                };
                self.signature = Signature::Rsa(world.keys.signing(), encoding);
                self.header("alg", algorithm.clone());
            }
            Forgery::BrokenSignature => self.signature = Signature::Broken(world.keys.signing()),
            Forgery::NoSignature => self.signature = Signature::Empty,
            Forgery::ForeignKey => self.signed_by(world.keys.foreign()),
            Forgery::UnknownKid => {
                let foreign = world.keys.foreign();
                self.header("kid", foreign.kid.clone());
                self.signed_by(foreign);
            }
            Forgery::NoKid => {
                self.header.remove("kid");
            }
            Forgery::KeyOfPersonalAccounts => {
                let key = world.keys.consumers();
                self.header("kid", key.kid.clone());
                self.signed_by(key);
            }
            Forgery::ChangedAfterSigning => {
                self.signature = Signature::OfOtherClaims(world.keys.signing());
            }
            Forgery::OwnKeyInHeader => {
                let foreign = world.keys.foreign();
                self.header("jwk", foreign.jwk());
                self.header("kid", foreign.kid.clone());
                self.signed_by(foreign);
            }
            Forgery::KeyUrlInHeader(url) => self.key_elsewhere("jku", url, world),
            Forgery::CertificateUrlInHeader(url) => self.key_elsewhere("x5u", url, world),
            Forgery::UnknownCritical => {
                self.header("crit", json!(["urn:example:unheard-of"]));
                self.header("urn:example:unheard-of", true);
            }
            Forgery::Type(kind) => self.header("typ", kind.clone()),
            Forgery::Header { name, value } => self.header(name, value.clone()),
            Forgery::Text(text) => self.place = Place::Text(text.clone()),
            Forgery::Absent => self.place = Place::Nothing,
            claims => self.forge_claims(claims, provider, world.now(), grant),
        }
    }

    fn forge_claims(&mut self, forgery: &Forgery, provider: &Provider, now: i64, grant: &Grant) {
        match forgery {
            Forgery::Issuer(issuer) => self.claim("iss", issuer.clone()),
            Forgery::TenantNotOfIssuer(tid) => self.claim("tid", tid.clone()),
            Forgery::Tenant(tid) => {
                self.claim("tid", tid.clone());
                self.claim("iss", provider.flavour.token_issuer(&provider.origin, Some(tid)));
            }
            Forgery::OtherAudience => self.claim("aud", OTHER_CLIENT),
            Forgery::ExtraAudience => self.claim("aud", json!([grant.client_id, OTHER_CLIENT])),
            Forgery::AudienceAsList => self.claim("aud", json!([grant.client_id])),
            Forgery::OtherAuthorizedParty => self.claim("azp", OTHER_CLIENT),
            Forgery::Expired(ago) => {
                self.claim("exp", now - ago);
                self.claim("iat", now - ago - 3_600);
            }
            Forgery::ExpiryAsText => {
                let text = self.claims.get("exp").map(ToString::to_string).unwrap_or_default();
                self.claim("exp", text);
            }
            Forgery::NoExpiry => self.without("exp"),
            Forgery::NoIssueTime => self.without("iat"),
            Forgery::IssuedInFuture(ahead) => self.claim("iat", now + ahead),
            Forgery::NotYetValid(ahead) => self.claim("nbf", now + ahead),
            Forgery::OtherNonce => self.claim("nonce", random(16)),
            Forgery::NoNonce => self.without("nonce"),
            Forgery::OtherAccessTokenHash => self.claim("at_hash", half_hash("another access token")),
            Forgery::NoSubject => self.without("sub"),
            Forgery::Claim { name, value } => self.claim(name, value.clone()),
            Forgery::WithoutClaim(name) => self.without(name),
            Forgery::LogoutToken => {
                self.header("typ", "logout+jwt");
                self.without("nonce");
                self.claim("jti", random(16));
                self.claim("events", json!({"http://schemas.openid.net/event/backchannel-logout": {}}));
            }
            _ => unreachable!("the others are about the signature, the header or the token as a whole"),
        }
    }

    fn header(&mut self, name: &str, value: impl Into<Value>) {
        self.header.insert(name.to_owned(), value.into());
    }

    fn claim(&mut self, name: &str, value: impl Into<Value>) {
        self.claims.insert(name.to_owned(), value.into());
    }

    fn without(&mut self, name: &str) {
        self.claims.remove(name);
    }

    fn unsigned(&mut self, spelling: &str) {
        self.header("alg", spelling);
        self.signature = Signature::Empty;
    }

    fn hmac(&mut self, secret: Vec<u8>) {
        self.header("alg", "HS256");
        self.signature = Signature::Hmac(secret);
    }

    fn signed_by(&mut self, key: Arc<SigningKey>) {
        self.signature = Signature::Rsa(key, &RSA_PKCS1_SHA256);
    }

    fn key_elsewhere(&mut self, parameter: &str, url: &str, world: &mut World) {
        let foreign = world.keys.foreign();
        self.header(parameter, url);
        self.header("kid", foreign.kid.clone());
        self.signed_by(foreign);
    }

    /// The compact serialization (RFC 7515 §7.1).
    fn encode(self) -> Option<String> {
        match self.place {
            Place::Token => {}
            Place::Text(text) => return Some(text),
            Place::Nothing => return None,
        }
        let part =
            |members: &Map<String, Value>| base64url(Value::from(members.clone()).to_string().as_bytes());
        let header = part(&self.header);
        let message = format!("{header}.{}", part(&self.claims));
        let (message, signature) = match self.signature {
            Signature::Rsa(key, encoding) => {
                let signature = key.sign(encoding, message.as_bytes());
                (message, signature)
            }
            Signature::Hmac(secret) => {
                let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &secret), message.as_bytes());
                (message, tag.as_ref().to_vec())
            }
            Signature::Broken(key) => {
                let mut signature = key.sign(&RSA_PKCS1_SHA256, message.as_bytes());
                signature[100] ^= 1;
                (message, signature)
            }
            Signature::OfOtherClaims(key) => {
                let signature = key.sign(&RSA_PKCS1_SHA256, message.as_bytes());
                let mut other = self.claims;
                other.insert("sub".into(), "somebody-else".into());
                (format!("{header}.{}", part(&other)), signature)
            }
            Signature::Empty => (message, Vec::new()),
        };
        Some(format!("{message}.{}", base64url(&signature)))
    }
}

/// The claims about a person that a scope allows.
pub(crate) fn profile(claims: &mut Map<String, Value>, person: &Person, scope: &str) {
    let allowed = |name: &str| scope.split(' ').any(|part| part == name);
    if allowed("email") {
        insert(claims, "email", person.email.clone().map(Value::from));
        insert(claims, "email_verified", person.email_verified.clone());
    }
    if allowed("profile") {
        insert(claims, "name", Some(person.name.clone().into()));
        insert(claims, "given_name", Some(person.given_name().into()));
        insert(claims, "family_name", person.family_name().map(Value::from));
    }
}

pub(crate) fn insert(claims: &mut Map<String, Value>, name: &str, value: Option<Value>) {
    if let Some(value) = value {
        claims.insert(name.to_owned(), value);
    }
}

/// `at_hash` (OpenID Connect Core 1.0 §3.1.3.6): the left half of the SHA-256.
fn half_hash(token: &str) -> String {
    base64url(&digest(&SHA256, token.as_bytes()).as_ref()[..16])
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(members) => members,
        _ => Map::new(),
    }
}
