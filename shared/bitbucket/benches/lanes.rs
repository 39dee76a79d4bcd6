//! What the lanes cost: calls, time with 100 ms of latency in each call, and memory.
//!
//! `cargo bench -p rollcall-bitbucket`. The server is a process of its own, so that the memory is the client's alone. Ends with an
//! error if a promise is not kept.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    dead_code,
    reason = "a benchmark is a test: it panics and prints, and uses a part of the tests' tools"
)]

#[path = "../tests/it/support.rs"]
mod support;
#[path = "../tests/it/world.rs"]
mod world;

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rollcall_bitbucket::{Bitbucket, CallBudget, Clock, Endpoints, Session};
use rollcall_domain::Timestamp;
use rollcall_domain::budget::{Allowance, Purpose};
use support::{Server, WORKSPACE, access_token, brisk, http, workspace};
use world::World;

const LATENCY: Duration = Duration::from_millis(100);
const AT_ONCE: u32 = 8;
const MOST_TIME: f64 = 1.3;
const MOST_MEMORY: u64 = 64;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let mut arguments = std::env::args().skip_while(|argument| argument != "serve").skip(1);
    if let Some(which) = arguments.next() {
        serve(&which).await;
        return ExitCode::SUCCESS;
    }
    println!("100 ms in each call, 8 calls under way at a time");
    println!("{:<38} {:>6} {:>8} {:>8} {:>8} {:>9}", "", "calls", "seconds", "at best", "ratio", "peak MiB");
    let mut kept = true;
    for (name, world) in [("ordinary", World::ORDINARY), ("large", World::LARGE)] {
        let server = Process::start(name);
        let pages = world.members / 100;
        let session = session(&server.url);
        kept &= measure(&format!("{} members", world.members), &session, pages, async {
            session.members(&workspace()).await.unwrap();
        })
        .await;
        let session = crate::session(&server.url);
        kept &= measure(
            &format!("members lane, {} and {} groups", world.members, world.groups),
            &session,
            pages + 3,
            async {
                let read = session.read_members_lane(WORKSPACE.parse().unwrap()).await.unwrap();
                assert!(read.owners.is_ok() && read.groups.is_ok());
            },
        )
        .await;
        let session = crate::session(&server.url);
        let calls = world.repositories / 100 + world.projects / 100 + 2 * world.projects + 2;
        kept &= measure(
            &format!("structure lane, {} and {} projects", world.repositories, world.projects),
            &session,
            calls,
            async {
                let read = session.read_structure_lane(WORKSPACE.parse().unwrap(), |_| true).await.unwrap();
                assert!(read.grants.values().all(Result::is_ok));
            },
        )
        .await;
        let session = crate::session(&server.url);
        kept &= measure("both lanes, all of it in memory", &session, pages + 3 + calls, async {
            let uuid = WORKSPACE.parse().unwrap();
            let members = session.read_members_lane(uuid).await.unwrap();
            let structure = session.read_structure_lane(uuid, |_| true).await.unwrap();
            assert_eq!(members.members.seen().len() as u64, world.members);
            assert_eq!(structure.repositories.seen().len() as u64, world.repositories);
        })
        .await;
    }
    if kept { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Answers calls until the parent ends this process.
async fn serve(which: &str) {
    let world = if which == "large" { World::LARGE } else { World::ORDINARY };
    let script = world.script();
    let server = Server::start(move |request| script(request).after(LATENCY)).await;
    println!("{}", server.url);
    std::future::pending::<()>().await;
}

/// The server's process; ended with this.
struct Process {
    child: Child,
    url: url::Url,
}

impl Process {
    fn start(which: &str) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["serve", which])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut url = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut url).unwrap();
        Self { child, url: url.trim().parse().unwrap() }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn session(url: &url::Url) -> Session {
    let clock: Clock = Arc::new(|| Timestamp::from_seconds(1_700_000_000));
    let budget = CallBudget::in_memory(Allowance::new(1_000_000, 0), Arc::clone(&clock));
    let endpoints = Endpoints::new(url.clone(), url.clone()).unwrap();
    Bitbucket::new(http(), endpoints, clock, brisk()).session(&access_token(), &budget, Purpose::Sync)
}

async fn measure(name: &str, session: &Session, calls: u64, read: impl Future<Output = ()>) -> bool {
    // Linux: the peak begins anew. Elsewhere it is not measured.
    let _ = std::fs::write("/proc/self/clear_refs", "5");
    let start = Instant::now();
    read.await;
    let seconds = start.elapsed().as_secs_f64();
    let best = LATENCY.as_secs_f64() * f64::from(u32::try_from(calls).unwrap()) / f64::from(AT_ONCE);
    let (ratio, peak, made) = (seconds / best, peak(), session.budget().spent());
    // Of few calls, those that must come one after another are the most: the promise is about listings of a hundred pages.
    let in_time = ratio <= MOST_TIME || calls < 100;
    let kept = made == calls && in_time && peak.is_none_or(|peak| peak < MOST_MEMORY);
    let peak = peak.map_or("?".to_owned(), |peak| peak.to_string());
    println!(
        "{name:<38} {made:>6} {seconds:>8.2} {best:>8.2} {ratio:>8.2} {peak:>9}{}",
        if kept { "" } else { "  broken" }
    );
    kept
}

/// The most memory that was resident at once, in MiB.
fn peak() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    Some(line.split_whitespace().nth(1)?.parse::<u64>().ok()? / 1024)
}
