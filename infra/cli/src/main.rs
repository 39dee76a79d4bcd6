//! The command line of Rollcall.

mod api;
mod arguments;
mod commands;
mod doctor;
mod show;

use std::io::Write as _;
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser as _};

use crate::api::{Api, Failed};
use crate::arguments::{Arguments, Command};
use crate::commands::Done;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match work(arguments).await {
        Ok(Done::Fully) => ExitCode::SUCCESS,
        Ok(Done::Waiting) => ExitCode::from(3),
        Err(failed) => {
            if !failed.is_unheard() {
                anstream::eprintln!("rollcall: {failed}");
            }
            ExitCode::from(failed.status())
        }
    }
}

async fn work(arguments: Arguments) -> Result<Done, Failed> {
    if let Command::Completions { shell } = arguments.command {
        let mut script = Vec::new();
        clap_complete::generate(shell, &mut Arguments::command(), "rollcall", &mut script);
        std::io::stdout().write_all(&script)?;
        return Ok(Done::Fully);
    }
    let api = Api::new(arguments.url)?;
    commands::run(&api, arguments.command, arguments.json).await
}
