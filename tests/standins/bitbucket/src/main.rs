//! The stand-in Bitbucket as a program of its own.

use std::net::SocketAddr;
use std::process::ExitCode;

use clap::Parser;
use standin_bitbucket::{
    LOGIN_KEY, LOGIN_SECRET, Running, SYNC_KEY, SYNC_SECRET, World, WorldFile, example, start,
};

/// Plays Bitbucket Cloud on this machine, for tests.
#[derive(Parser)]
#[command(name = "standin-bitbucket", version)]
struct Arguments {
    /// Where to listen. Only this machine's own addresses are accepted.
    #[arg(long, default_value = "127.0.0.1:9002")]
    listen: SocketAddr,
    /// The world: `example`, or a JSON file.
    #[arg(long, default_value = "example")]
    world: String,
    /// The callback URL of the example's sign-in consumer.
    #[arg(long)]
    callback: Option<String>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(arguments).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::from(2)
        }
    }
}

async fn run(arguments: Arguments) -> Result<(), String> {
    if !arguments.listen.ip().is_loopback() {
        return Err("--listen must be an address of this machine alone, such as 127.0.0.1:9002".into());
    }
    let is_example = arguments.world == "example";
    let mut world = if is_example { example() } else { read(&arguments.world)? };
    if let Some(callback) = arguments.callback {
        let set = world.change_consumer(LOGIN_KEY, |consumer| consumer.callback = Some(callback));
        set.map_err(|_| format!("--callback needs a world with the consumer {LOGIN_KEY}"))?;
    }
    let running = start(world, arguments.listen).await.map_err(|error| error.to_string())?;
    tell(&running, is_example);
    let _ = tokio::signal::ctrl_c().await;
    Ok(())
}

fn read(file: &str) -> Result<World, String> {
    let text =
        std::fs::read_to_string(file).map_err(|error| format!("--world {file} cannot be read: {error}"))?;
    let world: WorldFile =
        serde_json::from_str(&text).map_err(|error| format!("--world {file} is not a world: {error}"))?;
    world.into_world().map_err(|error| format!("--world {file} does not fit together: {error}"))
}

fn tell(running: &Running, is_example: bool) {
    let url = running.url();
    eprintln!("ROLLCALL_BITBUCKET_URL={url}");
    eprintln!("ROLLCALL_BITBUCKET_API_URL={url}");
    running.read(|world| {
        for workspace in world.workspaces() {
            eprintln!("workspace: {} ({})", workspace.slug, workspace.name);
        }
    });
    if is_example {
        eprintln!("sign-in consumer: {LOGIN_KEY} / {LOGIN_SECRET}");
        eprintln!("sync consumer: {SYNC_KEY} / {SYNC_SECRET}");
    }
    for path in ["world", "requests", "faults", "behaviour"] {
        eprintln!("control: {url}/_control/{path}");
    }
}
