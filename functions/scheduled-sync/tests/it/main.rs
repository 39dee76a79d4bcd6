//! The sync end to end: the stand-in Bitbucket on one side, an embedded DynamoDB behind a proxy that fails on the other.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::option_option,
    clippy::panic,
    clippy::redundant_closure,
    clippy::redundant_closure_for_method_calls,
    reason = "helpers of tests"
)]

mod crash;
mod deliveries;
mod faults;
mod freeze;
mod lambda;
mod offboarding;
mod resume;
mod rig;
mod steady;
