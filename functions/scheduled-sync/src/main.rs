//! The Lambda function `scheduled-sync`: reads its configuration, builds the engine, and hands it every invocation.

use std::process::ExitCode;
use std::sync::Arc;

use lambda_runtime::{LambdaEvent, service_fn};
use rollcall_bitbucket::{Bitbucket, Endpoints, Limits};
use rollcall_delivery::{Caller, Outbox};
use rollcall_domain::budget::Allowance;
use rollcall_scheduled_sync::{Engine, Ports, SealedCredentials, SqsQueue, handle};
use rollcall_service::clock::{Clock, SystemClock};
use rollcall_service::config::Config;
use rollcall_service::random::SystemRandom;
use rollcall_service::secrets::Secrets;
use rollcall_service::telemetry::Metrics;
use rollcall_service::{aws, http, start};
use rollcall_store::Store;

const NAME: &str = "scheduled-sync";

fn main() -> ExitCode {
    start::run(NAME, async || {
        start::require_lambda()?;
        let config = Config::from_env()?;
        let queue = config.sync_queue_url()?.clone();
        let http = http::client()?;
        let sdk = aws::sdk_config(&http)?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let secrets =
            Arc::new(Secrets::new(aws::secrets_manager(&sdk), config.secret_id.clone(), Arc::clone(&clock)));
        // A secret that cannot be read ends the start, not the first run.
        secrets.current().await?;
        let endpoints =
            Endpoints::new(config.bitbucket_url.as_url().clone(), config.bitbucket_api_url.as_url().clone())?;
        let telling = Arc::clone(&clock);
        let store = Store::new(aws::dynamodb(&sdk), config.table.as_str()).keeping_audit(config.audit_kept);
        let metrics = Metrics::to_stdout(NAME, Arc::clone(&clock));
        let outbox = Outbox::new(rollcall_delivery::Ports {
            store: store.clone(),
            secrets: Arc::clone(&secrets),
            public_url: config.public_url.as_str().to_owned(),
            caller: Caller::new((!config.public_url.is_https()).then(|| http.clone())),
            clock: Arc::clone(&clock),
            random: Arc::new(SystemRandom),
            metrics: metrics.clone(),
        });
        let engine = Engine::new(Ports {
            store,
            outbox,
            bitbucket: Bitbucket::new(http, endpoints, Arc::new(move || telling.now()), Limits::default()),
            credentials: Arc::new(SealedCredentials::new(secrets)),
            queue: Arc::new(SqsQueue::new(aws_sdk_sqs::Client::new(&sdk), queue)),
            metrics,
            clock,
            random: Arc::new(SystemRandom),
            allowance: Allowance::default(),
        });
        let service = service_fn(|event: LambdaEvent<serde_json::Value>| handle(&engine, event));
        lambda_runtime::run(service)
            .await
            .map_err(|error| Box::<dyn core::error::Error>::from(error.to_string()))
    })
}
