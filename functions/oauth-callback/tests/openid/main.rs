//! What applications use, over HTTP: members and sessions stand in the table, applications are played here.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "tests say so by panicking"
)]

mod authorize;
mod logout;
mod receiver;
mod rig;
mod standing;
mod tokens;
