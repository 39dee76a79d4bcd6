//! The deployment secret: what is accepted, how refusals read, and how the cache behaves over time.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may panic"
)]

#[path = "secrets/cache.rs"]
mod cache;
#[path = "secrets/document.rs"]
mod document;
#[path = "secrets/example.rs"]
mod example;
