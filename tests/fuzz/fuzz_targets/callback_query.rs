//! What a browser brings back from a provider: read in one way, or refused.

#![no_main]

use libfuzzer_sys::fuzz_target;
use rollcall_domain::Timestamp;
use rollcall_domain::identity::Provider;
use rollcall_identity::relying_party::{BrowserBinding, Callback, PendingLogins};

fuzz_target!(|query: &str| {
    let mut pending = PendingLogins::new(BrowserBinding::new([1; 16]));
    assert!(pending.spend(query).is_empty(), "there is no login to spend");
    if let Ok(callback) = Callback::parse(query) {
        let taken = pending.take(&callback, Provider::Google, Timestamp::EPOCH);
        assert!(taken.is_err(), "an answer to no login is nobody's");
        let _ = callback.check_issuer("https://bitbucket.org");
    }
});
