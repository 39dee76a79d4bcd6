//! The store on an embedded database.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "tests say so by panicking"
)]

mod aggregates;
mod faults;
mod issuing;
mod large;
mod logout;
mod support;
mod writer;
