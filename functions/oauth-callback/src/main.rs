//! The Lambda function of browser sign-in and the OpenID provider: wires, and nothing else.

use std::process::ExitCode;
use std::sync::Arc;

use rollcall_bitbucket::{Bitbucket, Endpoints, Limits};
use rollcall_oauth_callback::pages;
use rollcall_oauth_callback::{App, Parts, router};
use rollcall_service::clock::{Clock as _, SystemClock};
use rollcall_service::config::Config;
use rollcall_service::random::SystemRandom;
use rollcall_service::secrets::Secrets;
use rollcall_service::telemetry::Metrics;
use rollcall_service::web::{Web, lambda};
use rollcall_service::{aws, http, start};
use rollcall_store::Store;

type Error = Box<dyn core::error::Error + Send + Sync>;

fn main() -> ExitCode {
    start::run("oauth-callback", serve)
}

async fn serve() -> Result<(), Error> {
    let config = Config::from_env()?;
    let http = http::client()?;
    let sdk = aws::sdk_config(&http)?;
    let clock = Arc::new(SystemClock);
    let secrets = Secrets::new(aws::secrets_manager(&sdk), config.secret_id.clone(), clock.clone());
    // Init runs at full CPU: the first request then finds the secret read.
    let application = secrets.current().await?.application.clone();
    let endpoints =
        Endpoints::new(config.bitbucket_url.as_url().clone(), config.bitbucket_api_url.as_url().clone())?;
    let metrics = Metrics::to_stdout("oauth-callback", clock.clone());
    let app = App::new(Parts {
        store: Store::new(aws::dynamodb(&sdk), config.table.as_str()).keeping_audit(config.audit_kept),
        bitbucket: Bitbucket::new(http.clone(), endpoints, Arc::new(|| SystemClock.now()), Limits::default()),
        config,
        clock,
        random: Arc::new(SystemRandom),
        secrets: Arc::new(secrets),
        http,
        application: application.clone(),
        metrics: metrics.clone(),
    });
    app.derived().await.map_err(|_| "the deployment secret cannot be used; the line above says why")?;
    let page = move |problem: &_, id: &_| pages::problem(&application, problem, id);
    lambda::serve(Web::new().problem_page(page).metrics(metrics).finish(router(app))).await
}
