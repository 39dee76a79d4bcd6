//! Invites over HTTP: an embedded table, and a mailer that keeps what it is given.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "what goes wrong in a test is to be loud")]

mod issuing;
mod mailing;
mod support;
mod voiding;
