//! The body that invites are issued by, for a fuzzer.

use rollcall_domain::identity::EmailAddress;

use crate::input::InvitesInput;

/// Reads a body. An address that is accepted reads back as itself.
pub fn body(bytes: &[u8]) {
    let Ok(input) = serde_json::from_slice::<InvitesInput>(bytes) else { return };
    for invite in input.invites {
        if let Ok(address) = invite.email.parse::<EmailAddress>() {
            assert_eq!(address.to_string().parse(), Ok(address));
        }
    }
}
