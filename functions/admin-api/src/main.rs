//! The Lambda function `admin-api`: reads its configuration, builds what its routes work with, and serves them.

use std::process::ExitCode;
use std::sync::Arc;

use rollcall_admin::Admin;
use rollcall_admin_api::queue::Sqs;
use rollcall_admin_api::{App, router};
use rollcall_bitbucket::{Bitbucket, Endpoints, Limits};
use rollcall_service::clock::{Clock, SystemClock};
use rollcall_service::config::Config;
use rollcall_service::random::SystemRandom;
use rollcall_service::secrets::Secrets;
use rollcall_service::telemetry::Metrics;
use rollcall_service::web::{Web, lambda};
use rollcall_service::{aws, http, start};
use rollcall_store::Store;

const NAME: &str = "admin-api";

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
        // A secret that cannot be read ends the start, not the first request.
        secrets.current().await?;
        let endpoints =
            Endpoints::new(config.bitbucket_url.as_url().clone(), config.bitbucket_api_url.as_url().clone())?;
        let telling = Arc::clone(&clock);
        let bitbucket = Bitbucket::new(http, endpoints, Arc::new(move || telling.now()), Limits::default());
        let store = Store::new(aws::dynamodb(&sdk), config.table.as_str()).keeping_audit(config.audit_kept);
        let app = App {
            admin: Admin::new(config, store, secrets, Arc::clone(&clock), Arc::new(SystemRandom)),
            bitbucket,
            queue: Arc::new(Sqs::new(aws_sdk_sqs::Client::new(&sdk), queue)),
        };
        let web = Web::new().metrics(Metrics::to_stdout(NAME, clock));
        lambda::serve(web.finish(router(app))).await
    })
}
