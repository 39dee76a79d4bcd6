//! What a plan for a large workspace takes: time, memory and, where callgrind is installed, instructions, which do not depend on how busy
//! the machine is.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::build;
use crate::report::{Section, Table, median, megabytes, milliseconds};

/// The program that is measured.
pub(crate) const PROGRAM: &str = "rollcall-bench-plan";
/// How often it is run.
const RUNS: usize = 5;
/// What the plans of the large workspace may take together with the world that they stand on, in seconds and megabytes.
const MOST_SECONDS: f64 = 0.150;
const MOST_MEGABYTES: f64 = 256.0;

/// A line that the program prints.
#[derive(Debug, Clone, Deserialize)]
struct Run {
    people: usize,
    teams: usize,
    repositories: usize,
    seconds: BTreeMap<String, f64>,
    peak_bytes: Option<u64>,
}

/// Instructions by plan.
pub(crate) type Instructions = BTreeMap<String, u64>;

pub(crate) fn measure(folder: &Path) -> Section {
    let mut section = Section::new("Plans");
    let instructions = instructions(folder);
    let ordinary = runs(1);
    let tenfold = runs(10);
    let (Some(first), Some(tenth)) = (ordinary.first(), tenfold.first()) else {
        section.say("The plans could not be run.");
        return section;
    };
    section.say(format!(
        "Two workspaces: {} people, {} groups and {} repositories; and {} people, {} groups and {} repositories. Each person is in ten groups \
         and is a member.",
        first.people, first.teams, first.repositories, tenth.people, tenth.teams, tenth.repositories,
    ));
    let mut table = Table::new(&["plan", "time", "instructions", "time, ten times the size", "growth"]);
    for name in first.seconds.keys() {
        let of = |runs: &[Run]| {
            median(&runs.iter().filter_map(|run| run.seconds.get(name).copied()).collect::<Vec<_>>())
        };
        let (one, ten) = (of(&ordinary), of(&tenfold));
        let counted = instructions.as_ref().ok().and_then(|counted| counted.get(name));
        table.row(&[
            name.replace('_', " "),
            milliseconds(one),
            counted.map_or("–".to_owned(), |count| format!("{:.1} million", *count as f64 / 1e6)),
            milliseconds(ten),
            format!("{:.1} ×", ten / one),
        ]);
        section.bar(format!("plan: {}", name.replace('_', " ")), one * 1000.0, MOST_SECONDS * 1000.0, " ms");
    }
    section.table(&table);
    if let (Some(one), Some(ten)) = (first.peak_bytes, tenth.peak_bytes) {
        section.say(format!(
            "The most memory that the process has held, with both workspaces' snapshots and mirror: {}, and {} at ten times the size.",
            megabytes(one),
            megabytes(ten)
        ));
        section.bar("plan: memory of the whole process", one as f64 / 1e6, MOST_MEGABYTES, " MB");
    }
    match &instructions {
        Ok(counted) => section.data("instructions", json!(counted)),
        Err(why) => section.say(format!("Instructions were not counted: {why}.")),
    }
    let seconds = |runs: &[Run]| runs.iter().map(|run| json!(run.seconds)).collect::<Vec<Value>>();
    section.data("seconds", json!({ "1": seconds(&ordinary), "10": seconds(&tenfold) }));
    section
}

fn runs(factor: u32) -> Vec<Run> {
    let run = || {
        let output = Command::new(build::program(PROGRAM)).arg(factor.to_string()).output().ok()?;
        serde_json::from_slice(&output.stdout).ok()
    };
    println!("planning, {factor} times …");
    (0..RUNS).filter_map(|_| run()).collect()
}

/// Counts the instructions of each plan for the large workspace. Err where that cannot be done here, and why.
pub(crate) fn instructions(folder: &Path) -> Result<Instructions, String> {
    let names = ["members_first", "members_unchanged", "members_tenth_left", "structure_unchanged"];
    let names = names.into_iter().chain(["grants_lap_unchanged", "coverage", "apply_tenth_left"]);
    let scratch = folder.join("callgrind");
    let _ = fs::remove_dir_all(&scratch);
    fs::create_dir_all(&scratch).map_err(|error| error.to_string())?;
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--tool=callgrind", "--quiet"]);
    valgrind.arg(format!("--callgrind-out-file={}", scratch.join("out").display()));
    for name in names.clone() {
        // The counts begin anew where the function does, and are written down where it ends.
        valgrind.arg(format!("--zero-before={}", symbol(name)));
        valgrind.arg(format!("--dump-after={}", symbol(name)));
    }
    println!("counting instructions …");
    let output = valgrind
        .arg(build::program(PROGRAM))
        .output()
        .map_err(|_| "valgrind is not installed (Debian: valgrind)".to_owned())?;
    if !output.status.success() {
        return Err(format!("valgrind fails: {}", String::from_utf8_lossy(&output.stderr).trim()));
    }
    let mut counted = Instructions::new();
    for file in fs::read_dir(&scratch).map_err(|error| error.to_string())?.flatten() {
        let text = fs::read_to_string(file.path()).unwrap_or_default();
        let of = |start: &str| text.lines().find_map(|line| line.strip_prefix(start)).map(str::trim);
        let trigger = of("desc: Trigger: --dump-after=");
        let total = of("totals: ").or_else(|| of("summary: ")).and_then(|total| total.parse().ok());
        if let (Some(trigger), Some(total)) = (trigger, total)
            && let Some(name) = names.clone().find(|name| symbol(name) == trigger)
        {
            counted.insert(name.to_owned(), total);
        }
    }
    match names.count() {
        all if counted.len() == all => Ok(counted),
        all => Err(format!("callgrind has told {} of {all} functions apart", counted.len())),
    }
}

/// As callgrind names a function of the program.
fn symbol(name: &str) -> String {
    format!("rollcall_bench_plan::measured::{name}")
}
