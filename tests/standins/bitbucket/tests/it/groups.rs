//! Version 1.0: groups and what they may do.

use standin_bitbucket::{Level, Liveness, On, To};

use crate::support::{rig, workspace_token, world};

#[tokio::test]
async fn all_groups_come_at_once_with_their_members() {
    let rig = rig(world().with_group("QA & Release", &["grace", "linus"])).await;
    rig.bitbucket.change(|world| world.deactivate("linus")).unwrap();
    let groups = rig.json(&workspace_token(), "/1.0/groups/acme/").await;
    let groups = groups.as_array().expect("a bare array");
    assert_eq!(groups.len(), 2);
    let qa = groups.iter().find(|group| group["slug"] == "qa-release").unwrap();
    assert_eq!(qa["name"], "QA & Release");
    assert_eq!((&qa["owner"]["is_team"], &qa["auto_add"]), (&true.into(), &false.into()));
    let active = |name: &str| {
        let members = qa["members"].as_array().unwrap();
        members.iter().find(|member| member["display_name"] == name).unwrap()["is_active"].clone()
    };
    assert_eq!((active("grace"), active("linus")), (true.into(), false.into()));
}

#[tokio::test]
async fn it_takes_a_slug_only() {
    let rig = rig(world()).await;
    let uuid = rig.bitbucket.read(|world| world.workspace().uuid);
    let token = workspace_token();
    assert_eq!(rig.status(&token, &format!("/1.0/groups/%7B{uuid}%7D/")).await, 405);
    assert_eq!(rig.status(&token, "/1.0/groups/nowhere/").await, 404);
}

#[tokio::test]
async fn a_group_keeps_its_grants_through_a_rename_and_loses_them_with_its_end() {
    let rig = rig(world()).await;
    let token = workspace_token();
    let path = "/2.0/workspaces/acme/projects/CORE/permissions-config/groups";
    rig.bitbucket.change(|world| world.rename_group("developers", "Engineers", Some("engineers"))).unwrap();
    assert_eq!(rig.column(&token, path, "/group/slug").await, ["engineers"]);
    assert_eq!(rig.json(&rig.person("grace"), "/2.0/repositories/acme?role=member").await["size"], 3);
    rig.bitbucket.change(|world| world.delete_group("engineers")).unwrap();
    assert_eq!(rig.json(&token, path).await["size"], 0);
    assert_eq!(rig.json(&rig.person("grace"), "/2.0/repositories/acme?role=member").await["size"], 0);
}

#[tokio::test]
async fn privileges_tell_what_repositories_grant_to_groups() {
    let world = world().with_grant(On::Repository("rocket"), To::Group("developers"), Level::Read);
    let rig = rig(world).await;
    let token = workspace_token();
    for path in [
        "/1.0/group-privileges/acme/",
        "/1.0/group-privileges/acme/rocket",
        "/1.0/group-privileges/acme/acme/developers",
    ] {
        let rows = rig.json(&token, path).await;
        assert_eq!(rows.as_array().unwrap().len(), 1, "{path}");
        assert_eq!((&rows[0]["repo"], &rows[0]["privilege"]), (&"acme/rocket".into(), &"read".into()));
        assert_eq!(rows[0]["group"]["slug"], "developers");
    }
}

#[tokio::test]
async fn both_can_be_switched_off() {
    let rig = rig(world()).await;
    rig.bitbucket.change(|world| {
        world.behaviour.groups_v1 = Liveness::Gone;
        world.behaviour.group_privileges_v1 = Liveness::NotFound;
    });
    assert_eq!(rig.status(&workspace_token(), "/1.0/groups/acme/").await, 410);
    assert_eq!(rig.status(&workspace_token(), "/1.0/group-privileges/acme/").await, 404);
}
