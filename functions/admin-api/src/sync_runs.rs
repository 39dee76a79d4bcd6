//! Sync runs: asking for one, showing what it did, approving what it holds back, undoing what it removed.

use std::collections::BTreeMap;

use axum::extract::State;
use http::StatusCode;
use http::header::LOCATION;
use rollcall_admin::page::{List, Page};
use rollcall_admin::{Act, Caller, Failure, InWorkspace, schema};
use rollcall_domain::plan::{Lane, PlanHash};
use rollcall_domain::{RunId, Timestamp, WorkspaceId};
use rollcall_service::rfc3339;
use rollcall_service::web::{Json, Path, Problem, Query};
use rollcall_store::runs::{Mode, RunRecord, RunStatus};
use rollcall_store::{Position, Record};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::App;
use crate::audit::view::ActorView;
use crate::workspaces::Paging;

/// The longest text of a plan that is shown.
const LONGEST_TEXT: usize = 1024 * 1024;

/// Something that was kept as it was.
#[derive(Serialize, ToSchema)]
#[schema(as = Kept)]
struct KeptView {
    /// What.
    what: String,
    /// Why.
    why: String,
}

/// The exact changes of a run.
#[derive(Serialize, ToSchema)]
struct PlanView {
    /// The hash that an approval has to name, where removals wait for one.
    #[schema(value_type = Option<schema::PlanHash>, required)]
    hash: Option<PlanHash>,
    /// One line a change, as in a diff; `null` in lists.
    #[schema(required)]
    text: Option<String>,
}

/// A sync run.
#[derive(Serialize, ToSchema)]
#[schema(as = SyncRun)]
pub(crate) struct RunView {
    /// Its id.
    #[schema(value_type = schema::RunId)]
    id: RunId,
    /// Of which workspace.
    #[schema(value_type = schema::WorkspaceId)]
    workspace: WorkspaceId,
    /// `plan` shows, `apply` does, `approve` does what was held back, `undo` brings back what a run removed.
    #[schema(pattern = "^(plan|apply|approve|undo)$")]
    mode: &'static str,
    /// The run that is undone.
    #[schema(value_type = Option<schema::RunId>, required)]
    undoes: Option<RunId>,
    /// The lanes it went through.
    #[schema(value_type = Vec<schema::Lane>)]
    lanes: Vec<Lane>,
    /// Who or what asked for it.
    trigger: ActorView,
    /// `queued`, `running`, `planned`, `applied`, `frozen` (removals wait for an approval), `failed` or `superseded`.
    #[schema(pattern = "^(queued|running|planned|applied|frozen|failed|superseded)$")]
    state: &'static str,
    /// When it was asked for.
    #[serde(with = "rfc3339::serde")]
    #[schema(value_type = schema::Time)]
    queued_at: Timestamp,
    /// When it began.
    #[serde(with = "rfc3339::serde::option")]
    #[schema(value_type = Option<schema::Time>, required)]
    started_at: Option<Timestamp>,
    /// When it ended.
    #[serde(with = "rfc3339::serde::option")]
    #[schema(value_type = Option<schema::Time>, required)]
    ended_at: Option<Timestamp>,
    /// Calls to Bitbucket.
    calls: u64,
    /// How many changes of each kind, as in `+ person`.
    changes: BTreeMap<String, usize>,
    /// What was kept as it was, because it could not be understood or read.
    kept: Vec<KeptView>,
    /// What proves each removal.
    #[schema(value_type = Vec<Value>)]
    evidence: Vec<Value>,
    /// Why removals wait.
    held: Vec<String>,
    /// The plan.
    plan: PlanView,
    /// What happened, in a sentence, and what to do about it.
    message: String,
}

impl RunView {
    pub(crate) fn new(run: &RunRecord, text: Option<String>) -> Self {
        let (mode, undoes) = match &run.mode {
            Mode::Plan => ("plan", None),
            Mode::Apply => ("apply", None),
            Mode::Approve { .. } => ("approve", None),
            Mode::Undo { run } => ("undo", Some(*run)),
        };
        Self {
            id: run.id,
            workspace: run.workspace,
            mode,
            undoes,
            lanes: run.lanes.clone(),
            trigger: ActorView::from(&run.trigger),
            state: state(run.status),
            queued_at: run.queued_at,
            started_at: run.started_at,
            ended_at: run.ended_at,
            calls: run.calls,
            changes: run.changes.clone(),
            kept: run
                .kept
                .iter()
                .map(|kept| KeptView { what: kept.what.clone(), why: kept.why.clone() })
                .collect(),
            evidence: run.evidence.clone(),
            held: run.held.clone(),
            plan: PlanView { hash: run.plan_hash.clone(), text },
            message: run.message.clone(),
        }
    }
}

const fn state(status: RunStatus) -> &'static str {
    match status {
        RunStatus::Queued => "queued",
        RunStatus::Running => "running",
        RunStatus::Planned => "planned",
        RunStatus::Applied => "applied",
        RunStatus::Frozen => "frozen",
        RunStatus::Failed => "failed",
        RunStatus::Superseded => "superseded",
    }
}

/// What a run is to do.
#[derive(Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum AskedMode {
    /// Show what would be changed, and change nothing.
    Plan,
    /// Do it.
    Apply,
}

/// A run to make.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewRun {
    /// What it is to do.
    mode: AskedMode,
}

/// An approval.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Approval {
    /// The hash of exactly what is approved.
    #[schema(value_type = schema::PlanHash)]
    plan_hash: String,
}

/// The places in a path.
#[derive(Deserialize)]
pub(crate) struct Place {
    run: RunId,
}

/// Lists the runs, newest first.
#[utoipa::path(
    get, path = "/v1/workspaces/{workspace}/sync-runs", tag = "sync runs", operation_id = "list_sync_runs",
    params(("workspace" = schema::WorkspaceId, Path, description = "The workspace."), Paging),
    responses((status = 200, description = "A page of the runs.", body = Page<RunView>)),
)]
pub(crate) async fn list(
    State(app): State<App>,
    asked: InWorkspace,
    Query(paging): Query<Paging>,
) -> Result<Json<Page<RunView>>, Failure> {
    let keys = app.admin.keys().await?;
    let list = List::new(&keys.cursors, format!("{}/sync-runs", asked.workspace));
    let after: Option<Position> = list.start(paging.cursor.as_deref())?;
    app.admin.workspace(asked.workspace).await?;
    let limit = paging.limit.unwrap_or_default().get();
    let page = app.admin.store().runs(asked.workspace, after.as_ref(), limit).await?;
    let items = page.items.iter().map(|run| RunView::new(run, None)).collect();
    Ok(Json(list.page(items, page.next.as_ref())?))
}

/// Asks for a run.
#[utoipa::path(
    post, path = "/v1/workspaces/{workspace}/sync-runs", tag = "sync runs", operation_id = "create_sync_run",
    params(("workspace" = schema::WorkspaceId, Path, description = "The workspace.")),
    request_body = NewRun,
    responses((status = 202, description = "The run, which waits for its turn.", body = RunView, headers(("Location" = String, description = "Where it is.")))),
)]
pub(crate) async fn create(
    State(app): State<App>,
    asked: InWorkspace,
    Json(new): Json<NewRun>,
) -> Result<impl axum::response::IntoResponse, Failure> {
    let mode = match new.mode {
        AskedMode::Plan => Mode::Plan,
        AskedMode::Apply => Mode::Apply,
    };
    accepted(&app, &asked, mode).await
}

/// Shows a run with its plan.
#[utoipa::path(
    get, path = "/v1/workspaces/{workspace}/sync-runs/{run}", tag = "sync runs", operation_id = "get_sync_run",
    params(
        ("workspace" = schema::WorkspaceId, Path, description = "The workspace."),
        ("run" = schema::RunId, Path, description = "The run."),
    ),
    responses((status = 200, description = "The run.", body = RunView)),
)]
pub(crate) async fn read(
    State(app): State<App>,
    asked: InWorkspace,
    Path(Place { run }): Path<Place>,
) -> Result<Json<RunView>, Failure> {
    let run = find(&app, &asked, run).await?;
    let mut text = String::new();
    for lane in &run.lanes {
        if let Some(plan) = app.admin.store().plan(asked.workspace, run.id, *lane).await? {
            text.push_str(&plan.to_string());
        }
    }
    if text.len() > LONGEST_TEXT {
        let end = text.char_indices().map(|(at, _)| at).take_while(|at| *at <= LONGEST_TEXT).last();
        text.truncate(end.unwrap_or(0));
        text.push_str("\n= … the rest is not shown\n");
    }
    Ok(Json(RunView::new(&run, Some(text))))
}

/// Approves what a run holds back, by the hash of exactly that.
#[utoipa::path(
    post, path = "/v1/workspaces/{workspace}/sync-runs/{run}/approve", tag = "sync runs", operation_id = "approve_sync_run",
    params(
        ("workspace" = schema::WorkspaceId, Path, description = "The workspace."),
        ("run" = schema::RunId, Path, description = "The run that holds removals back, or that has shown the first plan."),
    ),
    request_body = Approval,
    responses((status = 202, description = "The run that does it, which waits for its turn.", body = RunView, headers(("Location" = String, description = "Where it is.")))),
)]
pub(crate) async fn approve(
    State(app): State<App>,
    asked: InWorkspace,
    Path(Place { run }): Path<Place>,
    Json(approval): Json<Approval>,
) -> Result<impl axum::response::IntoResponse, Failure> {
    let run = find(&app, &asked, run).await?;
    if !matches!(run.status, RunStatus::Frozen | RunStatus::Planned) {
        return Err(Problem::conflict("This run holds nothing back.").into());
    }
    let hash = PlanHash::claimed(approval.plan_hash);
    if run.plan_hash.as_ref() != Some(&hash) {
        return Err(Problem::conflict(
            "This is not the hash of what the run holds back. Read the run again, and approve what it shows.",
        )
        .into());
    }
    accepted(&app, &asked, Mode::Approve { hash }).await
}

/// Brings back what a run removed, as far as that has not been changed since.
#[utoipa::path(
    post, path = "/v1/workspaces/{workspace}/sync-runs/{run}/undo", tag = "sync runs", operation_id = "undo_sync_run",
    params(
        ("workspace" = schema::WorkspaceId, Path, description = "The workspace."),
        ("run" = schema::RunId, Path, description = "The run to undo."),
    ),
    responses((status = 202, description = "The run that does it, which waits for its turn.", body = RunView, headers(("Location" = String, description = "Where it is.")))),
)]
pub(crate) async fn undo(
    State(app): State<App>,
    asked: InWorkspace,
    Path(Place { run }): Path<Place>,
) -> Result<impl axum::response::IntoResponse, Failure> {
    let run = find(&app, &asked, run).await?;
    if !matches!(run.status, RunStatus::Applied | RunStatus::Frozen) {
        return Err(Problem::conflict("This run has not changed anything that could be undone.").into());
    }
    accepted(&app, &asked, Mode::Undo { run: run.id }).await
}

async fn find(app: &App, asked: &InWorkspace, run: RunId) -> Result<RunRecord, Failure> {
    Ok(app.admin.store().run(asked.workspace, run).await?.ok_or_else(Problem::not_found)?)
}

async fn accepted(
    app: &App,
    asked: &InWorkspace,
    mode: Mode,
) -> Result<impl axum::response::IntoResponse + use<>, Failure> {
    let connected = app.admin.store().connection(asked.workspace).await?;
    match connected {
        Some(connected) if connected.connection.is_connected() => {}
        Some(_) => {
            return Err(Problem::conflict("The workspace is disconnected. Connect it again first.").into());
        }
        None => {
            app.admin.workspace(asked.workspace).await?;
            return Err(Problem::conflict("The workspace is not connected to Bitbucket yet.").into());
        }
    }
    let run = ask(app, &asked.caller, asked.workspace, mode).await?;
    let location = [(LOCATION, format!("/v1/workspaces/{}/sync-runs/{}", run.workspace, run.id))];
    Ok((StatusCode::ACCEPTED, location, Json(RunView::new(&run, None))))
}

/// Writes the record of a run and asks for it.
pub(crate) async fn ask(
    app: &App,
    caller: &Caller,
    workspace: WorkspaceId,
    mode: Mode,
) -> Result<RunRecord, Failure> {
    let now = app.admin.now();
    let id: RunId = app.admin.new_id(now);
    let mut run = RunRecord {
        id,
        workspace,
        mode,
        trigger: caller.principal().actor(),
        status: RunStatus::Queued,
        lanes: Vec::new(),
        queued_at: now,
        started_at: None,
        ended_at: None,
        calls: 0,
        written: 0,
        changes: BTreeMap::new(),
        kept: Vec::new(),
        evidence: Vec::new(),
        held: Vec::new(),
        plan_hash: None,
        message: "Waits for its turn.".to_owned(),
    };
    let act = Act {
        workspace: Some(workspace),
        action: match run.mode {
            Mode::Plan | Mode::Apply => "sync.asked_for",
            Mode::Approve { .. } => "sync.approved",
            Mode::Undo { .. } => "sync.undo_asked_for",
        },
        target: Some(id.to_string()),
        why: "An admin asked for it.".to_owned(),
        detail: json!(run.mode),
    };
    let record = Record { audit: vec![app.admin.audit(caller, now, act)], events: Vec::new() };
    app.admin.store().put_run(&run, record).await?;
    if let Err(error) = app.queue.ask(workspace, id).await {
        tracing::error!(%error, run = %id, "a run could not be asked for");
        run.status = RunStatus::Failed;
        run.ended_at = Some(app.admin.now());
        "The queue of sync work did not take the run. Ask for it again.".clone_into(&mut run.message);
        app.admin.store().put_run(&run, Record::default()).await?;
        return Err(Problem::unavailable("The queue of sync work does not answer at the moment.").into());
    }
    Ok(run)
}
