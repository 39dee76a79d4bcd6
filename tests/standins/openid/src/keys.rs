//! The RSA keys that sign ID tokens, and the key set as it is published.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{KeyPair as _, RsaEncoding};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use std::sync::Arc;

pub(crate) fn base64url(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// So many random bytes in base64url: codes, access tokens.
pub(crate) fn random(bytes: usize) -> String {
    let mut buffer = vec![0; bytes];
    aws_lc_rs::rand::fill(&mut buffer).expect("the system gives random bytes");
    base64url(&buffer)
}

/// One RSA key of 2,048 bits.
pub(crate) struct SigningKey {
    pub(crate) kid: String,
    pair: KeyPair,
    modulus: String,
    exponent: String,
}

impl SigningKey {
    /// Makes a new key. Takes a moment: call it off the async threads where many are waiting.
    pub(crate) fn generate() -> Self {
        let pair = KeyPair::generate(KeySize::Rsa2048).expect("an RSA key can be made");
        let public = pair.public_key().as_ref().to_vec();
        let (modulus, exponent) = modulus_and_exponent(&public);
        let kid = hex(&digest(&SHA256, &public).as_ref()[..20]);
        Self { kid, modulus: base64url(modulus), exponent: base64url(exponent), pair }
    }

    pub(crate) fn sign(&self, encoding: &'static dyn RsaEncoding, message: &[u8]) -> Vec<u8> {
        let mut signature = vec![0; self.pair.public_modulus_len()];
        self.pair
            .sign(encoding, &SystemRandom::new(), message, &mut signature)
            .expect("a 2,048-bit key signs");
        signature
    }

    /// The public key as a JWK (RFC 7517).
    pub(crate) fn jwk(&self) -> Value {
        json!({"kty": "RSA", "use": "sig", "alg": "RS256", "kid": self.kid, "n": self.modulus, "e": self.exponent})
    }

    /// The public key as PEM: what a confused verifier takes for an HMAC secret.
    pub(crate) fn public_pem(&self) -> String {
        let der: PublicKeyX509Der<'_> = self.pair.public_key().as_der().expect("a public key has a DER form");
        let text = STANDARD.encode(der.as_ref());
        let lines: Vec<&str> =
            text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
        format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", lines.join("\n"))
    }
}

/// Reads an `RSAPublicKey` (RFC 8017 §A.1.1): a sequence of two integers.
fn modulus_and_exponent(der: &[u8]) -> (&[u8], &[u8]) {
    let (sequence, _) = value(der);
    let (modulus, rest) = value(sequence);
    let (exponent, _) = value(rest);
    (modulus.strip_prefix(&[0]).unwrap_or(modulus), exponent)
}

/// The value of the first DER element, and what comes after it.
fn value(der: &[u8]) -> (&[u8], &[u8]) {
    let (length, start) = match der[1] {
        short @ 0..=0x7f => (usize::from(short), 2),
        long => {
            let bytes = usize::from(long & 0x7f);
            (der[2..2 + bytes].iter().fold(0, |length, byte| (length << 8) | usize::from(*byte)), 2 + bytes)
        }
    };
    (&der[start..start + length], &der[start + length..])
}

/// The keys of a provider over time.
pub(crate) struct Keys {
    /// What is published, in order.
    published: Vec<Arc<SigningKey>>,
    /// What signs.
    signing: Arc<SigningKey>,
    /// A key that is never published: an attacker's.
    foreign: Option<Arc<SigningKey>>,
    /// Microsoft: a key that is published for personal accounts only.
    consumers: Option<Arc<SigningKey>>,
}

impl Keys {
    pub(crate) fn new(first: SigningKey) -> Self {
        let first = Arc::new(first);
        Self { published: vec![first.clone()], signing: first, foreign: None, consumers: None }
    }

    pub(crate) fn signing(&self) -> Arc<SigningKey> {
        self.signing.clone()
    }

    /// The attacker's key. Made when it is first needed.
    pub(crate) fn foreign(&mut self) -> Arc<SigningKey> {
        self.foreign.get_or_insert_with(|| Arc::new(SigningKey::generate())).clone()
    }

    /// The key that is published for Microsoft's personal accounts alone. Made and published when it is first needed.
    pub(crate) fn consumers(&mut self) -> Arc<SigningKey> {
        self.consumers.get_or_insert_with(|| Arc::new(SigningKey::generate())).clone()
    }

    /// Publishes a new key beside the others; the old one goes on signing.
    pub(crate) fn publish(&mut self, key: SigningKey) {
        self.published.push(Arc::new(key));
    }

    /// Signs with the newest published key from now on.
    pub(crate) fn sign_with_newest(&mut self) {
        self.signing = self.published.last().expect("there is always a key").clone();
    }

    /// Signs with a key that is not published (yet).
    pub(crate) fn sign_with_unpublished(&mut self, key: SigningKey) {
        self.signing = Arc::new(key);
    }

    /// Withdraws every key but the one that signs, which is published.
    pub(crate) fn retire_others(&mut self) {
        self.published = vec![self.signing.clone()];
    }

    /// The published key set. `key_issuer`: Microsoft says with each key for which issuer it signs.
    pub(crate) fn set(&self, decoys: bool, key_issuer: Option<(&str, &str)>) -> Value {
        let mut keys = if decoys { decoy_keys() } else { Vec::new() };
        for key in &self.published {
            let mut jwk = key.jwk();
            if let Some((any_tenant, _)) = key_issuer {
                jwk["issuer"] = any_tenant.into();
            }
            keys.push(jwk);
        }
        if let (Some(key), Some((_, personal))) = (&self.consumers, key_issuer) {
            let mut jwk = key.jwk();
            jwk["issuer"] = personal.into();
            keys.push(jwk);
        }
        json!({ "keys": keys })
    }
}

/// Keys that a verifier of today cannot use and must pass over (RFC 7517 §5): post-quantum, of unknown type, on an unknown
/// curve, for encryption, and damaged.
fn decoy_keys() -> Vec<Value> {
    vec![
        json!({"kty": "AKP", "alg": "ML-DSA-65", "use": "sig", "kid": "decoy-akp", "pub": base64url(&[7; 48])}),
        json!({"kty": "LATTICE", "use": "sig", "kid": "decoy-kty", "x": "AAAA"}),
        json!({"kty": "EC", "crv": "P-9000", "use": "sig", "alg": "ES9000", "kid": "decoy-crv", "x": "AAAA", "y": "AAAA"}),
        json!({"kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA", "kid": "decoy-okp", "x": base64url(&[9; 32])}),
        json!({"kty": "RSA", "use": "enc", "alg": "RSA-OAEP", "kid": "decoy-enc", "n": base64url(&[201; 256]), "e": "AQAB"}),
        json!({"kty": "RSA", "use": "sig", "alg": "RS256", "kid": "decoy-damaged", "n": "!!!", "e": 65537}),
        json!({"kty": "RSA", "use": "sig", "alg": "RS256", "kid": "decoy-empty"}),
        json!({"kid": "decoy-untyped"}),
    ]
}
