//! The main job: connected, synced, one person let in, one refused with the reason, one gone and offboarded.

use serde_json::Value;

use super::StepError;
use super::steps::{self, Connected, MEMBERS_LANE, Steps};
use crate::report::Report;
use crate::settings::Settings;
use crate::stack::Stack;
use crate::world;

/// Who can access everything.
const LET_IN: &str = "amira";
/// Who lacks three private repositories.
const REFUSED: &str = "mira";
/// Who is let in and then leaves.
const LEAVES: &str = "tuuli";

/// Tells it.
pub(super) async fn tell(stack: &Stack, settings: &Settings, report: &mut Report) -> Result<(), StepError> {
    let mut steps = Steps::new(stack, report);
    steps.begin_earlier(MEMBERS_LANE);
    let connected = connect_and_sync(&mut steps, settings).await?;
    let leaver = let_in(&mut steps, &connected).await?;
    refuse(&mut steps, &connected).await?;
    offboard(&mut steps, &connected, leaver).await
}

/// Connects the workspace to the example and mirrors it.
pub(super) async fn connect_and_sync(
    steps: &mut Steps<'_>,
    settings: &Settings,
) -> Result<Connected, StepError> {
    steps.report.heading("1  Connect: one workspace of your application, one Bitbucket workspace");
    let connection = steps::example_connection(steps.stack, settings)?;
    let connected = steps.connect(&settings.workspace, &connection).await?;

    steps.report.heading("2  Sync: people, teams, repositories and who can access what");
    let run = match &connected.run {
        Some(run) => run.clone(),
        None => steps.ask_for_run(&connected.workspace, "apply").await?,
    };
    let run = steps.ended_run(&connected.workspace, &run).await?;
    steps::run_is(&run, "applied")?;
    let count = async |what: &str| -> Result<usize, StepError> {
        Ok(steps.api().list(&format!("/v1/workspaces/{}/{what}", connected.workspace)).await?.len())
    };
    let (teams, repositories) = (count("teams").await?, count("repositories").await?);
    let expected = world::size(steps.stack)?;
    if (teams, repositories) != (expected.groups, expected.repositories) {
        return Err(StepError::Wrong(format!(
            "mirrored: {teams} teams and {repositories} repositories; Bitbucket has {} groups and {} repositories",
            expected.groups, expected.repositories
        )));
    }
    steps.report.good(&format!(
        "{teams} teams and {repositories} repositories, as many as there are, in {} calls to Bitbucket",
        run["calls"]
    ));
    steps.report.detail(&format!("changes: {}", steps::changes(&run)));
    for kept in run["kept"].as_array().into_iter().flatten() {
        let text = |name: &str| kept[name].as_str().unwrap_or_default().to_owned();
        steps.report.detail(&format!("kept as it is: {}: {}", text("what"), text("why")));
    }
    Ok(connected)
}

/// Two people who can access everything are let in at once. The second one's sign-in, and who they are as a member.
async fn let_in(steps: &mut Steps<'_>, connected: &Connected) -> Result<(steps::SignIn, String), StepError> {
    steps.report.heading("3  Sign in: who can access every private repository is a member at once");
    let mut last = None;
    for username in [LET_IN, LEAVES] {
        let person = world::person(steps.stack, username)?;
        let sign_in = steps.sign_in(&connected.workspace, &person).await?;
        let member = steps.is_in(connected, &person, &sign_in).await?;
        steps.report.good(&format!(
            "{} signed in with Bitbucket and is a member ({} ms, the browser's redirects included)",
            person.display_name,
            sign_in.took.as_millis()
        ));
        steps.report.detail(&steps.explanation(connected, &member).await?);
        last = Some((sign_in, member));
    }
    last.ok_or_else(|| StepError::Wrong("nobody signed in".to_owned()))
}

/// Somebody who lacks three repositories is told which.
async fn refuse(steps: &mut Steps<'_>, connected: &Connected) -> Result<(), StepError> {
    steps.report.heading("4  Refuse: with the reason, and with whom to ask");
    let person = world::person(steps.stack, REFUSED)?;
    let sign_in = steps.sign_in(&connected.workspace, &person).await?;
    let mut named = steps.is_refused(connected, &person, &sign_in)?.list("missing");
    named.sort();
    let expected = world::missing(steps.stack, REFUSED)?;
    if named != expected {
        return Err(StepError::Wrong(format!(
            "{} was told that these are missing: {}; missing are: {}",
            person.display_name,
            named.join(", "),
            expected.join(", ")
        )));
    }
    if steps.member(connected, &person).await?.is_some() {
        return Err(StepError::Wrong(format!("{} was refused and is a member", person.display_name)));
    }
    steps
        .report
        .good(&format!("{} was refused, and told which repositories are missing:", person.display_name));
    steps.report.detail(&named.join(", "));
    Ok(())
}

/// Somebody leaves Bitbucket and is out with the next members lane.
async fn offboard(
    steps: &mut Steps<'_>,
    connected: &Connected,
    (mut sign_in, member): (steps::SignIn, String),
) -> Result<(), StepError> {
    steps.report.heading("5  Offboard: who leaves Bitbucket is out within 15 minutes");
    let person = world::person(steps.stack, LEAVES)?;
    let name = &person.display_name;
    if !steps.still_signed_in(&mut sign_in.browser).await? {
        return Err(StepError::Wrong(format!("{name} should still be signed in before leaving")));
    }
    world::leave(steps.stack, LEAVES)?;
    steps.report.good(&format!("{name} has left the Bitbucket workspace"));

    let run = steps.next_members_lane(&connected.workspace).await?;
    steps::run_is(&run, "applied")?;
    let found = steps.member(connected, &person).await?;
    let state = found.as_ref().and_then(|member| member["state"].as_str()).unwrap_or("not there");
    if state != "suspended" {
        return Err(StepError::Wrong(format!("{name} should be suspended and is {state}")));
    }
    steps.report.good(&format!(
        "15 minutes later the members lane has suspended {name} ({} calls to Bitbucket)",
        run["calls"]
    ));
    for line in plan_lines(&run) {
        steps.report.detail(&line);
    }
    steps.report.detail(&steps.explanation(connected, &member).await?);
    if steps.still_signed_in(&mut sign_in.browser).await? {
        return Err(StepError::Wrong(format!("{name} is suspended, and the session still works")));
    }
    steps.report.good("the session that was open is refused");

    let again = steps.sign_in(&connected.workspace, &person).await?;
    steps.is_refused(connected, &person, &again)?;
    steps.report.good(&format!("{name} signs in again and is refused"));
    Ok(())
}

/// The lines of a run's plan that are changes.
pub(super) fn plan_lines(run: &Value) -> Vec<String> {
    let text = run.pointer("/plan/text").and_then(Value::as_str).unwrap_or_default();
    text.lines().filter(|line| line.starts_with(['+', '-', '~'])).take(10).map(str::to_owned).collect()
}
