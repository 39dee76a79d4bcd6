//! The admin API over HTTP: the routes of both functions, an embedded table, the stand-in Bitbucket.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests say so by panicking"
)]
mod bad_input;
mod connecting;
mod description;
mod dying;
mod members;
mod principals;
mod reads;
mod repeated;
mod runs;
mod support;
mod tokens;
mod trail;
mod webhook;
