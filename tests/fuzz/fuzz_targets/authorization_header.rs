//! The `Authorization` header: a client's id and secret, and a bearer token.

#![no_main]

use std::sync::LazyLock;

use axum::extract::FromRequestParts as _;
use futures_util::FutureExt as _;
use http::header::{AUTHORIZATION, HeaderValue};
use libfuzzer_sys::fuzz_target;
use rollcall_domain::Timestamp;
use rollcall_identity::provider::{SigningKeys, TokenIssuer, TokenRequest, generate_signing_key};
use rollcall_service::web::Bearer;

static ISSUER: LazyLock<TokenIssuer> = LazyLock::new(|| {
    let key = generate_signing_key().expect("a key");
    TokenIssuer::new("https://rollcall.example", SigningKeys::load(&key, None, &[]).expect("keys"))
});

fuzz_target!(|bytes: &[u8]| {
    let Ok(value) = HeaderValue::from_bytes(bytes) else { return };
    if let Ok(text) = value.to_str() {
        let _ = TokenRequest::parse(b"grant_type=client_credentials", Some(text));
    }
    let (mut parts, ()) = http::Request::new(()).into_parts();
    parts.headers.insert(AUTHORIZATION, value);
    if let Some(Ok(Bearer(token))) = Bearer::from_request_parts(&mut parts, &()).now_or_never() {
        let now = Timestamp::from_seconds(1_800_000_000);
        assert!(ISSUER.member_token(token.expose(), now).is_err(), "no token of ours can be made up");
        assert!(ISSUER.machine_token(token.expose(), now).is_err());
        assert!(ISSUER.hint(token.expose()).is_err());
    }
});
