//! Repositories, and who has which level on them.

use super::rows::{PermissionRow, RepositoryRow};
use super::{Answer, Call, Takes};
use crate::paging::USUAL;
use crate::query::{Literal, Query};
use crate::refusal::Refusal;
use crate::world::{Level, Reach, Repository, Workspace};

/// Beyond this, the listing of everybody's level on everything times out, as the real one does (BCLOUD-17803).
const MOST_PERMISSIONS: usize = 500_000;

/// `/2.0/repositories/{workspace}`: those that the caller can see. `role` is the caller's, by whichever way it was granted.
pub(super) fn list(call: &Call<'_>) -> Answer {
    let workspace = call.workspace()?;
    let reach = call.reach(workspace);
    let at_least = |least: Level| move |level: Option<Level>| level >= Some(least);
    let is_wanted: Box<dyn Fn(&Repository) -> bool> = match call.parameter("role") {
        None => Box::new(|repository| reach.sees(repository)),
        Some("member") => by_level(&reach, at_least(Level::Read)),
        Some("contributor") => by_level(&reach, at_least(Level::Write)),
        Some("admin") => by_level(&reach, at_least(Level::Admin)),
        Some("owner") => Box::new(|_| reach.is_admin()),
        Some(_) => return Err(Refusal::bad_request("role must be member, contributor, admin or owner")),
    };
    let rows = workspace.repositories().filter(|repository| is_wanted(repository));
    let rows = rows.map(|repository| RepositoryRow { workspace, repository }).collect();
    call.list(rows, USUAL, Takes::QueryAndSort, |row| call.shape().repository(workspace, row.repository))
}

fn by_level<'r>(
    reach: &'r Reach,
    is_enough: impl Fn(Option<Level>) -> bool + 'r,
) -> Box<dyn Fn(&Repository) -> bool + 'r> {
    Box::new(move |repository| is_enough(reach.level(repository)))
}

/// `/2.0/repositories/{workspace}/{repo_slug}`
pub(super) fn one(call: &Call<'_>) -> Answer {
    let (workspace, repository, _) = call.repository()?;
    Ok(call.shape().repository(workspace, repository))
}

/// `/2.0/workspaces/{workspace}/permissions/repositories`: everybody's level on everything, for admins.
pub(super) fn all_permissions(call: &Call<'_>) -> Answer {
    let workspace = call.workspace()?;
    if !call.reach(workspace).is_admin() {
        return Err(Refusal::forbidden());
    }
    // Where the query names one person, only that person's rows are made.
    let query = call.parameter("q").map(Query::parse).transpose()?;
    let only = query.as_ref().and_then(|query| query.required("user.uuid")).and_then(|uuids| match uuids {
        [Literal::Text(uuid)] => crate::world::braced(uuid),
        _ => None,
    });
    let mut rows = Vec::new();
    if let Some(account) = only.and_then(|user| call.world.account(user)) {
        let reach = Reach::of(workspace, account.uuid);
        for repository in workspace.repositories() {
            if let Some(level) = reach.level(repository) {
                rows.push(PermissionRow {
                    account,
                    repository: RepositoryRow { workspace, repository },
                    level,
                });
            }
        }
    } else if only.is_none() {
        for repository in workspace.repositories() {
            rows.extend(permission_rows(call, workspace, repository));
            if rows.len() > MOST_PERMISSIONS {
                return Err(Refusal::message(504, "Something went wrong"));
            }
        }
    }
    show(call, rows)
}

/// `/2.0/workspaces/{workspace}/permissions/repositories/{repo_slug}`: everybody's level, for admins of the repository.
pub(super) fn permissions(call: &Call<'_>) -> Answer {
    let (workspace, repository, reach) = call.repository()?;
    if reach.level(repository) < Some(Level::Admin) {
        return Err(Refusal::forbidden());
    }
    show(call, permission_rows(call, workspace, repository))
}

fn permission_rows<'a>(
    call: &Call<'a>,
    workspace: &'a Workspace,
    repository: &'a Repository,
) -> Vec<PermissionRow<'a>> {
    let levels = workspace.effective(repository).into_iter();
    levels
        .filter_map(|(user, level)| {
            let account = call.world.account(user)?;
            Some(PermissionRow { account, repository: RepositoryRow { workspace, repository }, level })
        })
        .collect()
}

fn show(call: &Call<'_>, rows: Vec<PermissionRow<'_>>) -> Answer {
    call.list(rows, USUAL, Takes::QueryAndSort, |row| {
        let RepositoryRow { workspace, repository } = row.repository;
        call.shape().repository_permission(workspace, repository, row.account, row.level)
    })
}
