//! What Bitbucket answers: pages of every kind of entry, groups, accounts, refusals.

#![no_main]

use libfuzzer_sys::fuzz_target;
use rollcall_bitbucket::fuzzing;

fuzz_target!(|bytes: &[u8]| {
    fuzzing::page(bytes);
    fuzzing::page(&[br#"{"values":["#.as_slice(), bytes, b"]}"].concat());
    fuzzing::groups(bytes);
    fuzzing::account(bytes);
    for status in [400, 401, 403, 404, 410, 500] {
        fuzzing::refusal(status, bytes);
    }
});
