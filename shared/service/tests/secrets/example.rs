//! A document that is right, to be made wrong in one place.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

/// A fresh P-256 key, as PKCS#8 in base64.
pub(crate) fn signing_key() -> String {
    let key = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new()).unwrap();
    STANDARD.encode(key)
}

/// A key of the wrong curve.
pub(crate) fn other_curve() -> String {
    STANDARD
        .encode(EcdsaKeyPair::generate_pkcs8(&ECDSA_P384_SHA384_FIXED_SIGNING, &SystemRandom::new()).unwrap())
}

/// The same key as a PEM file.
pub(crate) fn pem(base64: &str) -> String {
    let lines: Vec<&str> =
        base64.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", lines.join("\n"))
}

pub(crate) fn document() -> Value {
    json!({
        "providers": {
            "bitbucket": { "client_id": "bb", "client_secret": "hunter2-bitbucket" },
            "google": { "client_id": "go", "client_secret": "hunter2-google" },
            "microsoft": {
                "client_id": "ms", "client_secret": "hunter2-microsoft",
                "allowed_tenants": ["72F988BF-86F1-41AF-91AB-2D7CD011DB47"],
            },
        },
        "signing_keys": [
            { "kid": "2027-02", "state": "next", "private_key": signing_key() },
            { "kid": "2026-11", "state": "current", "private_key": pem(&signing_key()) },
        ],
        "sealing_keys": [
            { "id": "2026-11", "key": STANDARD.encode([7; 32]) },
            { "id": "2026-05", "key": STANDARD.encode([8; 32]).trim_end_matches('=') },
        ],
        "bootstrap_admin_token_sha256": "2CF24DBA5FB0A30E26E83B2AC5B9E29E1B161E5C1FA7425E73043362938B9824",
    })
}
