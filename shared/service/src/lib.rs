//! What the functions share at run time, so that each of them only decodes, calls and encodes.
//!
//! | to | use |
//! |---|---|
//! | start a function, and stop it with one clear line | [`start::run`] |
//! | read the environment | [`config::Config`] |
//! | read the deployment secret, and notice its rotation | [`secrets::Secrets`] |
//! | know the time | [`clock::Clock`] |
//! | draw ids and tokens | [`random::Random`] |
//! | call other services over HTTP | [`http::client`] |
//! | call AWS | [`aws::sdk_config`] |
//! | seal what lies in the table or travels in a cookie | [`seal::Sealer`] |
//! | count attempts per address | [`rate::RateKeys`] |
//! | log and measure | [`telemetry`] |
//! | answer over HTTP | [`web`] |
//!
//! The clock and the random source are arguments everywhere else, so that any test can hand in its own.

pub mod aws;
pub mod clock;
pub mod config;
pub mod http;
pub mod random;
pub mod rate;
pub mod rfc3339;
pub mod seal;
pub mod secrets;
pub mod start;
pub mod telemetry;
pub mod web;

/// The version of this build, as it stands in the user agent and in the logs.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
