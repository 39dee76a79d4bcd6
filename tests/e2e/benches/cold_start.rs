//! From the start of a function's process to its first answer, its answers after that, and its memory, beside the least that a Lambda
//! function in Rust can be.
//!
//! `cargo bench -p rollcall-e2e --bench cold_start`. Lambda's side, Secrets Manager and the table are stand-ins in this process: what
//! counts is the ratio.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a benchmark prints, and stops where its world is wrong"
)]

use core::time::Duration;
use std::path::{Path, PathBuf};
use std::process::Command;

use rollcall_e2e::binaries::binary;
use rollcall_e2e::deployment::PATIENCE;
use rollcall_local::settings::Settings;
use rollcall_local::stack::{QUEUE, Stack};
use rollcall_service::clock::Stopwatch;
use serde_json::{Value, json};
use standin_aws::event::HttpEvent;
use standin_aws::{LambdaRuntime, QueueSettings};

const STARTS: usize = 21;
const WARM: usize = 200;

struct Figures {
    cold: Duration,
    warm: Duration,
    resident_kilobytes: u64,
}

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let stack = Stack::start(&Settings::for_tests()).await.unwrap();
        stack.aws.queues().create(QUEUE, QueueSettings::default());
        let environment = stack.environment();
        let hello = measure(&hello(), &environment, &json!({})).await;
        println!("| function | first answer | of hello-world's | warm | resident |");
        println!("|---|---|---|---|---|");
        print("hello-world", &hello, &hello);
        let events = [
            ("oauth-callback", HttpEvent::get("/.well-known/openid-configuration").build()),
            ("invites", HttpEvent::get("/v1/workspaces/ws_0/invites").build()),
            ("admin-api", HttpEvent::get("/v1/workspaces").build()),
            ("scheduled-sync", json!({ "Records": [] })),
        ];
        for (name, event) in events {
            print(name, &measure(&binary(name), &environment, &event).await, &hello);
        }
        stack.stop().await;
    });
}

fn print(name: &str, figures: &Figures, hello: &Figures) {
    println!(
        "| {name} | {:.1} ms | {:.2} | {:.2} ms | {:.1} MB |",
        figures.cold.as_secs_f64() * 1000.0,
        figures.cold.as_secs_f64() / hello.cold.as_secs_f64(),
        figures.warm.as_secs_f64() * 1000.0,
        f64::from(u32::try_from(figures.resident_kilobytes).unwrap()) / 1000.0,
    );
}

async fn measure(binary: &Path, environment: &[(String, String)], event: &Value) -> Figures {
    let mut cold = Vec::new();
    let mut warm = Vec::new();
    let mut resident_kilobytes = 0;
    for nth in 0..STARTS {
        let lambda = LambdaRuntime::start().await.unwrap();
        let stopwatch = Stopwatch::start();
        let process = lambda.spawn(binary, environment.iter().cloned()).unwrap();
        lambda.invoke(event.clone(), PATIENCE).await.unwrap();
        cold.push(stopwatch.elapsed());
        if nth + 1 == STARTS {
            for _ in 0..WARM {
                let stopwatch = Stopwatch::start();
                lambda.invoke(event.clone(), PATIENCE).await.unwrap();
                warm.push(stopwatch.elapsed());
            }
            resident_kilobytes = process.pid().and_then(resident).unwrap_or_default();
        }
        process.kill().await;
    }
    Figures { cold: median(cold), warm: median(warm), resident_kilobytes }
}

fn median(mut figures: Vec<Duration>) -> Duration {
    figures.sort_unstable();
    figures[figures.len() / 2]
}

/// `VmRSS` of a process, in kilobytes, where the system tells.
fn resident(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}

/// Builds hello-world in the profile of the benchmark.
fn hello() -> PathBuf {
    let status = Command::new(env!("CARGO"))
        .args([
            "build",
            "--release",
            "--locked",
            "--quiet",
            "--package",
            "rollcall-e2e",
            "--example",
            "hello",
        ])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .status()
        .unwrap();
    assert!(status.success(), "hello-world cannot be built");
    let bench = std::env::current_exe().unwrap();
    bench.ancestors().nth(2).unwrap().join("examples/hello")
}
