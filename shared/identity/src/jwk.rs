//! JSON Web Keys (RFC 7517): reading the sets of providers, writing our own.

use jsonwebtoken::{Algorithm, DecodingKey};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::encoding::{base64url, from_base64url, sha256};

/// A provider's key that can check signatures.
pub(crate) struct ProviderKey {
    pub(crate) kid: String,
    pub(crate) algorithm: Algorithm,
    pub(crate) key: DecodingKey,
    /// For which issuer Microsoft lets the key sign; `{tenantid}` stands for any tenant.
    pub(crate) issuer: Option<String>,
}

/// The keys of a provider's set that are of use here.
pub(crate) struct ProviderKeys(Vec<ProviderKey>);

#[derive(Deserialize)]
struct RawSet {
    keys: Vec<Value>,
}

#[derive(Deserialize)]
struct RawKey {
    kty: String,
    kid: String,
    #[serde(default, rename = "use")]
    usage: Option<String>,
    #[serde(default)]
    key_ops: Option<Vec<String>>,
    #[serde(default)]
    alg: Option<String>,
    #[serde(default)]
    crv: Option<String>,
    #[serde(default)]
    n: Option<String>,
    #[serde(default)]
    e: Option<String>,
    #[serde(default)]
    x: Option<String>,
    #[serde(default)]
    y: Option<String>,
    #[serde(default)]
    issuer: Option<String>,
}

impl ProviderKeys {
    /// Reads a set. A key that cannot be used is left out (RFC 7517 §5); a text that is no set, or a set without a usable key,
    /// is `None`: that is a broken answer, never an empty set.
    pub(crate) fn parse(body: &[u8]) -> Option<Self> {
        let set: RawSet = serde_json::from_slice(body).ok()?;
        let keys: Vec<_> = set
            .keys
            .into_iter()
            .take(100)
            .filter_map(|key| serde_json::from_value::<RawKey>(key).ok())
            .filter_map(usable)
            .collect();
        (!keys.is_empty()).then_some(Self(keys))
    }

    /// The keys of this name. Several are possible while a provider migrates.
    pub(crate) fn named<'a>(&'a self, kid: &'a str) -> impl Iterator<Item = &'a ProviderKey> {
        self.0.iter().filter(move |key| key.kid == kid)
    }
}

fn usable(key: RawKey) -> Option<ProviderKey> {
    if key.usage.as_deref().is_some_and(|usage| usage != "sig") {
        return None;
    }
    if key.key_ops.as_ref().is_some_and(|ops| !ops.iter().any(|op| op == "verify")) {
        return None;
    }
    let (algorithm, name, decoding) = match key.kty.as_str() {
        "RSA" => (Algorithm::RS256, "RS256", rsa(&key.n?, &key.e?)?),
        "EC" if key.crv.as_deref() == Some("P-256") => {
            let (x, y) = (key.x?, key.y?);
            let coordinate = |text: &str| from_base64url(text).is_some_and(|bytes| bytes.len() == 32);
            if !coordinate(&x) || !coordinate(&y) {
                return None;
            }
            (Algorithm::ES256, "ES256", DecodingKey::from_ec_components(&x, &y).ok()?)
        }
        _ => return None,
    };
    if key.alg.as_deref().is_some_and(|alg| alg != name) {
        return None;
    }
    Some(ProviderKey { kid: key.kid, algorithm, key: decoding, issuer: key.issuer })
}

/// An RSA key of 2048 to 8192 bits with an odd exponent, which is what the verification accepts.
fn rsa(n: &str, e: &str) -> Option<DecodingKey> {
    let strip = |text: &str| {
        let bytes = from_base64url(text)?;
        let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
        Some(bytes.into_iter().skip(zeros).collect::<Vec<_>>())
    };
    let (n, e) = (strip(n)?, strip(e)?);
    let exponent_is_sound = e.len() <= 5 && e.last().is_some_and(|last| last % 2 == 1) && e != [1];
    ((256..=1024).contains(&n.len()) && exponent_is_sound)
        .then(|| DecodingKey::from_rsa_raw_components(&n, &e))
}

/// The public half of one of our P-256 keys, as the JWKS publishes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PublicKey {
    kty: &'static str,
    #[serde(rename = "use")]
    usage: &'static str,
    alg: &'static str,
    crv: &'static str,
    /// The thumbprint of the key (RFC 7638).
    pub kid: String,
    x: String,
    y: String,
}

impl PublicKey {
    /// From the uncompressed point: `04`, x, y.
    pub(crate) fn from_point(point: &[u8]) -> Option<Self> {
        let coordinates = point.strip_prefix(&[4]).filter(|coordinates| coordinates.len() == 64)?;
        let (x, y) = coordinates.split_at(32);
        let (x, y) = (base64url(x), base64url(y));
        // RFC 7638 §3.2: the required members only, in this order, without spaces.
        let thumbprint = sha256(format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#).as_bytes());
        Some(Self { kty: "EC", usage: "sig", alg: "ES256", crv: "P-256", kid: base64url(thumbprint), x, y })
    }

    pub(crate) fn decoding_key(&self) -> Option<DecodingKey> {
        DecodingKey::from_ec_components(&self.x, &self.y).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn rsa_key(kid: &str) -> Value {
        json!({"kty": "RSA", "kid": kid, "use": "sig", "alg": "RS256", "n": base64url([0xAB; 256]), "e": "AQAB"})
    }

    fn names(set: &Value) -> Option<Vec<String>> {
        ProviderKeys::parse(set.to_string().as_bytes())
            .map(|keys| keys.0.into_iter().map(|key| key.kid).collect())
    }

    #[test]
    fn keys_that_cannot_be_used_are_left_out_and_the_rest_serves() {
        let mut wrong_use = rsa_key("enc");
        wrong_use["use"] = "enc".into();
        let mut wrong_alg = rsa_key("alg");
        wrong_alg["alg"] = "HS256".into();
        let mut wrong_ops = rsa_key("ops");
        wrong_ops["key_ops"] = json!(["encrypt"]);
        let mut short = rsa_key("short");
        short["n"] = base64url([0xAB; 128]).into();
        let mut padded = rsa_key("padded");
        padded["n"] = base64url([vec![0; 128], vec![0xAB; 128]].concat()).into();
        let mut even = rsa_key("even");
        even["e"] = base64url([2]).into();
        let mut unnamed = rsa_key("x");
        unnamed.as_object_mut().unwrap().remove("kid");
        let set = json!({"keys": [
            {"kty": "AKP", "kid": "akp", "alg": "ML-DSA-44", "pub": "AA"},
            {"kty": "oct", "kid": "oct", "k": "c2VjcmV0"},
            {"kty": "EC", "kid": "curve", "crv": "P-521", "x": "AA", "y": "AA"},
            {"kty": "EC", "kid": "coordinates", "crv": "P-256", "x": "AA", "y": "AA"},
            "not a key", null, 5, wrong_use, wrong_alg, wrong_ops, short, padded, even, unnamed, rsa_key("good"),
        ]});
        assert_eq!(names(&set), Some(vec!["good".to_owned()]));
    }

    #[test]
    fn what_is_no_set_or_has_no_usable_key_is_a_broken_answer() {
        for body in [
            json!({}),
            json!({"keys": []}),
            json!({"keys": {}}),
            json!([]),
            json!({"keys": [{"kty": "oct"}]}),
        ] {
            assert_eq!(names(&body), None, "{body}");
        }
    }

    #[test]
    fn the_thumbprint_is_the_one_of_rfc_7638() {
        // The point of RFC 7517 appendix A.1; the thumbprint was computed with another implementation.
        let x = from_base64url("MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4").unwrap();
        let y = from_base64url("4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM").unwrap();
        let key = PublicKey::from_point(&[vec![4], x, y].concat()).unwrap();
        assert_eq!(key.kid, "cn-I_WNMClehiVp51i_0VpOENW1upEerA8sEam5hn-s");
    }

    proptest! {
        #[test]
        fn any_body_is_read_or_refused(body in prop::collection::vec(any::<u8>(), 0..200), text in "\\PC{0,200}") {
            let _ = ProviderKeys::parse(&body);
            let _ = ProviderKeys::parse(format!(r#"{{"keys":[{text}]}}"#).as_bytes());
        }
    }
}
