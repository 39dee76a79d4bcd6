//! How a function starts, and how it refuses to.

use core::fmt::Display;
use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;

use thiserror::Error;

use crate::telemetry;

/// The status of a process that could not start.
const CANNOT_START: u8 = 2;

/// Runs a function's `main`: sets up the logs, runs the future on a single-threaded runtime, and turns an error into one line on
/// standard error and exit status 2.
///
/// The line is JSON where a log collector reads it, and plain where a person does. One thread is what a Lambda has: below 1,769 MB
/// it gets less than one processor.
///
/// ```no_run
/// # use rollcall_service::{config::{Config, ConfigError}, start};
/// fn main() -> std::process::ExitCode {
///     start::run("admin-api", async || {
///         let config = Config::from_env()?;
///         // build the clients, then serve
///         Ok::<(), ConfigError>(())
///     })
/// }
/// ```
pub fn run<E: Display>(name: &'static str, main: impl AsyncFnOnce() -> Result<(), E>) -> ExitCode {
    telemetry::init(name, telemetry::Format::for_process());
    let outcome = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(main()).map_err(|error| error.to_string()),
        Err(_) => Err("the operating system refused what the function needs to run".to_owned()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            let mut stderr = std::io::stderr();
            let line = refusal(name, &message, stderr.is_terminal());
            // There is nowhere left to report that standard error is closed.
            let _ = writeln!(stderr, "{line}");
            ExitCode::from(CANNOT_START)
        }
    }
}

/// The program was started by hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error(
    "{variable} is not set: this program is started by AWS Lambda; to try Rollcall on this machine, start the local stack"
)]
pub struct NotOnLambda {
    variable: &'static str,
}

/// Checks that Lambda has started the program: its runtime would panic over each of these variables.
/// [`web::lambda::serve`](crate::web::lambda::serve) checks it by itself.
pub fn require_lambda() -> Result<(), NotOnLambda> {
    let variables = [
        "AWS_LAMBDA_RUNTIME_API",
        "AWS_LAMBDA_FUNCTION_NAME",
        "AWS_LAMBDA_FUNCTION_VERSION",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
    ];
    match variables.into_iter().find(|variable| std::env::var_os(variable).is_none()) {
        None => Ok(()),
        Some(variable) => Err(NotOnLambda { variable }),
    }
}

/// The one line, with nothing in it that could begin a second one.
fn refusal(name: &str, message: &str, for_a_person: bool) -> String {
    if for_a_person {
        let message: String = message.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        format!("{name}: {message}")
    } else {
        serde_json::json!({ "level": "ERROR", "function": name, "message": message, "fatal": true })
            .to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_one_line_for_a_person_and_one_object_for_a_collector() {
        assert_eq!(refusal("invites", "A is\nnot set", true), "invites: A is not set");
        let line = refusal("invites", "A is\nnot set", false);
        assert!(!line.contains('\n'));
        let object: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(object["message"], "A is\nnot set");
        assert_eq!(object["function"], "invites");
    }
}
