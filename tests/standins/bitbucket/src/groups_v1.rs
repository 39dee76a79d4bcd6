//! User groups, which only version 1.0 of the API lists: bare arrays without pages, for workspace admins, by slug only
//! (<https://support.atlassian.com/bitbucket-cloud/docs/groups-endpoint/>).

use serde_json::{Value, json};

use crate::refusal::Refusal;
use crate::rest::shape::braced;
use crate::rest::{Answer, Call};
use crate::world::{Group, Level, Liveness, Repository, Workspace};

/// The workspace that the path names, to its admins.
fn administered<'a>(call: &Call<'a>, liveness: Liveness) -> Result<&'a Workspace, Refusal> {
    match liveness {
        Liveness::Alive => {}
        Liveness::NotFound => return Err(Refusal::Text(404, "Not Found")),
        Liveness::Gone => return Err(Refusal::message(410, "Resource removed")),
    }
    if crate::world::braced(&call.values[0]).is_some() {
        return Err(Refusal::Text(405, "Method Not Allowed"));
    }
    let workspace = call.workspace().map_err(|_| Refusal::Text(404, "Not Found"))?;
    if call.reach(workspace).is_admin() { Ok(workspace) } else { Err(Refusal::forbidden_text()) }
}

/// `/1.0/groups/{workspace}/`: all groups with all their members.
pub(crate) fn groups(call: &Call<'_>) -> Answer {
    let workspace = administered(call, call.world.behaviour.groups_v1)?;
    Ok(workspace.groups().iter().map(|(slug, group)| show(call, workspace, slug, group)).collect())
}

fn show(call: &Call<'_>, workspace: &Workspace, slug: &str, group: &Group) -> Value {
    let members = group.members.iter().filter_map(|user| call.world.account(*user));
    let members: Vec<Value> = members
        .map(|account| {
            json!({
                "account_id": account.account_id,
                "uuid": braced(account.uuid),
                "nickname": account.nickname,
                "display_name": account.display_name,
                "is_active": account.active,
                "is_staff": false,
                "is_team": false,
            })
        })
        .collect();
    json!({
        "name": group.name,
        "slug": slug,
        "auto_add": false,
        "permission": group.permission.map(Level::name),
        "owner": owner(workspace),
        "members": members,
    })
}

fn owner(workspace: &Workspace) -> Value {
    json!({
        "uuid": braced(workspace.uuid),
        "display_name": workspace.name,
        "username": workspace.slug,
        "is_active": true,
        "is_team": true,
    })
}

/// `/1.0/group-privileges/{workspace}/`: what every group may do on every repository that names it.
pub(crate) fn privileges(call: &Call<'_>) -> Answer {
    let workspace = administered(call, call.world.behaviour.group_privileges_v1)?;
    Ok(list(workspace, |_| true, |_| true))
}

/// `/1.0/group-privileges/{workspace}/{repo_slug}`
pub(crate) fn privileges_on(call: &Call<'_>) -> Answer {
    let workspace = administered(call, call.world.behaviour.group_privileges_v1)?;
    Ok(list(workspace, |repository| repository.slug == call.values[1], |_| true))
}

/// `/1.0/group-privileges/{workspace}/{owner}/{group_slug}`
pub(crate) fn privileges_of(call: &Call<'_>) -> Answer {
    let workspace = administered(call, call.world.behaviour.group_privileges_v1)?;
    Ok(list(workspace, |_| true, |slug| slug == call.values[2]))
}

fn list(
    workspace: &Workspace,
    is_wanted_repository: impl Fn(&Repository) -> bool,
    is_wanted_group: impl Fn(&str) -> bool,
) -> Value {
    let mut rows = Vec::new();
    for repository in workspace.repositories().filter(|repository| is_wanted_repository(repository)) {
        for (slug, level) in repository.grants.groups.iter().filter(|(slug, _)| is_wanted_group(slug)) {
            let Some(group) = workspace.groups().get(slug) else { continue };
            rows.push(json!({
                "repo": format!("{}/{}", workspace.slug, repository.slug),
                "privilege": level.name(),
                "group": {
                    "name": group.name, "slug": slug, "owner": owner(workspace),
                    "members": [], "permission": group.permission.map(Level::name),
                },
                "repository": {
                    "slug": repository.slug, "name": repository.name, "owner": owner(workspace),
                },
            }));
        }
    }
    rows.into()
}
