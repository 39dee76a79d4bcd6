//! Sign-ins, refreshes and introspections at rising rates, until the first error or until they cannot be kept up.

use core::time::Duration;
use std::sync::{Arc, Mutex, PoisonError};

use rollcall_local::settings::Settings;
use rollcall_local::stack::Stack;
use rollcall_service::clock::Stopwatch;
use rollcall_service::config;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::application::{Application, Tokens, Trouble};
use crate::budgets;
use crate::report::{Section, Table, milliseconds, percentile};

/// How long each rate is held.
const STEP: Duration = Duration::from_secs(4);
/// The first rate; each next one is twice the one before.
const FIRST: f64 = 10.0;
const MOST: f64 = 5_000.0;
/// Grants that are refreshed, each by one at a time.
const GRANTS: usize = 64;
/// A rate is not kept up any more where so few of its answers have come in its time.
const KEPT_UP: f64 = 0.9;

/// What is done.
#[derive(Clone, Copy)]
enum Deed {
    SignIn,
    Refresh,
    Introspect,
}

const DEEDS: [(&str, Deed); 3] =
    [("sign-in", Deed::SignIn), ("refresh", Deed::Refresh), ("introspection", Deed::Introspect)];

/// Grants that wait to be used.
type Pool = Arc<Mutex<Vec<Tokens>>>;

/// What came of a rate.
struct Held {
    latencies: Vec<f64>,
    troubles: Vec<Trouble>,
    /// Answers in each second.
    throughput: f64,
}

pub(crate) async fn measure() -> Section {
    let mut section = Section::new("Load");
    let mut settings = Settings::for_tests();
    settings.variables.insert(config::SIGN_IN_RATE, "10000".into());
    let stack = Stack::start(&settings).await.unwrap();
    let application = Application::register(&stack, &stack.api(), stack.url()).await;
    stack.schedule.is_idle().await;
    let session = application.sign_in().await.unwrap();
    let mut grants = Vec::new();
    for _ in 0..GRANTS {
        grants.push(application.tokens(&session).await.unwrap());
    }
    section.say(
        "All of it in one process on this machine: the functions, the table, the stand-ins and whoever asks. A sign-in is from the login to the \
         session, with the consent at the stand-in Bitbucket. Rates double until something fails or falls behind. Limits per minute begin \
         anew with each rate. Of the 1,000 calls that Bitbucket allows in an hour, a sign-in takes four: after each hundred, an hour has passed.",
    );
    let mut table = Table::new(&["what", "a second", "answered a second", "median", "p95", "p99", "errors"]);
    let mut data = serde_json::Map::new();
    for (name, deed) in DEEDS {
        let pool: Pool = Arc::new(Mutex::new(grants.clone()));
        let mut rates = Vec::new();
        let mut rate = FIRST;
        let mut best = 0.0_f64;
        let ended = loop {
            println!("{name}: {rate} a second …");
            // A minute later everybody may try again; an hour's calls are given back.
            stack.advance(Duration::from_mins(1));
            budgets::forget_all(&stack).await;
            if matches!(deed, Deed::Introspect) {
                grow_young(&application, &pool).await;
            }
            let held = hold(&application, &stack, deed, &pool, rate).await;
            let figure = |hundredths| milliseconds(percentile(&held.latencies, hundredths));
            table.row(&[
                name.to_owned(),
                format!("{rate:.0}"),
                format!("{:.0}", held.throughput),
                figure(50),
                figure(95),
                figure(99),
                held.troubles.len().to_string(),
            ]);
            rates.push(json!({
                "rate": rate,
                "throughput": held.throughput,
                "p50": percentile(&held.latencies, 50),
                "p95": percentile(&held.latencies, 95),
                "p99": percentile(&held.latencies, 99),
                "errors": held.troubles.len(),
            }));
            best = best.max(held.throughput);
            if let Some(first) = held.troubles.first() {
                break format!("the first error: {first}");
            }
            if held.throughput < KEPT_UP * rate {
                break "it falls behind, without an error".to_owned();
            }
            rate *= 2.0;
            if rate > MOST {
                break "no more was tried".to_owned();
            }
        };
        section.say(format!("{name}: at most {best:.0} a second; then {ended}."));
        data.insert(name.to_owned(), Value::Array(rates));
        // A rotated token is not used again.
        grants.clone_from(&pool.lock().unwrap_or_else(PoisonError::into_inner));
        if grants.is_empty() {
            section.say("No grant is left to go on with.");
            break;
        }
    }
    section.table(&table);
    section.data("rates", Value::Object(data));
    stack.stop().await;
    section
}

/// Holds a rate: whether or not the answers come, the next one is asked when it is due.
async fn hold(application: &Application, stack: &Stack, deed: Deed, pool: &Pool, rate: f64) -> Held {
    let mut tasks = JoinSet::new();
    let began = Stopwatch::start();
    let (mut due, mut asked) = (Duration::ZERO, 0_usize);
    let gap = Duration::from_secs_f64(1.0 / rate);
    while due < STEP {
        tokio::time::sleep(due.saturating_sub(began.elapsed())).await;
        let (application, pool) = (application.clone(), Arc::clone(pool));
        tasks.spawn(async move {
            let stopwatch = Stopwatch::start();
            let done = once(&application, deed, &pool).await;
            (stopwatch.elapsed().as_secs_f64(), done)
        });
        asked += 1;
        due += gap;
        if matches!(deed, Deed::SignIn) && asked.is_multiple_of(budgets::SIGN_INS) {
            budgets::forget_all(stack).await;
        }
    }
    let (mut latencies, mut troubles) = (Vec::new(), Vec::new());
    while let Some(done) = tasks.join_next().await {
        match done.unwrap() {
            (latency, Ok(())) => latencies.push(latency),
            (_, Err(trouble)) => troubles.push(trouble),
        }
    }
    let throughput = latencies.len() as f64 / began.elapsed().as_secs_f64().max(STEP.as_secs_f64());
    Held { latencies, troubles, throughput }
}

/// Puts new tokens in place of those that are asked about next.
async fn grow_young(application: &Application, pool: &Pool) {
    let taken = pool.lock().unwrap_or_else(PoisonError::into_inner).pop();
    if let Some(old) = taken {
        let new = application.refresh(&old).await.unwrap();
        pool.lock().unwrap_or_else(PoisonError::into_inner).push(new);
    }
}

async fn once(application: &Application, deed: Deed, pool: &Pool) -> Result<(), Trouble> {
    let taken = || pool.lock().unwrap_or_else(PoisonError::into_inner).pop();
    let give_back = |tokens| pool.lock().unwrap_or_else(PoisonError::into_inner).push(tokens);
    match deed {
        Deed::SignIn => application.sign_in().await.map(drop),
        Deed::Refresh => {
            // All are in use: as far behind as that, this one is not asked.
            let Some(tokens) = taken() else { return Err("more refreshes at once than grants".to_owned()) };
            give_back(application.refresh(&tokens).await?);
            Ok(())
        }
        Deed::Introspect => {
            let tokens = pool.lock().unwrap_or_else(PoisonError::into_inner).last().cloned();
            match tokens {
                // Tokens live for five minutes, and these were new when the rate began.
                Some(tokens) => application.introspect(&tokens).await,
                None => Err("no grant is left".to_owned()),
            }
        }
    }
}
