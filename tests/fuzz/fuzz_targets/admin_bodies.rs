//! JSON bodies of the admin API and of invites, each read as every kind there is.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    rollcall_admin_api::fuzzing::body(bytes);
    rollcall_invites::fuzzing::body(bytes);
});
