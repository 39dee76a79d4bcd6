//! Whole runs with counts: how many calls and writes they take, how long, and how that compares with the least it could be.
//!
//! `cargo bench -p rollcall-scheduled-sync`. Figures are those of this machine, with an embedded database and a stand-in Bitbucket
//! in the same process: what counts is the ratios.

#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "a benchmark prints, stops where its world is wrong, and uses what it needs of the tests' rig"
)]

#[path = "../tests/it/rig.rs"]
mod rig;

use core::time::Duration;

use aws_sdk_dynamodb::types::{AttributeValue, Put, TransactWriteItem};
use rollcall_service::clock::Stopwatch;
use rollcall_store::runs::RunRecord;
use standin_bitbucket::World;

use crate::rig::{DAY, Rig};

/// What the client has under way at the same time.
const PARALLEL: f64 = 8.0;
const LATENCY: Duration = Duration::from_millis(100);

fn world() -> World {
    World::generated(3, 600, 800, 40, 60)
}

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        first_mirror().await;
        nothing_changed().await;
        slow_bitbucket().await;
    });
}

async fn timed(rig: &Rig) -> (RunRecord, Duration) {
    let stopwatch = Stopwatch::start();
    let record = rig.run().await;
    (record, stopwatch.elapsed())
}

/// The first full mirror against a bare loop of transactions with as many items of the same size.
async fn first_mirror() {
    let rig = Rig::empty(world()).await;
    rig.table.forget_calls();
    let (record, took) = timed(&rig).await;
    let calls = rig.table.calls();
    let transactions: Vec<_> = calls.iter().filter(|call| call.operation == "TransactWriteItems").collect();
    let items: usize = transactions.iter().map(|call| call.items).sum();
    let bytes: usize = transactions.iter().map(|call| call.request_bytes).sum();
    println!("first mirror: {}", record.message);
    println!(
        "  {} calls to Bitbucket, {items} items in {} transactions, {} kB, {took:.2?}: {:.0} items/s",
        record.calls,
        transactions.len(),
        bytes / 1000,
        items as f64 / took.as_secs_f64(),
    );
    let bare = bare_loop(&rig, items, bytes / items.max(1)).await;
    println!(
        "  a bare loop of TransactWriteItems with the same items: {bare:.2?}; the whole run, its calls to Bitbucket included, reaches \
         {:.0} % of its rate (the writing alone: cargo bench -p rollcall-store)",
        100.0 * bare.as_secs_f64() / took.as_secs_f64(),
    );
}

async fn bare_loop(rig: &Rig, items: usize, size: usize) -> Duration {
    let client = rollcall_store::testing::client(rig.table.url());
    let padding = "x".repeat(size.saturating_sub(120));
    let stopwatch = Stopwatch::start();
    for chunk in (0..items).collect::<Vec<_>>().chunks(100) {
        let puts = chunk.iter().map(|n| {
            let put = Put::builder()
                .table_name("rollcall")
                .item("pk", AttributeValue::S("bare".to_owned()))
                .item("sk", AttributeValue::S(n.to_string()))
                .item("value", AttributeValue::S(padding.clone()))
                .build()
                .unwrap();
            TransactWriteItem::builder().put(put).build()
        });
        client.transact_write_items().set_transact_items(Some(puts.collect())).send().await.unwrap();
    }
    stopwatch.elapsed()
}

async fn nothing_changed() {
    let rig = Rig::empty(world()).await;
    rig.run().await;
    let before = rig.rows().await.len();
    let (record, took) = timed(&rig).await;
    let new = rig.rows().await.len() - before;
    println!(
        "nothing changed: {} calls, {} items written, {new} new row, {took:.2?}",
        record.calls, record.written
    );
    assert_eq!((record.written, new), (0, 1));
}

/// Every call to Bitbucket takes 100 ms more: the calls have to overlap.
async fn slow_bitbucket() {
    let fast = Rig::empty(world()).await;
    let (_, writes) = timed(&fast).await;
    let slow = Rig::empty(world()).await;
    slow.bitbucket.set_latency(u64::try_from(LATENCY.as_millis()).unwrap());
    let (record, took) = timed(&slow).await;
    let least = record.calls as f64 / PARALLEL * LATENCY.as_secs_f64();
    let waiting = took.saturating_sub(writes).as_secs_f64();
    println!(
        "100 ms for each of {} calls: {took:.2?}, of which {waiting:.2} s are not the run's own; {:.2} times calls / 8 * 100 ms",
        record.calls,
        waiting / least,
    );
    slow.bitbucket.set_latency(0);
    slow.advance(DAY);
    let (record, took) = timed(&slow).await;
    println!(
        "the next day, without latency: {} calls, {} items written, {took:.2?}",
        record.calls, record.written
    );
}
