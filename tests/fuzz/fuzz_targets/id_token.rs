//! What Google and Microsoft answer: key sets, metadata, token answers, and ID tokens, made up or with claims that the right key signed.

#![no_main]

use std::sync::LazyLock;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use libfuzzer_sys::fuzz_target;
use rollcall_domain::identity::Provider;
use rollcall_identity::fuzzing;
use serde_json::{Map, Value, json};

struct Key {
    pair: KeyPair,
    published: Vec<u8>,
}

static KEY: LazyLock<Key> = LazyLock::new(|| {
    let pair = KeyPair::generate(KeySize::Rsa2048).expect("a key");
    let public = pair.public_key();
    let n = URL_SAFE_NO_PAD.encode(public.modulus().big_endian_without_leading_zero());
    let e = URL_SAFE_NO_PAD.encode(public.exponent().big_endian_without_leading_zero());
    let published = json!({ "keys": [{ "kty": "RSA", "kid": "key", "use": "sig", "n": n, "e": e }] });
    Key { published: published.to_string().into_bytes(), pair }
});

fn sign(header: &[u8], claims: &[u8]) -> String {
    let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
    let mut signature = vec![0; KEY.pair.public_modulus_len()];
    KEY.pair
        .sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature)
        .expect("a signature");
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(&signature))
}

/// Sound claims, so that those which are fuzzed are looked at one by one.
fn sound(provider: Provider) -> Map<String, Value> {
    let tenant = "72f988bf-86f1-41af-91ab-2d7cd011db47";
    let issuer = if provider == Provider::Google {
        fuzzing::GOOGLE.to_owned()
    } else {
        fuzzing::MICROSOFT.replace("organizations", tenant)
    };
    let now = fuzzing::NOW.as_seconds();
    let claims = json!({
        "iss": issuer, "aud": fuzzing::CLIENT, "sub": "1", "nonce": fuzzing::NONCE, "iat": now, "exp": now + 60,
        "tid": tenant, "oid": "11111111-2222-3333-4444-555555555555",
    });
    match claims {
        Value::Object(claims) => claims,
        _ => Map::new(),
    }
}

fuzz_target!(|bytes: &[u8]| {
    fuzzing::key_set(bytes);
    fuzzing::metadata(bytes);
    for status in [200, 400, 503] {
        fuzzing::token_answer(status, bytes);
    }
    for provider in [Provider::Google, Provider::Microsoft] {
        if let Ok(token) = core::str::from_utf8(bytes) {
            assert!(!fuzzing::id_token(token, &KEY.published, provider), "no token can be made up");
        }
        fuzzing::id_token(&sign(bytes, b"{}"), &KEY.published, provider);
        fuzzing::id_token(&sign(br#"{"alg":"RS256","kid":"key"}"#, bytes), &KEY.published, provider);
        if let Ok(Value::Object(changes)) = serde_json::from_slice(bytes) {
            let mut claims = sound(provider);
            claims.extend(changes);
            let claims = Value::Object(claims).to_string();
            let token = sign(br#"{"alg":"RS256","kid":"key"}"#, claims.as_bytes());
            fuzzing::id_token(&token, &KEY.published, provider);
        }
    }
});
