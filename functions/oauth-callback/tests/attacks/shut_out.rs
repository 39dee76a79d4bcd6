//! Whoever is shut out stays out: by an invite from before, and by a sign-in that was under way.

use std::time::Duration;

use futures_util::future::join;
use http::StatusCode;
use rollcall_domain::audit::{Actor, AuditEntry};
use rollcall_domain::connection::{Health, Policy};
use rollcall_domain::identity::{Identity, Provider};
use rollcall_domain::member::{Member, State, SuspensionReason};
use rollcall_domain::{AuditId, WorkspaceId};
use rollcall_service::random::{self, SystemRandom};
use rollcall_store::connections::Connected;
use rollcall_store::{Record, RefusedSignIn};
use serde_json::json;
use standin_bitbucket::{Act, Email, Fault};

use crate::browser::Answer;
use crate::identities::{self, invite};
use crate::rig::{GRACE, INES, Rig};

/// A record as every change has one.
fn record(rig: &Rig, workspace: WorkspaceId) -> Record {
    let entry = AuditEntry {
        id: AuditId::new(rig.now(), random::bytes(&SystemRandom)),
        workspace: Some(workspace),
        at: rig.now(),
        actor: Actor::Bootstrap,
        action: "test".into(),
        target: None,
        why: String::new(),
        from: None,
        detail: json!({}),
    };
    Record { audit: vec![entry], events: Vec::new() }
}

async fn change(rig: &Rig, change: impl FnOnce(&mut Member)) {
    let before = rig.store.all_members(rig.workspace).await.unwrap().remove(0);
    let mut after = before.clone();
    change(&mut after);
    rig.store.update_member(&after, &before, None, record(rig, rig.workspace)).await.unwrap();
}

async fn is_active(rig: &Rig) -> bool {
    let members = rig.store.all_members(rig.workspace).await.unwrap();
    assert_eq!(members.len(), 1, "{members:#?}");
    members[0].state == State::Active
}

#[tokio::test]
async fn an_invite_to_a_second_address_does_not_outlive_the_suspension_of_whom_it_reaches() {
    const SECOND: &str = "hopper@private.example";
    let rig = Rig::new().await;
    let second = Email { address: SECOND.into(), primary: false, confirmed: true };
    rig.bitbucket
        .change(|world| world.change_account(GRACE, |account| account.emails.push(second.clone())))
        .unwrap();
    identities::member(&rig, Provider::Bitbucket, GRACE).await;
    let ines = rig.google.people().into_iter().find(|person| person.email.as_deref() == Some(INES)).unwrap();
    let linked = Identity { provider: Provider::Google, issuer: rig.google.issuer(), subject: ines.sub };
    change(&rig, |member| {
        member.by_bitbucket = true;
        member.by_invite = None;
        member.identities.push(linked);
    })
    .await;
    let from_before = [
        (invite(&rig, SECOND).await, Provider::Bitbucket, GRACE),
        (invite(&rig, INES).await, Provider::Google, INES),
    ];
    rig.advance(Duration::from_secs(1));
    let now = rig.now();
    change(&rig, |member| assert!(member.suspend(SuspensionReason::LeftWorkspace, None, now))).await;

    for (token, provider, person) in &from_before {
        let mut browser = rig.browser();
        let answer = browser.accept(token, *provider, person).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{provider}: {}", answer.body);
        assert_eq!(rig.failed_checks().await[0], "invite.raced");
        assert!(!browser.has_session() && !is_active(&rig).await, "{provider}");
    }

    // Who is invited anew, by somebody who knows of it, is let in.
    rig.advance(Duration::from_secs(1));
    let token = invite_anew(&rig).await;
    let mut browser = rig.browser();
    assert_eq!(browser.accept(&token, Provider::Bitbucket, GRACE).await.status, StatusCode::SEE_OTHER);
    assert!(is_active(&rig).await);
}

async fn invite_anew(rig: &Rig) -> String {
    rig.bitbucket
        .change(|world| {
            world.change_account(GRACE, |account| account.emails[1].address = "grace@again.example".into())
        })
        .unwrap();
    invite(rig, "grace@again.example").await
}

/// A sign-in of somebody whom the connection's policy lets in, while which, before it is decided, the connection is changed.
async fn sign_in_while(change: impl AsyncFnOnce(&Rig, Connected)) -> (Rig, StatusCode, bool) {
    const DECIDES: &str = "/2.0/user/emails";
    let rig = Rig::new().await;
    let connected = rig.connect().await;
    let (status, has_session) = {
        let mut browser = rig.browser();
        let start = browser.get(&format!("/login/bitbucket?workspace={}", rig.workspace)).await.location();
        let callback = crate::browser::at_provider(&start, GRACE).await;
        let held = rig.bitbucket.fault(Fault::at(DECIDES, Act::Wait));
        let changing = async {
            while rig.bitbucket.happened(held) == 0 {
                tokio::task::yield_now().await;
            }
            change(&rig, connected).await;
            rig.bitbucket.remove_fault(held);
        };
        let (answer, ()) = join(browser.get(&callback), changing).await;
        (answer.status, browser.has_session())
    };
    (rig, status, has_session)
}

#[tokio::test]
async fn a_disconnection_or_a_tighter_policy_during_a_sign_in_refuses_it() {
    let disconnected = sign_in_while(async |rig, mut connected| {
        connected.connection.health = Health::Disconnected { since: rig.now() };
        rig.store.disconnect(&connected, Record::default()).await.unwrap();
    });
    let tightened = sign_in_while(async |rig, mut connected| {
        connected.connection.settings.policy = Policy::AllRepositories;
        rig.store.update_connection(&connected, Record::default()).await.unwrap();
    });
    for (rig, status, has_session) in [disconnected.await, tightened.await] {
        assert_eq!((status, has_session), (StatusCode::BAD_REQUEST, false));
        assert_eq!(rig.failed_checks().await[0], "connection.changed");
        assert_eq!(rig.members().await, 0);
    }
}

#[tokio::test]
async fn a_run_that_notes_how_it_fared_during_a_sign_in_is_in_nobodys_way() {
    let (rig, status, has_session) = sign_in_while(async |rig, mut connected| {
        connected.connection.health = Health::Broken { since: rig.now(), why: "no answer".into() };
        rig.store.update_connection(&connected, Record::default()).await.unwrap();
    })
    .await;
    assert_eq!((status, has_session), (StatusCode::SEE_OTHER, true));
    assert_eq!(rig.members().await, 1);
}

#[tokio::test]
async fn a_workspace_that_does_not_exist_is_nowhere_to_sign_in_to_and_nothing_is_written_of_it() {
    let rig = Rig::new().await;
    rig.connect().await;
    let nowhere = WorkspaceId::new(rig.now(), [8; 10]);
    let mut browser = rig.browser();
    for provider in Provider::ALL {
        let answer = browser.get(&format!("/login/{provider}?workspace={nowhere}")).await;
        let not_there = browser.get("/login/nobody").await;
        assert_eq!((answer.status, not_there.status), (StatusCode::NOT_FOUND, StatusCode::NOT_FOUND));
        let without_id =
            |answer: &Answer| answer.body.replace(answer.headers["x-request-id"].to_str().unwrap(), "");
        assert_eq!(without_id(&answer), without_id(&not_there), "{provider}");
    }
    assert!(!rig.table().await.contains(&nowhere.to_string()));
}

/// Signs in to the workspace at the played Bitbucket and is refused; whom admins are shown then.
async fn refused(rig: &Rig, person: &str) -> Vec<RefusedSignIn> {
    let mut browser = rig.browser();
    let start = browser.get(&format!("/login/bitbucket?workspace={}", rig.workspace)).await.location();
    let callback = crate::browser::at_provider(&start, person).await;
    let answer = browser.get(&callback).await;
    assert_eq!((answer.status, browser.has_session()), (StatusCode::FORBIDDEN, false), "{}", answer.body);
    rig.store.refused_sign_ins(rig.workspace, None, 10).await.unwrap().items
}

#[tokio::test]
async fn admins_are_shown_whom_they_know_and_what_strangers_leave_behind_goes_by_itself() {
    let rig = Rig::new().await;
    rig.connect().await;
    rig.bitbucket.change(|world| world.leave("linus")).unwrap();
    assert_eq!(
        refused(&rig, "linus").await,
        [],
        "somebody with an account at Bitbucket, as anybody may have"
    );
    let trail = format!("{}#audit", rig.workspace);
    let rows = rig.store.client().scan().table_name(rig.store.table()).send().await.unwrap();
    let rows: Vec<_> =
        rows.items().iter().filter(|row| row["pk"].as_s().is_ok_and(|pk| *pk == trail)).collect();
    assert!(rows.len() == 1 && rows[0].contains_key("ttl"), "{rows:?}");

    // A member is known, whatever has become of them.
    identities::member(&rig, Provider::Bitbucket, GRACE).await;
    let now = rig.now();
    change(&rig, |member| assert!(member.disable(now))).await;
    let shown = refused(&rig, GRACE).await;
    assert_eq!((shown.len(), shown[0].identity.provider), (1, Provider::Bitbucket));
}
