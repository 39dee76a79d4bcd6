//! Large workspaces and small budgets: what one run cannot do, the next ticks go on with, and nothing is asked for twice.

use core::time::Duration;
use std::collections::BTreeMap;

use rollcall_domain::budget::Allowance;
use rollcall_domain::connection::{Health, Settings};
use rollcall_domain::plan::Lane;
use rollcall_scheduled_sync::{Handled, SyncMessage};
use rollcall_service::clock::Clock as _;
use rollcall_store::runs::{Mode, RunStatus};
use standin_bitbucket::World;

use crate::rig::{DAY, Rig, acme};

const REPOSITORIES: usize = 60;
const PROJECTS: usize = 12;

fn world() -> World {
    World::generated(5, 30, REPOSITORIES, PROJECTS, 6)
}

/// How often each path was asked that ends so.
fn asked(rig: &Rig, part: &str) -> BTreeMap<String, usize> {
    let mut asked = BTreeMap::new();
    for request in rig.bitbucket.requests().iter().filter(|request| request.path.contains(part)) {
        *asked.entry(request.path.clone()).or_default() += 1;
    }
    asked
}

#[tokio::test]
async fn a_lap_takes_as_many_ticks_as_the_budget_needs_and_asks_for_nothing_twice() {
    // 100 calls an hour: 25 of them are the members lane's, 10 are kept for sign-ins.
    let rig = Rig::with(world(), Settings::default(), Allowance::new(100, 10)).await;
    rig.sign_in("person-2").await;
    let mut ticks = 0;
    while rig.state().await.verified.is_none() {
        ticks += 1;
        assert!(ticks < 40, "the lap never ends: {:?}", rig.state().await);
        let handled = rig.tick().await;
        for handled in handled {
            let Handled::Ran(record) = handled else { continue };
            // Where the hour's calls end within the members lane, the run says so, and the next tick reads it.
            let unread = record.message.contains("could not be read");
            assert_eq!(record.status == RunStatus::Failed, unread, "{}", record.message);
        }
        assert_eq!(rig.connection().await.health, Health::Healthy);
    }
    assert!(ticks > 4, "the budget was no limit");
    let projects = asked(&rig, "/projects/");
    assert_eq!(projects.len(), 2 * PROJECTS);
    assert!(projects.values().all(|times| *times == 1), "{projects:?}");
    let groups: BTreeMap<_, _> = asked(&rig, "/permissions-config/groups")
        .into_iter()
        .filter(|(path, _)| path.contains("/repositories/"))
        .collect();
    assert_eq!(groups.len(), REPOSITORIES);
    assert!(groups.values().all(|times| *times == 1), "{groups:?}");
    let users: BTreeMap<_, _> = asked(&rig, "/permissions-config/users")
        .into_iter()
        .filter(|(path, _)| path.contains("/repositories/"))
        .collect();
    // Public ones are read by anybody, and of some the project says enough.
    assert!((30..=REPOSITORIES - REPOSITORIES / 10).contains(&users.len()), "{}", users.len());
    assert!(users.values().all(|times| *times == 1), "{users:?}");
    assert_eq!(rig.bitbucket.count("/2.0/repositories/{workspace}"), 1, "listed once in the lap");
    // The members lane was never starved: it ran at every tick.
    assert_eq!(rig.bitbucket.count("/2.0/workspaces/{workspace}/members"), ticks);
    let verified = rig.state().await.verified.unwrap();
    assert_eq!((verified.private_repositories, verified.added_since), (REPOSITORIES - REPOSITORIES / 10, 0));
}

#[tokio::test]
async fn the_mirror_after_many_small_runs_equals_that_of_one_large_one() {
    let large = Rig::empty(world()).await;
    let small = Rig::with(world(), Settings::default(), Allowance::new(100, 10)).await;
    for rig in [&large, &small] {
        rig.sign_in("person-2").await;
        while rig.state().await.verified.is_none() {
            rig.tick().await;
        }
    }
    assert_eq!(
        crate::rig::essence(small.mirror().await).repositories,
        crate::rig::essence(large.mirror().await).repositories
    );
    assert_eq!(small.mirror().await.responsibilities, large.mirror().await.responsibilities);
    assert_eq!(small.mirror().await.people, large.mirror().await.people);
}

#[tokio::test]
async fn a_run_near_its_deadline_stops_in_time_and_the_next_tick_goes_on() {
    let rig = Rig::empty(world()).await;
    rig.advance(crate::rig::TICK);
    // 10 seconds are kept for the end of a run.
    let deadline = rig.clock.now().plus(Duration::from_secs(9));
    let message = SyncMessage::scheduled(rig.workspace, rig.clock.now());
    let Handled::Ran(record) = rig.engine.handle_message(&message, deadline).await.unwrap() else {
        panic!("no run")
    };
    assert!(record.message.contains("later tick"), "{}", record.message);
    assert_eq!(rig.mirror().await.people.len(), 0);
    rig.run().await;
    assert_eq!(rig.mirror().await.people.len(), 30);
    assert_eq!(rig.mirror().await.repositories.len(), REPOSITORIES);
}

#[tokio::test]
async fn a_private_repository_that_appears_makes_the_verified_set_stand_for_nobody() {
    let rig = Rig::empty(world()).await;
    rig.run().await;
    let before = rig.state().await.verified.unwrap();
    rig.bitbucket.change(|world| world.add_repository("P1", "secret", true)).unwrap();
    rig.advance(DAY);
    rig.bitbucket.fault(standin_bitbucket::Fault::at(
        "/2.0/repositories/{workspace}/{repo_slug}/permissions-config/groups",
        standin_bitbucket::Act::Status(500),
    ));
    rig.tick().await;
    let verified = rig.state().await.verified.unwrap();
    assert_eq!((verified.lap_ended_at, verified.added_since), (before.lap_ended_at, 1));
    rig.bitbucket.heal();
    // The lap that could not read everything ends, and proves nothing; the next one does.
    for _ in 0..2 {
        rig.advance(DAY);
        rig.tick().await;
    }
    let verified = rig.state().await.verified.unwrap();
    assert_eq!(verified.added_since, 0);
    assert_ne!(verified.private_digest, before.private_digest);
    assert!(rig.state().await.lane(Lane::Grants).trouble.is_none());
}

#[tokio::test]
async fn a_pause_that_bitbucket_asks_for_ends_the_run_and_is_kept_to() {
    let rig = Rig::empty(world()).await;
    rig.sign_in("person-2").await;
    rig.run().await;
    rig.bitbucket.fault(
        standin_bitbucket::Fault::at(
            "/2.0/workspaces/{workspace}/members",
            standin_bitbucket::Act::Status(429),
        )
        .once(),
    );
    let record = rig.run().await;
    assert!(record.message.contains("pause"), "{}", record.message);
    assert_eq!(rig.connection().await.health, Health::Healthy, "a pause is no trouble");
    rig.bitbucket.forget_requests();
    rig.advance(Duration::from_mins(1));
    let asked = rig.ask(rollcall_store::runs::Mode::Apply).await;
    assert_eq!(asked.calls, 0, "{}", asked.message);
    assert_eq!(rig.run().await.status, RunStatus::Applied);
}

#[tokio::test]
async fn a_run_that_has_no_calls_for_the_members_does_not_end_as_if_nothing_had_changed() {
    let rig = Rig::with(acme(), Settings::default(), Allowance::new(2, 0)).await;
    let record = rig.ask(Mode::Apply).await;
    assert_eq!(record.status, RunStatus::Failed, "{}", record.message);
    assert!(record.message.contains("It could not be read who is in the workspace"), "{}", record.message);
}
