//! The form of an invite: its code, and the provider to accept it with.

#![no_main]

use axum::body::Body;
use axum::extract::{FromRequest as _, Request};
use futures_util::FutureExt as _;
use http::header::CONTENT_TYPE;
use libfuzzer_sys::fuzz_target;
use rollcall_domain::{Secret, TokenHash};
use rollcall_oauth_callback::invite::Accept;
use rollcall_oauth_callback::unlink::Unlink;
use rollcall_service::web::Form;

fn request(bytes: &[u8]) -> Request {
    let request = Request::builder().header(CONTENT_TYPE, "application/x-www-form-urlencoded");
    request.body(Body::from(bytes.to_vec())).expect("a request")
}

fuzz_target!(|bytes: &[u8]| {
    let _ = Form::<Accept>::from_request(request(bytes), &()).now_or_never();
    let _ = Form::<Unlink>::from_request(request(bytes), &()).now_or_never();
    if let Ok(text) = core::str::from_utf8(bytes) {
        let hash = TokenHash::of(&Secret::new(text));
        assert_eq!(TokenHash::from_hex(&hash.to_string()), Some(hash), "a hash reads back as written");
        if let Some(read) = TokenHash::from_hex(text) {
            assert!(read.to_string().eq_ignore_ascii_case(text), "and is written as it was read");
        }
    }
});
