//! A run that removed somebody is undone.

use serde_json::json;

use super::StepError;
use super::main_job::{connect_and_sync, plan_lines};
use super::steps::{self, MEMBERS_LANE, Steps};
use crate::report::Report;
use crate::settings::Settings;
use crate::stack::Stack;
use crate::world;

/// Who is let in, removed and brought back.
const MEMBER: &str = "tuuli";
/// Who is let in and stays: a run never removes everybody by itself.
const OTHERS: [&str; 2] = ["amira", "bastian"];

/// Tells it.
pub(super) async fn tell(stack: &Stack, settings: &Settings, report: &mut Report) -> Result<(), StepError> {
    let mut steps = Steps::new(stack, report);
    steps.begin_earlier(MEMBERS_LANE);
    let connected = connect_and_sync(&mut steps, settings).await?;

    steps.report.heading("3  Somebody signs in, leaves Bitbucket and is suspended");
    for username in OTHERS {
        let other = world::person(stack, username)?;
        let sign_in = steps.sign_in(&connected.workspace, &other).await?;
        steps.is_in(&connected, &other, &sign_in).await?;
    }
    let person = world::person(stack, MEMBER)?;
    let sign_in = steps.sign_in(&connected.workspace, &person).await?;
    let id = steps.is_in(&connected, &person, &sign_in).await?;
    world::leave(stack, MEMBER)?;
    let run = steps.next_members_lane(&connected.workspace).await?;
    steps::run_is(&run, "applied")?;
    let state = |member: Option<serde_json::Value>| {
        let state = member.as_ref().and_then(|member| member["state"].as_str()).unwrap_or("not there");
        state.to_owned()
    };
    let suspended = state(steps.member(&connected, &person).await?);
    if suspended != "suspended" {
        return Err(StepError::Wrong(format!(
            "{} should be suspended and is {suspended}",
            person.display_name
        )));
    }
    steps.report.good(&format!("{} is suspended", person.display_name));
    for line in plan_lines(&run) {
        steps.report.detail(&line);
    }

    steps.report.heading("4  Undo: what the run removed comes back");
    let run_id = run["id"].as_str().unwrap_or_default();
    let path = format!("/v1/workspaces/{}/sync-runs/{run_id}/undo", connected.workspace);
    let asked = steps.api().post(&path, &json!({})).await?;
    let undo = asked["id"].as_str().unwrap_or_default().to_owned();
    let undo = steps.ended_run(&connected.workspace, &undo).await?;
    steps::run_is(&undo, "applied")?;
    let member = steps.member(&connected, &person).await?;
    let same = member.as_ref().is_some_and(|member| member["id"] == id.as_str());
    let restored = state(member);
    if restored != "active" || !same {
        return Err(StepError::Wrong(format!(
            "{} should be active again, as the same member, and is {restored}",
            person.display_name
        )));
    }
    steps.report.good(&format!("{} is active again, as the same member", person.display_name));
    for line in plan_lines(&undo) {
        steps.report.detail(&line);
    }
    Ok(())
}
