//! JSON Web Tokens as this crate reads and checks them (RFC 7515, RFC 7519, RFC 8725).
//!
//! The signature is checked by `jsonwebtoken` on `aws-lc-rs`. Header and claims are read here, so that the clock can be handed
//! in, every check has a name of its own, and a claim of the wrong type is never taken for an absent one.

use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;
use serde::de::{Error as _, MapAccess, Visitor};
use serde_json::{Map, Value};

use crate::encoding::from_base64url;

/// The longest token that is looked at, in bytes.
const LONGEST_TOKEN: usize = 16 * 1024;

/// What is wrong with the token as such, before any rule of its kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Broken {
    /// Not three parts of base64url, or too long, or the header is not what a header is.
    Form,
    /// The header demands an extension (`crit`, RFC 7515 §4.1.11). None is known here.
    Critical,
    /// The claims are no JSON object, or one of them is there twice.
    Claims,
}

/// The part of a header that matters. `jku`, `jwk`, `x5u` and `x5c` are not even read: keys never come from a token.
#[derive(Deserialize)]
struct RawHeader {
    alg: String,
    #[serde(default)]
    typ: Option<String>,
    #[serde(default)]
    kid: Option<String>,
    #[serde(default)]
    crit: Option<Value>,
}

/// A token that has been taken apart and not been checked.
pub(crate) struct Unverified<'a> {
    alg: String,
    typ: Option<String>,
    kid: Option<String>,
    payload: &'a str,
    signed: &'a str,
    signature: &'a str,
}

impl<'a> Unverified<'a> {
    pub(crate) fn parse(token: &'a str) -> Result<Self, Broken> {
        if token.len() > LONGEST_TOKEN {
            return Err(Broken::Form);
        }
        let (signed, signature) = token.rsplit_once('.').ok_or(Broken::Form)?;
        let (header, payload) = signed.split_once('.').ok_or(Broken::Form)?;
        if payload.contains('.') {
            return Err(Broken::Form);
        }
        let header = from_base64url(header).ok_or(Broken::Form)?;
        let header: RawHeader = serde_json::from_slice(&header).map_err(|_| Broken::Form)?;
        if header.crit.is_some() {
            return Err(Broken::Critical);
        }
        Ok(Self { alg: header.alg, typ: header.typ, kid: header.kid, payload, signed, signature })
    }

    /// The algorithm, if it is the one allowed. Nothing else in the token has a say in how it is checked (RFC 8725 §3.1).
    pub(crate) fn has_algorithm(&self, allowed: Algorithm) -> bool {
        self.alg == name_of(allowed)
    }

    /// Whether the token says it is of this type (RFC 8725 §3.11; media types compare without case, RFC 7515 §4.1.9).
    pub(crate) fn has_type(&self, typ: &str) -> bool {
        self.typ.as_deref().is_some_and(|given| {
            given.eq_ignore_ascii_case(typ)
                || given.to_ascii_lowercase().strip_prefix("application/").is_some_and(|short| short == typ)
        })
    }

    /// Whether the token says of what type it is.
    pub(crate) fn has_any_type(&self) -> bool {
        self.typ.is_some()
    }

    /// The name of the key that is said to have signed it.
    pub(crate) fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// Whether the key signed it with the algorithm.
    pub(crate) fn is_signed_by(&self, key: &DecodingKey, algorithm: Algorithm) -> bool {
        self.has_algorithm(algorithm)
            && jsonwebtoken::crypto::verify(self.signature, self.signed.as_bytes(), key, algorithm)
                .unwrap_or(false)
    }

    /// The claims. They mean nothing before [`Unverified::is_signed_by`].
    pub(crate) fn claims(&self) -> Result<Claims, Broken> {
        let payload = from_base64url(self.payload).ok_or(Broken::Claims)?;
        serde_json::from_slice(&payload).map_err(|_| Broken::Claims)
    }
}

fn name_of(algorithm: Algorithm) -> &'static str {
    match algorithm {
        Algorithm::RS256 => "RS256",
        Algorithm::ES256 => "ES256",
        // No other algorithm is allowed anywhere; this name is in no registry.
        _ => "not allowed",
    }
}

/// A claim is there, in a type it must not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct WrongType;

/// The claims of a token, each at most once.
pub(crate) struct Claims(Map<String, Value>);

impl Claims {
    pub(crate) fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    pub(crate) fn text(&self, name: &str) -> Result<Option<&str>, WrongType> {
        self.get(name).map(|value| value.as_str().ok_or(WrongType)).transpose()
    }

    /// A `NumericDate` in whole seconds (RFC 7519 §2). A number in quotes is no number.
    pub(crate) fn seconds(&self, name: &str) -> Result<Option<i64>, WrongType> {
        let whole = |value: &Value| {
            value.as_i64().or_else(|| {
                // The range is checked first: what is cast is exact enough for a second.
                let seconds = value.as_f64().filter(|seconds| seconds.abs() < 1e15)?;
                #[expect(clippy::cast_possible_truncation, reason = "checked to be within ±1e15")]
                Some(seconds.floor() as i64)
            })
        };
        self.get(name).map(|value| whole(value).ok_or(WrongType)).transpose()
    }

    /// The one audience, whether it is written as a text or as a list of one (RFC 7519 §4.1.3). More than one is `None`.
    pub(crate) fn sole_audience(&self) -> Option<&str> {
        match self.get("aud")? {
            Value::String(audience) => Some(audience),
            Value::Array(audiences) => match audiences.as_slice() {
                [Value::String(audience)] => Some(audience),
                _ => None,
            },
            _ => None,
        }
    }
}

/// Reads an object and refuses one that names the same member twice, where two readers could each see another value.
impl<'de> Deserialize<'de> for Claims {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;

        impl<'de> Visitor<'de> for Object {
            type Value = Claims;

            fn expecting(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.write_str("an object with distinct members")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Claims, A::Error> {
                let mut claims = Map::new();
                while let Some((name, value)) = access.next_entry::<String, Value>()? {
                    if claims.insert(name, value).is_some() {
                        return Err(A::Error::custom("a member is repeated"));
                    }
                }
                Ok(Claims(claims))
            }
        }

        deserializer.deserialize_map(Object)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encoding::base64url;

    fn token(header: &str, claims: &str) -> String {
        format!("{}.{}.{}", base64url(header), base64url(claims), base64url("signature"))
    }

    fn claims(json: &str) -> Result<Claims, Broken> {
        Unverified::parse(&token(r#"{"alg":"RS256"}"#, json))?.claims()
    }

    #[test]
    fn a_header_that_demands_an_extension_is_refused() {
        let demanding = token(r#"{"alg":"RS256","crit":["b64"],"b64":false}"#, "{}");
        assert_eq!(Unverified::parse(&demanding).err(), Some(Broken::Critical));
    }

    #[test]
    fn what_is_not_a_token_is_refused() {
        let good = token(r#"{"alg":"RS256"}"#, "{}");
        assert!(Unverified::parse(&good).is_ok());
        for bad in [
            String::new(),
            "..".into(),
            "a.b".into(),
            format!("{good}.x"),
            token(r#"{"alg":5}"#, "{}"),
            token("{}", "{}"),
            token(r#"{"alg":"none","alg":"RS256"}"#, "{}"),
            token("[]", "{}"),
            format!("{good}{}", "A".repeat(20_000)),
        ] {
            assert_eq!(Unverified::parse(&bad).err(), Some(Broken::Form), "{bad:.60}");
        }
    }

    #[test]
    fn a_claim_that_is_there_twice_is_refused() {
        assert_eq!(claims(r#"{"sub":"a","sub":"b"}"#).err(), Some(Broken::Claims));
        assert_eq!(claims(r#"{"sub":"a","s\u0075b":"b"}"#).err(), Some(Broken::Claims));
        assert_eq!(claims("[]").err(), Some(Broken::Claims));
    }

    #[test]
    fn a_time_in_quotes_is_of_the_wrong_type_and_not_absent() {
        let claims = claims(r#"{"exp":"1800000000","iat":1.9,"nbf":null,"big":1e300}"#).ok().unwrap();
        assert_eq!(claims.seconds("exp"), Err(WrongType));
        assert_eq!(claims.seconds("nbf"), Err(WrongType));
        assert_eq!(claims.seconds("big"), Err(WrongType));
        assert_eq!(claims.seconds("iat"), Ok(Some(1)));
        assert_eq!(claims.seconds("none"), Ok(None));
    }

    #[test]
    fn types_compare_as_media_types() {
        let typed = |typ: &str| token(&format!(r#"{{"alg":"ES256","typ":"{typ}"}}"#), "{}");
        for (typ, is) in
            [("at+jwt", true), ("application/AT+JWT", true), ("JWT", false), ("logout+jwt", false)]
        {
            assert_eq!(Unverified::parse(&typed(typ)).ok().unwrap().has_type("at+jwt"), is, "{typ}");
        }
    }
}
