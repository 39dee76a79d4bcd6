//! The Lambda function `invites`: reads its configuration, builds what its routes work with, and serves them; and marks the invites
//! whose mails came back.

use std::process::ExitCode;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use rollcall_admin::Admin;
use rollcall_invites::mailer::{Mailer, Ses};
use rollcall_invites::{App, note_feedback, router};
use rollcall_service::clock::{Clock, SystemClock};
use rollcall_service::config::Config;
use rollcall_service::random::SystemRandom;
use rollcall_service::secrets::Secrets;
use rollcall_service::telemetry::Metrics;
use rollcall_service::web::{Web, lambda};
use rollcall_service::{aws, http, start};
use rollcall_store::{Store, StoreError};

const NAME: &str = "invites";

fn main() -> ExitCode {
    start::run(NAME, async || {
        start::require_lambda()?;
        let config = Config::from_env()?;
        let sdk = aws::sdk_config(&http::client()?)?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let secrets =
            Arc::new(Secrets::new(aws::secrets_manager(&sdk), config.secret_id.clone(), Arc::clone(&clock)));
        // A secret that cannot be read ends the start, not the first request.
        secrets.current().await?;
        let mailer = config.invite_sender.clone().map(|sender| -> Arc<dyn Mailer> {
            Arc::new(Ses::new(aws_sdk_sesv2::Client::new(&sdk), sender))
        });
        let store = Store::new(aws::dynamodb(&sdk), config.table.as_str()).keeping_audit(config.audit_kept);
        let admin = Admin::new(config, store, secrets, Arc::clone(&clock), Arc::new(SystemRandom));
        let web = Web::new().metrics(Metrics::to_stdout(NAME, clock));
        let routes = web.finish(router(App { admin: admin.clone(), mailer }));
        let feedback = move |event: serde_json::Value| -> BoxFuture<'static, Result<(), StoreError>> {
            let admin = admin.clone();
            Box::pin(async move { note_feedback(&admin, &event).await.map(drop) })
        };
        lambda::serve_with_events(routes, feedback).await
    })
}
