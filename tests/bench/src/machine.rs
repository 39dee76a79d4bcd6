//! Where and when this was measured.

use std::process::Command;

use rollcall_service::clock::{Clock as _, SystemClock};
use serde::Serialize;

/// A machine at a day.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Machine {
    /// `2026-11-23`.
    date: String,
    /// Its processor.
    processor: String,
    /// How many of it.
    cores: usize,
    /// In gigabytes.
    memory: u64,
    /// Its kernel.
    system: String,
    /// The compiler of this program.
    pub(crate) rustc: String,
    /// The last commit.
    commit: String,
}

impl Machine {
    pub(crate) fn look() -> Self {
        let cpus = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = cpus.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
        let memory = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
        let memory =
            memory.lines().find_map(|line| line.strip_prefix("MemTotal:")?.split_whitespace().next());
        Self {
            date: today(),
            processor: model.map_or("an unknown processor", |(_, name)| name).to_owned(),
            cores: std::thread::available_parallelism().map_or(1, core::num::NonZero::get),
            memory: memory.and_then(|text| text.parse::<u64>().ok()).unwrap_or_default() / 1_000_000,
            system: told("uname", &["-sr"]),
            rustc: told("rustc", &["--version"]),
            commit: told("git", &["rev-parse", "--short", "HEAD"]),
        }
    }

    /// In a sentence.
    pub(crate) fn sentence(&self) -> String {
        format!(
            "Measured on {} on {} cores of {}, {} GB, {}, {}, commit {}. Medians, unless they say otherwise. AWS, Bitbucket and the table are \
             stand-ins on the same machine and share its cores: what counts is the ratios.",
            self.date, self.cores, self.processor, self.memory, self.system, self.rustc, self.commit
        )
    }
}

/// The first line that a program prints, or `?`.
fn told(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).current_dir(env!("CARGO_MANIFEST_DIR")).output();
    let text = output.ok().map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    text.as_deref().and_then(|text| text.lines().next()).unwrap_or("?").to_owned()
}

fn today() -> String {
    let now = jiff::Timestamp::from_second(SystemClock.now().as_seconds()).unwrap_or_default();
    now.strftime("%Y-%m-%d").to_string()
}
