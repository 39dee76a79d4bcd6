//! Forms of the token endpoint, of introspection, revocation and logout.

#![no_main]

use libfuzzer_sys::fuzz_target;
use rollcall_identity::parameters::Parameters;
use rollcall_identity::provider::{AuthorizationCode, RefreshToken, TokenQuery, TokenRequest};

fuzz_target!(|body: &[u8]| {
    let _ = TokenRequest::parse(body, None);
    let _ = TokenQuery::parse(body, None);
    let basic = Some("Basic YTpi");
    let _ = TokenRequest::parse(body, basic);
    let _ = TokenQuery::parse(body, basic);
    if let Ok(parameters) = Parameters::from_form(body) {
        let _ = parameters.text("session");
    }
    if let Ok(text) = core::str::from_utf8(body) {
        let _ = AuthorizationCode::parse(text);
        if let Some(token) = RefreshToken::parse(text) {
            assert_eq!(token.secret().expose(), text, "a refresh token has one spelling");
        }
    }
});
