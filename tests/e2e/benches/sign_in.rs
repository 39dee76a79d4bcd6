//! How long a callback takes when each call to Bitbucket takes 100 ms, and what of it is Rollcall's own.
//!
//! `cargo bench -p rollcall-e2e`. Everything runs in this process: the table is embedded and Bitbucket is its stand-in, so that what is
//! left without the injected latency is more than Rollcall's own share.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "a benchmark prints, and stops where its world is wrong"
)]

use core::time::Duration;

use rollcall_local::settings::Settings;
use rollcall_local::stack::Stack;
use rollcall_local::world;
use rollcall_service::clock::Stopwatch;
use serde_json::{Value, json};

/// What each call to Bitbucket takes.
const LATENCY: u64 = 100;
const ROUNDS: usize = 200;

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let mut settings = Settings::for_tests();
        settings.variables.insert("ROLLCALL_SIGN_IN_RATE", "10000".into());
        let stack = Stack::start(&settings).await.unwrap();
        let workspace = connect(&stack).await;
        println!("| who | calls | with {LATENCY} ms each | bar |");
        println!("|---|---|---|---|");
        for (what, who, bar) in [
            ("an owner", "johanna", 240),
            ("somebody whose repositories are compared with the last lap's", "amira", 400),
            ("somebody who is refused", "mira", 400),
        ] {
            let bitbucket = stack.bitbucket.as_ref().unwrap();
            stack.advance(Duration::from_mins(2));
            bitbucket.forget_requests();
            let took = callback(&stack, &workspace, who, LATENCY).await;
            let calls = bitbucket.requests().iter().filter(|request| request.path.starts_with("/2.0/")).count();
            println!("| {what} | {calls} and the token | {} ms | {bar} ms |", took.as_millis());
        }
        let mut own = Vec::new();
        for _ in 0..ROUNDS {
            stack.advance(Duration::from_mins(1));
            own.push(callback(&stack, &workspace, "johanna", 0).await);
        }
        own.sort_unstable();
        println!(
            "\nWithout latency, an owner's callback with table and stand-ins in this process, {ROUNDS} times: median {:.2} ms, \
             99th percentile {:.2} ms",
            own[ROUNDS / 2].as_secs_f64() * 1000.0,
            own[ROUNDS * 99 / 100].as_secs_f64() * 1000.0,
        );
        stack.stop().await;
    });
}

async fn connect(stack: &Stack) -> String {
    let workspace = stack.api().post("/v1/workspaces", &json!({ "name": "Acme" })).await.unwrap();
    let workspace = workspace["id"].as_str().unwrap().to_owned();
    let connection = Value::Object(world::connection(stack).unwrap());
    stack.api().put(&format!("/v1/workspaces/{workspace}/connection"), &connection).await.unwrap();
    stack.schedule.is_idle().await;
    workspace
}

/// The time of the callback alone.
async fn callback(stack: &Stack, workspace: &str, username: &str, latency: u64) -> Duration {
    let http = stack.http();
    let person = world::person(stack, username).unwrap();
    let login = format!("{}/login/bitbucket?workspace={workspace}", stack.url());
    let begun = http.get(login).send().await.unwrap();
    let cookie = begun.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
    let consent = begun.headers()["location"].to_str().unwrap().parse().unwrap();
    let page = stack.browser().visit(&consent).await.unwrap();
    let chosen = page.link(&person.display_name).unwrap();
    let back = http.get(chosen).send().await.unwrap();
    let back = back.headers()["location"].to_str().unwrap().to_owned();
    let bitbucket = stack.bitbucket.as_ref().unwrap();
    bitbucket.set_latency(latency);
    let stopwatch = Stopwatch::start();
    let answer = http.get(back).header("cookie", cookie).send().await.unwrap();
    let took = stopwatch.elapsed();
    bitbucket.set_latency(0);
    assert!(matches!(answer.status().as_u16(), 303 | 403), "{}", answer.status());
    took
}
