//! One invite: shown, sent again, revoked.

use axum::extract::State;
use rollcall_admin::{Act, Failure, InWorkspace, schema};
use rollcall_domain::event::EventKind;
use rollcall_domain::invite::{Delivery, Invite, InviteState};
use rollcall_domain::{InviteId, Timestamp};
use rollcall_service::web::{EntityTag, IfMatch, Json, Path, Problem};
use rollcall_store::{ISSUER, Record, StoreError};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::App;
use crate::issue::{inviter_name, issuer, no_admin_any_more, not_sent, send, told_of};
use crate::limits;
use crate::link::Link;
use crate::view::InviteView;

/// The places in a path.
#[derive(Deserialize)]
pub(crate) struct Place {
    invite: InviteId,
}

/// An invite that was sent again.
#[derive(Serialize, ToSchema)]
pub(crate) struct Resent {
    /// The invite as it is now.
    invite: InviteView,
    /// The new link, where no mail was sent: shown this once.
    #[schema(required)]
    link: Option<String>,
    /// Why no mail was sent.
    #[schema(value_type = Option<schema::Problem>, required)]
    problem: Option<Value>,
}

/// Shows an invite. Never its link.
#[utoipa::path(
    get, path = "/v1/workspaces/{workspace}/invites/{invite}", tag = "invites", operation_id = "get_invite",
    params(
        ("workspace" = schema::WorkspaceId, Path, description = "The workspace."),
        ("invite" = schema::InviteId, Path, description = "The invite."),
    ),
    responses((status = 200, description = "The invite.", body = InviteView, headers(("ETag" = String, description = "Its version, for `If-Match`.")))),
)]
pub(crate) async fn read(
    State(app): State<App>,
    asked: InWorkspace,
    Path(Place { invite }): Path<Place>,
) -> Result<impl axum::response::IntoResponse, Failure> {
    let (invite, void) = find(&app, &asked, invite).await?;
    Ok(shown(&invite, void, app.admin.now()))
}

fn shown(invite: &Invite, void: bool, now: Timestamp) -> (EntityTag, Json<InviteView>) {
    (EntityTag::of_version(invite.version), Json(InviteView::new(invite, void, now)))
}

/// Revokes an invite: its link is dead. Revoking one that is revoked already changes nothing.
#[utoipa::path(
    delete, path = "/v1/workspaces/{workspace}/invites/{invite}", tag = "invites", operation_id = "revoke_invite",
    params(
        ("workspace" = schema::WorkspaceId, Path, description = "The workspace."),
        ("invite" = schema::InviteId, Path, description = "The invite."),
        ("If-Match" = Option<String>, Header, description = "The `ETag` of what is to be changed."),
    ),
    responses((status = 200, description = "The invite as it is now.", body = InviteView, headers(("ETag" = String, description = "Its version, for `If-Match`.")))),
)]
pub(crate) async fn revoke(
    State(app): State<App>,
    asked: InWorkspace,
    Path(Place { invite }): Path<Place>,
    if_match: Option<IfMatch>,
) -> Result<impl axum::response::IntoResponse, Failure> {
    let (before, void) = find(&app, &asked, invite).await?;
    if let Some(if_match) = if_match {
        if_match.check(&EntityTag::of_version(before.version))?;
    }
    let now = app.admin.now();
    match before.state {
        InviteState::Revoked { .. } => return Ok(shown(&before, void, now)),
        InviteState::Accepted { .. } => {
            return Err(Problem::conflict(
                "The invite was accepted. To take back what it gave, disable the member or set an end to the membership.",
            )
            .into());
        }
        InviteState::Pending => {}
    }
    let revoked = Invite { state: InviteState::Revoked { at: now }, ..before.clone() };
    let told = told_of(&revoked, None);
    let act = Act {
        workspace: Some(asked.workspace),
        action: "invite.revoked",
        target: Some(revoked.id.to_string()),
        why: "An admin revoked the invite.".to_owned(),
        detail: told.clone(),
    };
    let record = Record {
        audit: vec![app.admin.audit(&asked.caller, now, act)],
        events: vec![app.admin.event(
            asked.workspace,
            EventKind::InviteRevoked,
            now,
            revoked.id.to_string(),
            told,
        )],
    };
    app.admin.store().update_invite(&revoked, &before, None, record).await?;
    Ok(shown(&Invite { version: revoked.version + 1, ..revoked }, false, now))
}

/// Sends an invite again, with a new link and its whole lifetime. The former link is dead.
#[utoipa::path(
    post, path = "/v1/workspaces/{workspace}/invites/{invite}/resend", tag = "invites", operation_id = "resend_invite",
    params(
        ("workspace" = schema::WorkspaceId, Path, description = "The workspace."),
        ("invite" = schema::InviteId, Path, description = "The invite."),
    ),
    responses((status = 200, description = "The invite as it is now.", body = Resent, headers(("ETag" = String, description = "Its version, for `If-Match`.")))),
)]
pub(crate) async fn resend(
    State(app): State<App>,
    asked: InWorkspace,
    Path(Place { invite }): Path<Place>,
) -> Result<impl axum::response::IntoResponse, Failure> {
    let workspace = app.admin.workspace(asked.workspace).await?;
    let (before, _) = find(&app, &asked, invite).await?;
    let keys = app.admin.keys().await?;
    let now = app.admin.now();
    check(&app, &asked, &before, &workspace).await?;
    limits::of_issuer(&app.admin, &keys, &asked.caller, now).await?;
    if limits::of_recipients(&app.admin, &keys, &[&before.email], now).await? != [true] {
        return Err(Problem::too_many_requests(3600)
            .detail("This address was invited too often today. Try again tomorrow.")
            .into());
    }
    let issuer = issuer(&app, &asked.caller, now).await?;
    let link = Link::new(&app.admin.config().public_url, app.admin.random());
    let mut anew = Invite {
        token: link.hash(),
        issued_at: now,
        expires_at: now.plus(before.expires_at.since(before.issued_at)),
        // Who sends it again answers for it from here on.
        issued_by: asked.caller.principal().actor(),
        inviter_name: inviter_name(issuer.as_ref()),
        delivery: if app.mailer.is_some() { Delivery::Sent } else { Delivery::LinkReturned },
        together: None,
        ..before.clone()
    };
    let told = told_of(&anew, None);
    let act = Act {
        workspace: Some(asked.workspace),
        action: "invite.resent",
        target: Some(anew.id.to_string()),
        why: "An admin sent the invite again.".to_owned(),
        detail: told.clone(),
    };
    let record = Record {
        audit: vec![app.admin.audit(&asked.caller, now, act)],
        events: vec![app.admin.event(
            asked.workspace,
            EventKind::InviteIssued,
            now,
            anew.id.to_string(),
            told,
        )],
    };
    let written = app.admin.store().update_invite(&anew, &before, issuer.as_ref(), record).await;
    written.map_err(|error| match error {
        StoreError::Conflict { what: ISSUER } => Failure::from(no_admin_any_more()),
        error => error.into(),
    })?;
    anew.version += 1;
    let mut problem = None;
    if let Some(mailer) = app.mailer.as_deref()
        && let Err(why) = send(&app, mailer, &workspace, &anew, &link).await
    {
        // The invite was marked, which is a version of its own.
        anew = app.admin.store().invite(asked.workspace, anew.id).await?.unwrap_or(anew);
        anew.delivery = Delivery::Failed;
        problem = Some(not_sent(&why).to_json(None));
    }
    let shown = matches!(anew.delivery, Delivery::LinkReturned | Delivery::Failed);
    let resent = Resent {
        invite: InviteView::new(&anew, false, now),
        link: shown.then(|| link.expose().to_owned()),
        problem,
    };
    Ok((EntityTag::of_version(anew.version), Json(resent)))
}

/// Whether the invite may go out again, as it would be issued today.
async fn check(
    app: &App,
    asked: &InWorkspace,
    before: &Invite,
    workspace: &rollcall_store::workspaces::Workspace,
) -> Result<(), Failure> {
    let now = app.admin.now();
    if before.state != InviteState::Pending {
        return Err(Problem::conflict("The invite was accepted or revoked. Issue a new one.").into());
    }
    if before.membership_until.is_some_and(|until| until.has_passed(now)) {
        return Err(Problem::conflict(
            "The membership that the invite gives would have ended already. Issue a new one.",
        )
        .into());
    }
    if before.role > asked.caller.principal().highest_role() {
        return Err(Problem::forbidden(
            "The invite gives more than your own role; nobody grants more than they have.",
        )
        .into());
    }
    if !workspace.invite_rules.accept_email(&before.email) {
        return Err(Problem::conflict(
            "This workspace does not accept invites to this e-mail domain any more.",
        )
        .into());
    }
    let newest = app.admin.store().invite_to(asked.workspace, &before.email).await?;
    if newest.is_some_and(|newest| newest.id != before.id && newest.state == InviteState::Pending) {
        return Err(Problem::conflict("There is a newer invite to this address. Send that one again.").into());
    }
    Ok(())
}

/// The invite, and whether it was voided with everything that was issued to or by the same person before.
async fn find(app: &App, asked: &InWorkspace, id: InviteId) -> Result<(Invite, bool), Failure> {
    let invite = app.admin.store().invite(asked.workspace, id).await?.ok_or_else(Problem::not_found)?;
    let voided = app.admin.store().voided(std::slice::from_ref(&invite)).await?;
    Ok((invite, voided.contains(&id)))
}
