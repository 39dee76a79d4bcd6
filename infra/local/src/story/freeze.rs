//! Too many leave at once: the run is frozen, somebody approves exactly what it holds back, and it goes on.

use serde_json::json;

use super::StepError;
use super::main_job::{connect_and_sync, plan_lines};
use super::steps::{self, Connected, MEMBERS_LANE, Person, Steps};
use crate::report::Report;
use crate::settings::Settings;
use crate::stack::Stack;
use crate::world;

/// Who is let in.
const MEMBERS: [&str; 8] = ["amira", "bastian", "chloe", "dmitri", "esther", "felix", "giulia", "hanna"];
/// How many of them leave at once: more than three, and more than a quarter.
const LEAVERS: usize = 5;

/// Tells it.
pub(super) async fn tell(stack: &Stack, settings: &Settings, report: &mut Report) -> Result<(), StepError> {
    let mut steps = Steps::new(stack, report);
    steps.begin_earlier(MEMBERS_LANE);
    let connected = connect_and_sync(&mut steps, settings).await?;

    steps.report.heading(&format!("3  {} people sign in", MEMBERS.len()));
    let mut people = Vec::new();
    for username in MEMBERS {
        let person = world::person(stack, username)?;
        let sign_in = steps.sign_in(&connected.workspace, &person).await?;
        steps.is_in(&connected, &person, &sign_in).await?;
        people.push(person);
    }
    steps.report.good(&format!("{} members", people.len()));

    steps.report.heading(&format!("4  Freeze: {LEAVERS} of them leave Bitbucket at once"));
    let (leavers, stayers) = people.split_at(LEAVERS);
    for person in leavers {
        world::leave(stack, &person.username)?;
    }
    let run = steps.next_members_lane(&connected.workspace).await?;
    steps::run_is(&run, "frozen")?;
    all_are(&steps, &connected, &people, "active").await?;
    let health = steps.api().get(&format!("/v1/workspaces/{}/connection", connected.workspace)).await?;
    if health.pointer("/connection/health/state").and_then(|state| state.as_str()) != Some("frozen") {
        return Err(StepError::Wrong("the run is frozen, and the connection does not say so".to_owned()));
    }
    steps.report.good("the run is frozen: nobody was suspended, and the connection says why");
    for held in run["held"].as_array().into_iter().flatten() {
        steps.report.detail(held.as_str().unwrap_or_default());
    }
    for line in plan_lines(&run) {
        steps.report.detail(&line);
    }

    steps.report.heading("5  Approve: by the hash of exactly what is held back");
    let hash = run.pointer("/plan/hash").and_then(|hash| hash.as_str()).unwrap_or_default().to_owned();
    let run_id = run["id"].as_str().unwrap_or_default().to_owned();
    let path = format!("/v1/workspaces/{}/sync-runs/{run_id}/approve", connected.workspace);
    let other = "0".repeat(hash.len());
    if steps.api().post(&path, &json!({ "plan_hash": other })).await.is_ok() {
        return Err(StepError::Wrong("another hash was accepted".to_owned()));
    }
    steps.report.good("an approval of anything else is refused");
    let approved = steps.api().post(&path, &json!({ "plan_hash": hash })).await?;
    let run_id = approved["id"].as_str().unwrap_or_default().to_owned();
    let run = steps.ended_run(&connected.workspace, &run_id).await?;
    steps::run_is(&run, "applied")?;
    all_are(&steps, &connected, leavers, "suspended").await?;
    all_are(&steps, &connected, stayers, "active").await?;
    steps.report.good(&format!(
        "approved: the {} who left are suspended, the {} others are not",
        leavers.len(),
        stayers.len()
    ));
    Ok(())
}

/// Checks the state of some members.
async fn all_are(
    steps: &Steps<'_>,
    connected: &Connected,
    people: &[Person],
    state: &str,
) -> Result<(), StepError> {
    for person in people {
        let member = steps.member(connected, person).await?;
        let found = member.as_ref().and_then(|member| member["state"].as_str()).unwrap_or("not there");
        if found != state {
            return Err(StepError::Wrong(format!(
                "{} should be {state} and is {found}",
                person.display_name
            )));
        }
    }
    Ok(())
}
