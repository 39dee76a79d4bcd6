//! The whole of Rollcall on one machine: the functions' own routers on one port, an embedded DynamoDB, and stand-ins for Bitbucket,
//! Google, Microsoft and the rest of AWS.
//!
//! `cargo run` starts it; end-to-end tests start it in their own process.

pub mod api;
pub mod arguments;
pub mod aws;
pub mod browser;
pub mod file;
pub mod guide;
pub mod logs;
pub mod providers;
pub mod report;
pub mod schedule;
pub mod secret;
pub mod settings;
pub mod stack;
pub mod story;
pub mod web;
pub mod world;
