//! The same event twice, at once, or late: one effective run.

use rollcall_scheduled_sync::{EngineError, Handled, SyncMessage};
use rollcall_service::clock::Clock as _;
use rollcall_store::runs::Mode;
use standin_bitbucket::{Act, Fault};

use crate::rig::{DAY, Rig, TICK, acme};

const MEMBERS: &str = "/2.0/workspaces/{workspace}/members";

#[tokio::test]
async fn a_message_that_comes_again_is_done_once() {
    let rig = Rig::new(acme()).await;
    rig.advance(TICK);
    rig.engine.handle_tick(rig.clock.now()).await.unwrap();
    rig.engine.handle_tick(rig.clock.now()).await.unwrap();
    let messages = rig.queued().await;
    assert_eq!(messages.len(), 2);
    assert_eq!(messages[0], messages[1], "a tick that is delivered twice asks for one run");
    let first = rig.engine.handle_message(&messages[0], rig.deadline()).await.unwrap();
    assert!(matches!(first, Handled::Ran(_)));
    let calls = rig.bitbucket.count(MEMBERS);
    let second = rig.engine.handle_message(&messages[1], rig.deadline()).await.unwrap();
    assert_eq!(second, Handled::AlreadyDone);
    assert_eq!(rig.bitbucket.count(MEMBERS), calls);

    let asked = rig.message(Mode::Apply);
    let first = rig.engine.handle_message(&asked, rig.deadline()).await.unwrap();
    assert!(matches!(first, Handled::Ran(_)));
    assert_eq!(rig.engine.handle_message(&asked, rig.deadline()).await.unwrap(), Handled::AlreadyDone);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_runs_at_once_are_one_run_and_whoever_asked_for_the_other_gets_it_later() {
    let rig = Rig::new(acme()).await;
    let linus = rig.sign_in("linus").await;
    rig.run().await;
    rig.bitbucket.change(|world| world.leave("linus")).unwrap();
    rig.advance(TICK);
    let waits = rig.bitbucket.fault(Fault::at(MEMBERS, Act::Delay(200)));
    let tick = |minutes: i64| rig.clock.now().plus(core::time::Duration::from_mins(minutes.unsigned_abs()));
    let (one, other) =
        (SyncMessage::scheduled(rig.workspace, tick(0)), SyncMessage::scheduled(rig.workspace, tick(15)));
    let asked = rig.message(Mode::Apply);
    let late = async {
        rig.bitbucket
            .wait_for(core::time::Duration::from_secs(5), |control| {
                (control.happened(waits) > 0).then_some(())
            })
            .await;
        (
            rig.engine.handle_message(&other, rig.deadline()).await,
            rig.engine.handle_message(&asked, rig.deadline()).await,
        )
    };
    let (first, (second, third)) = tokio::join!(rig.engine.handle_message(&one, rig.deadline()), late);
    assert!(matches!(first.unwrap(), Handled::Ran(_)));
    assert_eq!(second.unwrap(), Handled::UnderWay);
    assert_eq!(third.unwrap_err(), EngineError::Busy, "the queue delivers it again");
    rig.bitbucket.heal();
    assert!(matches!(rig.engine.handle_message(&asked, rig.deadline()).await.unwrap(), Handled::Ran(_)));
    assert!(!rig.is_active(linus).await);
    assert_eq!(rig.told("member.suspended").await, (1, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_outlives_its_lease_cannot_write_any_more() {
    let rig = Rig::new(acme()).await;
    let linus = rig.sign_in("linus").await;
    rig.run().await;
    rig.bitbucket.change(|world| world.leave("linus")).unwrap();
    rig.advance(TICK);
    let by_name = "/2.0/workspaces/{workspace}/members/{member}";
    let asleep = rig.bitbucket.fault(Fault::at(by_name, Act::Delay(300)).once());
    let slow = SyncMessage::scheduled(rig.workspace, rig.clock.now());
    let next = async {
        rig.bitbucket
            .wait_for(core::time::Duration::from_secs(5), |control| {
                (control.happened(asleep) > 0).then_some(())
            })
            .await;
        // Its lease has ended, and the next tick's run comes. By then Linus is back.
        rig.advance(TICK);
        rig.bitbucket
            .change(|world| {
                world
                    .join("linus", standin_bitbucket::Role::Member)
                    .and_then(|()| world.add_to_group("developers", "linus"))
            })
            .unwrap();
        let next = SyncMessage::scheduled(rig.workspace, rig.clock.now());
        rig.engine.handle_message(&next, rig.deadline()).await.unwrap()
    };
    let deadline = rig.deadline();
    let (slow, next) = tokio::join!(rig.engine.handle_message(&slow, deadline), next);
    assert!(matches!(next, Handled::Ran(_)), "{next:?}");
    assert!(matches!(slow, Ok(Handled::Overtaken)), "{slow:?}");
    assert!(rig.is_active(linus).await, "what the slow one had read is not acted on");
}

#[tokio::test]
async fn a_tick_that_comes_late_does_what_is_due_then() {
    let rig = Rig::new(acme()).await;
    let message = SyncMessage::scheduled(rig.workspace, rig.clock.now());
    rig.advance(DAY);
    assert!(matches!(rig.engine.handle_message(&message, rig.deadline()).await.unwrap(), Handled::Ran(_)));
    // The tick of that moment finds nothing to do.
    let handled = rig.try_tick().await.unwrap();
    assert_eq!(handled, [Handled::NothingDue]);
}

#[tokio::test]
async fn a_workspace_that_was_disconnected_is_not_synced_and_nobody_is_suspended() {
    let rig = Rig::new(acme()).await;
    let linus = rig.sign_in("linus").await;
    rig.run().await;
    let mut connected = rig.store.connection(rig.workspace).await.unwrap().unwrap();
    connected.connection.health =
        rollcall_domain::connection::Health::Disconnected { since: rig.clock.now() };
    rig.store.disconnect(&connected, rollcall_store::Record::default()).await.unwrap();
    rig.bitbucket.change(|world| world.leave("linus")).unwrap();
    rig.bitbucket.forget_requests();
    assert_eq!(rig.tick().await, []);
    let asked = rig.message(Mode::Apply);
    assert_eq!(rig.engine.handle_message(&asked, rig.deadline()).await.unwrap(), Handled::NotConnected);
    assert!(rig.bitbucket.requests().is_empty() && rig.is_active(linus).await);
}
