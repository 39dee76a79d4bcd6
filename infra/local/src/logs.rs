//! The logs of the local stack: what goes wrong only, so that the report can be read, and everything that `ROLLCALL_LOG` or
//! `RUST_LOG` asks for.

use rollcall_service::telemetry::{self, Format};
use tracing::level_filters::LevelFilter;

/// Starts them, on standard error.
pub fn init() {
    let asked_for = ["ROLLCALL_LOG", "RUST_LOG"].iter().any(|name| std::env::var_os(name).is_some());
    if asked_for {
        telemetry::init("local", Format::for_process());
        return;
    }
    // Fails if a subscriber is set already, as in a test.
    let _ = tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_max_level(LevelFilter::WARN)
        .with_target(false)
        .without_time()
        .compact()
        .try_init();
}
