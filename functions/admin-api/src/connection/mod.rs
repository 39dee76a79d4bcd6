//! Connecting a workspace to a Bitbucket workspace.

pub(crate) mod input;
mod make;
pub(crate) mod preview;
mod view;

use axum::extract::State;
use http::StatusCode;
use rollcall_admin::{Act, Failure, InWorkspace, credential, schema};
use rollcall_bitbucket::WorkspaceRef;
use rollcall_domain::Timestamp;
use rollcall_domain::connection::Health;
use rollcall_domain::plan::Lane;
use rollcall_domain::run::{self, SyncState};
use rollcall_service::rfc3339;
use rollcall_service::web::{EntityTag, IfMatch, Json, Problem, Query};
use rollcall_store::Record;
use rollcall_store::connections::Connected;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::{IntoParams, ToSchema};

use crate::App;
use crate::sync_runs::RunView;
use input::{Connect, Trial};
use view::{ConnectionView, Probe};

/// How a lane of the sync fares.
#[derive(Serialize, ToSchema)]
struct LaneView {
    /// Which.
    #[schema(value_type = schema::Lane)]
    lane: Lane,
    /// When it last ended well.
    #[serde(with = "rfc3339::serde::option")]
    #[schema(value_type = Option<schema::Time>, required)]
    succeeded_at: Option<Timestamp>,
    /// What is wrong, since it last ended well.
    #[schema(required)]
    trouble: Option<String>,
}

/// How the sync fares.
#[derive(Serialize, ToSchema)]
struct SyncView {
    /// Whether nobody's leaving would have been noticed for 36 hours.
    stale: bool,
    /// The lanes.
    lanes: Vec<LaneView>,
}

impl SyncView {
    fn new(state: &SyncState, connected: &Connected, now: Timestamp) -> Self {
        let lanes = [Lane::Members, Lane::Structure, Lane::Grants];
        let connection = &connected.connection;
        Self {
            stale: connection.is_connected() && run::is_stale(state, connection.created_at, now),
            lanes: lanes
                .into_iter()
                .map(|lane| LaneView {
                    lane,
                    succeeded_at: state.lane(lane).succeeded_at,
                    trouble: state.lane(lane).trouble.as_ref().map(|trouble| trouble.why.clone()),
                })
                .collect(),
        }
    }
}

/// A connection, how its sync fares, and a fresh probe where one was asked for.
#[derive(Serialize, ToSchema)]
pub(crate) struct ConnectionAnswer {
    /// The connection.
    connection: ConnectionView,
    /// How the sync fares.
    sync: SyncView,
    /// What the credential can and cannot do at this moment.
    #[schema(required)]
    probe: Option<Probe>,
}

/// A connection that was made or changed.
#[derive(Serialize, ToSchema)]
pub(crate) struct ConnectedAnswer {
    /// The connection.
    connection: ConnectionView,
    /// What the credential can and cannot do; `null` where only settings were changed.
    #[schema(required)]
    probe: Option<Probe>,
    /// The run that follows; `null` where none has to.
    #[schema(required)]
    sync_run: Option<RunView>,
}

/// A connection that was ended.
#[derive(Serialize, ToSchema)]
pub(crate) struct DisconnectedAnswer {
    /// The connection as it is now.
    connection: ConnectionView,
    /// What that means.
    message: &'static str,
}

/// Whether to try the credential.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ReadQuery {
    /// Whether to try what the stored credential can and cannot do: at most 12 calls to Bitbucket.
    probe: Option<bool>,
}

/// Shows the connection, how the sync fares, and on request what the credential can do.
#[utoipa::path(
    get, path = "/v1/workspaces/{workspace}/connection", tag = "connection", operation_id = "get_connection",
    params(("workspace" = schema::WorkspaceId, Path, description = "The workspace."), ReadQuery),
    responses((status = 200, description = "The connection.", body = ConnectionAnswer, headers(("ETag" = String, description = "Its version, for `If-Match`.")))),
)]
pub(crate) async fn read(
    State(app): State<App>,
    asked: InWorkspace,
    Query(query): Query<ReadQuery>,
) -> Result<impl axum::response::IntoResponse, Failure> {
    let connected = find(&app, &asked).await?;
    let state = app.admin.store().sync_state(asked.workspace).await?;
    let connection = &connected.connection;
    let probe = if query.probe == Some(true) && connection.is_connected() {
        let keys = app.admin.keys().await?;
        let credential = credential::open(&keys.sealing, asked.workspace, &connected.sealed_credential)
            .map_err(|error| Problem::conflict(error.to_string()))?;
        let session = app.session(&credential);
        let report = session.probe(&WorkspaceRef::Uuid(connection.bitbucket)).await;
        make::settle(&session).await;
        Some(Probe::from(&report))
    } else {
        None
    };
    let answer = ConnectionAnswer {
        connection: ConnectionView::from(connection),
        sync: SyncView::new(&state, &connected, app.admin.now()),
        probe,
    };
    Ok((EntityTag::of_version(connection.version), Json(answer)))
}

/// Connects the workspace, replaces its credential, or changes its settings.
///
/// What is left out stays as it is. A credential is tried before it is kept: one that cannot do what the sync needs is answered with
/// 422 and the probe's report, and changes nothing. A Bitbucket workspace belongs to one workspace at most.
#[utoipa::path(
    put, path = "/v1/workspaces/{workspace}/connection", tag = "connection", operation_id = "put_connection",
    params(
        ("workspace" = schema::WorkspaceId, Path, description = "The workspace."),
        ("If-Match" = Option<String>, Header, description = "The `ETag` of what is to be changed."),
    ),
    request_body = Connect,
    responses(
        (status = 200, description = "The connection was changed.", body = ConnectedAnswer, headers(("ETag" = String, description = "Its version, for `If-Match`."))),
        (status = 201, description = "The connection was made.", body = ConnectedAnswer, headers(("ETag" = String, description = "Its version, for `If-Match`."))),
    ),
)]
pub(crate) async fn put(
    State(app): State<App>,
    asked: InWorkspace,
    if_match: Option<IfMatch>,
    Json(connect): Json<Connect>,
) -> Result<impl axum::response::IntoResponse, Failure> {
    let made = make::make(&app, &asked, if_match.as_ref(), connect).await?;
    let status = if made.is_new { StatusCode::CREATED } else { StatusCode::OK };
    let answer = ConnectedAnswer {
        connection: ConnectionView::from(&made.connection),
        probe: made.report.as_ref().map(Probe::from),
        sync_run: made.run.as_ref().map(|run| RunView::new(run, None)),
    };
    Ok((status, EntityTag::of_version(made.connection.version), Json(answer)))
}

/// Tries a credential on a Bitbucket workspace, and keeps nothing: what connecting with it would find.
#[utoipa::path(
    post, path = "/v1/workspaces/{workspace}/connection/probe", tag = "connection", operation_id = "probe_connection",
    params(("workspace" = schema::WorkspaceId, Path, description = "The workspace.")),
    request_body = Trial,
    responses((status = 200, description = "What the credential can and cannot do there.", body = Probe)),
)]
pub(crate) async fn probe(
    State(app): State<App>,
    asked: InWorkspace,
    Json(Trial { bitbucket_workspace, credential }): Json<Trial>,
) -> Result<Json<Probe>, Failure> {
    app.admin.workspace(asked.workspace).await?;
    let credential = credential.into_credential()?;
    let report = make::only_try(&app, &bitbucket_workspace.0, &credential).await;
    Ok(Json(Probe::from(&report)))
}

/// Ends the connection. What was mirrored stays readable, nothing is synced any more, and nobody is suspended by it.
#[utoipa::path(
    delete, path = "/v1/workspaces/{workspace}/connection", tag = "connection", operation_id = "delete_connection",
    params(
        ("workspace" = schema::WorkspaceId, Path, description = "The workspace."),
        ("If-Match" = Option<String>, Header, description = "The `ETag` of what is to be changed."),
    ),
    responses((status = 200, description = "The connection as it is now.", body = DisconnectedAnswer, headers(("ETag" = String, description = "Its version, for `If-Match`.")))),
)]
pub(crate) async fn delete(
    State(app): State<App>,
    asked: InWorkspace,
    if_match: Option<IfMatch>,
) -> Result<impl axum::response::IntoResponse, Failure> {
    const MESSAGE: &str = "The workspace is disconnected and its credential was deleted. What was mirrored stays readable, nothing is \
                           synced, and nobody was suspended. Nobody new is let in by Bitbucket until it is connected again.";
    let now = app.admin.now();
    let mut connected = find(&app, &asked).await?;
    if let Some(if_match) = if_match {
        if_match.check(&EntityTag::of_version(connected.connection.version))?;
    }
    if connected.connection.is_connected() {
        connected.connection.health = Health::Disconnected { since: now };
        connected.sealed_credential = String::new();
        let act = Act {
            workspace: Some(asked.workspace),
            action: "connection.ended",
            target: Some(connected.connection.bitbucket.to_string()),
            why: "An admin disconnected the workspace. Nobody was suspended by it.".to_owned(),
            detail: json!({ "bitbucket": connected.connection.bitbucket, "slug": connected.connection.slug }),
        };
        let record = Record { audit: vec![app.admin.audit(&asked.caller, now, act)], events: Vec::new() };
        app.admin.store().disconnect(&connected, record).await?;
        connected.connection.version += 1;
    }
    let answer =
        DisconnectedAnswer { connection: ConnectionView::from(&connected.connection), message: MESSAGE };
    Ok((EntityTag::of_version(connected.connection.version), Json(answer)))
}

async fn find(app: &App, asked: &InWorkspace) -> Result<Connected, Failure> {
    Ok(app.admin.store().connection(asked.workspace).await?.ok_or_else(Problem::not_found)?)
}
