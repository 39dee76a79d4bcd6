//! The caller's own account and access, and other accounts.

use serde_json::Value;

use super::rows::{AccessRow, PermissionRow, Plain, RepositoryRow};
use super::{Answer, Call, Takes};
use crate::paging::{OWN_WORKSPACES, USUAL};
use crate::refusal::Refusal;
use crate::world::{Account, Role};

fn own<'a>(call: &Call<'a>) -> Result<&'a Account, Refusal> {
    call.caller.account().and_then(|user| call.world.account(user)).ok_or_else(Refusal::mechanism)
}

/// `/2.0/user`
pub(super) fn me(call: &Call<'_>) -> Answer {
    Ok(call.shape().own_account(own(call)?))
}

/// `/2.0/user/emails`: confirmed and unconfirmed ones.
pub(super) fn emails(call: &Call<'_>) -> Answer {
    let emails = own(call)?.emails.iter().map(Plain).collect();
    call.list(emails, USUAL, Takes::Nothing, |Plain(email)| call.shape().email(email))
}

/// `/2.0/user/workspaces`
pub(super) fn workspaces(call: &Call<'_>) -> Answer {
    own(call)?;
    let administrator = match call.parameter("administrator") {
        None => None,
        Some("true") => Some(true),
        Some("false") => Some(false),
        Some(_) => return Err(Refusal::bad_request("administrator must be true or false")),
    };
    let all = call.world.workspaces().iter().filter(|workspace| call.caller.is_inside(workspace));
    let rows = all.map(|workspace| AccessRow { workspace, administrator: call.reach(workspace).is_admin() });
    let rows = rows.filter(|row| administrator.is_none_or(|wanted| wanted == row.administrator)).collect();
    call.list(rows, OWN_WORKSPACES, Takes::QueryAndSort, |row| {
        call.shape().workspace_access(row.workspace, row.administrator)
    })
}

/// `/2.0/user/workspaces/{workspace}/permission`: 403 to whoever is not in it.
pub(super) fn permission(call: &Call<'_>) -> Answer {
    let account = own(call)?;
    let workspace = call.own_workspace()?;
    let role = workspace.member(account.uuid).map_or(Role::Owner, |member| member.role);
    let mut shown = call.shape().membership(workspace, account);
    shown["permission"] = role.name().into();
    Ok(shown)
}

/// `/2.0/user/workspaces/{workspace}/permissions/repositories`: public repositories without a grant are left out.
pub(super) fn repository_permissions(call: &Call<'_>) -> Answer {
    let account = own(call)?;
    let workspace = call.own_workspace()?;
    let reach = call.reach(workspace);
    let rows = workspace.repositories().filter_map(|repository| {
        let level = reach.level(repository)?;
        Some(PermissionRow { account, repository: RepositoryRow { workspace, repository }, level })
    });
    call.list(rows.collect(), USUAL, Takes::QueryAndSort, |row| {
        call.shape().repository_permission(workspace, row.repository.repository, row.account, row.level)
    })
}

/// `/2.0/users/{selected_user}`: by UUID or account id.
pub(super) fn somebody(call: &Call<'_>) -> Answer {
    let id = &call.values[0];
    let account: Option<&Account> = call.world.account_by_id(id);
    let shown: Option<Value> = account.map(|account| call.shape().whole_account(account));
    shown.ok_or_else(|| Refusal::not_found(&format!("User {id} not found")))
}
