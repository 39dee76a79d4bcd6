//! What the guard holds back, and what an admin does about it.

use rollcall_domain::budget::Allowance;
use rollcall_domain::connection::{Health, Settings, Start};
use rollcall_domain::member::Role;
use rollcall_domain::plan::{Lane, PlanHash};
use rollcall_store::runs::{Mode, RunStatus};
use standin_bitbucket::{Person, Refused, World};

use crate::rig::{Rig, Way, acme};

const LEAVERS: [&str; 4] = ["grace", "linus", "eva", "sam"];

fn all_leave(world: &mut World) -> Result<(), Refused> {
    world.add_person(Person::member("kim", "Kim"))?;
    LEAVERS.iter().try_for_each(|who| world.leave(who))
}

/// Everybody but the owner leaves at once.
async fn frozen() -> Rig {
    let rig = Rig::new(acme()).await;
    for who in LEAVERS {
        rig.sign_in(who).await;
    }
    rig.run().await;
    rig.bitbucket.change(all_leave).unwrap();
    rig
}

async fn active(rig: &Rig) -> usize {
    rig.mirror()
        .await
        .members
        .values()
        .filter(|member| member.standing == rollcall_domain::mirror::MemberStanding::Active)
        .count()
}

#[tokio::test]
async fn too_many_leavers_are_held_back_while_newcomers_come_in_and_an_approval_lets_them_go() {
    let rig = frozen().await;
    let record = rig.run().await;
    assert_eq!(record.status, RunStatus::Frozen);
    assert!(record.message.contains("4 of 5 members would be removed"), "{}", record.message);
    assert_eq!(active(&rig).await, 5);
    assert!(rig.mirror().await.people.values().any(|person| person.display_name == "Kim"), "additions go on");
    assert!(matches!(rig.connection().await.health, Health::Frozen { .. }));
    assert_eq!(rig.told("sync.frozen").await.1, 1);
    let hash = record.plan_hash.unwrap();
    let shown = rig.store.plan(rig.workspace, record.id, Lane::Members).await.unwrap().unwrap();
    assert_eq!(shown.hash(), hash, "what is approved is what is shown");

    // It waits under the same hash, and is told once.
    let again = rig.run().await;
    assert_eq!((again.plan_hash.as_ref(), again.written), (Some(&hash), 0));
    assert_eq!(rig.told("sync.frozen").await.1, 1);

    let wrong = rig.ask(Mode::Approve { hash: PlanHash::claimed("0".repeat(64)) }).await;
    assert_eq!(wrong.status, RunStatus::Superseded, "{}", wrong.message);
    assert_eq!(active(&rig).await, 5);

    let approved = rig.ask(Mode::Approve { hash }).await;
    assert_eq!(approved.status, RunStatus::Applied, "{}", approved.message);
    assert_eq!(active(&rig).await, 1);
    assert_eq!(rig.connection().await.health, Health::Healthy);
    assert!(approved.evidence.iter().filter(|evidence| evidence["answer"]["answer"] == "gone").count() >= 4);
}

#[tokio::test]
async fn an_approval_is_void_if_the_plan_has_changed_since_it_was_shown() {
    let rig = frozen().await;
    let hash = rig.run().await.plan_hash.unwrap();
    rig.bitbucket.change(|world| world.join("sam", standin_bitbucket::Role::Member)).unwrap();
    let record = rig.ask(Mode::Approve { hash: hash.clone() }).await;
    // Three of five may go without approval: what is left needs none, and Sam stays.
    let sam = rig.account("sam");
    let mirror = rig.mirror().await;
    let standing = mirror.members.values().find(|member| member.account == Some(sam)).unwrap().standing;
    assert_eq!(standing, rollcall_domain::mirror::MemberStanding::Active, "{}", record.message);

    let rig = frozen().await;
    let hash = rig.run().await.plan_hash.unwrap();
    rig.bitbucket.change(|world| world.delete_group("readers")).unwrap();
    let record = rig.ask(Mode::Approve { hash: hash.clone() }).await;
    assert_eq!(record.status, RunStatus::Frozen, "{}", record.message);
    assert!(record.kept.iter().any(|kept| kept.what == "approval"));
    assert_ne!(record.plan_hash, Some(hash));
    assert_eq!(active(&rig).await, 5);
}

#[tokio::test]
async fn removals_that_are_turned_off_stay_off_whoever_approves() {
    let rig = frozen().await;
    rig.settings(|settings| settings.removals_off = true).await;
    let hash = rig.run().await.plan_hash.unwrap();
    let record = rig.ask(Mode::Approve { hash }).await;
    assert_eq!(record.status, RunStatus::Frozen);
    assert_eq!(active(&rig).await, 5);
    rig.settings(|settings| settings.removals_off = false).await;
    let hash = rig.run().await.plan_hash.unwrap();
    rig.ask(Mode::Approve { hash }).await;
    assert_eq!(active(&rig).await, 1);
}

#[tokio::test]
async fn the_last_admin_is_never_shut_out_without_an_approval() {
    let rig = Rig::empty(acme()).await;
    let admin = rig.enter("linus", Way::Bitbucket, Role::Admin).await;
    for who in ["ada", "grace", "eva", "sam"] {
        rig.sign_in(who).await;
    }
    rig.run().await;
    rig.bitbucket.change(|world| world.leave("linus")).unwrap();
    let record = rig.run().await;
    assert!(record.message.contains("last admin"), "{}", record.message);
    assert!(rig.is_active(admin).await);
}

#[tokio::test]
async fn a_quarter_in_a_day_is_all_that_goes_unseen_however_slowly() {
    let rig = Rig::new(acme()).await;
    for who in LEAVERS {
        rig.sign_in(who).await;
    }
    rig.run().await;
    for (left, who) in (1..).zip(LEAVERS) {
        rig.bitbucket.change(|world| world.leave(who)).unwrap();
        let record = rig.run().await;
        if left <= 3 {
            assert_eq!(active(&rig).await, 5 - left, "{}", record.message);
        } else {
            assert_eq!((record.status, active(&rig).await), (RunStatus::Frozen, 2));
            assert!(record.message.contains("within the last day"), "{}", record.message);
        }
    }
}

#[tokio::test]
async fn undo_brings_everything_back_and_what_would_go_again_waits_for_an_approval() {
    let rig = Rig::new(acme()).await;
    let (grace, linus) = (rig.sign_in("grace").await, rig.sign_in("linus").await);
    rig.sign_in("eva").await;
    rig.run().await;
    let before = rig.mirror().await;
    rig.bitbucket.change(|world| world.leave("linus").and_then(|()| world.delete_group("readers"))).unwrap();
    let done = rig.run().await;
    assert!(!rig.is_active(linus).await);
    let undone = rig.ask(Mode::Undo { run: done.id }).await;
    assert_eq!(undone.status, RunStatus::Applied, "{}", undone.message);
    assert!(rig.is_active(linus).await && rig.is_active(grace).await);
    assert_eq!(crate::rig::essence(rig.mirror().await), crate::rig::essence(before));
    assert_eq!(rig.told("member.restored").await, (1, 1));

    let record = rig.run().await;
    assert_eq!(record.status, RunStatus::Frozen, "{}", record.message);
    assert!(rig.is_active(linus).await);
    let again = rig.ask(Mode::Undo { run: done.id }).await;
    assert_eq!(again.written, 0, "undone once, there is nothing to undo");
    rig.ask(Mode::Approve { hash: record.plan_hash.unwrap() }).await;
    assert!(!rig.is_active(linus).await);

    let unknown = rig.ask(Mode::Undo { run: rig.message(Mode::Plan).run }).await;
    assert_eq!(unknown.status, RunStatus::Failed);
}

#[tokio::test]
async fn a_connection_that_asks_for_it_shows_its_first_plan_and_does_nothing_before_it_is_approved() {
    let settings = Settings { start: Start::Plan, ..Settings::default() };
    let rig = Rig::with(acme(), settings, Allowance::new(100_000, 0)).await;
    let record = rig.run().await;
    assert_eq!(record.status, RunStatus::Planned, "{}", record.message);
    assert!(rig.mirror().await.people.is_empty());
    assert!(matches!(rig.connection().await.health, Health::Frozen { .. }));
    let hash = record.plan_hash.clone().unwrap();
    let plan = rig.store.plan(rig.workspace, record.id, Lane::Members).await.unwrap().unwrap();
    assert_eq!(plan.hash(), hash);
    assert!(rig.store.plan(rig.workspace, record.id, Lane::Structure).await.unwrap().is_some());
    let again = rig.run().await;
    assert_eq!((again.status, again.plan_hash.as_ref()), (RunStatus::Planned, Some(&hash)));
    let approved = rig.ask(Mode::Approve { hash }).await;
    assert_eq!(approved.status, RunStatus::Applied, "{}", approved.message);
    let mirror = rig.mirror().await;
    assert_eq!((mirror.people.len(), mirror.repositories.len()), (5, 5));
    assert_eq!(rig.connection().await.health, Health::Healthy);
    assert_eq!(rig.run().await.status, RunStatus::Applied);
}
