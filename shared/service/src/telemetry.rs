//! Logs and metrics, one JSON object a line.
//!
//! **Logs.** An event carries its own fields and those of all spans around it, side by side, so that `request_id`, `workspace` and
//! `run` can be searched wherever something was logged:
//!
//! ```json
//! {"timestamp":"2026-11-23T06:00:00.000Z","level":"INFO","function":"scheduled-sync","target":"rollcall_scheduled_sync",
//!  "message":"the run has ended","request_id":"…","workspace":"ws_…","run":"run_…","changes":3}
//! ```
//!
//! Values are JSON strings, so no value can begin a line of its own or look like a field. A [`Secret`](rollcall_domain::Secret) has
//! neither `Debug` nor `Display` and does not compile as a field, where a text does:
//!
//! ```
//! let token = "not secret";
//! rollcall_service::telemetry::tracing::info!(token = ?token, "signed in");
//! ```
//! ```compile_fail
//! let token = rollcall_domain::Secret::new("hunter2");
//! rollcall_service::telemetry::tracing::info!(token = ?token, "signed in");
//! ```
//!
//! The level comes from `ROLLCALL_LOG`, else `RUST_LOG`, as a level or as levels of modules (`debug`,
//! `info,rollcall_store=trace`), else `AWS_LAMBDA_LOG_LEVEL`, else it is `info`. Libraries never log below `info`, whatever is asked for:
//! at `trace` they would write down headers and bodies.
//!
//! **Metrics.** CloudWatch's Embedded Metric Format on standard output; see [`Metrics`].

mod json;
mod metrics;

use std::io::IsTerminal as _;

use rollcall_domain::{RunId, WorkspaceId};
use tracing::field::Empty;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

pub use json::JsonLines;
pub use metrics::{Captured, Metrics, Record, Unit};
pub use tracing;

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// One JSON object a line, for CloudWatch.
    Json,
    /// For a person in front of a terminal.
    Pretty,
}

impl Format {
    /// JSON on Lambda and wherever the output goes to a file or a pipe; else for a person.
    pub fn for_process() -> Self {
        let on_lambda = std::env::var_os("AWS_LAMBDA_RUNTIME_API").is_some();
        if !on_lambda && std::io::stderr().is_terminal() { Self::Pretty } else { Self::Json }
    }
}

/// Starts the logs of this process, on standard error, and makes panics a log line. Further calls change nothing.
pub fn init(function: &'static str, format: Format) {
    let filter = || filter(|name| std::env::var(name).ok());
    // Fails if a subscriber is set already, as in a test that starts two functions.
    let _ = match format {
        Format::Json => tracing_subscriber::registry()
            .with(
                JsonLines::new(function, std::io::stderr)
                    .with_filter(libraries_are_quiet())
                    .with_filter(filter()),
            )
            .try_init(),
        Format::Pretty => tracing_subscriber::registry()
            .with(
                tracing_subscriber::fmt::layer()
                    .with_writer(std::io::stderr)
                    .compact()
                    .with_target(false)
                    .with_filter(libraries_are_quiet())
                    .with_filter(filter()),
            )
            .try_init(),
    };
    std::panic::set_hook(Box::new(|panic| {
        // A formatted message may hold anything; one that stands in the source cannot.
        let message = panic.payload().downcast_ref::<&'static str>().copied().unwrap_or("(not shown)");
        let location = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(panic = message, location, "a bug: the code panicked");
    }));
}

/// The span of an invocation that is no HTTP request; [`Web::finish`](crate::web::Web::finish) opens one for each request.
/// [`note_workspace`] and [`note_run`] fill it in.
pub fn invocation(request_id: &str) -> tracing::Span {
    tracing::info_span!("invocation", request_id, workspace = Empty, run = Empty)
}

/// Says which workspace the present request or invocation is about. From here on its log lines carry it.
pub fn note_workspace(workspace: WorkspaceId) {
    tracing::Span::current().record("workspace", tracing::field::display(workspace));
}

/// Says which sync run the present invocation is about. From here on its log lines carry it.
pub fn note_run(run: RunId) {
    tracing::Span::current().record("run", tracing::field::display(run));
}

/// The level that is asked for. What cannot be understood is ignored: a function that does not start because of its log level would
/// be worse than one that logs at `info`.
fn filter(variable: impl Fn(&str) -> Option<String>) -> Targets {
    ["ROLLCALL_LOG", "RUST_LOG", "AWS_LAMBDA_LOG_LEVEL"]
        .into_iter()
        .filter_map(variable)
        .find(|directives| !directives.is_empty())
        .and_then(|directives| directives.parse().ok())
        .unwrap_or_else(|| Targets::new().with_default(LevelFilter::INFO))
}

/// Lets everything of our own through, and libraries only from `info` upwards.
fn libraries_are_quiet<S>() -> impl tracing_subscriber::layer::Filter<S> + Clone {
    tracing_subscriber::filter::filter_fn(|metadata| {
        *metadata.level() <= tracing::Level::INFO || is_ours(metadata.target())
    })
}

fn is_ours(target: &str) -> bool {
    target.starts_with("rollcall")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_variable_that_is_set_decides_about_the_level() {
        let level = |variables: &'static [(&'static str, &'static str)]| {
            filter(|name| {
                variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
            })
            .to_string()
        };
        assert_eq!(level(&[]), "info");
        assert_eq!(level(&[("RUST_LOG", "debug"), ("ROLLCALL_LOG", "warn")]), "warn");
        assert_eq!(level(&[("RUST_LOG", "debug"), ("ROLLCALL_LOG", "")]), "debug");
        assert_eq!(level(&[("AWS_LAMBDA_LOG_LEVEL", "ERROR")]), "error");
        assert_eq!(level(&[("ROLLCALL_LOG", "a=b=c,,!")]), "info");
    }

    #[test]
    fn what_is_noted_about_an_invocation_stands_in_its_later_lines() {
        let lines = json::tests::Lines::default();
        let subscriber = tracing_subscriber::registry().with(JsonLines::new("test", lines.clone()));
        let workspace = WorkspaceId::new(rollcall_domain::Timestamp::EPOCH, [1; 10]);
        let run = RunId::new(rollcall_domain::Timestamp::EPOCH, [2; 10]);
        tracing::subscriber::with_default(subscriber, || {
            invocation("id-1").in_scope(|| {
                note_workspace(workspace);
                note_run(run);
                tracing::info!("x");
            });
        });
        let line = &lines.objects()[0];
        assert_eq!(line["request_id"], "id-1");
        assert_eq!(
            (&line["workspace"], &line["run"]),
            (&workspace.to_string().into(), &run.to_string().into())
        );
    }

    #[test]
    fn libraries_do_not_log_below_info_even_at_trace() {
        let lines = json::tests::Lines::default();
        let subscriber = tracing_subscriber::registry().with(
            JsonLines::new("test", lines.clone())
                .with_filter(libraries_are_quiet())
                .with_filter(Targets::new().with_default(LevelFilter::TRACE)),
        );
        tracing::subscriber::with_default(subscriber, || {
            tracing::trace!(target: "hyper::body", "headers and bodies");
            tracing::debug!(target: "aws_smithy_runtime", "response");
            tracing::info!(target: "aws_config", "kept");
            tracing::trace!(target: "rollcall_store", "kept");
        });
        assert_eq!(lines.objects().len(), 2);
    }
}
