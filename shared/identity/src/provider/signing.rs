//! The keys that our tokens are signed with: ES256, a current one, a next one published before it is used, and previous ones.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header};
use rollcall_domain::Secret;
use serde::Serialize;
use thiserror::Error;
use zeroize::Zeroizing;

use crate::jwk::PublicKey;
use crate::jwt::Unverified;

const BEGIN: &str = "-----BEGIN PRIVATE KEY-----";
const END: &str = "-----END PRIVATE KEY-----";

/// The text is no key that tokens can be signed with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the {which} signing key is not a P-256 private key in PKCS#8 form (PEM, or base64 of the DER)")]
pub struct InvalidSigningKey {
    which: &'static str,
}

/// A token could not be signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a token could not be signed; the signing key in the secret may be damaged")]
pub struct SigningFailed;

/// A JWKS document (RFC 7517 §5).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KeySet {
    /// The current key, the next one, and the previous ones.
    pub keys: Vec<PublicKey>,
}

/// The keys of one moment. A rotation makes a new value; this one never changes.
pub struct SigningKeys {
    current: EncodingKey,
    published: Vec<(PublicKey, DecodingKey)>,
}

impl SigningKeys {
    /// Loads the keys. The current one signs; all of them are published and accepted.
    ///
    /// A key is rotated in three steps, each at least as long after the one before as applications keep the JWKS: publish it as
    /// `next`; make it `current` and the former one `previous`; drop `previous`.
    pub fn load(
        current: &Secret,
        next: Option<&Secret>,
        previous: &[Secret],
    ) -> Result<Self, InvalidSigningKey> {
        let (current, public) = load(current, "current")?;
        let mut published = vec![public];
        for (which, key) in
            next.map(|key| ("next", key)).into_iter().chain(previous.iter().map(|key| ("previous", key)))
        {
            let (_, public) = load(key, which)?;
            // The same key under two names is one key.
            if published.iter().all(|(known, _)| *known != public.0) {
                published.push(public);
            }
        }
        Ok(Self { current, published })
    }

    /// The public halves, for the JWKS.
    pub fn public(&self) -> KeySet {
        KeySet { keys: self.published.iter().map(|(key, _)| key.clone()).collect() }
    }

    /// Signs claims as a token of a type.
    pub(crate) fn sign<C: Serialize>(&self, typ: &str, claims: &C) -> Result<Secret, SigningFailed> {
        let mut header = Header::new(Algorithm::ES256);
        header.typ = Some(typ.to_owned());
        header.kid = self.published.first().map(|(key, _)| key.kid.clone());
        jsonwebtoken::encode(&header, claims, &self.current).map(Secret::new).map_err(|_| SigningFailed)
    }

    /// Whether one of the keys signed it: the one it names.
    pub(crate) fn have_signed(&self, token: &Unverified<'_>) -> bool {
        let named = |(key, _): &&(PublicKey, DecodingKey)| token.kid() == Some(key.kid.as_str());
        self.published.iter().find(named).is_some_and(|(_, key)| token.is_signed_by(key, Algorithm::ES256))
    }
}

type Published = (PublicKey, DecodingKey);

fn load(text: &Secret, which: &'static str) -> Result<(EncodingKey, Published), InvalidSigningKey> {
    let invalid = InvalidSigningKey { which };
    let text = text.expose().trim();
    let body = match text.strip_prefix(BEGIN) {
        Some(rest) => rest.strip_suffix(END).ok_or(invalid)?,
        None => text,
    };
    let body: Zeroizing<String> = Zeroizing::new(body.split_ascii_whitespace().collect());
    let der = Zeroizing::new(STANDARD.decode(body.as_bytes()).map_err(|_| invalid)?);
    let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &der).map_err(|_| invalid)?;
    let public = PublicKey::from_point(pair.public_key().as_ref()).ok_or(invalid)?;
    let decoding = public.decoding_key().ok_or(invalid)?;
    Ok((EncodingKey::from_ec_der(&der), (public, decoding)))
}

/// Makes a new signing key in PEM form: for setting up, rotating, and the local stack.
pub fn generate_signing_key() -> Result<Secret, SigningFailed> {
    let der = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new())
        .map_err(|_| SigningFailed)?;
    let body = Zeroizing::new(STANDARD.encode(der.as_ref()));
    let mut pem = Zeroizing::new(format!("{BEGIN}\n"));
    for (at, character) in body.chars().enumerate() {
        if at > 0 && at % 64 == 0 {
            pem.push('\n');
        }
        pem.push(character);
    }
    pem.push('\n');
    pem.push_str(END);
    pem.push('\n');
    Ok(Secret::new(pem.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn signs(keys: &SigningKeys, token: &Secret) -> bool {
        keys.have_signed(&Unverified::parse(token.expose()).ok().unwrap())
    }

    #[test]
    fn a_key_is_published_before_it_signs_and_accepted_after_it_has() {
        let [a, b] = [generate_signing_key().unwrap(), generate_signing_key().unwrap()];
        let before = SigningKeys::load(&a, Some(&b), &[]).unwrap();
        let after = SigningKeys::load(&b, None, std::slice::from_ref(&a)).unwrap();
        let gone = SigningKeys::load(&b, None, &[]).unwrap();
        assert_eq!(before.public().keys.len(), 2);
        assert_eq!(before.public().keys[1], after.public().keys[0]);

        let (old, new) = (before.sign("JWT", &json!({})).unwrap(), after.sign("JWT", &json!({})).unwrap());
        assert!(signs(&before, &old) && signs(&before, &new));
        assert!(signs(&after, &old) && signs(&after, &new));
        assert!(!signs(&gone, &old) && signs(&gone, &new));
    }

    #[test]
    fn the_public_set_has_nothing_private_in_it() {
        let keys = SigningKeys::load(&generate_signing_key().unwrap(), None, &[]).unwrap();
        let set = serde_json::to_value(keys.public()).unwrap();
        let names: Vec<_> = set["keys"][0].as_object().unwrap().keys().cloned().collect();
        assert_eq!(names, ["alg", "crv", "kid", "kty", "use", "x", "y"]);
    }

    #[test]
    fn a_key_may_be_written_as_pem_or_as_bare_base64_and_in_no_other_form() {
        let pem = generate_signing_key().unwrap();
        let bare: String = pem.expose().lines().filter(|line| !line.starts_with("--")).collect();
        let kid = |text: &str| SigningKeys::load(&Secret::new(text), None, &[]).map(|keys| keys.public());
        assert_eq!(kid(pem.expose()), kid(&bare));
        for bad in ["", "x", BEGIN, &bare[4..], &pem.expose().replace("PRIVATE", "PUBLIC")] {
            assert_eq!(kid(bad), Err(InvalidSigningKey { which: "current" }));
        }
        let next = Secret::new("x");
        assert_eq!(
            SigningKeys::load(&pem, Some(&next), &[]).err(),
            Some(InvalidSigningKey { which: "next" })
        );
    }
}
