//! The one account and region in which everything is.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};

/// The region.
pub const REGION: &str = "eu-west-1";
/// The account's number.
pub const ACCOUNT: &str = "123456789012";

/// The name of a resource: `arn:aws:SERVICE:REGION:ACCOUNT:RESOURCE`.
pub(crate) fn arn(service: &str, resource: &str) -> String {
    format!("arn:aws:{service}:{REGION}:{ACCOUNT}:{resource}")
}

/// A new id in the form of a UUID. Counted, not random: the same run of a test sees the same ids.
pub(crate) fn new_id() -> String {
    static LAST: AtomicU64 = AtomicU64::new(0);
    let number = LAST.fetch_add(1, Ordering::Relaxed) + 1;
    // Mixed, so that two ids look as different as two real ones and nobody sorts by them.
    let mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5ca1_ab1e_0ddb_a115;
    format!(
        "{:08x}-{:04x}-4{:03x}-9{:03x}-{:012x}",
        mixed >> 32,
        (mixed >> 16) & 0xffff,
        (mixed >> 4) & 0xfff,
        mixed & 0xfff,
        number,
    )
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
