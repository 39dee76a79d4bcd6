//! What each command asks for and shows.

use core::time::Duration;
use std::io::Write as _;

use indicatif::ProgressBar;
use reqwest::Method;
use rollcall_domain::{RunId, WorkspaceId};
use serde_json::{Value, json};

use crate::api::{Api, Failed};
use crate::arguments::{Command, Connect, CredentialKind, Invite};
use crate::{doctor, show};

/// How a command ended well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Done {
    /// All of it.
    Fully,
    /// Removals wait for an approval.
    Waiting,
}

/// How long a run is waited for.
const LONGEST_WAIT: Duration = Duration::from_secs(20 * 60);

/// Does what was asked.
pub(crate) async fn run(api: &Api, command: Command, as_json: bool) -> Result<Done, Failed> {
    let print = Print { as_json };
    match command {
        Command::Workspaces { create: Some(name) } => {
            let made = api.send(Method::POST, "/v1/workspaces", &json!({ "name": name })).await?;
            print
                .one(&made, |made| format!("{}  {}", show::field(made, "/id"), show::field(made, "/name")))?;
        }
        Command::Workspaces { create: None } => {
            let items = api.list("/v1/workspaces", &[], usize::MAX).await?;
            print.table(&items, &[("ID", "/id"), ("NAME", "/name"), ("SINCE", "/created_at")])?;
        }
        Command::Connect(connect) => return self::connect(api, print, &connect).await,
        Command::Plan { workspace } => return sync(api, print, workspace, "plan").await,
        Command::Sync { workspace } => return sync(api, print, workspace, "apply").await,
        Command::Approve { workspace, run, hash } => {
            let path = format!("/v1/workspaces/{workspace}/sync-runs/{run}/approve");
            let run = api.send(Method::POST, &path, &json!({ "plan_hash": hash })).await?;
            return follow(api, print, workspace, &run).await;
        }
        Command::Undo { workspace, run } => {
            let path = format!("/v1/workspaces/{workspace}/sync-runs/{run}/undo");
            let run = api.send(Method::POST, &path, &json!({})).await?;
            return follow(api, print, workspace, &run).await;
        }
        Command::Members { workspace, all, team } => {
            let mut query: Vec<(&str, String)> =
                team.map(|team| ("team", team.to_string())).into_iter().collect();
            if all {
                query.push(("include", "suspended".to_owned()));
            }
            let items = api.list(&format!("/v1/workspaces/{workspace}/members"), &query, usize::MAX).await?;
            let columns = [
                ("ID", "/id"),
                ("NAME", "/display_name"),
                ("ROLE", "/role"),
                ("STATE", "/state"),
                ("BY", "/origin"),
                ("LAST SIGN-IN", "/signed_in_at"),
            ];
            print.table(&items, &columns)?;
        }
        Command::Why { workspace, member } => {
            let why =
                api.get(&format!("/v1/workspaces/{workspace}/members/{member}/explanation"), &[]).await?;
            print.one(&why, explanation)?;
        }
        Command::Invite(invite) => self::invite(api, print, &invite).await?,
        Command::Audit { workspace, most } => {
            let mut items =
                api.list(&format!("/v1/workspaces/{workspace}/audit"), &[], usize::from(most)).await?;
            items.reverse();
            print.table(
                &items,
                &[
                    ("WHEN", "/at"),
                    ("WHO", "/actor/kind"),
                    ("WHAT", "/action"),
                    ("WHOM", "/target"),
                    ("WHY", "/why"),
                ],
            )?;
        }
        Command::Doctor { workspace, bitbucket_workspace: None, .. } => {
            return examine(api, print, workspace).await;
        }
        Command::Doctor { workspace, bitbucket_workspace: Some(which), credential: kind } => {
            return try_out(api, print, workspace, &which, kind).await;
        }
        Command::Completions { .. } => {}
    }
    Ok(Done::Fully)
}

/// A credential of the environment.
fn credential(kind: CredentialKind) -> Result<Value, Failed> {
    Ok(match kind {
        CredentialKind::AccessToken => {
            json!({"kind": "access_token", "token": environment("BITBUCKET_TOKEN")?})
        }
        CredentialKind::OauthConsumer => {
            json!({"kind": "oauth_consumer", "key": environment("BITBUCKET_KEY")?, "secret": environment("BITBUCKET_SECRET")?})
        }
        CredentialKind::ApiToken => {
            json!({"kind": "api_token", "email": environment("BITBUCKET_EMAIL")?, "token": environment("BITBUCKET_TOKEN")?})
        }
    })
}

/// Tries a credential on a Bitbucket workspace, before anything is connected.
async fn try_out(
    api: &Api,
    print: Print,
    workspace: WorkspaceId,
    which: &str,
    kind: CredentialKind,
) -> Result<Done, Failed> {
    let body = json!({ "bitbucket_workspace": which, "credential": credential(kind)? });
    let probe =
        api.send(Method::POST, &format!("/v1/workspaces/{workspace}/connection/probe"), &body).await?;
    print.one(&probe, doctor::report)?;
    doctor::verdict(&probe).map_or(Ok(Done::Fully), |verdict| Err(Failed::Found(verdict)))
}

async fn connect(api: &Api, print: Print, connect: &Connect) -> Result<Done, Failed> {
    let credential = credential(connect.credential)?;
    let mut body = json!({ "bitbucket_workspace": connect.bitbucket_workspace, "credential": credential });
    if let Some(body) = body.as_object_mut() {
        body.extend(connect.policy.as_ref().map(|policy| ("policy".to_owned(), json!(policy))));
        body.extend(connect.first_admin.as_ref().map(|account| ("first_admin".to_owned(), json!(account))));
        body.extend(connect.plan_first.then(|| ("start".to_owned(), json!("plan"))));
    }
    let path = format!("/v1/workspaces/{}/connection", connect.workspace);
    let answer = match api.send(Method::PUT, &path, &body).await {
        Err(Failed::Refused(problem)) if problem.get("probe").is_some() => {
            print.one(&problem, connection_text)?;
            let verdict = problem.get("probe").and_then(doctor::verdict);
            return Err(verdict.map_or(Failed::Refused(problem), |verdict| {
                Failed::Found(format!("{verdict}\nNothing was changed."))
            }));
        }
        other => other?,
    };
    print.one(&answer, connection_text)?;
    match answer.get("sync_run").filter(|run| !run.is_null()) {
        Some(run) => follow(api, print, connect.workspace, run).await,
        None => Ok(Done::Fully),
    }
}

async fn sync(api: &Api, print: Print, workspace: WorkspaceId, mode: &str) -> Result<Done, Failed> {
    let run = api
        .send(Method::POST, &format!("/v1/workspaces/{workspace}/sync-runs"), &json!({ "mode": mode }))
        .await?;
    follow(api, print, workspace, &run).await
}

/// Waits for a run's end and shows it.
async fn follow(api: &Api, print: Print, workspace: WorkspaceId, run: &Value) -> Result<Done, Failed> {
    let id: RunId = show::field(run, "/id").parse().map_err(|_| Failed::NotRollcall("the API".to_owned()))?;
    let path = format!("/v1/workspaces/{workspace}/sync-runs/{id}");
    let progress = if print.as_json { ProgressBar::hidden() } else { ProgressBar::new_spinner() };
    progress.enable_steady_tick(Duration::from_millis(120));
    let waiting = async {
        loop {
            let run = api.get(&path, &[]).await?;
            match show::field(&run, "/state").as_str() {
                "queued" | "running" => {
                    progress.set_message(format!(
                        "{id}: {} calls to Bitbucket so far",
                        show::field(&run, "/calls")
                    ));
                }
                _ => return Ok::<Value, Failed>(run),
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    };
    let ended = tokio::time::timeout(LONGEST_WAIT, waiting).await;
    progress.finish_and_clear();
    let run = ended.map_err(|_| {
        Failed::Found(format!("{id} has not ended within 20 minutes; it goes on by itself"))
    })??;
    print.one(&run, run_text)?;
    match show::field(&run, "/state").as_str() {
        "frozen" => Ok(Done::Waiting),
        "failed" | "aborted" => Err(Failed::Found(format!("{id}: {}", show::field(&run, "/message")))),
        _ => Ok(Done::Fully),
    }
}

async fn invite(api: &Api, print: Print, invite: &Invite) -> Result<(), Failed> {
    let one = |email: &rollcall_domain::identity::EmailAddress| {
        let mut one =
            json!({ "email": email.as_str(), "role": if invite.admin { "admin" } else { "member" } });
        if let Some(one) = one.as_object_mut() {
            if !invite.team.is_empty() {
                one.insert("teams".to_owned(), json!(invite.team));
            }
            if !invite.provider.is_empty() {
                one.insert("providers".to_owned(), json!(invite.provider));
            }
            one.extend(invite.until.as_ref().map(|until| ("membership_until".to_owned(), json!(until))));
            one.extend(invite.note.as_ref().map(|note| ("note".to_owned(), json!(note))));
        }
        one
    };
    let body = json!({ "invites": invite.emails.iter().map(one).collect::<Vec<_>>() });
    let answer =
        api.send(Method::POST, &format!("/v1/workspaces/{}/invites", invite.workspace), &body).await?;
    let items = answer.get("items").and_then(Value::as_array).cloned().unwrap_or_default();
    print.table(
        &items,
        &[
            ("TO", "/email"),
            ("STATE", "/status"),
            ("ID", "/invite/id"),
            ("LINK", "/link"),
            ("WHY NOT", "/problem/detail"),
        ],
    )?;
    let refused =
        items.iter().filter(|item| item.get("status").and_then(Value::as_str) == Some("refused")).count();
    match refused {
        0 => Ok(()),
        _ => Err(Failed::Found(format!("{refused} of {} invites were not issued", items.len()))),
    }
}

/// Reads the connection with a fresh probe, and says what is wrong and what to mend first.
async fn examine(api: &Api, print: Print, workspace: WorkspaceId) -> Result<Done, Failed> {
    let query = [("probe", "true".to_owned())];
    let connection = match api.get(&format!("/v1/workspaces/{workspace}/connection"), &query).await {
        Err(failed) if failed.is_not_found() => {
            // Not there, or there without a connection?
            api.get(&format!("/v1/workspaces/{workspace}"), &[]).await?;
            return Err(Failed::Found(format!(
                "The workspace is not connected to Bitbucket. `rollcall doctor {workspace} SLUG` tries the credential of the environment and \
                 says what is wrong with it or with the slug; `rollcall connect` does the same, and keeps what works."
            )));
        }
        other => other?,
    };
    print.one(&connection, connection_text)?;
    let is =
        |pointer: &str, wanted: &str| connection.pointer(pointer).and_then(Value::as_str) == Some(wanted);
    if is("/connection/health/state", "disconnected") {
        return Err(Failed::Found(format!(
            "The workspace is disconnected. `rollcall connect {workspace} SLUG` connects it again."
        )));
    }
    if let Some(verdict) = connection.get("probe").and_then(doctor::verdict) {
        return Err(Failed::Found(verdict));
    }
    if is("/connection/health/state", "frozen") {
        return Ok(Done::Waiting);
    }
    if connection.pointer("/sync/stale").and_then(Value::as_bool) == Some(true) {
        return Err(Failed::Found(
            "Bitbucket lets Rollcall read, and no sync has ended well for 36 hours: whoever leaves is not noticed. Sync now, and look at \
             the alarms of the sync."
                .to_owned(),
        ));
    }
    Ok(Done::Fully)
}

fn environment(name: &str) -> Result<String, Failed> {
    let set = std::env::var(name).ok().filter(|value| !value.is_empty());
    set.ok_or_else(|| {
        Failed::Environment(format!("{name} is not set: this kind of credential is read from there"))
    })
}

/// What was tried at Bitbucket, which workspace it is, and how the sync fares.
fn connection_text(answer: &Value) -> String {
    let mut lines = Vec::new();
    if let Some(name) = answer.pointer("/connection/bitbucket/name").and_then(Value::as_str) {
        lines.push(format!(
            "{} (bitbucket.org/{})",
            show::plain(name),
            show::field(answer, "/connection/bitbucket/slug")
        ));
    }
    lines.extend(answer.get("probe").filter(|probe| !probe.is_null()).map(doctor::report));
    let health = answer.pointer("/connection/health/why").and_then(Value::as_str);
    lines.extend(health.map(|why| format!("! {}", show::plain(why))));
    for lane in answer.pointer("/sync/lanes").and_then(Value::as_array).into_iter().flatten() {
        let trouble = lane.get("trouble").and_then(Value::as_str).filter(|trouble| Some(*trouble) != health);
        lines.extend(
            trouble.map(|why| format!("! sync of {}: {}", show::field(lane, "/lane"), show::plain(why))),
        );
    }
    lines.join("\n")
}

fn run_text(run: &Value) -> String {
    let message = run.get("message").and_then(Value::as_str).filter(|text| !text.is_empty());
    let mut lines = vec![format!(
        "{} {}, {} calls to Bitbucket{}",
        show::field(run, "/id"),
        show::field(run, "/state"),
        show::field(run, "/calls"),
        message.map(|text| format!(". {}", show::plain(text))).unwrap_or_default(),
    )];
    lines.extend(
        run.pointer("/plan/text").and_then(Value::as_str).filter(|text| !text.is_empty()).map(show::plan),
    );
    for held in run.pointer("/held").and_then(Value::as_array).into_iter().flatten() {
        lines.push(format!("! held back: {}", held.as_str().map_or_else(|| held.to_string(), show::plain)));
    }
    if show::field(run, "/state") == "frozen" {
        lines.push(format!(
            "Nothing was removed. If this is meant: rollcall approve {} {} {}",
            show::field(run, "/workspace"),
            show::field(run, "/id"),
            show::field(run, "/plan/hash"),
        ));
    }
    lines.join("\n")
}

fn explanation(why: &Value) -> String {
    let mut lines = vec![show::field(why, "/text")];
    for repository in
        why.pointer("/coverage/missing_repositories").and_then(Value::as_array).into_iter().flatten()
    {
        lines.push(show::plan(&format!("- {}", repository.as_str().unwrap_or_default())));
    }
    lines.join("\n")
}

#[derive(Clone, Copy)]
struct Print {
    as_json: bool,
}

impl Print {
    fn one(self, value: &Value, text: impl Fn(&Value) -> String) -> Result<(), Failed> {
        let text = if self.as_json { value.to_string() } else { text(value) };
        Ok(writeln!(anstream::stdout().lock(), "{text}")?)
    }

    fn table(self, items: &[Value], columns: &[(&str, &str)]) -> Result<(), Failed> {
        let mut out = anstream::stdout().lock();
        if self.as_json {
            return Ok(items.iter().try_for_each(|item| writeln!(out, "{item}"))?);
        }
        if items.is_empty() {
            return Ok(writeln!(out, "There are none.")?);
        }
        let headings: Vec<&str> = columns.iter().map(|(heading, _)| *heading).collect();
        let rows: Vec<Vec<String>> = items
            .iter()
            .map(|item| columns.iter().map(|(_, pointer)| show::field(item, pointer)).collect())
            .collect();
        Ok(writeln!(out, "{}", show::table(&headings, &rows))?)
    }
}
