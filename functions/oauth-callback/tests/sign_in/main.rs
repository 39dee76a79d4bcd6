//! Signing in over HTTP, against providers that we did not write the client for.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "tests say so by panicking"
)]

mod denials;
mod invites;
mod rig;
