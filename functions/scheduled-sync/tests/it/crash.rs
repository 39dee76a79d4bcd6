//! A run that breaks off after any of its writes, and is repeated, ends as one that did not.

use futures_util::{StreamExt as _, stream};
use rollcall_domain::mirror::Mirror;
use standin_bitbucket::{Level, On, Person, To};
use standin_faults::{Act, Matching, Refusal, When};

use crate::rig::{DAY, Rig, TICK, acme, essence};

/// A synced workspace in which then all kinds of things happen.
async fn after_a_day_of_changes() -> Rig {
    let rig = Rig::new(acme()).await;
    for who in ["grace", "linus", "eva", "sam"] {
        rig.sign_in(who).await;
    }
    rig.run().await;
    rig.run().await;
    rig.bitbucket
        .change(|world| {
            world.leave("linus")?;
            world.deactivate("sam")?;
            world.add_person(Person::member("kim", "Kim"))?;
            world.rename_group("developers", "Engineers", Some("engineers"))?;
            world.delete_group("readers")?;
            world.add_group("Auditors")?;
            world.add_to_group("auditors", "kim")?;
            world.delete_repository("doors")?;
            world.add_repository("INFRA", "ansible", true)?;
            world.move_repository("wheels", "INFRA")?;
            world.grant(On::Project("INFRA"), To::Group("auditors"), Level::Read)
        })
        .unwrap();
    rig.advance(DAY);
    rig
}

/// What the application was told, and how often.
async fn told(rig: &Rig) -> Vec<(usize, usize)> {
    let mut told = Vec::new();
    for kind in ["member.suspended", "team.created", "team.updated", "team.removed"] {
        told.push(rig.told(kind).await);
    }
    told
}

async fn clean() -> (Mirror, Vec<(usize, usize)>, u64) {
    let rig = after_a_day_of_changes().await;
    rig.table.forget_calls();
    rig.tick().await;
    let writes =
        rig.table.calls().iter().filter(|call| call.kind == standin_faults::Kind::Write).count() as u64;
    rig.tick().await;
    (essence(rig.mirror().await), told(&rig).await, writes)
}

/// As many databases and stand-ins at once: most of the time, each waits for a retry.
const AT_ONCE: usize = 12;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_before_or_after_every_single_write_converges_to_one_clean_run() {
    let (expected, expected_told, writes) = clean().await;
    assert!(writes > 8, "{writes} writes are no test");
    let cases = (1..=writes).flat_map(|nth| [(nth, Act::Crash), (nth, Act::CrashAfterwards)]);
    let check = |(nth, act): (u64, Act)| {
        let (expected, expected_told) = (&expected, &expected_told);
        async move {
            let rig = after_a_day_of_changes().await;
            rig.table.add(Matching::writes(), When::Nth(nth), act.clone());
            rig.advance(TICK);
            // The tick itself may be what fails.
            let broken = rig.try_tick().await;
            assert!(broken.is_err() || !rig.table.is_crashed(), "{act:?} at write {nth}: {broken:?}");
            rig.table.heal();
            rig.table.lift();
            rig.queued().await;
            for _ in 0..3 {
                rig.tick().await;
            }
            let case = format!("{act:?} at write {nth}");
            assert_same(&essence(rig.mirror().await), expected, &case);
            assert_eq!(&told(&rig).await, expected_told, "{case}");
        }
    };
    stream::iter(cases).map(check).buffer_unordered(AT_ONCE).collect::<()>().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn conflicts_throttling_and_lost_answers_on_the_way_change_nothing_about_the_end() {
    let (expected, expected_told, _) = clean().await;
    let conflict = || Refusal::canceled_by("TransactionConflict", 0);
    let cases = [
        (Matching::writes(), When::Every(3), Act::Refuse(Refusal::Throttled)),
        (Matching::operation("TransactWriteItems"), When::Every(2), Act::Refuse(conflict())),
        (Matching::writes(), When::Every(4), Act::DropAfterwards),
        (Matching::writes(), When::Every(5), Act::RefuseAfterwards(Refusal::Broken)),
    ];
    let check = |(matching, when, act): (Matching, When, Act)| {
        let (expected, expected_told) = (&expected, &expected_told);
        async move {
            let rig = after_a_day_of_changes().await;
            rig.table.add(matching, when, act.clone());
            rig.advance(TICK);
            let _ = rig.try_tick().await;
            rig.table.heal();
            for _ in 0..3 {
                rig.tick().await;
            }
            assert_same(&essence(rig.mirror().await), expected, &format!("{act:?}"));
            assert_eq!(&told(&rig).await, expected_told, "{act:?}");
        }
    };
    stream::iter(cases).map(check).buffer_unordered(AT_ONCE).collect::<()>().await;
}

/// Says what differs, and not everything there is.
fn assert_same(one: &Mirror, other: &Mirror, case: &str) {
    assert_eq!(one.people, other.people, "{case}");
    assert_eq!(one.teams, other.teams, "{case}");
    assert_eq!(one.projects, other.projects, "{case}");
    assert_eq!(one.repositories, other.repositories, "{case}");
    assert_eq!(one.responsibilities, other.responsibilities, "{case}");
    assert_eq!(one.members, other.members, "{case}");
}
