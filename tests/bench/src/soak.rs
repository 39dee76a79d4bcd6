//! Minutes of sign-ins, refreshes, introspections and syncs at the functions as they are shipped, each a process of its own: their memory
//! has to stay flat.

use core::time::Duration;
use std::collections::BTreeMap;
use std::sync::Arc;

use rollcall_e2e::gateway;
use rollcall_local::api::Api;
use rollcall_local::settings::Settings;
use rollcall_local::stack::{QUEUE, Stack};
use rollcall_service::clock::Stopwatch;
use rollcall_service::config;
use serde_json::{Value, json};
use standin_aws::event::schedule_with_input;
use standin_aws::{Function, LambdaRuntime, QueueSettings};

use crate::application::Application;
use crate::build::{self, FUNCTIONS};
use crate::report::{Section, Table, median};
use crate::{budgets, process};

const PATIENCE: Duration = Duration::from_secs(60);
/// Between two sign-ins; ten refreshes and introspections come with each.
const PAUSE: Duration = Duration::from_millis(500);
const SYNC_EVERY: Duration = Duration::from_secs(20);
/// The last part of the time may hold so much more memory than the first.
const MOST_GROWTH: f64 = 1.1;

/// The functions behind a gateway.
struct Deployed {
    stack: Stack,
    url: String,
    functions: BTreeMap<String, (Arc<LambdaRuntime>, Arc<Function>)>,
}

impl Deployed {
    async fn start() -> Self {
        let (listener, address) = gateway::listen().await;
        let url = format!("http://localhost:{}", address.port());
        let mut settings = Settings::for_tests();
        settings.variables.insert(config::PUBLIC_URL, url.clone().into());
        settings.variables.insert(config::SIGN_IN_RATE, "10000".into());
        let stack = Stack::start(&settings).await.unwrap();
        stack.aws.queues().create(QUEUE, QueueSettings::default());
        let environment = stack.environment();
        let mut functions = BTreeMap::new();
        for name in FUNCTIONS {
            let lambda = Arc::new(LambdaRuntime::start().await.unwrap());
            let process = lambda.spawn(build::program(name), environment.clone()).unwrap();
            functions.insert(name.to_owned(), (lambda, process));
        }
        let lambdas = functions.iter().map(|(name, (lambda, _))| (name.clone(), Arc::clone(lambda)));
        gateway::serve(listener, lambdas.collect());
        Self { stack, url, functions }
    }

    fn api(&self) -> Api {
        Api::new(self.stack.http().clone(), self.url.clone(), self.stack.admin_token.clone())
    }

    /// A tick of the schedule, and the runs that come of it.
    async fn sync(&self) {
        let (lambda, _) = &self.functions["scheduled-sync"];
        let input = r#"{"time":"<aws.scheduler.scheduled-time>"}"#;
        let tick = schedule_with_input("members", self.stack.aws.now(), input).unwrap();
        lambda.invoke(tick, PATIENCE).await.unwrap();
        while let Some(delivery) = self.stack.aws.queues().deliver(QUEUE, 1) {
            let answer = lambda.invoke(delivery.event().clone(), PATIENCE).await;
            self.stack.aws.queues().settle(&delivery, answer.as_ref().ok());
        }
    }

    fn resident(&self) -> BTreeMap<&str, u64> {
        let of = |(name, (_, process)): (&'_ String, &(_, Arc<Function>))| -> Option<(String, u64)> {
            Some((name.clone(), process::resident(process.pid()?)?.0))
        };
        let found: BTreeMap<String, u64> = self.functions.iter().filter_map(of).collect();
        FUNCTIONS.iter().filter_map(|name| Some((*name, *found.get(*name)?))).collect()
    }
}

pub(crate) async fn measure(minutes: u64) -> Section {
    let mut section = Section::new("Soak");
    let deployed = Deployed::start().await;
    let application = Application::register(&deployed.stack, &deployed.api(), &deployed.url).await;
    deployed.sync().await;
    let session = application.sign_in().await.unwrap();
    let mut tokens = application.tokens(&session).await.unwrap();
    let length = Duration::from_secs(60 * minutes);
    let (began, mut synced) = (Stopwatch::start(), Stopwatch::start());
    let mut samples: Vec<(f64, BTreeMap<&str, u64>)> = Vec::new();
    let (mut sign_ins, mut deeds, mut syncs, mut troubles) = (0_usize, 0_u64, 0_u64, Vec::new());
    println!("soaking for {minutes} minutes …");
    while began.elapsed() < length {
        if sign_ins.is_multiple_of(budgets::SIGN_INS) {
            budgets::forget_all(&deployed.stack).await;
        }
        let done = application.sign_in().await;
        sign_ins += 1;
        troubles.extend(done.err());
        for _ in 0..10 {
            match application.refresh(&tokens).await {
                Ok(next) => tokens = next,
                Err(trouble) => troubles.push(trouble),
            }
            troubles.extend(application.introspect(&tokens).await.err());
        }
        deeds += 21;
        if synced.elapsed() > SYNC_EVERY {
            synced = Stopwatch::start();
            deployed.sync().await;
            syncs += 1;
            // The stand-ins remember every call: that is not what is measured, but it need not grow either.
            deployed.stack.aws.forget_calls();
        }
        samples.push((began.elapsed().as_secs_f64(), deployed.resident()));
        tokio::time::sleep(PAUSE).await;
    }
    section.say(format!(
        "{deeds} sign-ins, refreshes and introspections and {syncs} syncs in {minutes} minutes, at the four programs as they are shipped; errors: {}{}.",
        troubles.len(),
        troubles.first().map_or(String::new(), |first| format!(" ({first})")),
    ));
    section.bar("soak: errors", troubles.len() as f64, 0.0, "");
    let mut table = Table::new(&["function", "resident, first quarter", "last quarter", "growth"]);
    for name in FUNCTIONS {
        let quarter = samples.len() / 4;
        let of = |samples: &[(f64, BTreeMap<&str, u64>)]| {
            let figures: Vec<f64> =
                samples.iter().filter_map(|(_, found)| Some(*found.get(name)? as f64)).collect();
            median(&figures)
        };
        let (first, last) = (of(&samples[..quarter]), of(&samples[samples.len() - quarter..]));
        let growth = last / first.max(1.0);
        let shown = |bytes: f64| format!("{:.1} MB", bytes / 1e6);
        table.row(&[name.to_owned(), shown(first), shown(last), format!("{growth:.3} ×")]);
        section.bar(format!("soak: memory of {name}, last quarter of first"), growth, MOST_GROWTH, " ×");
    }
    section.table(&table);
    let samples: Vec<Value> =
        samples.iter().step_by(20).map(|(at, found)| json!({ "at": at, "resident": found })).collect();
    section.data("samples", Value::Array(samples));
    for (_, process) in deployed.functions.values() {
        process.kill().await;
    }
    deployed.stack.stop().await;
    section
}
