//! Making and changing a connection: try the credential, then write all of it at once.

use rollcall_admin::{Act, Failure, InWorkspace, credential};
use rollcall_bitbucket::{Credential, ProbeReport, Session, WorkspaceRef};
use rollcall_domain::connection::{Connection, Health, Start};
use rollcall_service::web::{EntityTag, FieldError, IfMatch, Problem};
use rollcall_store::connections::{CLAIM, Connected};
use rollcall_store::runs::{Mode, RunRecord};
use rollcall_store::{Record, StoreError};
use serde_json::json;

use super::input::Connect;
use super::view::Probe;
use crate::App;
use crate::sync_runs;

/// What was made.
pub(super) struct Made {
    pub(super) connection: Connection,
    pub(super) is_new: bool,
    pub(super) report: Option<ProbeReport>,
    pub(super) run: Option<RunRecord>,
}

/// What the connection will stand on, once it was tried.
struct Tried {
    credential: Credential,
    report: ProbeReport,
    connection: Connection,
}

pub(super) async fn make(
    app: &App,
    asked: &InWorkspace,
    if_match: Option<&IfMatch>,
    mut connect: Connect,
) -> Result<Made, Failure> {
    app.admin.workspace(asked.workspace).await?;
    let present = app.admin.store().connection(asked.workspace).await?;
    let version = present.as_ref().map_or(0, |present| present.connection.version);
    if let Some(if_match) = if_match {
        if_match.check(&EntityTag::of_version(version))?;
    }
    let standing = present.as_ref().filter(|present| present.connection.is_connected());
    let settings = connect.settings(present.as_ref().map(|present| &present.connection.settings))?;
    let given = connect.credential.take().map(super::input::CredentialInput::into_credential).transpose()?;
    let names_another = match (&connect.bitbucket_workspace, standing) {
        (Some(which), Some(standing)) => !is_of(&which.0, &standing.connection),
        _ => false,
    };
    match standing {
        Some(standing) if given.is_none() && !names_another => {
            change_settings(app, asked, standing, settings).await
        }
        _ => {
            let tried = try_out(app, asked, present.as_ref(), &connect, given).await?;
            let connection = Connection { settings, ..tried.connection };
            let health = standing.map_or(Health::New, |standing| standing.connection.health.clone());
            let tried = Tried { connection: Connection { health, ..connection }, ..tried };
            write(app, asked, present.as_ref(), tried).await
        }
    }
}

fn is_of(which: &WorkspaceRef, connection: &Connection) -> bool {
    match which {
        WorkspaceRef::Uuid(uuid) => *uuid == connection.bitbucket,
        // Slugs are compared as Bitbucket does. One that has changed meanwhile is looked up.
        WorkspaceRef::Slug(slug) => slug.as_str().eq_ignore_ascii_case(connection.slug.as_str()),
    }
}

async fn change_settings(
    app: &App,
    asked: &InWorkspace,
    standing: &Connected,
    settings: rollcall_domain::connection::Settings,
) -> Result<Made, Failure> {
    let before = &standing.connection;
    if settings == before.settings {
        return Ok(Made { connection: before.clone(), is_new: false, report: None, run: None });
    }
    let now = app.admin.now();
    let mut changed = standing.clone();
    changed.connection.settings = settings;
    let act = Act {
        workspace: Some(asked.workspace),
        action: "connection.settings_changed",
        target: Some(before.bitbucket.to_string()),
        why: "An admin changed the connection's settings.".to_owned(),
        detail: json!({ "before": before.settings, "after": changed.connection.settings }),
    };
    let record = Record { audit: vec![app.admin.audit(&asked.caller, now, act)], events: Vec::new() };
    app.admin.store().update_connection(&changed, record).await?;
    changed.connection.version += 1;
    Ok(Made { connection: changed.connection, is_new: false, report: None, run: None })
}

/// Only tries a credential on a Bitbucket workspace, whatever comes of it.
pub(super) async fn only_try(app: &App, which: &WorkspaceRef, credential: &Credential) -> ProbeReport {
    let session = app.session(credential);
    let report = session.probe(which).await;
    settle(&session).await;
    report
}

/// Tries the credential on the Bitbucket workspace. Whatever is wrong changes nothing.
async fn try_out(
    app: &App,
    asked: &InWorkspace,
    present: Option<&Connected>,
    connect: &Connect,
    given: Option<Credential>,
) -> Result<Tried, Failure> {
    let missing =
        |place: &str| Problem::invalid(vec![FieldError::at(place, "is required to connect the workspace")]);
    let which = match (&connect.bitbucket_workspace, present) {
        (Some(which), _) => which.0.clone(),
        (None, Some(present)) => WorkspaceRef::Uuid(present.connection.bitbucket),
        (None, None) => return Err(missing("/bitbucket_workspace").into()),
    };
    let credential = match (given, present.filter(|present| !present.sealed_credential.is_empty())) {
        (Some(given), _) => given,
        (None, Some(present)) => {
            let keys = app.admin.keys().await?;
            credential::open(&keys.sealing, asked.workspace, &present.sealed_credential)
                .map_err(|error| Problem::conflict(error.to_string()))?
        }
        (None, None) => return Err(missing("/credential").into()),
    };
    let kind = credential::kind(&credential).ok_or_else(Problem::internal)?;

    let report = only_try(app, &which, &credential).await;
    let (Some(found), true) = (report.workspace.clone(), report.usable()) else {
        return Err(unusable(&report).into());
    };
    if present.is_some_and(|present| present.connection.bitbucket != found.uuid) {
        return Err(Problem::conflict(
            "This workspace belongs to another Bitbucket workspace, and what was mirrored from there would be lost. \
             Make another workspace for this one.",
        )
        .into());
    }
    let now = app.admin.now();
    let connection = Connection {
        workspace: asked.workspace,
        bitbucket: found.uuid,
        slug: found.slug,
        name: found.name,
        credential: kind,
        settings: rollcall_domain::connection::Settings::default(),
        health: Health::New,
        created_at: present.map_or(now, |present| present.connection.created_at),
        version: present.map_or(0, |present| present.connection.version),
    };
    Ok(Tried { credential, report, connection })
}

async fn write(
    app: &App,
    asked: &InWorkspace,
    present: Option<&Connected>,
    tried: Tried,
) -> Result<Made, Failure> {
    let Tried { credential, report, mut connection } = tried;
    let now = app.admin.now();
    let keys = app.admin.keys().await?;
    let sealed_credential =
        credential::seal(&keys.sealing, asked.workspace, &credential).map_err(|error| {
            tracing::error!(%error, "a credential could not be sealed");
            Problem::internal()
        })?;
    let stood = present.is_some_and(|present| present.connection.is_connected());
    let (action, why) = match (present.is_some(), stood) {
        (_, true) => ("connection.credential_replaced", "An admin replaced the connection's credential."),
        (true, false) => ("connection.made", "An admin connected the workspace again."),
        (false, _) => ("connection.made", "An admin connected the workspace."),
    };
    let act = Act {
        workspace: Some(asked.workspace),
        action,
        target: Some(connection.bitbucket.to_string()),
        why: why.to_owned(),
        detail: json!({
            "bitbucket": connection.bitbucket,
            "slug": connection.slug,
            "credential": connection.credential,
            "settings": connection.settings,
            "complete": report.complete(),
        }),
    };
    let record = Record { audit: vec![app.admin.audit(&asked.caller, now, act)], events: Vec::new() };
    let connected = Connected { connection: connection.clone(), sealed_credential };
    match app.admin.store().connect(&connected, None, record).await {
        Ok(()) => {}
        Err(StoreError::Conflict { what }) if what == CLAIM => {
            return Err(Problem::conflict(
                "This Bitbucket workspace cannot be connected here: it is connected already.",
            )
            .into());
        }
        Err(error) => return Err(error.into()),
    }
    connection.version += 1;
    let mode = match (stood, connection.settings.start) {
        (false, Start::Plan) => Mode::Plan,
        _ => Mode::Apply,
    };
    // The connection stands, and the schedule syncs it whatever becomes of this message.
    let run = sync_runs::ask(app, &asked.caller, asked.workspace, mode).await.ok();
    Ok(Made { connection, is_new: present.is_none(), report: Some(report), run })
}

fn unusable(report: &ProbeReport) -> Problem {
    let probe = serde_json::to_value(Probe::from(report)).unwrap_or_default();
    Problem::new(
        http::StatusCode::UNPROCESSABLE_ENTITY,
        "credential-unusable",
        "The credential cannot do what the sync needs",
    )
    .detail("Nothing was changed. The probe's lines say what does not work, and how to mend it.")
    .member("probe", probe)
}

/// Gives unused calls back to the budget.
pub(super) async fn settle(session: &Session) {
    if let Err(error) = session.budget().settle().await {
        tracing::warn!(%error, "unused calls could not be given back");
    }
}
