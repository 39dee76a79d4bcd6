//! Values that must never be printed.

use core::fmt;

use zeroize::Zeroizing;

/// A text that grants something to whoever holds it: a token, a client secret, a key.
///
/// It has neither `Debug` nor `Display` nor `Serialize`, so that no log line, error or answer can carry it by accident; the
/// memory is wiped when it is dropped. [`Secret::expose`] is the one way to the text, and easy to search for.
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Wraps a secret text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// The text itself, for the one place that has to send or hash it.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}

impl<'de> serde::Deserialize<'de> for Secret {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::new)
    }
}

/// Bytes in lower-case hexadecimal digits.
pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    let digit = |half: u8| char::from_digit(u32::from(half), 16).unwrap_or('0');
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// The SHA-256 of a high-entropy token: what the table keeps instead of the token.
///
/// A plain hash is enough because every token hashed here carries at least 128 random bits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TokenHash([u8; 32]);

impl TokenHash {
    /// Hashes a token.
    pub fn of(token: &Secret) -> Self {
        use sha2::Digest as _;
        Self(sha2::Sha256::digest(token.expose().as_bytes()).into())
    }

    /// From the hash's 64 hexadecimal digits, lower or upper case; `None` for anything else.
    pub fn from_hex(hex: &str) -> Option<Self> {
        let mut bytes = [0_u8; 32];
        if hex.len() != 64 || !hex.is_ascii() {
            return None;
        }
        for (byte, digits) in bytes.iter_mut().zip(hex.as_bytes().chunks(2)) {
            *byte = u8::from_str_radix(core::str::from_utf8(digits).ok()?, 16).ok()?;
        }
        hex.bytes().all(|digit| digit.is_ascii_hexdigit()).then_some(Self(bytes))
    }

    /// Compares in a time that does not depend on where two hashes differ.
    pub fn matches(&self, other: &Self) -> bool {
        self.0.iter().zip(other.0).fold(0_u8, |difference, (a, b)| difference | (a ^ b)) == 0
    }
}

impl TryFrom<String> for TokenHash {
    type Error = &'static str;

    fn try_from(hex: String) -> Result<Self, Self::Error> {
        Self::from_hex(&hex).ok_or("not a SHA-256 hash: expected 64 hexadecimal digits")
    }
}

impl From<TokenHash> for String {
    fn from(hash: TokenHash) -> Self {
        hash.to_string()
    }
}

/// A hash of a token is not a secret, and is a key of the table: it may be printed.
impl fmt::Display for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hexadecimal(&self.0))
    }
}

impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_survives_its_hexadecimal_form_and_nothing_else_is_accepted() {
        let hash = TokenHash::of(&Secret::new("token"));
        assert_eq!(TokenHash::from_hex(&hash.to_string()), Some(hash));
        assert!(hash.matches(&TokenHash::of(&Secret::new("token"))));
        assert!(!hash.matches(&TokenHash::of(&Secret::new("tokem"))));
        for bad in ["", "zz", &"g".repeat(64), &"é".repeat(32), &format!("+1{}", "0".repeat(62))] {
            assert_eq!(TokenHash::from_hex(bad), None, "{bad}");
        }
    }
}
