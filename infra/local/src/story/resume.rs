//! The hour's calls are used up in the middle of a run: it stops, and later ticks go on from there.

use core::time::Duration;

use serde_json::Value;

use super::StepError;
use super::steps::{self, Steps};
use crate::report::Report;
use crate::settings::Settings;
use crate::stack::Stack;
use crate::world;

/// How long the story goes on at most: more than enough for the example.
const MOST_HOURS: u64 = 12;

/// Tells it.
pub(super) async fn tell(stack: &Stack, settings: &Settings, report: &mut Report) -> Result<(), StepError> {
    let mut steps = Steps::new(stack, report);
    steps.begin_earlier(Duration::from_hours(MOST_HOURS));
    let limit = settings.allowance.limit() - settings.allowance.reserved();
    steps.report.heading(&format!("1  Connect, with only {limit} calls an hour for the sync"));
    let connection = steps::example_connection(stack, settings)?;
    let connected = steps.connect(&settings.workspace, &connection).await?;
    let run = match &connected.run {
        Some(run) => run.clone(),
        None => steps.ask_for_run(&connected.workspace, "apply").await?,
    };
    let first = steps.ended_run(&connected.workspace, &run).await?;
    let path = format!("/v1/workspaces/{}/connection", connected.workspace);
    let done = |connection: &Value| {
        let lanes = connection.pointer("/sync/lanes").and_then(Value::as_array);
        lanes.is_some_and(|lanes| lanes.iter().all(|lane| lane["succeeded_at"].is_string()))
    };
    if done(&steps.api().get(&path).await?) {
        return Err(StepError::Wrong(
            "the first run did everything, although it had not calls enough".to_owned(),
        ));
    }
    steps.report.heading("2  The first run stops where the hour's calls end, and says so");
    steps.report.good(first["message"].as_str().unwrap_or_default());
    steps.report.detail(&format!("{} calls to Bitbucket", first["calls"]));

    steps.report.heading("3  Later ticks go on from there");
    let mut hours = 0;
    while !done(&steps.api().get(&path).await?) {
        hours += 1;
        if hours > MOST_HOURS {
            return Err(StepError::Wrong(format!(
                "after {MOST_HOURS} hours there is still something left to read"
            )));
        }
        steps.report.working("an hour later, the schedule ticks");
        stack.clock.advance(Duration::from_hours(1));
        stack.schedule.tick().await?;
        let run = steps.newest_run(&connected.workspace).await?;
        steps.report.rest();
        if run["calls"].as_u64().unwrap_or(0) > u64::from(limit) {
            return Err(StepError::Wrong(format!(
                "a run made {} calls, and {limit} were allowed",
                run["calls"]
            )));
        }
        steps.report.good(&format!("an hour later: {}", run["message"].as_str().unwrap_or_default()));
        steps.report.detail(&format!("{} calls to Bitbucket", run["calls"]));
    }
    let (listings, repeated) = world::grants_listings(stack)?;
    // The last repositories before the calls ran out may have been read by half, which does not count.
    if listings == 0 || repeated * 10 > listings {
        return Err(StepError::Wrong(format!(
            "{listings} listings of repositories' grants were made, and {repeated} of them were made before"
        )));
    }
    steps.report.good(&format!(
        "everything has been read: {listings} listings of repositories' grants, of which {repeated} had been cut off before"
    ));
    Ok(())
}
