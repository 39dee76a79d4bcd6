//! Signing in over HTTP, against a stand-in that plays Google and Microsoft and can go wrong in every way.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod boot;
mod forgeries;
mod logins;
mod outages;
mod rig;
