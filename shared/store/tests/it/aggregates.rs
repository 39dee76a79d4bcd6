//! Each aggregate keeps its promise.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::future::join_all;
use rollcall_domain::audit::Actor;
use rollcall_domain::event::EventKind;
use rollcall_domain::identity::{Identity, Provider};
use rollcall_domain::invite::{Delivery, Invite, InviteState};
use rollcall_domain::member::{InviteEntitlement, Role};
use rollcall_domain::{InviteId, Timestamp};
use rollcall_store::connections::CLAIM;
use rollcall_store::members::Entering;
use rollcall_store::{NewInvite, Numbering, Record, Store, StoreError, testing};

use crate::support::{NOW, Session, account, connected, enter, hash, member, record, ten, workspace};

#[tokio::test]
async fn of_two_workspaces_that_race_for_one_bitbucket_workspace_one_wins() {
    let store = testing::store().await;
    let attempts = (1..=8).map(|n| {
        let store = &store;
        async move { store.connect(&connected(workspace(n), 77), None, Record::default()).await }
    });
    let outcomes = join_all(attempts).await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
    for lost in outcomes.into_iter().filter_map(Result::err) {
        assert_eq!(lost, StoreError::Conflict { what: CLAIM });
    }
}

#[tokio::test]
async fn a_disconnected_bitbucket_workspace_can_be_connected_elsewhere_and_its_row_stays() {
    let store = testing::store().await;
    store.connect(&connected(workspace(1), 7), None, Record::default()).await.unwrap();
    let mut mine = store.connection(workspace(1)).await.unwrap().unwrap();
    mine.connection.health = rollcall_domain::connection::Health::Disconnected { since: NOW };
    store.disconnect(&mine, Record::default()).await.unwrap();
    assert!(!store.connection(workspace(1)).await.unwrap().unwrap().connection.is_connected());
    store.connect(&connected(workspace(2), 7), None, Record::default()).await.unwrap();
    assert_eq!(store.connected_to(mine.connection.bitbucket).await.unwrap(), Some(workspace(2)));
}

#[tokio::test]
async fn a_change_of_a_row_that_was_read_before_another_change_is_refused() {
    let store = testing::store().await;
    let ws = workspace(1);
    store.connect(&connected(ws, 7), None, Record::default()).await.unwrap();
    let read = store.connection(ws).await.unwrap().unwrap();
    store.update_connection(&read, Record::default()).await.unwrap();
    let late = store.update_connection(&read, record(ws, EventKind::SyncFailed)).await;
    assert_eq!(late, Err(StoreError::Conflict { what: "connection" }));
    assert!(store.events_after(ws, 0, 10).await.unwrap().items.is_empty(), "no event without its change");
    assert!(
        store.audit_page(Some(ws), None, 10, true).await.unwrap().items.is_empty(),
        "no entry without its change"
    );
}

#[tokio::test]
async fn events_are_numbered_without_gaps_however_many_write_at_once() {
    let store = testing::store().await;
    let ws = workspace(1);
    let writes = (1..=12).map(|n| {
        let store = &store;
        async move { enter(store, &member(ws, n), None, &format!("token {n}")).await }
    });
    for outcome in join_all(writes).await {
        outcome.unwrap();
    }
    let first = store.events_after(ws, 0, 5).await.unwrap();
    let rest = store.events_after(ws, first.items.last().unwrap().sequence, 100).await.unwrap();
    let numbers: Vec<u64> = first.items.iter().chain(&rest.items).map(|event| event.sequence).collect();
    assert_eq!(numbers, (1..=12).collect::<Vec<_>>());
    let entry = &store.audit_page(Some(ws), None, 1, true).await.unwrap().items[0];
    assert_eq!(entry.detail["nested"]["yes"], true, "what an entry carries is read back as it was written");
}

#[tokio::test]
async fn one_identity_is_one_member_however_often_it_enters_at_once() {
    let store = testing::store().await;
    let ws = workspace(1);
    let attempts = (1..=10).map(|n| {
        let store = &store;
        let mut same = member(ws, n);
        same.identities = vec![Identity::bitbucket("https://bitbucket.org", account(1))];
        async move { enter(store, &same, None, &format!("token {n}")).await }
    });
    let outcomes = join_all(attempts).await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
    assert_eq!(store.all_members(ws).await.unwrap().len(), 1);
    let mut sessions = 0;
    for n in 1..=10 {
        sessions +=
            usize::from(store.session::<Session>(hash(&format!("token {n}"))).await.unwrap().is_some());
    }
    assert_eq!(sessions, 1, "who was not let in has no session either");
}

#[tokio::test]
async fn a_login_state_is_used_once() {
    let store = testing::store().await;
    let ends = NOW.plus(Duration::from_mins(10));
    let uses = join_all((0..20).map(|_| store.use_login_state(hash("state"), ends))).await;
    assert_eq!(uses.into_iter().filter(|first| *first == Ok(true)).count(), 1);
}

#[tokio::test]
async fn attempts_are_counted_across_everybody_who_counts() {
    let store = testing::store().await;
    let counts = join_all((0..20).map(|_| store.count_attempt("sign-in#x#1", NOW))).await;
    let counts: BTreeSet<u64> = counts.into_iter().map(Result::unwrap).collect();
    assert_eq!(counts, (1..=20).collect());
}

pub(crate) fn invite(ws: rollcall_domain::WorkspaceId, token: &str) -> Invite {
    Invite {
        id: InviteId::new(NOW, ten()),
        workspace: ws,
        email: "grace@example.com".parse().unwrap(),
        pinned: None,
        role: Role::Member,
        teams: vec![],
        providers: BTreeSet::from([Provider::Google]),
        token: hash(token),
        issued_at: NOW,
        expires_at: NOW.plus(Duration::from_hours(24)),
        membership_until: None,
        issued_by: Actor::Bootstrap,
        inviter_name: "Ada".into(),
        note: None,
        state: InviteState::Pending,
        delivery: Delivery::LinkReturned,
        together: None,
        version: 0,
    }
}

async fn accept(store: &Store, invite: &Invite, n: u8) -> Result<(), StoreError> {
    let mut guest = member(invite.workspace, n);
    guest.identities =
        vec![Identity { provider: Provider::Google, issuer: "g".into(), subject: n.to_string() }];
    guest.by_invite =
        Some(InviteEntitlement { invite: invite.id, until: None, teams: vec![], warned_at: None });
    let accepted = Invite { state: InviteState::Accepted { at: NOW, member: guest.id }, ..invite.clone() };
    let session = Session { id: rollcall_domain::SessionId::new(NOW, ten()) };
    let session = (hash(&format!("guest {n}")), &session, NOW.plus(Duration::from_hours(1)));
    let Record { audit, events } = record(invite.workspace, EventKind::InviteAccepted);
    let entering = Entering {
        member: &guest,
        before: None,
        invite: Some(&accepted),
        connection: None,
        session,
        replaces: None,
        audit,
        events,
    };
    store.enter(entering).await
}

#[tokio::test]
async fn fifty_who_accept_one_invite_at_once_are_one_member_and_forty_nine_who_are_told() {
    let store = testing::store().await;
    let ws = workspace(1);
    store.issue_invites(&[NewInvite::first(invite(ws, "link"))], None, Numbering::default()).await.unwrap();
    let found = store.invite_by_token(hash("link")).await.unwrap().unwrap();
    let outcomes = join_all((1..=50).map(|n| accept(&store, &found, n))).await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
    assert!(outcomes.iter().filter_map(|outcome| outcome.as_ref().err()).all(StoreError::is_conflict));
    assert_eq!(store.all_members(ws).await.unwrap().len(), 1);
    assert_eq!(store.invite_by_token(hash("link")).await.unwrap(), None, "the link is used up");
}

#[tokio::test]
async fn an_invite_that_was_replaced_or_voided_is_found_by_no_link() {
    let store = testing::store().await;
    let ws = workspace(1);
    store.issue_invites(&[NewInvite::first(invite(ws, "first"))], None, Numbering::default()).await.unwrap();
    let first = store.invite_to(ws, &"grace@example.com".parse().unwrap()).await.unwrap().unwrap();
    let last = Some(first.id);
    let revoked = Invite { state: InviteState::Revoked { at: NOW }, ..first };
    let second = NewInvite { replaces: Some(revoked), last, ..NewInvite::first(invite(ws, "second")) };
    store.issue_invites(&[second], None, Numbering::default()).await.unwrap();
    assert_eq!(store.invite_by_token(hash("first")).await.unwrap(), None);
    assert!(store.invite_by_token(hash("second")).await.unwrap().is_some());

    let mut grace = member(ws, 1);
    grace.email = Some("grace@example.com".parse().unwrap());
    enter(&store, &grace, None, "t").await.unwrap();
    let before = store.member(ws, grace.id).await.unwrap().unwrap();
    let mut disabled = before.clone();
    disabled.disable(NOW);
    store.update_member(&disabled, &before, None, record(ws, EventKind::MemberDisabled)).await.unwrap();
    assert_eq!(store.invite_by_token(hash("second")).await.unwrap(), None, "what was issued before is void");
}

#[tokio::test]
async fn only_one_holds_the_lease_and_a_late_holder_is_told_apart() {
    let store = testing::store().await;
    let ws = workspace(1);
    let minute = Duration::from_mins(1);
    let taken = join_all((0..10).map(|n| {
        let (store, holder) = (&store, format!("run {n}"));
        async move { store.take_lease(ws, &holder, minute, NOW).await.unwrap() }
    }));
    let taken: Vec<_> = taken.await.into_iter().flatten().collect();
    assert_eq!(taken.len(), 1);
    let late = NOW.plus(minute);
    let next = store.take_lease(ws, "another", minute, late).await.unwrap().unwrap();
    assert!(next.fence > taken[0].fence);
    assert!(
        store
            .renew_lease(&taken[0], Timestamp::from_seconds(i64::MAX / 2000))
            .await
            .unwrap_err()
            .is_conflict()
    );
    store.release_lease(&next).await.unwrap();
    assert!(store.take_lease(ws, "third", minute, late).await.unwrap().unwrap().fence > next.fence);
}
