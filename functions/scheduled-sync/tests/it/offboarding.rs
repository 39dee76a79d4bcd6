//! Who leaves, who comes back, and whom the sync never touches.

use core::time::Duration;

use rollcall_domain::budget::Allowance;
use rollcall_domain::connection::{OffboardOn, Settings};
use rollcall_domain::member::{Role, State, SuspensionReason};
use rollcall_domain::plan::Caps;
use rollcall_store::Record;
use standin_bitbucket::{On, Person, Role as BitbucketRole, To};

use crate::rig::{DAY, MINUTE, Rig, Way, acme, changes};

#[tokio::test]
async fn a_leaver_is_suspended_at_the_next_tick_with_evidence_audit_and_event() {
    let rig = Rig::new(acme()).await;
    let (grace, linus) = (rig.sign_in("grace").await, rig.sign_in("linus").await);
    rig.run().await;
    rig.bitbucket.change(|world| world.leave("linus")).unwrap();
    let record = rig.run().await;
    assert_eq!(changes(&record), ["- member 1", "- person 1"]);

    let member = rig.member(linus).await;
    let State::Suspended { reason, run, .. } = member.state else { panic!("{:?}", member.state) };
    assert_eq!((reason, run), (SuspensionReason::LeftWorkspace, Some(record.id)));
    assert_eq!(member.epoch, 1, "sessions, codes and refresh tokens of the epoch before are void");
    assert!(rig.is_active(grace).await);
    assert_eq!(rig.told("member.suspended").await, (1, 1));
    let entry = rig.audit().await.into_iter().find(|entry| entry.action == "member.suspended").unwrap();
    assert_eq!(entry.detail["evidence"]["asked_by_name"]["answer"]["answer"], "gone");
    assert!(
        record.evidence.iter().any(|evidence| evidence["answer"]["answer"] == "gone"),
        "{:?}",
        record.evidence
    );
    assert!(record.evidence.iter().any(|evidence| evidence["listing"] == "members"));
    assert!(rig.metrics.total("Removals") >= 2.0);

    // Nothing more happens to them.
    assert_eq!(rig.run().await.written, 0);
}

#[tokio::test]
async fn who_comes_back_is_restored_as_the_same_member_and_who_was_disabled_is_not() {
    let rig = Rig::new(acme()).await;
    let (linus, sam) = (rig.sign_in("linus").await, rig.sign_in("sam").await);
    rig.run().await;
    let before = rig.member(sam).await;
    let mut disabled = before.clone();
    disabled.disable(rollcall_service::clock::Clock::now(&rig.clock));
    rig.store.update_member(&disabled, &before, None, Record::default()).await.unwrap();
    rig.bitbucket.change(|world| world.leave("linus").and_then(|()| world.leave("sam"))).unwrap();
    rig.run().await;
    assert!(!rig.is_active(linus).await);
    rig.bitbucket
        .change(|world| {
            for who in ["linus", "sam"] {
                world.join(who, BitbucketRole::Member)?;
                world.add_to_group("developers", who)?;
            }
            Ok::<(), standin_bitbucket::Refused>(())
        })
        .unwrap();
    let record = rig.run().await;
    assert!(changes(&record).contains(&"+ member 1".to_owned()), "{:?}", changes(&record));
    assert!(rig.is_active(linus).await);
    assert!(matches!(rig.member(sam).await.state, State::Disabled { .. }));
    assert_eq!(rig.told("member.restored").await, (1, 1));
}

#[tokio::test]
async fn a_deactivated_account_is_shut_out_and_one_that_only_a_group_calls_inactive_is_not() {
    let rig = Rig::new(acme()).await;
    let linus = rig.sign_in("linus").await;
    rig.run().await;
    rig.bitbucket.change(|world| world.deactivate("linus")).unwrap();
    let record = rig.run().await;
    assert!(!rig.is_active(linus).await, "{}", record.message);
    let State::Suspended { reason, .. } = rig.member(linus).await.state else { panic!() };
    assert_eq!(reason, SuspensionReason::Inactive);
    rig.bitbucket.change(|world| world.reactivate("linus")).unwrap();
    rig.run().await;
    assert!(rig.is_active(linus).await);
}

#[tokio::test]
async fn invited_ignored_people_and_bots_are_left_alone_whatever_happens_at_bitbucket() {
    let bot = Person { kind: standin_bitbucket::Kind::AppUser, ..Person::member("robot", "Robot") };
    let rig = Rig::new(acme().with_person(bot).with_members(&["kim"])).await;
    let invited = rig.invited("linus", None).await;
    let ignored = rig.sign_in("kim").await;
    let kim = rig.account("kim");
    rig.settings(|settings| settings.ignored = [kim].into()).await;
    rig.run().await;
    assert!(!rig.mirror().await.people.values().any(|person| person.display_name == "Robot"));
    rig.bitbucket.change(|world| world.leave("linus").and_then(|()| world.leave("kim"))).unwrap();
    rig.run().await;
    assert!(rig.is_active(invited).await && rig.is_active(ignored).await);
    assert_eq!(rig.told("member.suspended").await, (0, 0));
}

#[tokio::test]
async fn an_invited_membership_is_warned_of_its_end_once_and_ended_even_while_bitbucket_is_down() {
    let rig = Rig::new(acme()).await;
    let end = crate::rig::START.plus(Duration::from_hours(10 * 24));
    let guest = rig.invited("linus", Some(end)).await;
    rig.run().await;
    assert!(rig.member(guest).await.by_invite.unwrap().warned_at.is_none());
    rig.advance(4 * DAY);
    rig.run().await;
    assert!(rig.member(guest).await.by_invite.unwrap().warned_at.is_some());
    rig.run().await;
    assert_eq!(rig.told("member.updated").await.1, 1, "warned once");
    assert_eq!(rig.told("member.warned").await.0, 1);

    rig.bitbucket.fault(standin_bitbucket::Fault::at("/2.0/**", standin_bitbucket::Act::Status(503)));
    rig.advance(6 * DAY);
    rig.tick().await;
    let State::Suspended { reason, .. } = rig.member(guest).await.state else { panic!("still active") };
    assert_eq!(reason, SuspensionReason::InviteEnded);
    assert_eq!(rig.told("member.suspended").await, (1, 1), "with audit and event");
}

#[tokio::test]
async fn coverage_names_what_somebody_misses_and_lost_access_shuts_out_where_the_connection_says_so() {
    let caps = Caps { least: 10, percent: 25 };
    let settings = Settings { offboard_on: OffboardOn::LostAccess, caps, ..Settings::default() };
    let rig = Rig::with(acme().with_members(&["kim"]), settings, Allowance::new(100_000, 0)).await;
    let grace = rig.enter("grace", Way::Bitbucket, Role::Admin).await;
    rig.run().await;
    let coverage = rig.store.coverage(rig.workspace, grace).await.unwrap().unwrap();
    assert_eq!((coverage.of, coverage.missing, coverage.unread), (5, 0, 0));
    let eva = rig.sign_in("eva").await;
    rig.bitbucket.change(|world| world.revoke(On::Project("CORE"), To::Group("developers"))).unwrap();
    rig.bitbucket
        .change(|world| world.grant(On::Project("CORE"), To::Person("grace"), standin_bitbucket::Level::Read))
        .unwrap();
    rig.advance(DAY);
    let record = rig.run().await;
    assert!(rig.is_active(grace).await, "{}", record.message);
    assert!(!rig.is_active(eva).await, "{} {:?}", record.message, record.held);
    let coverage = rig.store.coverage(rig.workspace, eva).await.unwrap().unwrap();
    assert_eq!((coverage.missing, coverage.named.len()), (4, 4));
}

#[tokio::test]
async fn who_signs_in_while_a_run_is_reading_is_not_removed_by_what_it_read_before() {
    let rig = Rig::new(acme()).await;
    rig.run().await;
    rig.advance(15 * MINUTE);
    // The listing waits; meanwhile Kim joins the workspace and signs in.
    let fault = rig.bitbucket.fault(standin_bitbucket::Fault::at(
        "/2.0/workspaces/{workspace}/members",
        standin_bitbucket::Act::OmitRow { hide: true },
    ));
    let linus = rig.sign_in("linus").await;
    rig.try_tick().await.unwrap();
    assert!(rig.bitbucket.happened(fault) > 0);
    assert!(rig.is_active(linus).await, "asked for by name, everybody is still there");
    assert_eq!(rig.mirror().await.people.values().filter(|person| person.left).count(), 0);
}
