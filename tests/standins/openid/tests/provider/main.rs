//! The provider before a relying party.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod forgeries;
mod login;
mod support;
mod troubles;
