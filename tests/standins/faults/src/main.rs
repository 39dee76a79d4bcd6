//! The fault proxy as a program of its own.

use std::net::SocketAddr;
use std::process::ExitCode;

use clap::Parser;
use standin_faults::start;

/// Stands before DynamoDB, or any HTTP service, and makes it fail when it is told to.
#[derive(Parser)]
#[command(name = "standin-faults", version)]
struct Arguments {
    /// The origin of the service, for example <http://127.0.0.1:8000>.
    upstream: String,
    /// Where to listen. Only this machine's own addresses are accepted.
    #[arg(long, default_value = "127.0.0.1:8001")]
    listen: SocketAddr,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if !arguments.listen.ip().is_loopback() {
        eprintln!("--listen must be an address of this machine alone, such as 127.0.0.1:8001");
        return ExitCode::from(2);
    }
    match start(&arguments.upstream, arguments.listen).await {
        Ok(running) => {
            eprintln!("proxy: {}", running.url());
            let _ = tokio::signal::ctrl_c().await;
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(2)
        }
    }
}
