//! Small conversions that every protocol step needs.

use aws_lc_rs::{constant_time, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rollcall_domain::{Secret, TokenHash};

/// Base64url without padding (RFC 4648 §5).
pub(crate) fn base64url(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Reads base64url without padding; refuses padding, line breaks and leftover bits.
pub(crate) fn from_base64url(text: impl AsRef<[u8]>) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

/// A secret text made of random bytes.
pub(crate) fn random_text(bytes: &[u8]) -> Secret {
    Secret::new(base64url(bytes))
}

/// Whether a text is exactly `bytes` random bytes as [`random_text`] writes them.
pub(crate) fn is_random_text(text: &str, bytes: usize) -> bool {
    text.len() == (bytes * 4).div_ceil(3)
        && from_base64url(text).is_some_and(|decoded| decoded.len() == bytes)
}

/// The SHA-256 of bytes.
pub(crate) fn sha256(bytes: &[u8]) -> digest::Digest {
    digest::digest(&digest::SHA256, bytes)
}

/// The left half of the SHA-256 of a token, which ties it to an ID token (OpenID Connect Core 1.0 §3.1.3.6).
pub(crate) fn half_hash(token: &Secret) -> String {
    base64url(sha256(token.expose().as_bytes()).as_ref().get(..16).unwrap_or_default())
}

/// Compares in a time that depends on the lengths only.
pub(crate) fn same(a: &str, b: &str) -> bool {
    constant_time::verify_slices_are_equal(a.as_bytes(), b.as_bytes()).is_ok()
}

/// A [`TokenHash`] as hexadecimal text in a stored record.
pub(crate) mod hash_as_hex {
    use super::TokenHash;
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    pub(crate) fn serialize<S: Serializer>(hash: &TokenHash, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(hash)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<TokenHash, D::Error> {
        TokenHash::from_hex(&String::deserialize(deserializer)?)
            .ok_or_else(|| D::Error::custom("not a hash of 64 hexadecimal digits"))
    }
}

/// Several [`TokenHash`]es as hexadecimal texts in a stored record.
pub(crate) mod hashes_as_hex {
    use super::TokenHash;
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    pub(crate) fn serialize<S: Serializer>(hashes: &[TokenHash], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(hashes.iter().map(TokenHash::to_string))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<TokenHash>, D::Error> {
        Vec::<String>::deserialize(deserializer)?
            .iter()
            .map(|hex| TokenHash::from_hex(hex))
            .collect::<Option<_>>()
            .ok_or_else(|| D::Error::custom("not a hash of 64 hexadecimal digits"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_random_text_is_recognised_by_its_exact_form_only() {
        let text = random_text(&[7; 32]);
        assert!(is_random_text(text.expose(), 32));
        for bad in [
            text.expose()[1..].to_owned(),
            format!("{}=", text.expose()),
            format!("{}!", &text.expose()[1..]),
            format!("{}9", &text.expose()[..42]),
            String::new(),
        ] {
            assert!(!is_random_text(&bad, 32), "{bad}");
        }
    }

    #[test]
    fn texts_are_the_same_only_if_every_byte_is() {
        assert!(same("abc", "abc"));
        assert!(!same("abc", "abd"));
        assert!(!same("abc", "ab"));
        assert!(!same("", "a"));
    }
}
