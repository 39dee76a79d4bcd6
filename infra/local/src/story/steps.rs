//! The steps that stories are made of.

use core::time::Duration;

use rollcall_service::clock::{Clock as _, Stopwatch};
use serde_json::{Map, Value, json};
use url::Url;

use super::StepError;
use crate::api::{Api, text};
use crate::browser::{Browser, Page};
use crate::report::Report;
use crate::settings::Settings;
use crate::stack::Stack;

/// The session cookie's name.
pub(super) const SESSION_COOKIE: &str = "__Host-rollcall-session";
/// How far the members lanes are apart.
pub(super) const MEMBERS_LANE: Duration = Duration::from_mins(15);

/// A workspace that is connected.
#[derive(Debug, Clone)]
pub struct Connected {
    /// Its id.
    pub workspace: String,
    /// Its name.
    pub name: String,
    /// The run that followed, if one did.
    pub run: Option<String>,
}

/// Somebody of the stand-in's world.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// What the stand-in knows them by.
    pub username: String,
    /// What others see.
    pub display_name: String,
    /// The account's UUID in braces, as Rollcall shows it.
    pub uuid: String,
}

/// A stack and the report of what is done with it.
pub struct Steps<'a> {
    /// The stack.
    pub stack: &'a Stack,
    /// The report.
    pub report: &'a mut Report,
    api: Api,
}

impl<'a> Steps<'a> {
    /// The steps of a story.
    pub fn new(stack: &'a Stack, report: &'a mut Report) -> Self {
        Self { stack, report, api: stack.api() }
    }

    /// The admin API.
    pub fn api(&self) -> &Api {
        &self.api
    }

    /// Finds the workspace by its name, or makes it.
    pub async fn workspace(&mut self, name: &str) -> Result<String, StepError> {
        let known = self.api.list("/v1/workspaces").await?;
        let found = known.iter().find(|workspace| workspace["name"] == name);
        let workspace = match found {
            Some(workspace) => workspace.clone(),
            None => self.api.post("/v1/workspaces", &json!({ "name": name })).await?,
        };
        Ok(text(&workspace, "/id", "id")?.to_owned())
    }

    /// Connects a workspace, and tells what the credential can and cannot do.
    pub async fn connect(
        &mut self,
        name: &str,
        connection: &Map<String, Value>,
    ) -> Result<Connected, StepError> {
        self.report.working("trying what the credential can do");
        let workspace = self.workspace(name).await?;
        let path = format!("/v1/workspaces/{workspace}/connection");
        let answer = self.api.put(&path, &Value::Object(connection.clone())).await?;
        let bitbucket = text(&answer, "/connection/bitbucket/name", "connection.bitbucket.name")?;
        let slug = text(&answer, "/connection/bitbucket/slug", "connection.bitbucket.slug")?;
        let lines: Vec<&Value> =
            answer.pointer("/probe/lines").and_then(Value::as_array).into_iter().flatten().collect();
        let working = lines.iter().filter(|line| line["works"] == true).count();
        if answer.pointer("/probe/usable") != Some(&Value::Bool(true)) || lines.is_empty() {
            return Err(StepError::Wrong(format!(
                "{slug} is connected, and its credential was not proven usable"
            )));
        }
        self.report.good(&format!("{name} ↔ {bitbucket} ({slug}), one to one"));
        self.report.detail(&format!("the credential was tried: {working} of {} things work", lines.len()));
        for line in lines.iter().filter(|line| line["works"] != true) {
            let detail = line["detail"].as_str().or(line["without"].as_str()).unwrap_or_default();
            self.report.detail(&format!("{}: {detail}", line["what"].as_str().unwrap_or_default()));
        }
        let run = answer.pointer("/sync_run/id").and_then(Value::as_str).map(str::to_owned);
        Ok(Connected { workspace, name: name.to_owned(), run })
    }

    /// Asks for a run.
    pub async fn ask_for_run(&self, workspace: &str, mode: &str) -> Result<String, StepError> {
        let path = format!("/v1/workspaces/{workspace}/sync-runs");
        let run = self.api.post(&path, &json!({ "mode": mode })).await?;
        Ok(text(&run, "/id", "id")?.to_owned())
    }

    /// Waits until a run has ended; its record with its plan.
    pub async fn ended_run(&mut self, workspace: &str, run: &str) -> Result<Value, StepError> {
        self.report.working("syncing");
        self.stack.schedule.is_idle().await;
        let run = self.api.get(&format!("/v1/workspaces/{workspace}/sync-runs/{run}")).await?;
        self.report.rest();
        Ok(run)
    }

    /// The newest run.
    pub async fn newest_run(&self, workspace: &str) -> Result<Value, StepError> {
        let page = self.api.get(&format!("/v1/workspaces/{workspace}/sync-runs?limit=1")).await?;
        let id = text(&page, "/items/0/id", "items")?;
        Ok(self.api.get(&format!("/v1/workspaces/{workspace}/sync-runs/{id}")).await?)
    }

    /// Lets fifteen minutes go by and the schedule tick. The run that came of it, and the plan as it stands in its record.
    pub async fn next_members_lane(&mut self, workspace: &str) -> Result<Value, StepError> {
        self.report.working("15 minutes later, the schedule ticks");
        self.stack.clock.advance(MEMBERS_LANE);
        let asked_for = self.stack.schedule.tick().await?;
        if asked_for == 0 {
            return Err(StepError::Wrong("the tick asked for no run at all".to_owned()));
        }
        let run = self.newest_run(workspace).await?;
        self.report.rest();
        let members = run["lanes"].as_array().is_some_and(|lanes| lanes.iter().any(|lane| lane == "members"));
        if run.pointer("/trigger/kind").and_then(Value::as_str) == Some("admin_token") || !members {
            return Err(StepError::Wrong(format!(
                "the tick did not lead to a members lane; the newest run is {}",
                run["id"]
            )));
        }
        Ok(run)
    }

    /// Somebody opens the sign-in page and goes through Bitbucket's, in a browser of their own.
    pub async fn sign_in(&mut self, workspace: &str, person: &Person) -> Result<SignIn, StepError> {
        self.report.working(&format!("{} signs in with Bitbucket", person.display_name));
        let watch = Stopwatch::start();
        let mut browser = self.stack.browser();
        let login = self.page(&format!("/login?workspace={workspace}"))?;
        let chooser = browser.visit(&login).await?;
        let consent = browser.visit(&chooser.link("Continue with Bitbucket")?).await?;
        let page = crate::world::choose(&mut browser, &consent, &person.display_name).await?;
        self.report.rest();
        Ok(SignIn { browser, page, took: watch.elapsed() })
    }

    /// An address of the stack.
    pub fn page(&self, path: &str) -> Result<Url, StepError> {
        let url = format!("{}{path}", self.stack.url());
        url.parse().map_err(|_| StepError::Wrong(format!("{path} is no address")))
    }

    /// Checks that a sign-in ended signed in, and that the member is there. The member's id.
    pub async fn is_in(
        &mut self,
        connected: &Connected,
        person: &Person,
        sign_in: &SignIn,
    ) -> Result<String, StepError> {
        let Person { display_name, .. } = person;
        let heading = sign_in.page.heading();
        let shown = sign_in.page.text_of("name").unwrap_or_default();
        let has_session = sign_in.browser.has_cookie(&self.page("/")?, SESSION_COOKIE);
        if heading != "You are signed in" || shown != *display_name || !has_session {
            return Err(StepError::Wrong(format!(
                "{display_name} should be signed in; the page says “{heading}” ({shown}){}",
                if has_session { "" } else { ", and there is no session" }
            )));
        }
        let member = self.member(connected, person).await?;
        let Some(member) = member.filter(|member| member["state"] == "active") else {
            return Err(StepError::Wrong(format!("{display_name} is signed in and no active member")));
        };
        Ok(text(&member, "/id", "id")?.to_owned())
    }

    /// The member who is this person, in whatever state.
    pub async fn member(&self, connected: &Connected, person: &Person) -> Result<Option<Value>, StepError> {
        let path = format!("/v1/workspaces/{}/members?include=suspended", connected.workspace);
        let members = self.api.list(&path).await?;
        Ok(members.into_iter().find(|member| member["external_source_id"] == person.uuid.as_str()))
    }

    /// Checks that somebody was shown the page for those who are refused, and got no session. The page.
    pub fn is_refused<'s>(
        &self,
        connected: &Connected,
        person: &Person,
        sign_in: &'s SignIn,
    ) -> Result<&'s Page, StepError> {
        let heading = sign_in.page.heading();
        let expected = format!("You cannot use {} yet", connected.name);
        let has_session = sign_in.browser.has_cookie(&self.page("/")?, SESSION_COOKIE);
        if heading != expected || has_session {
            return Err(StepError::Wrong(format!(
                "{} should be refused; the page says “{heading}”{}",
                person.display_name,
                if has_session { ", and there is a session" } else { "" }
            )));
        }
        Ok(&sign_in.page)
    }

    /// Whether a browser is still signed in.
    pub async fn still_signed_in(&mut self, browser: &mut Browser) -> Result<bool, StepError> {
        let page = browser.visit(&self.page("/login")?).await?;
        Ok(page.heading() == "You are signed in")
    }

    /// Why a member is in or out, in words.
    pub async fn explanation(&self, connected: &Connected, member: &str) -> Result<String, StepError> {
        let path = format!("/v1/workspaces/{}/members/{member}/explanation", connected.workspace);
        let explanation = self.api.get(&path).await?;
        Ok(text(&explanation, "/text", "text")?.to_owned())
    }

    /// Sets the clock back by the time that the story lets go by later, so that it is right again in the end.
    pub fn begin_earlier(&self, by: Duration) {
        self.stack.clock.set(self.stack.clock.now().minus(by));
    }
}

/// What somebody saw in the end, and their browser.
pub struct SignIn {
    /// The browser.
    pub browser: Browser,
    /// The last page.
    pub page: Page,
    /// How long all of it took.
    pub took: Duration,
}

/// The connection to the stand-in's example workspace.
pub(super) fn example_connection(
    stack: &Stack,
    settings: &Settings,
) -> Result<Map<String, Value>, StepError> {
    let mut connection = crate::world::connection(stack)?;
    if let Some(given) = &settings.connection {
        connection.extend(given.clone());
    }
    Ok(connection)
}

/// Checks the state of a run.
pub(super) fn run_is(run: &Value, state: &str) -> Result<(), StepError> {
    if run["state"] == state {
        return Ok(());
    }
    Err(StepError::Wrong(format!(
        "the run is {} and should be {state}: {}",
        run["state"].as_str().unwrap_or("in no state"),
        run["message"].as_str().unwrap_or_default()
    )))
}

/// The changes of a run in a line: `+ 38 people, ~ 1 team`.
pub(super) fn changes(run: &Value) -> String {
    let changes: Vec<String> = run["changes"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(kind, count)| format!("{kind}: {count}"))
        .collect();
    if changes.is_empty() { "nothing".to_owned() } else { changes.join(", ") }
}
