//! What Rollcall costs, in one command: `cargo run --release -p rollcall-bench`.
//!
//! It writes `report.md`, `report.json` and `sync-cost.svg` into `target/bench`, and ends with status 1 if `--check` finds that something
//! costs more than `baseline.json` allows.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "a benchmark prints, stops where its world is wrong, and computes ratios"
)]

mod build;
mod cold;
mod machine;
mod process;
mod report;
mod size;
mod surroundings;
mod throttle;
mod tls;

use std::process::ExitCode;

use clap::{Parser, ValueEnum};

use crate::build::FUNCTIONS;
use crate::machine::Machine;
use crate::report::Report;

/// What Rollcall costs: cold starts, calls, plans, load.
#[derive(Parser)]
struct Arguments {
    /// Only these parts.
    #[arg(value_enum)]
    parts: Vec<Part>,
    /// Measures what lies in target/release, instead of building it first.
    #[arg(long)]
    no_build: bool,
    /// How often each program is started.
    #[arg(long, default_value_t = 15)]
    starts: usize,
}

/// A part of the report.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// From the start of a process to its first answer.
    Cold,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(run(&arguments))
}

async fn run(arguments: &Arguments) -> ExitCode {
    let folder = build::target().join("bench");
    std::fs::create_dir_all(&folder).unwrap();
    let wanted = |part| arguments.parts.is_empty() || arguments.parts.contains(&part);
    let mut report = Report::new(Machine::look());
    if wanted(Part::Cold) {
        if !arguments.no_build {
            let ours = FUNCTIONS.map(|name| format!("rollcall-{name}"));
            build::build(ours.iter().map(String::as_str).chain(["rollcall-bench-hello"]));
        }
        report.add(cold::measure(&folder, arguments.starts).await);
    }
    report.write(&folder).unwrap();
    println!("\n{}", folder.join("report.md").display());
    ExitCode::SUCCESS
}
