//! Large worlds.

use standin_bitbucket::World;

use crate::support::rig;

/// The largest that a workspace of the tests is.
fn large() -> World {
    World::generated(7, 10_000, 10_000, 500, 200)
}

#[tokio::test]
async fn a_large_world_is_made_and_read_to_the_end() {
    let rig = rig(large()).await;
    let app = rig.app().await;
    for (path, size) in [
        ("/2.0/workspaces/acme/members?pagelen=100&fields=next,values.user.uuid", 10_000),
        ("/2.0/repositories/acme?pagelen=100&sort=-updated_on&fields=next,values.uuid", 10_000),
        ("/2.0/workspaces/acme/projects?pagelen=100", 500),
    ] {
        let mut uuids = std::collections::BTreeSet::new();
        let mut next = Some(path.to_owned());
        while let Some(path) = next {
            let page = rig.json(&app, &path).await;
            for row in page["values"].as_array().unwrap() {
                let uuid = row.get("uuid").or_else(|| row.pointer("/user/uuid")).unwrap();
                assert!(uuids.insert(uuid.to_string()), "twice: {uuid}");
            }
            next = page["next"].as_str().map(str::to_owned);
        }
        assert_eq!(uuids.len(), size, "{path}");
    }
    assert_eq!(rig.json(&app, "/1.0/groups/acme/").await.as_array().unwrap().len(), 200);
}

#[test]
fn the_same_numbers_make_the_same_world() {
    let world = || World::generated(3, 50, 60, 5, 4);
    assert_eq!(world().workspace(), world().workspace());
    assert_ne!(world().workspace(), World::generated(4, 50, 60, 5, 4).workspace());
}
