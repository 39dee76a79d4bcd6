//! The proxy between the real SDK and an embedded `DynamoDB`.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod ledger;
mod rules;
mod support;
