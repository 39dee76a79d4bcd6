//! Telling applications what happened.
//!
//! What changes a member writes an event in the same transaction. From there it is told, in the order of its number, by
//! [`Outbox::deliver`]: an end of access to the applications that hold something of the member's ([`logout`]), and everything to the
//! workspace's webhook ([`webhook`]). How far it came is kept in the table, so that nothing is left out when a process dies between
//! the change and the telling; it may then be told twice. The removal itself never waits for any of it.

mod call;
mod issuer;
pub mod logout;
mod outbox;
mod public_address;
pub mod webhook;

pub use call::Caller;
pub use issuer::{InvalidKeys, issuer};
pub use outbox::{Delivered, Outbox, Ports};
