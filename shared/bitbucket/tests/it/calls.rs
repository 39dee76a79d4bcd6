//! How many calls a lane makes, exactly, and how many at a time.

use std::time::Duration;

use crate::support::{Server, WORKSPACE, brisk, workspace};
use crate::world::World;

async fn server(world: World) -> Server {
    Server::start(world.script()).await
}

/// Reads the members lane and returns how many calls it made.
async fn members_lane(world: World) -> u64 {
    let server = server(world).await;
    let session = server.session(brisk());
    let read = session.read_members_lane(WORKSPACE.parse().unwrap()).await.unwrap();
    assert_eq!(read.members.seen().len() as u64, world.members);
    assert_eq!(read.owners.unwrap().len(), 3);
    let groups = read.groups.unwrap();
    assert_eq!(groups.seen().len() as u64, world.groups);
    let memberships: usize = groups.seen().entries().iter().map(|group| group.members.len()).sum();
    assert_eq!(memberships as u64, world.groups * world.group_size);
    assert_eq!(server.requests().len() as u64, session.budget().spent());
    session.budget().spent()
}

/// Reads the structure lane and returns how many calls it made.
async fn structure_lane(world: World) -> u64 {
    let server = server(world).await;
    let session = server.session(brisk());
    let read = session.read_structure_lane(WORKSPACE.parse().unwrap(), |_| true).await.unwrap();
    assert_eq!(read.repositories.seen().len() as u64, world.repositories);
    assert_eq!(read.projects.seen().len() as u64, world.projects);
    assert_eq!(read.grants.len() as u64, world.projects);
    assert!(read.grants.values().all(|grants| {
        grants.as_ref().is_ok_and(|grants| grants.groups.len() == 2 && grants.users.len() == 1)
    }));
    assert_eq!(server.requests().len() as u64, session.budget().spent());
    session.budget().spent()
}

#[tokio::test]
async fn the_members_lane_takes_a_call_for_each_hundred_members_and_three() {
    assert_eq!(members_lane(World::ORDINARY).await, 10 + 3);
    assert_eq!(members_lane(World::LARGE).await, 100 + 3);
}

#[tokio::test]
async fn where_a_page_of_members_holds_fifty_at_most_it_takes_a_call_for_each_fifty() {
    let world = World { most_members: 50, ..World::ORDINARY };
    assert_eq!(members_lane(world).await, 20 + 3);
}

#[tokio::test]
async fn the_structure_lane_takes_two_calls_for_each_project_besides_the_listings_and_two() {
    assert_eq!(structure_lane(World::ORDINARY).await, 20 + 1 + 2 * 100 + 2);
    assert_eq!(structure_lane(World::LARGE).await, 100 + 5 + 2 * 500 + 2);
}

#[tokio::test]
async fn the_structure_lane_asks_only_for_the_grants_that_are_wanted() {
    let server = server(World::ORDINARY).await;
    let session = server.session(brisk());
    let wanted = |project: &rollcall_domain::mirror::SeenProject| project.key.as_str() == "P7";
    let read = session.read_structure_lane(WORKSPACE.parse().unwrap(), wanted).await.unwrap();
    assert_eq!((read.grants.len(), session.budget().spent()), (1, 20 + 1 + 2 + 2));
}

#[tokio::test]
async fn pages_are_fetched_eight_at_a_time_and_never_more() {
    let script = World::LARGE.script();
    let server = Server::start(move |request| script(request).after(Duration::from_millis(5))).await;
    let session = server.session(brisk());
    let members = session.members(&workspace()).await.unwrap();
    assert_eq!(members.seen().len(), 10_000);
    assert_eq!(server.requests().iter().map(|request| request.at_once).max(), Some(8));
}

#[tokio::test]
async fn lanes_of_one_session_share_what_may_be_under_way() {
    let script = World::ORDINARY.script();
    let server = Server::start(move |request| script(request).after(Duration::from_millis(5))).await;
    let session = server.session(brisk());
    let uuid = WORKSPACE.parse().unwrap();
    let both = futures_util::future::join(
        session.read_members_lane(uuid),
        session.read_structure_lane(uuid, |_| true),
    );
    let (members, structure) = both.await;
    assert!(members.is_ok() && structure.is_ok());
    assert_eq!(server.requests().iter().map(|request| request.at_once).max(), Some(8));
}
