//! End-to-end tests. One program, so that it is linked once.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod access;
mod browser;
mod clients;
mod command_line;
mod house;
mod lambda;
mod local_stack;
mod replay;
mod requirements;
mod stories;
