//! What is printed around the story: what is up, what came of it, and what to try.

use core::time::Duration;

use crate::report::Report;
use crate::settings::{BitbucketPlayed, Settings};
use crate::stack::Stack;

/// What is up, and where.
pub fn welcome(stack: &Stack, took: Duration, report: &mut Report) {
    report.heading(&format!("Rollcall on this machine: {} (up in {} ms)", stack.url(), took.as_millis()));
    let who = |name: &str, place: &str, stand_in: bool| {
        format!("{name:<10} {place}{}", if stand_in { "  (stand-in)" } else { "" })
    };
    report.plain_line(&who("Bitbucket", stack.config.bitbucket_url.as_str(), stack.bitbucket.is_some()));
    report.plain_line(&who("Google", &stack.google.issuer, stack.google.stand_in.is_some()));
    report.plain_line(&who("Microsoft", &stack.microsoft.issuer, stack.microsoft.stand_in.is_some()));
    report.plain_line(&who("AWS", stack.aws.endpoint(), true));
    report.plain_line(&who("DynamoDB", stack.dynamodb.endpoint(), true));
}

/// What came of the story.
pub fn verdict(good: bool, took: Duration, report: &mut Report) {
    let seconds = took.as_secs_f32();
    if good {
        report.heading(&format!("Every step did what it says. {seconds:.1} s in all."));
    } else {
        report.heading(&format!("A step did not do what it says. {seconds:.1} s in all."));
    }
}

/// Addresses and commands to go on with.
pub async fn what_to_try(stack: &Stack, settings: &Settings, report: &mut Report) {
    let url = stack.url();
    let workspace = match stack.api().list("/v1/workspaces").await {
        Ok(workspaces) => workspaces
            .iter()
            .find(|workspace| workspace["name"] == settings.workspace.as_str())
            .and_then(|workspace| workspace["id"].as_str().map(str::to_owned)),
        Err(_) => None,
    };
    let Some(workspace) = workspace else { return };

    report.heading("In a browser");
    report.plain_line(&format!("{url}/login?workspace={workspace}"));
    if settings.bitbucket == BitbucketPlayed::ByStandIn {
        report.detail("Amira Haddad can access everything and is let in; Mira Lindqvist lacks three repositories and is refused.");
        report.plain_line(&format!(
            "{}/_control/world    people and repositories, which can be changed there by POST",
            stack.config.bitbucket_url
        ));
    }
    report.plain_line(&format!("{url}/outbox    mail that was sent"));

    report.heading("On the command line");
    report.plain_line(&format!("export ROLLCALL_URL={url} ROLLCALL_TOKEN={}", stack.admin_token.expose()));
    report.plain_line(&format!("cargo run -p rollcall -- members {workspace}"));
    report.plain_line(&format!("cargo run -p rollcall -- plan {workspace}"));
    report.plain_line("curl -H \"Authorization: Bearer $ROLLCALL_TOKEN\" $ROLLCALL_URL/v1/workspaces");
    report.plain_line(&format!(
        "curl -H \"Authorization: Bearer $ROLLCALL_TOKEN\" $ROLLCALL_URL/v1/workspaces/{workspace}/members"
    ));
    report.plain_line("curl $ROLLCALL_URL/v1/openapi.json");
    if settings.keeps_in_step() {
        report.detail(&format!(
            "The schedule ticks every {} s. Ctrl-C ends everything.",
            settings.tick.as_secs()
        ));
    } else {
        report.detail("Nothing is synced on schedule: give --apply for that. Ctrl-C ends everything.");
    }
}
