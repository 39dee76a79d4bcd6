//! The current workspace as a test sees it: with every name and id, and what is not shown to anybody otherwise.

use serde_json::{Map, Value, json};

use crate::rest::shape::braced;
use crate::world::{Grants, World};

pub(super) fn world(world: &World) -> Value {
    let workspace = world.workspace();
    let people = world.accounts().map(|account| {
        json!({
            "username": account.username,
            "uuid": braced(account.uuid),
            "account_id": account.account_id,
            "name": account.display_name,
            "nickname": account.nickname,
            "kind": account.kind,
            "active": account.active,
            "emails": account.emails,
            "role": workspace.member(account.uuid).map(|member| member.role),
            "note": account.note,
        })
    });
    let groups = workspace.groups().iter().map(|(slug, group)| {
        let members = group.members.iter().filter_map(|user| world.account(*user));
        let members: Vec<&str> = members.map(|account| account.username.as_str()).collect();
        json!({"slug": slug, "name": group.name, "members": members})
    });
    let projects = workspace.projects().map(|project| {
        let (groups, people) = grants(world, &project.grants);
        let uuid = braced(project.uuid);
        json!({"key": project.key, "uuid": uuid, "name": project.name, "groups": groups, "people": people})
    });
    let repositories = workspace.repositories().map(|repository| {
        let (groups, people) = grants(world, &repository.grants);
        let project = workspace.projects.get(&repository.project).map(|project| &project.key);
        json!({
            "slug": repository.slug,
            "uuid": braced(repository.uuid),
            "project": project,
            "private": repository.private,
            "groups": groups,
            "people": people,
        })
    });
    json!({
        "workspace": {"uuid": braced(workspace.uuid), "slug": workspace.slug, "name": workspace.name},
        "people": people.collect::<Vec<_>>(),
        "groups": groups.collect::<Vec<_>>(),
        "projects": projects.collect::<Vec<_>>(),
        "repositories": repositories.collect::<Vec<_>>(),
    })
}

fn grants(world: &World, grants: &Grants) -> (Value, Value) {
    let people: Map<String, Value> = grants
        .users
        .iter()
        .filter_map(|(user, level)| Some((world.account(*user)?.username.clone(), json!(level))))
        .collect();
    (json!(grants.groups), people.into())
}
