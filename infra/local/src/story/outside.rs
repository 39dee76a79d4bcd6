//! A Bitbucket that somebody else plays, or Bitbucket itself: connected as the settings say, and planned or mirrored.

use serde_json::Value;

use super::StepError;
use super::steps::{self, Steps};
use crate::report::Report;
use crate::settings::Settings;
use crate::stack::Stack;

/// As many lines of a plan are shown.
const MOST_LINES: usize = 60;

/// Tells it.
pub(super) async fn tell(stack: &Stack, settings: &Settings, report: &mut Report) -> Result<(), StepError> {
    let mut steps = Steps::new(stack, report);
    let Some(connection) = &settings.connection else {
        steps.workspace(&settings.workspace).await?;
        steps.report.heading("Nothing is connected yet");
        steps.report.plain_line("No Bitbucket workspace was named: connect one by the admin API.");
        return Ok(());
    };
    steps.report.heading("1  Connect");
    let mut connection = connection.clone();
    if !settings.apply {
        // The first plan is shown, and applied only after an approval.
        connection.insert("start".to_owned(), "plan".into());
    }
    let connected = steps.connect(&settings.workspace, &connection).await?;

    steps.report.heading(if settings.apply { "2  Sync" } else { "2  Plan: what a sync would do" });
    let run = if let Some(run) = &connected.run {
        run.clone()
    } else {
        let mode = if settings.apply { "apply" } else { "plan" };
        steps.ask_for_run(&connected.workspace, mode).await?
    };
    let run = steps.ended_run(&connected.workspace, &run).await?;
    let good = if settings.apply { ["applied", "frozen"] } else { ["planned", "frozen"] };
    if !good.iter().any(|state| run["state"] == *state) {
        steps::run_is(&run, good[0])?;
    }
    let text = run.pointer("/plan/text").and_then(Value::as_str).unwrap_or_default();
    for line in text.lines().take(MOST_LINES) {
        steps.report.plain_line(line);
    }
    let more = text.lines().count().saturating_sub(MOST_LINES);
    if more > 0 {
        steps.report.plain_line(&format!("… and {more} lines more"));
    }
    steps.report.good(&format!(
        "{} ({} calls to Bitbucket)",
        run["message"].as_str().unwrap_or_default(),
        run["calls"]
    ));
    if !settings.apply {
        steps.report.detail("Nothing was changed, here or at Bitbucket. Give --apply to mirror it here.");
    }
    Ok(())
}
