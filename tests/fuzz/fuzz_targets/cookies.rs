//! The cookies: finding ours among others, the session's token, and the sealed logins with what is inside the seal.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use rollcall_identity::relying_party::PendingLogins;
use rollcall_identity::session::{CookieName, SessionToken, read_cookie};
use rollcall_service::seal::{Purpose, Sealer, SealingKey, SealingKeys};

static SEALER: LazyLock<Sealer> = LazyLock::new(|| {
    let key = SealingKey::new("1", [7; 32]).expect("a key");
    Sealer::new(&SealingKeys::new(key, Vec::new()), Purpose::Transaction)
});

fuzz_target!(|bytes: &[u8]| {
    if let Ok(header) = core::str::from_utf8(bytes) {
        for name in [CookieName::Session, CookieName::Login] {
            let _ = read_cookie([header], name);
        }
        let _ = SessionToken::parse(header);
        assert!(SEALER.open("login-cookie", header).is_err(), "nothing opens that was not sealed");
    }
    // As if it had been inside the seal.
    if let Some(pending) = PendingLogins::from_unsealed(bytes) {
        let again =
            PendingLogins::from_unsealed(&pending.to_sealable()).expect("what was read can be read again");
        assert!(again.binding() == pending.binding());
    }
});
