//! Whatever goes wrong while reading removes nobody and nothing.

use futures_util::{StreamExt as _, stream};
use rollcall_domain::connection::Health;
use rollcall_domain::event::EventKind;
use rollcall_domain::mirror::Mirror;
use rollcall_domain::run::is_stale;
use rollcall_store::runs::{Mode, RunStatus};
use standin_bitbucket::{Act, Fault, Liveness};

use crate::rig::{DAY, Rig, acme, essence};

const MEMBERS: &str = "/2.0/workspaces/{workspace}/members";
const OWNERS: &str = "/2.0/workspaces/{workspace}/permissions";
const GROUPS: &str = "/1.0/groups/{workspace}";

/// Every listing of a run.
const LISTINGS: [&str; 9] = [
    MEMBERS,
    OWNERS,
    GROUPS,
    "/2.0/repositories/{workspace}",
    "/2.0/workspaces/{workspace}/projects",
    "/2.0/workspaces/{workspace}/projects/{project_key}/permissions-config/groups",
    "/2.0/workspaces/{workspace}/projects/{project_key}/permissions-config/users",
    "/2.0/repositories/{workspace}/{repo_slug}/permissions-config/groups",
    "/2.0/repositories/{workspace}/{repo_slug}/permissions-config/users",
];

fn faults() -> Vec<Act> {
    let gone = |body: &str| Act::Answer {
        status: 410,
        media_type: "application/json".to_owned(),
        body: format!(r#"{{"type":"error","error":{{"message":"{body}"}}}}"#),
    };
    vec![
        Act::Status(401),
        Act::Status(403),
        Act::Status(404),
        gone("This endpoint was removed. See CHANGE-4711."),
        Act::Status(429),
        Act::Status(500),
        Act::Status(503),
        Act::Hang,
        Act::CutJson,
        Act::BreakOff,
        Act::Html200,
        Act::Text200,
        Act::Nothing200,
        Act::Redirect("http://127.0.0.1:9".to_owned()),
        Act::DuplicateRow,
        Act::RepeatRow,
        Act::OmitRow { hide: false },
        Act::EmptyPage,
        Act::EmptyListing,
        Act::LoopNext(1),
        Act::ForeignNext("http://127.0.0.1:9".to_owned()),
        Act::Size(3),
        Act::WrongWorkspace,
        Act::MissingId,
        Act::WrongType,
        Act::NotAnObject,
    ]
}

/// What an application would notice of a removal.
fn removed(before: &Mirror, after: &Mirror) -> Vec<String> {
    let mut removed = Vec::new();
    for (id, member) in &before.members {
        if after.members[id].standing != member.standing {
            removed.push(format!("member {}", member.name));
        }
    }
    for (uuid, person) in before.people.iter().filter(|(_, person)| !person.left) {
        let now = &after.people[uuid];
        if now.left || !now.teams.is_superset(&person.teams) || (person.owner && !now.owner) {
            removed.push(format!("person {}: {now:?}", person.display_name));
        }
    }
    let teams = before.teams.keys().filter(|id| after.teams[*id].removed);
    removed.extend(teams.map(|id| format!("team {id}")));
    let repositories = before.repositories.keys().filter(|uuid| after.repositories[*uuid].removed);
    removed.extend(repositories.map(|uuid| format!("repository {uuid}")));
    let responsibilities =
        before.responsibilities.iter().filter(|(key, level)| after.responsibilities.get(*key) != Some(level));
    removed.extend(responsibilities.map(|(key, _)| format!("responsibility {key:?}")));
    removed
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_fault_in_any_listing_removes_anything_and_the_next_good_run_finds_everything_in_place() {
    stream::iter(LISTINGS).map(try_all_faults).buffer_unordered(LISTINGS.len()).collect::<()>().await;
}

async fn try_all_faults(listing: &'static str) {
    let rig = Rig::new(acme()).await;
    for who in ["grace", "linus", "eva", "sam"] {
        rig.sign_in(who).await;
    }
    rig.run().await;
    rig.run().await;
    let before = rig.mirror().await;
    for act in faults() {
        let mut fault = Fault::at(listing, act.clone());
        if listing == GROUPS && act == (Act::OmitRow { hide: false }) {
            // Nothing tells that it is missing but a second look.
            fault = fault.once();
        }
        let fault = rig.bitbucket.fault(fault);
        rig.advance(DAY);
        let handled = rig.tick().await;
        assert!(rig.bitbucket.happened(fault) > 0, "{listing} is not read: {handled:?}");
        let after = rig.mirror().await;
        assert_eq!(removed(&before, &after), [""; 0], "{act:?} at {listing}");
        rig.bitbucket.heal();
        rig.bitbucket.forget_calls();
        // After whatever pause was asked for; and after what could not be read was read again.
        for _ in 0..2 {
            rig.advance(DAY);
            rig.tick().await;
        }
        let (now, health) = (rig.mirror().await, rig.connection().await.health);
        assert_eq!(essence(now), essence(before.clone()), "{act:?} at {listing}");
        assert_eq!(health, Health::Healthy, "{act:?} at {listing}");
    }
}

#[tokio::test]
async fn owners_and_groups_that_cannot_be_read_keep_nobody_in_who_has_provably_left() {
    for listing in [OWNERS, GROUPS] {
        let rig = Rig::new(acme()).await;
        let linus = rig.sign_in("linus").await;
        rig.run().await;
        let teams = rig.mirror().await.people[&rig.account("grace")].teams.clone();
        rig.bitbucket.fault(Fault::at(listing, Act::Status(403)));
        rig.bitbucket
            .change(|world| world.leave("linus").and_then(|()| world.delete_group("readers")))
            .unwrap();
        let record = rig.run().await;
        assert!(!rig.is_active(linus).await, "{listing}: {}", record.message);
        let health = rig.connection().await.health;
        assert!(matches!(&health, Health::Broken { why, .. } if why.contains("403")), "{health:?}");
        assert_eq!(record.status, RunStatus::Failed);
        if listing == GROUPS {
            assert_eq!(
                rig.mirror().await.people[&rig.account("grace")].teams,
                teams,
                "the teams stay as they are"
            );
        }
    }
}

#[tokio::test]
async fn a_removed_endpoint_freezes_everything_and_says_what_to_do_until_it_can_be_read_again() {
    let rig = Rig::new(acme()).await;
    let linus = rig.sign_in("linus").await;
    rig.run().await;
    rig.bitbucket.change(|world| {
        world.behaviour.groups_v1 = Liveness::Gone;
        world.leave("linus").unwrap();
    });
    let record = rig.run().await;
    assert_eq!(record.status, RunStatus::Failed);
    assert!(record.message.contains("Update Rollcall"), "{}", record.message);
    assert!(rig.is_active(linus).await, "nothing is done at all");
    let events = rig.told("sync.failed").await.1;
    assert_eq!((events, EventKind::SyncFailed.as_str()), (1, "sync.failed"));
    rig.advance(DAY);
    let record = rig.run().await;
    assert_eq!(record.lanes.len(), 1, "only the lane that found it out asks again");
    assert_eq!(rig.told("sync.failed").await.1, 1, "told once");
    assert!(matches!(rig.connection().await.health, Health::Broken { .. }));
    rig.bitbucket.change(|world| world.behaviour.groups_v1 = Liveness::Alive);
    rig.run().await;
    assert!(!rig.is_active(linus).await);
    rig.run().await;
    assert_eq!(rig.connection().await.health, Health::Healthy);
}

#[tokio::test]
async fn an_unaccepted_credential_is_told_with_what_to_do_and_nothing_else_is_asked() {
    let rig = Rig::new(acme()).await;
    rig.sign_in("linus").await;
    rig.run().await;
    rig.bitbucket.change(|world| world.delete_consumer(standin_bitbucket::SYNC_KEY)).unwrap();
    rig.advance(DAY);
    let record = rig.run().await;
    assert_eq!(record.status, RunStatus::Failed);
    let Health::Broken { why, .. } = rig.connection().await.health else { panic!("not broken") };
    assert!(why.contains("onnect"), "{why}");
    assert!(!rig.mirror().await.people.values().any(|person| person.left));
    let state = rig.state().await;
    let connected_at = rig.connection().await.created_at;
    rig.advance(2 * DAY);
    assert!(is_stale(&state, connected_at, rollcall_service::clock::Clock::now(&rig.clock)));
}

#[tokio::test]
async fn an_empty_answer_that_is_complete_is_held_back_and_an_admin_sees_why() {
    let rig = Rig::new(acme()).await;
    rig.run().await;
    rig.bitbucket.fault(Fault::at(GROUPS, Act::EmptyListing));
    let record = rig.run().await;
    assert_eq!(record.status, RunStatus::Frozen);
    assert!(record.message.contains("all 3 teams would be removed"), "{}", record.message);
    assert_eq!(rig.mirror().await.teams.values().filter(|team| team.removed).count(), 0);
    rig.bitbucket.heal();
    let record = rig.run().await;
    assert_eq!(record.status, RunStatus::Applied, "{}", record.message);
    assert!(rig.state().await.frozen.is_empty(), "nothing waits any more");
}

#[tokio::test]
async fn one_malformed_member_and_one_malformed_group_stay_and_the_others_proceed() {
    let rig = Rig::new(acme()).await;
    let linus = rig.sign_in("linus").await;
    rig.run().await;
    let before = rig.mirror().await;
    for act in [Act::WrongType, Act::MissingId, Act::NotAnObject] {
        let members = rig.bitbucket.fault(Fault::at(MEMBERS, act.clone()));
        let groups = rig.bitbucket.fault(Fault::at(GROUPS, act.clone()));
        rig.bitbucket
            .change(|world| {
                world.change_account("eva", |account| account.display_name = format!("Eva {act:?}"))
            })
            .unwrap();
        let record = rig.run().await;
        assert!(rig.bitbucket.happened(members) > 0 && rig.bitbucket.happened(groups) > 0);
        assert!(!record.kept.is_empty(), "{act:?}");
        assert_eq!(removed(&before, &rig.mirror().await), [""; 0], "{act:?}");
        rig.bitbucket.heal();
    }
    rig.bitbucket.change(|world| world.leave("linus")).unwrap();
    rig.run().await;
    assert!(!rig.is_active(linus).await);
}

#[tokio::test]
async fn a_leaver_whom_bitbucket_cannot_be_asked_about_stays_until_it_can() {
    let rig = Rig::new(acme()).await;
    let linus = rig.sign_in("linus").await;
    rig.run().await;
    rig.bitbucket.change(|world| world.leave("linus")).unwrap();
    let by_name = "/2.0/workspaces/{workspace}/members/{member}";
    for act in [Act::Status(500), Act::Status(403), Act::Hang, Act::Html200, Act::Status(404)] {
        // 404 for everybody, the known member included, proves nothing.
        rig.bitbucket.fault(Fault::at(by_name, act.clone()));
        let record = rig.run().await;
        assert!(rig.is_active(linus).await, "{act:?}");
        assert!(record.kept.iter().any(|kept| kept.what.contains("- member")), "{act:?}: {:?}", record.kept);
        rig.bitbucket.heal();
    }
    rig.run().await;
    assert!(!rig.is_active(linus).await);
}

#[tokio::test]
async fn a_plan_that_is_asked_for_shows_what_would_be_done_and_does_nothing() {
    let rig = Rig::new(acme()).await;
    let linus = rig.sign_in("linus").await;
    rig.run().await;
    rig.bitbucket.change(|world| world.leave("linus")).unwrap();
    let before = rig.mirror().await;
    let record = rig.ask(Mode::Plan).await;
    assert_eq!((record.status, record.written), (RunStatus::Planned, 0), "{}", record.message);
    assert_eq!(rig.mirror().await, before);
    assert!(rig.is_active(linus).await);
    let plan = rig
        .store
        .plan(rig.workspace, record.id, rollcall_domain::plan::Lane::Members)
        .await
        .unwrap()
        .unwrap();
    let text = rollcall_domain::plan::Readable::new(&plan, &before).to_string();
    assert!(text.contains("- member linus"), "{text}");
}
