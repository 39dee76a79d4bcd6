//! Pages, partial answers, filters and order.

use standin_bitbucket::World;

use crate::support::{rig, workspace_token, world};

fn large() -> World {
    let mut world = world();
    for n in 0..23 {
        world.add_repository("LABS", &format!("repo-{n:02}"), true).unwrap();
    }
    world
}

#[tokio::test]
async fn pages_follow_one_another_to_the_last_which_has_no_next() {
    let rig = rig(large()).await;
    let token = workspace_token();
    let mut next =
        Some("/2.0/repositories/acme?q=is_private%3Dtrue&fields=next,page,size,values.slug".to_owned());
    let (mut slugs, mut pages) = (Vec::new(), Vec::new());
    while let Some(path) = next {
        let page = rig.json(&token, &path).await;
        assert_eq!(page["size"], 26);
        pages.push(page["page"].as_u64().unwrap());
        slugs.extend(page["values"].as_array().unwrap().iter().map(|row| row["slug"].to_string()));
        next = page["next"].as_str().map(str::to_owned);
        assert!(next.as_ref().is_none_or(|next| next.starts_with(&rig.bitbucket.url())), "it is absolute");
    }
    assert_eq!(pages, [1, 2, 3], "10 by default");
    let all = slugs.len();
    slugs.sort_unstable();
    slugs.dedup();
    assert_eq!((all, slugs.len()), (26, 26));
}

#[tokio::test]
async fn a_page_has_at_most_a_hundred_rows() {
    let rig = rig(large()).await;
    let token = workspace_token();
    let page = rig.json(&token, "/2.0/repositories/acme?pagelen=100").await;
    assert_eq!(page["values"].as_array().unwrap().len(), 27);
    assert_eq!(rig.json(&token, "/2.0/workspaces/acme/members").await["pagelen"], 50);
    for bad in ["101", "0", "x"] {
        let response = rig.ask(&token, &format!("/2.0/repositories/acme?pagelen={bad}")).await;
        assert_eq!(response.status(), 400);
        let body: serde_json::Value = response.json().await.unwrap();
        assert_eq!(body["error"]["message"], "Invalid pagelen");
    }
    let beyond = rig.json(&token, "/2.0/repositories/acme?page=99").await;
    assert_eq!((beyond["values"].as_array().unwrap().len(), beyond.get("next")), (0, None));
}

#[tokio::test]
async fn a_listing_may_hide_its_size_and_its_page_numbers() {
    let template = "/2.0/repositories/{workspace}".to_owned();
    let world = large().behaving(|behaviour| {
        behaviour.opaque_next.insert(template.clone());
        behaviour.without_size.insert(template.clone());
    });
    let rig = rig(world).await;
    let token = workspace_token();
    let first = rig.json(&token, "/2.0/repositories/acme?pagelen=20").await;
    assert_eq!((first.get("size"), first.get("page")), (None, None));
    let next = first["next"].as_str().unwrap();
    assert!(!next.contains("page=2"), "{next}");
    let second = rig.json(&token, next).await;
    assert_eq!((second["values"].as_array().unwrap().len(), second.get("next")), (7, None));
    assert_eq!(rig.status(&token, "/2.0/repositories/acme?page=2").await, 400, "numbers are not tokens");
    let sized = rig.json(&token, "/2.0/workspaces/acme/projects").await;
    assert_eq!(sized["size"], 2, "other listings are as ever");
}

#[tokio::test]
async fn the_last_changed_come_first_if_asked_for() {
    let rig = rig(large()).await;
    rig.bitbucket.change(|world| world.touch_repository("engine")).unwrap();
    let path = "/2.0/repositories/acme?sort=-updated_on&pagelen=1&fields=values.slug";
    assert_eq!(rig.column(&workspace_token(), path, "/slug").await, ["engine"]);
    assert_eq!(rig.status(&workspace_token(), "/2.0/repositories/acme?sort=-whim").await, 400);
}

#[tokio::test]
async fn filters_reach_into_projects_and_people() {
    let rig = rig(world()).await;
    let token = workspace_token();
    let engine = "/2.0/repositories/acme?q=project.key%3D%22CORE%22%20AND%20slug%20~%20%22eng%22";
    assert_eq!(rig.column(&token, engine, "/slug").await, ["engine"]);
    let uuid = rig.uuid("linus");
    let of_linus = format!("/2.0/workspaces/acme/permissions/repositories?q=user.uuid%3D%22{uuid}%22");
    assert_eq!(rig.column(&token, &of_linus, "/repository/name").await, ["rocket"]);
    let everybody = "/2.0/workspaces/acme/permissions/repositories?pagelen=100";
    assert_eq!(rig.json(&token, everybody).await["size"], 4 + 3 + 1, "ada, grace, linus");
    assert_eq!(rig.status(&token, "/2.0/repositories/acme?q=nonsense").await, 400);
}

#[tokio::test]
async fn a_rename_keeps_the_uuid_and_a_move_the_grants() {
    let rig = rig(world()).await;
    let token = workspace_token();
    let before = rig.json(&token, "/2.0/repositories/acme/rocket").await;
    rig.bitbucket
        .change(|world| {
            world.rename_repository("rocket", "shuttle")?;
            world.move_repository("shuttle", "CORE")?;
            world.rename_workspace("acme-corp")
        })
        .unwrap();
    assert_eq!(rig.status(&token, "/2.0/repositories/acme/rocket").await, 404);
    let after = rig.json(&token, "/2.0/repositories/acme-corp/shuttle").await;
    assert_eq!((&after["uuid"], &after["project"]["key"]), (&before["uuid"], &"CORE".into()));
    assert_ne!(after["updated_on"], before["updated_on"]);
    assert_eq!(rig.json(&rig.person("grace"), "/2.0/repositories/acme-corp?role=member").await["size"], 4);
}
