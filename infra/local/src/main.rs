//! Starts the local stack: `cargo run` at the root of the repository.

use std::process::ExitCode;

use clap::Parser as _;
use rollcall_local::arguments::Arguments;
use rollcall_local::guide;
use rollcall_local::report::Report;
use rollcall_local::settings::Settings;
use rollcall_local::stack::Stack;
use rollcall_local::story;
use rollcall_service::clock::Stopwatch;
use tokio::signal;

/// A flag, a variable, a file or a port cannot be used.
const CANNOT_START: u8 = 2;

fn main() -> ExitCode {
    let watch = Stopwatch::start();
    let arguments = Arguments::parse();
    rollcall_local::logs::init();
    let settings = match Settings::new(arguments, std::env::var_os) {
        Ok(settings) => settings,
        Err(error) => return refuse(&error),
    };
    match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime.block_on(run(&settings, watch)),
        Err(error) => refuse(&error),
    }
}

async fn run(settings: &Settings, watch: Stopwatch) -> ExitCode {
    let mut stack = match Stack::start(settings).await {
        Ok(stack) => stack,
        Err(error) => return refuse(&error),
    };
    let mut report = Report::to_stdout();
    guide::welcome(&stack, watch.elapsed(), &mut report);
    let good = tokio::select! {
        good = story::tell(&stack, settings, &mut report) => good,
        _ = signal::ctrl_c() => return ended(stack, &mut report).await,
    };
    guide::verdict(good, watch.elapsed(), &mut report);
    if settings.once {
        stack.stop().await;
        return if good { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    if settings.keeps_in_step() {
        stack.schedule.tick_every(settings.tick);
    }
    guide::what_to_try(&stack, settings, &mut report).await;
    // Without a way to hear of it there is nothing to wait for.
    let _ = signal::ctrl_c().await;
    ended(stack, &mut report).await
}

async fn ended(stack: Stack, report: &mut Report) -> ExitCode {
    report.rest();
    stack.stop().await;
    report.heading("Ended. Everything was put away.");
    ExitCode::SUCCESS
}

/// One line that says what cannot be used.
fn refuse(error: &dyn core::error::Error) -> ExitCode {
    let line: String = error.to_string().chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    anstream::eprintln!("rollcall: {line}");
    ExitCode::from(CANNOT_START)
}
