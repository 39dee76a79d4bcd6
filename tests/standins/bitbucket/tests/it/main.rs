//! The stand-in, asked over HTTP as its users ask it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "these are tests")]

mod access;
mod contract;
mod control;
mod faults;
mod groups;
mod limits;
mod listings;
mod oauth;
mod program;
mod size;
mod support;
