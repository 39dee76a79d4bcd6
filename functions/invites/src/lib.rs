//! Invites: issuing, listing, re-sending and revoking them. Accepting one is a sign-in, and lives with the other sign-ins.

pub mod mail;
