//! The stand-in OpenID provider as a program of its own.

use std::net::SocketAddr;
use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use standin_openid::{Client, Flavour, people, start};

/// Plays Google's or Microsoft's sign-in on this machine, for tests.
#[derive(Parser)]
#[command(name = "standin-openid", version)]
struct Arguments {
    /// Whom to play.
    #[arg(value_enum)]
    provider: Provider,
    /// Where to listen. Only this machine's own addresses are accepted.
    #[arg(long, default_value = "127.0.0.1:9001")]
    listen: SocketAddr,
    /// Microsoft: `organizations`, `common`, `consumers`, or a tenant's id.
    #[arg(long, default_value = "organizations")]
    tenant: String,
    /// The id of the registered client.
    #[arg(long, default_value = "rollcall")]
    client_id: String,
    /// Its secret.
    #[arg(long, default_value = "rollcall-secret")]
    client_secret: String,
    /// Where codes may be sent. Can be given more than once.
    #[arg(long, required = true)]
    redirect_uri: Vec<String>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Provider {
    Google,
    Microsoft,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if !arguments.listen.ip().is_loopback() {
        eprintln!("--listen must be an address of this machine alone, such as 127.0.0.1:9001");
        return ExitCode::from(2);
    }
    let client = Client {
        id: arguments.client_id,
        secret: arguments.client_secret,
        redirect_uris: arguments.redirect_uri,
    };
    let (flavour, people) = match arguments.provider {
        Provider::Google => (Flavour::Google, people::at_google()),
        Provider::Microsoft => (Flavour::Microsoft { tenant: arguments.tenant }, people::at_microsoft()),
    };
    match start(flavour, vec![client], people, arguments.listen).await {
        Ok(running) => {
            eprintln!("issuer: {}", running.issuer());
            let _ = tokio::signal::ctrl_c().await;
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(2)
        }
    }
}
