//! Changing a member: their role, whether they are let in, and when an invite's membership ends.

use axum::extract::State;
use rollcall_admin::{Act, Failure, InWorkspace, gate, schema};
use rollcall_domain::event::{Event, EventKind, about_member};
use rollcall_domain::member::{Member, NotAllowed, Role, State as MemberState, SuspensionReason};
use rollcall_domain::{Timestamp, WorkspaceId};
use rollcall_service::rfc3339;
use rollcall_service::web::{EntityTag, FieldError, IfMatch, Json, Path, Problem};
use rollcall_store::Record;
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::view::MemberView;
use super::{Place, find, shown};
use crate::App;

/// How often a change is tried that somebody else's write was in the way of.
const ATTEMPTS: usize = 4;

/// What an admin can make of a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum AskedState {
    /// Let in again, if something still does.
    Active,
    /// Shut out, until an admin makes them active again.
    Disabled,
}

/// What is to change; what is left out stays.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct MemberChange {
    /// What they may do.
    #[schema(value_type = Option<schema::Role>)]
    role: Option<Role>,
    /// Whether they are let in.
    state: Option<AskedState>,
    /// When the membership that an invite gave ends; `null`: it has no end.
    #[serde(default)]
    #[schema(value_type = Option<schema::Time>)]
    membership_until: End,
}

/// An end that is set, taken away by `null`, or left as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum End {
    #[default]
    AsItIs,
    Never,
    At(Timestamp),
}

impl<'de> Deserialize<'de> for End {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(rfc3339::serde::option::deserialize(deserializer)?.map_or(Self::Never, Self::At))
    }
}

/// Changes a member.
///
/// Disabling ends everything that was issued to them, and voids the invites they have issued. A workspace keeps at least one active
/// admin, unless who asks manages the whole deployment.
#[utoipa::path(
    patch, path = "/v1/workspaces/{workspace}/members/{member}", tag = "members", operation_id = "change_member",
    params(
        ("workspace" = schema::WorkspaceId, Path, description = "The workspace."),
        ("member" = schema::MemberId, Path, description = "The member."),
        ("If-Match" = Option<String>, Header, description = "The `ETag` of what is to be changed."),
    ),
    request_body = MemberChange,
    responses((status = 200, description = "The member as they are now.", body = MemberView, headers(("ETag" = String, description = "Its version, for `If-Match`.")))),
)]
pub(crate) async fn change(
    State(app): State<App>,
    asked: InWorkspace,
    Path(Place { member: id }): Path<Place>,
    if_match: Option<IfMatch>,
    Json(change): Json<MemberChange>,
) -> Result<impl axum::response::IntoResponse, Failure> {
    let mut attempt = 1;
    loop {
        let before = find(&app, &asked, id).await?;
        if let Some(if_match) = &if_match {
            if_match.check(&EntityTag::of_version(before.version))?;
        }
        let now = app.admin.now();
        let changed = change.apply(&before, now)?;
        if changed.member == before {
            return shown(&app, &before).await;
        }
        if changed.member.role > asked.caller.principal().highest_role() {
            return Err(Problem::forbidden("Nobody grants more than they have.").into());
        }
        let staying = staying_admin(&app, &asked, &before, &changed.member).await?;
        let record = changed.record(&app, &asked, &before, now);
        let written =
            app.admin.store().update_member(&changed.member, &before, staying.as_ref(), record).await;
        match written {
            Ok(()) => {
                let after = Member { version: changed.member.version + 1, ..changed.member };
                return shown(&app, &after).await;
            }
            // The sync or a sign-in was faster. Decided again on what is there now.
            Err(error) if error.is_conflict() && if_match.is_none() && attempt < ATTEMPTS => attempt += 1,
            Err(error) if error.is_conflict() && if_match.is_some() => {
                return Err(Problem::precondition_failed().into());
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// A member as they are to be, and what is told of it.
struct Changed {
    member: Member,
    told: Vec<(EventKind, &'static str, &'static str)>,
}

impl MemberChange {
    fn apply(&self, before: &Member, now: Timestamp) -> Result<Changed, Failure> {
        let mut member = before.clone();
        let mut told = Vec::new();
        if let Some(role) = self.role.filter(|role| *role != member.role) {
            member.role = role;
            told.push((
                EventKind::MemberUpdated,
                "member.role_changed",
                "An admin changed the member's role.",
            ));
        }
        match self.membership_until {
            End::AsItIs => {}
            End::Never => set_end(&mut member, None, now, &mut told)?,
            End::At(until) => set_end(&mut member, Some(until), now, &mut told)?,
        }
        match self.state {
            Some(AskedState::Disabled) if member.disable(now) => {
                told.push((EventKind::MemberDisabled, "member.disabled", "An admin shut the member out."));
            }
            Some(AskedState::Active) if matches!(member.state, MemberState::Disabled { .. }) => {
                member.enable(now);
                told.push((EventKind::MemberEnabled, "member.enabled", "An admin let the member in again."));
            }
            Some(AskedState::Active) if member.state != MemberState::Active => {
                // What the sync has found out, only a sign-in, an invite or an undone run changes.
                if !member.has_valid_invite(now) {
                    return Err(Problem::conflict(NotAllowed::NothingLetsIn.to_string()).into());
                }
                member.restore().map_err(|not| Problem::conflict(not.to_string()))?;
                told.push((
                    EventKind::MemberRestored,
                    "member.restored",
                    "An admin let the member in again.",
                ));
            }
            _ => {}
        }
        Ok(Changed { member, told })
    }
}

fn set_end(
    member: &mut Member,
    until: Option<Timestamp>,
    now: Timestamp,
    told: &mut Vec<(EventKind, &'static str, &'static str)>,
) -> Result<(), Problem> {
    const PLACE: &str = "/membership_until";
    let refused = |why: &str| Problem::invalid(vec![FieldError::at(PLACE, why)]);
    if until.is_some_and(|until| until.has_passed(now)) {
        return Err(refused("is in the past; to shut the member out, set the state to disabled"));
    }
    let Some(invite) = &mut member.by_invite else {
        return Err(refused("can only be set for a member whom an invite has let in"));
    };
    if invite.until == until {
        return Ok(());
    }
    invite.until = until;
    invite.warned_at = None;
    told.push((EventKind::MemberUpdated, "member.end_changed", "An admin set when the membership ends."));
    let ended = matches!(member.state, MemberState::Suspended { reason: SuspensionReason::InviteEnded, .. });
    if ended && member.restore().unwrap_or(false) {
        told.push((EventKind::MemberRestored, "member.restored", "The membership was renewed by an admin."));
    }
    Ok(())
}

impl Changed {
    fn record(&self, app: &App, asked: &InWorkspace, before: &Member, now: Timestamp) -> Record {
        let subject = self.member.id.to_string();
        let detail = json!({ "before": told_of(before), "after": told_of(&self.member) });
        let mut record = Record::default();
        for (kind, action, why) in &self.told {
            let act = Act {
                workspace: Some(asked.workspace),
                action,
                target: Some(subject.clone()),
                why: (*why).to_owned(),
                detail: detail.clone(),
            };
            record.audit.push(app.admin.audit(&asked.caller, now, act));
            record.events.push(event(app, asked.workspace, *kind, now, &self.member));
        }
        record
    }
}

fn event(app: &App, workspace: WorkspaceId, kind: EventKind, now: Timestamp, member: &Member) -> Event {
    app.admin.event(workspace, kind, now, member.id.to_string(), told_of(member))
}

/// What the application and the trail are told of a member.
fn told_of(member: &Member) -> Value {
    let until = member.by_invite.as_ref().and_then(|invite| invite.until).map(rfc3339::format);
    about_member(member, json!({ "membership_until": until }))
}

/// The admin who stays, where the change takes one away.
async fn staying_admin(
    app: &App,
    asked: &InWorkspace,
    before: &Member,
    after: &Member,
) -> Result<Option<Member>, Failure> {
    let leads = |member: &Member| member.role == Role::Admin && member.state == MemberState::Active;
    if !leads(before) || leads(after) || gate::bound_to(asked.caller.principal()).is_none() {
        return Ok(None);
    }
    let now = app.admin.now();
    let admins = app.admin.store().active_admins(asked.workspace).await?;
    let staying = admins.into_iter().find(|admin| admin.id != before.id && admin.is_let_in(now));
    staying.map(Some).ok_or_else(|| Problem::conflict(NotAllowed::LastAdmin.to_string()).into())
}
