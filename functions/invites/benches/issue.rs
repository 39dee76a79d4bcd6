//! How many turns at the table it takes to invite a hundred people: each call takes longer than all of Rollcall's own work, so that the
//! time tells how many calls wait for one another.
//!
//! `cargo bench -p rollcall-invites`.

#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "a benchmark prints, stops where its world is wrong, and uses what it needs of the tests' world"
)]

#[path = "../tests/it/support.rs"]
mod support;

use rollcall_admin::testing::As;
use rollcall_service::clock::Stopwatch;
use rollcall_store::{Store, schema, testing};
use serde_json::json;
use standin_faults::{Act, Matching, When};

use crate::support::World;

/// What each call to the table takes, in milliseconds.
const LATENCY: u64 = 400;
const PEOPLE: usize = 100;

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let database = testing::database().await;
        schema::create(&testing::client(&database), "rollcall").await.unwrap();
        let table = standin_faults::start(&database, "127.0.0.1:0".parse().unwrap()).await.unwrap();
        let store = Store::new(testing::client(table.url()), "rollcall");
        let world = World::with(store, false, "1000").await;
        let people = |n: usize| {
            let invites: Vec<_> =
                (0..n).map(|nth| json!({ "email": format!("person-{n}-{nth}@example.com") })).collect();
            json!(invites)
        };
        // Keys and credentials are read once for a process.
        world.invite(&As::bootstrap(), people(1)).await;
        table.forget_calls();
        table.add(Matching::anything(), When::Every(1), Act::Delay(LATENCY));
        let stopwatch = Stopwatch::start();
        let answer = world.invite(&As::bootstrap(), people(PEOPLE)).await;
        let took = stopwatch.elapsed().as_secs_f64();
        assert_eq!(answer.json["items"].as_array().unwrap().len(), PEOPLE, "{}", answer.text);
        let calls = table.calls();
        let of = |operation: &str| calls.iter().filter(|call| call.operation == operation).count();
        println!(
            "{PEOPLE} people invited in one request: {} calls, of which {} are transactions with {} items",
            calls.len(),
            of("TransactWriteItems"),
            calls
                .iter()
                .filter(|call| call.operation == "TransactWriteItems")
                .map(|call| call.items)
                .sum::<usize>(),
        );
        println!(
            "with {LATENCY} ms for each call it took {took:.2} s: {} calls one after the other, of which {} are transactions (bar: 3)",
            table.sequential_round_trips(),
            table.sequential_of("TransactWriteItems"),
        );
    });
}
