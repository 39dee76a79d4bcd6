//! Paging cursors, and the query strings that they stand in.

#![no_main]

use std::sync::LazyLock;

use axum::extract::FromRequestParts as _;
use futures_util::FutureExt as _;
use libfuzzer_sys::fuzz_target;
use rollcall_service::seal::{SealingKey, SealingKeys};
use rollcall_service::web::{Cursors, Query};
use serde_json::Value;

static CURSORS: LazyLock<Cursors> = LazyLock::new(|| {
    Cursors::new(&SealingKeys::new(SealingKey::new("1", [7; 32]).expect("a key"), Vec::new()))
});

fuzz_target!(|text: &str| {
    assert!(CURSORS.decode::<Value>("ws_1/members", text).is_err(), "no cursor can be made up");
    if let Ok(cursor) = CURSORS.encode("ws_1/members", &text) {
        assert_eq!(CURSORS.decode::<String>("ws_1/members", &cursor).as_deref(), Ok(text));
        assert!(
            CURSORS.decode::<String>("ws_2/members", &cursor).is_err(),
            "and it leads on in its own list only"
        );
    }
    if let Ok(uri) = format!("/x?{text}").parse::<http::Uri>() {
        let (mut parts, ()) = http::Request::builder().uri(uri).body(()).expect("a request").into_parts();
        let _ = Query::<Vec<(String, String)>>::from_request_parts(&mut parts, &()).now_or_never();
    }
});
