//! The client against a Bitbucket that is scripted, and against the one the whole project is tested with.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot go on says so by panicking"
)]

mod calls;
mod contract;
mod faults;
mod grants;
mod limits;
mod listings;
mod people;
mod probe;
mod standin;
mod support;
mod tokens;
mod world;
