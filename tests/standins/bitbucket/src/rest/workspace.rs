//! A workspace, its members and its projects.

use std::collections::BTreeSet;

use serde_json::Value;
use uuid::Uuid;

use super::rows::{MemberRow, Plain, findable};
use super::{Answer, Call, Takes};
use crate::auth::Actor;
use crate::paging::{PEOPLE, USUAL};
use crate::query::Query;
use crate::refusal::Refusal;
use crate::world::{Workspace, braced};

/// The most addresses that members can be found by at once.
const MOST_ADDRESSES: usize = 90;

/// `/2.0/workspaces/{workspace}`
pub(super) fn workspace(call: &Call<'_>) -> Answer {
    Ok(call.shape().whole_workspace(call.workspace()?))
}

fn member_rows<'a>(call: &Call<'a>, workspace: &'a Workspace, by_address: bool) -> Vec<MemberRow<'a>> {
    let members = workspace.members();
    members.map(|(user, member)| MemberRow { world: call.world, user, member, by_address }).collect()
}

/// `/2.0/workspaces/{workspace}/members`: deactivated accounts too.
///
/// Admins may filter by address, and then see the addresses that they filtered by, if they ask for that field.
pub(super) fn members(call: &Call<'_>) -> Answer {
    let workspace = call.own_workspace()?;
    let by_address = call.reach(workspace).is_admin() || matches!(call.caller.actor, Actor::Token { .. });
    let query = call.parameter("q").map(Query::parse).transpose()?;
    let asked_for = query.as_ref().and_then(|query| query.required("user.email")).unwrap_or_default();
    if asked_for.len() > MOST_ADDRESSES {
        return Err(Refusal::bad_request("You can query up to 90 email addresses at a time."));
    }
    let with_address = !asked_for.is_empty() && call.fields.names("values.user.email");
    call.list(member_rows(call, workspace, by_address), PEOPLE, Takes::Query, |row| {
        let mut shown = call.shape().membership(workspace, row.account());
        if let Some(email) = findable(row.account()).filter(|_| with_address) {
            shown["user"]["email"] = email.address.as_str().into();
        }
        shown
    })
}

/// `/2.0/workspaces/{workspace}/members/{member}`: by UUID or account id; 404 to whoever is not a member.
pub(super) fn member(call: &Call<'_>) -> Answer {
    let workspace = call.own_workspace()?;
    let id = &call.values[1];
    let account = call.world.account_by_id(id).filter(|account| workspace.member(account.uuid).is_some());
    let account = account.ok_or_else(|| {
        Refusal::not_found(&format!("User {id} is not a member of workspace {}.", workspace.slug))
    })?;
    Ok(call.shape().membership(workspace, account))
}

/// `/2.0/workspaces/{workspace}/permissions`: members with their roles. It takes no UUID.
pub(super) fn permissions(call: &Call<'_>) -> Answer {
    if braced(&call.values[0]).is_some() && !call.world.behaviour.permissions_by_uuid {
        return Err(Refusal::no_workspace(&call.values[0]));
    }
    let workspace = call.own_workspace()?;
    call.list(member_rows(call, workspace, false), PEOPLE, Takes::Query, |row| {
        call.shape().permission(workspace, row.account(), row.member)
    })
}

/// `/2.0/workspaces/{workspace}/projects`: those that the caller can see something of.
pub(super) fn projects(call: &Call<'_>) -> Answer {
    let workspace = call.own_workspace()?;
    let reach = call.reach(workspace);
    let visible = workspace.repositories().filter(|repository| reach.sees(repository));
    let with_visible: BTreeSet<Uuid> = visible.map(|repository| repository.project).collect();
    let rows = workspace.projects().filter(|project| {
        reach.project_level(project.uuid).is_some() || with_visible.contains(&project.uuid)
    });
    call.list(rows.map(Plain).collect(), USUAL, Takes::Nothing, |Plain(project)| {
        call.shape().project(workspace, project)
    })
}

/// `/2.0/workspaces/{workspace}/projects/{project_key}`
pub(super) fn project(call: &Call<'_>) -> Answer {
    let workspace = call.own_workspace()?;
    let key = &call.values[1];
    let shown: Option<Value> = workspace.project(key).map(|project| call.shape().project(workspace, project));
    shown.ok_or_else(|| Refusal::not_found(&format!("Project {key} not found")))
}
