//! The services before the real SDK, and the runtime API before the real `lambda_runtime`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod events;
mod lambda;
mod mail;
mod queues;
mod secrets;
mod support;
