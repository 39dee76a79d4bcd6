//! The stand-in AWS services as a program of their own.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use standin_aws::{QueueSettings, start};

/// Plays Secrets Manager, SQS, EventBridge and SES on this machine, for tests.
#[derive(Parser)]
#[command(name = "standin-aws", version)]
struct Arguments {
    /// Where to listen. Only this machine's own addresses are accepted.
    #[arg(long, default_value = "127.0.0.1:4566")]
    listen: SocketAddr,
    /// A secret to begin with: `NAME=FILE`. Can be given more than once.
    #[arg(long, value_parser = secret)]
    secret: Vec<(String, PathBuf)>,
    /// A queue to begin with. Can be given more than once.
    #[arg(long)]
    queue: Vec<String>,
}

fn secret(text: &str) -> Result<(String, PathBuf), String> {
    let (name, file) = text.split_once('=').ok_or("write it as NAME=FILE")?;
    Ok((name.to_owned(), file.into()))
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if !arguments.listen.ip().is_loopback() {
        eprintln!("--listen must be an address of this machine alone, such as 127.0.0.1:4566");
        return ExitCode::from(2);
    }
    let running = match start(arguments.listen).await {
        Ok(running) => running,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::from(2);
        }
    };
    for (name, file) in arguments.secret {
        match std::fs::read_to_string(&file) {
            Ok(text) => running.secrets().put(&name, &text),
            Err(error) => {
                eprintln!("--secret {name}: {} cannot be read: {error}", file.display());
                return ExitCode::from(2);
            }
        };
    }
    for name in arguments.queue {
        let url = running.queues().create(&name, QueueSettings::default());
        eprintln!("queue {name}: {url}");
    }
    for (name, value) in running.environment() {
        eprintln!("export {name}={value}");
    }
    eprintln!("outbox: {}/_outbox", running.endpoint());
    let _ = tokio::signal::ctrl_c().await;
    ExitCode::SUCCESS
}
