//! What the end-to-end tests share: the built binaries, the routes of the template, and a deployment of the four functions on this
//! machine, each in a process of its own under Lambda's contract.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "for tests: what goes wrong here must be loud"
)]

pub mod binaries;
pub mod chromium;
pub mod deployment;
pub mod gateway;
pub mod template;
