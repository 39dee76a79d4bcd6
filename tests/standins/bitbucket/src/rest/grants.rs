//! What projects and repositories grant by themselves: not what is inherited, nor what owners have anyway.

use super::rows::Plain;
use super::shape::Granting;
use super::{Answer, Call, Takes};
use crate::paging::USUAL;
use crate::refusal::Refusal;
use crate::world::{Grants, Level, Workspace};

/// `/2.0/workspaces/{workspace}/projects/{project_key}/permissions-config/groups`
pub(super) fn project_groups(call: &Call<'_>) -> Answer {
    let (workspace, granting, grants) = of_project(call)?;
    groups(call, workspace, granting, grants)
}

/// `/2.0/workspaces/{workspace}/projects/{project_key}/permissions-config/users`
pub(super) fn project_users(call: &Call<'_>) -> Answer {
    let (_, granting, grants) = of_project(call)?;
    users(call, granting, grants)
}

/// `/2.0/repositories/{workspace}/{repo_slug}/permissions-config/groups`
pub(super) fn repository_groups(call: &Call<'_>) -> Answer {
    let (workspace, granting, grants) = of_repository(call)?;
    groups(call, workspace, granting, grants)
}

/// `/2.0/repositories/{workspace}/{repo_slug}/permissions-config/users`
pub(super) fn repository_users(call: &Call<'_>) -> Answer {
    let (_, granting, grants) = of_repository(call)?;
    users(call, granting, grants)
}

/// `/2.0/workspaces/{workspace}/projects/{project_key}/permissions-config/groups/{group_slug}`
pub(super) fn project_group(call: &Call<'_>) -> Answer {
    let (workspace, granting, grants) = of_project(call)?;
    group(call, workspace, granting, grants)
}

/// `/2.0/workspaces/{workspace}/projects/{project_key}/permissions-config/users/{selected_user_id}`
pub(super) fn project_user(call: &Call<'_>) -> Answer {
    let (_, granting, grants) = of_project(call)?;
    user(call, granting, grants)
}

/// `/2.0/repositories/{workspace}/{repo_slug}/permissions-config/groups/{group_slug}`
pub(super) fn repository_group(call: &Call<'_>) -> Answer {
    let (workspace, granting, grants) = of_repository(call)?;
    group(call, workspace, granting, grants)
}

/// `/2.0/repositories/{workspace}/{repo_slug}/permissions-config/users/{selected_user_id}`
pub(super) fn repository_user(call: &Call<'_>) -> Answer {
    let (_, granting, grants) = of_repository(call)?;
    user(call, granting, grants)
}

type Granted<'a> = (&'a Workspace, Granting<'a>, &'a Grants);

/// The project's grants, for its admins.
fn of_project<'a>(call: &Call<'a>) -> Result<Granted<'a>, Refusal> {
    let workspace = call.own_workspace()?;
    let key = &call.values[1];
    let project = workspace.project(key);
    let project = project.ok_or_else(|| Refusal::not_found(&format!("Project {key} not found")))?;
    if call.reach(workspace).project_level(project.uuid) < Some(Level::Admin) {
        return Err(Refusal::forbidden());
    }
    Ok((workspace, Granting::Project(workspace, project), &project.grants))
}

/// The repository's grants, for its admins.
fn of_repository<'a>(call: &Call<'a>) -> Result<Granted<'a>, Refusal> {
    let (workspace, repository, reach) = call.repository()?;
    if reach.level(repository) < Some(Level::Admin) {
        return Err(Refusal::forbidden());
    }
    Ok((workspace, Granting::Repository(workspace, repository), &repository.grants))
}

fn groups(call: &Call<'_>, workspace: &Workspace, of: Granting<'_>, grants: &Grants) -> Answer {
    let rows = grants.groups.iter();
    let rows = rows.filter_map(|(slug, level)| Some(Plain((slug, workspace.groups.get(slug)?, *level))));
    call.list(rows.collect(), USUAL, Takes::Nothing, |Plain((slug, group, level))| {
        let shown = call.shape().group(workspace, slug, group);
        call.shape().grant(of, ("group", shown), Some(*level), slug)
    })
}

fn users(call: &Call<'_>, of: Granting<'_>, grants: &Grants) -> Answer {
    let rows = grants.users.iter();
    let rows = rows.filter_map(|(user, level)| Some(Plain((call.world.account(*user)?, *level))));
    call.list(rows.collect(), USUAL, Takes::Nothing, |Plain((account, level))| {
        let name = super::shape::braced(account.uuid);
        call.shape().grant(of, ("user", call.shape().account(account)), Some(*level), &name)
    })
}

/// A group to which nothing is granted has the permission `none`; one that does not exist is not found.
fn group(call: &Call<'_>, workspace: &Workspace, of: Granting<'_>, grants: &Grants) -> Answer {
    let slug = &call.values[2];
    let Some((slug, group)) = workspace.groups.get_key_value(slug) else {
        return Err(Refusal::not_found(&format!("Group {slug} not found")));
    };
    let shown = call.shape().group(workspace, slug, group);
    let level = grants.groups.get(slug).copied();
    Ok(call.shape().grant(of, ("group", shown), level, slug))
}

/// The same for accounts.
fn user(call: &Call<'_>, of: Granting<'_>, grants: &Grants) -> Answer {
    let id = &call.values[2];
    let account = call.world.account_by_id(id);
    let account = account.ok_or_else(|| Refusal::not_found(&format!("User {id} not found")))?;
    let name = super::shape::braced(account.uuid);
    let level = grants.users.get(&account.uuid).copied();
    Ok(call.shape().grant(of, ("user", call.shape().account(account)), level, &name))
}
