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

mod application;
mod baseline;
mod budgets;
mod build;
mod cold;
mod cost;
mod counts;
mod load;
mod machine;
mod plans;
mod plot;
mod process;
mod report;
mod size;
mod soak;
mod surroundings;
mod throttle;
mod tls;

use std::path::Path;
use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use rollcall_service::clock::Stopwatch;
use rollcall_service::telemetry;

use crate::baseline::Baseline;
use crate::build::FUNCTIONS;
use crate::counts::AtSize;
use crate::machine::Machine;
use crate::report::Report;
use crate::size::{SIZES, Size};

/// What Rollcall costs: cold starts, calls, plans, load.
#[derive(Parser)]
struct Arguments {
    /// Only these parts.
    #[arg(value_enum)]
    parts: Vec<Part>,
    /// Compares calls and instructions with baseline.json, and fails where something costs 5 % more. Nothing else is measured.
    #[arg(long)]
    check: bool,
    /// Writes calls and instructions into baseline.json. Nothing else is measured.
    #[arg(long, conflicts_with = "check")]
    bless: bool,
    /// Uses the functions for so many minutes and watches their memory. Nothing else is measured.
    #[arg(long, value_name = "MINUTES")]
    soak: Option<u64>,
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
    /// Calls to Bitbucket and to the table.
    Counts,
    /// What a plan for a large workspace takes.
    Plans,
    /// Sign-ins, refreshes and introspections at rising rates.
    Load,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    // What the functions in this process say matters only to whoever looks for the reason of something.
    if std::env::var_os("ROLLCALL_LOG").is_some() {
        telemetry::init("bench", telemetry::Format::for_process());
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(run(&arguments))
}

async fn run(arguments: &Arguments) -> ExitCode {
    let folder = build::target().join("bench");
    std::fs::create_dir_all(&folder).unwrap();
    if arguments.check || arguments.bless {
        return compare(arguments, &folder).await;
    }
    let wanted =
        |part| arguments.soak.is_none() && (arguments.parts.is_empty() || arguments.parts.contains(&part));
    if !arguments.no_build {
        let ours = FUNCTIONS.map(|name| format!("rollcall-{name}"));
        if wanted(Part::Cold) || arguments.soak.is_some() {
            build::build(ours.iter().map(String::as_str).chain(["rollcall-bench-hello"]));
        }
        if wanted(Part::Plans) {
            build::build([plans::PROGRAM]);
        }
    }
    let began = Stopwatch::start();
    let mut report = Report::new(Machine::look());
    if wanted(Part::Cold) {
        report.add(cold::measure(&folder, arguments.starts).await);
    }
    if wanted(Part::Counts) {
        let counted = count(&SIZES).await;
        report.add(counts::tell(&counted));
        std::fs::write(folder.join("sync-cost.svg"), plot::draw(&counted)).unwrap();
    }
    if wanted(Part::Plans) {
        report.add(plans::measure(&folder));
    }
    if wanted(Part::Load) {
        report.add(load::measure().await);
    }
    if let Some(minutes) = arguments.soak {
        report.add(soak::measure(minutes).await);
    }
    report.write(&folder).unwrap();
    let missed = report.bars().filter(|bar| !bar.held).count();
    println!(
        "\n{} bars, {missed} of them missed; {:.0} s",
        report.bars().count(),
        began.elapsed().as_secs_f64()
    );
    println!("{}", folder.join("report.md").display());
    ExitCode::SUCCESS
}

async fn count(sizes: &[Size]) -> Vec<AtSize> {
    let mut counted = Vec::new();
    for size in sizes {
        println!("counting: {} …", size.label());
        counted.push(counts::count(*size).await);
    }
    counted
}

/// Compares with the baseline, or makes it.
async fn compare(arguments: &Arguments, folder: &Path) -> ExitCode {
    if !arguments.no_build {
        build::build([plans::PROGRAM]);
    }
    let machine = Machine::look();
    let counted = count(&SIZES[..2]).await;
    let instructions = plans::instructions(folder);
    if let Err(why) = &instructions {
        println!("SKIPPED: instructions were not counted: {why}");
    }
    let mut now = Baseline::new(&machine.rustc, &counted, instructions.as_ref().ok());
    let again = async || Baseline::new(&machine.rustc, &count(&SIZES[..2]).await, None);
    if arguments.bless {
        now.together_with(&again().await, u64::max).write();
        println!("baseline.json is written");
        return ExitCode::SUCCESS;
    }
    let baseline = Baseline::read();
    if baseline.rustc != machine.rustc {
        println!(
            "SKIPPED: instructions are not compared: they were counted with {}, and this is {}",
            baseline.rustc, machine.rustc
        );
        now.instructions.clear();
    }
    let mut lines = baseline.exceeded_by(&now);
    if !lines.is_empty() {
        println!("something costs more than it did; counting once more …");
        now = now.together_with(&again().await, u64::min);
        lines = baseline.exceeded_by(&now);
    }
    for line in &lines {
        println!("costs more than it did: {line}");
    }
    if lines.is_empty() {
        println!("nothing costs more than it did: {} things were compared", baseline.compared_with(&now));
        return ExitCode::SUCCESS;
    }
    println!("if that is meant: cargo run -p rollcall-bench -- --bless");
    ExitCode::FAILURE
}
