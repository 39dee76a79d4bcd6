//! E-mail addresses: what is accepted is plain, has one `@`, and reads back as itself.

#![no_main]

use libfuzzer_sys::fuzz_target;
use rollcall_domain::identity::EmailAddress;

fuzz_target!(|text: &str| {
    let Ok(address) = text.parse::<EmailAddress>() else { return };
    let written = address.to_string();
    assert_eq!(written.parse(), Ok(address.clone()));
    assert!(written.is_ascii() && written.matches('@').count() == 1, "{written:?}");
    assert!(!written.chars().any(|c| c.is_control() || c.is_whitespace()), "{written:?}");
    assert!(written.ends_with(&format!("@{}", address.domain())), "{written:?}");
    assert!(written.eq_ignore_ascii_case(text), "nothing of it was repaired: {text:?}");
});
