//! The command line of Rollcall.

mod api;
mod arguments;
mod commands;
mod show;

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser as _};

use crate::api::{Api, Failed};
use crate::arguments::{Arguments, Command};
use crate::commands::Done;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if let Command::Completions { shell } = arguments.command {
        clap_complete::generate(shell, &mut Arguments::command(), "rollcall", &mut std::io::stdout());
        return ExitCode::SUCCESS;
    }
    match work(arguments).await {
        Ok(Done::Fully) => ExitCode::SUCCESS,
        Ok(Done::Waiting) => ExitCode::from(3),
        Err(failed) => {
            anstream::eprintln!("rollcall: {failed}");
            ExitCode::from(failed.status())
        }
    }
}

async fn work(arguments: Arguments) -> Result<Done, Failed> {
    let api = Api::new(arguments.url)?;
    commands::run(&api, arguments.command, arguments.json).await
}
