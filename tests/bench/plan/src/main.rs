//! A plan for a large workspace: `rollcall-bench-plan FACTOR` plans for 10,000 members, 200 groups and 10,000 repositories, each times
//! the factor (groups stay 200), and prints a line of JSON: the time of each plan in seconds, and the most memory the process has held.
//!
//! Under callgrind the functions of [`measured`] are told apart by their names.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a benchmark prints, and stops where its world is wrong"
)]

mod measured;
mod workspace;

use std::hint::black_box;
use std::time::Instant;

use serde_json::{Map, Value, json};

use crate::workspace::Workspace;

fn main() {
    let factor = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(1);
    let workspace = Workspace::new(factor);
    let world = peak();
    let mut seconds = Map::new();
    for (name, measured) in measured::ALL {
        let start = Instant::now();
        black_box(measured(black_box(&workspace)));
        seconds.insert(name.to_owned(), json!(start.elapsed().as_secs_f64()));
    }
    let line = json!({
        "factor": factor,
        "people": workspace.mirror.people.len(),
        "teams": workspace.mirror.teams.len(),
        "repositories": workspace.mirror.repositories.len(),
        "seconds": Value::Object(seconds),
        "world_bytes": world,
        "peak_bytes": peak(),
    });
    println!("{line}");
}

/// The most memory that the process has ever held, in bytes, where the system tells.
fn peak() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse::<u64>().ok().map(|kib| kib * 1024)
}
