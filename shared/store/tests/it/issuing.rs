//! Many invites at once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rollcall_domain::audit::Actor;
use rollcall_domain::event::EventKind;
use rollcall_domain::invite::{Invite, InviteState};
use rollcall_domain::member::SuspensionReason;
use rollcall_domain::plan::Change;
use rollcall_domain::{InviteId, TokenHash};
use rollcall_store::{Context, NewInvite, Numbering, Record, Store, StoreError, testing};
use standin_faults::{Act, Matching, When};

use crate::aggregates::invite;
use crate::faults::behind_a_proxy;
use crate::support::{NOW, account, context, enter, hash, lease, member, record, ten, workspace};

fn told(invite: Invite) -> NewInvite {
    let mut record = record(invite.workspace, EventKind::InviteIssued);
    for event in &mut record.events {
        event.subject = invite.id.to_string();
    }
    for entry in &mut record.audit {
        entry.target = Some(invite.id.to_string());
    }
    NewInvite { record, ..NewInvite::first(invite) }
}

fn many(count: usize) -> Vec<NewInvite> {
    let ws = workspace(1);
    let one = |n| Invite {
        email: format!("p{n}@example.com").parse().unwrap(),
        ..invite(ws, &format!("link {n}"))
    };
    (0..count).map(|n| told(one(n))).collect()
}

/// The invites that links open, those of which the trail says that they were issued, and those of which the application was told.
async fn issued(store: &Store, count: usize) -> [BTreeSet<InviteId>; 3] {
    let ws = workspace(1);
    let mut open = BTreeSet::new();
    for n in 0..count {
        open.extend(store.invite_by_token(hash(&format!("link {n}"))).await.unwrap().map(|invite| invite.id));
    }
    let audit = store.audit_page(Some(ws), None, 300, true).await.unwrap().items;
    let events = store.events_after(ws, 0, 300).await.unwrap().items;
    let numbers: Vec<u64> = events.iter().map(|event| event.sequence).collect();
    assert_eq!(numbers, (1..=numbers.len() as u64).collect::<Vec<_>>(), "numbered without gaps");
    [
        open,
        audit.iter().map(|entry| entry.target.as_ref().unwrap().parse().unwrap()).collect(),
        events.iter().map(|event| event.event.subject.parse().unwrap()).collect(),
    ]
}

async fn pending(store: &Store) -> BTreeSet<InviteId> {
    let invites = store.invites(workspace(1), None, 300).await.unwrap().items;
    let void = store.voided(&invites).await.unwrap();
    invites.into_iter().map(|invite| invite.id).filter(|id| !void.contains(id)).collect()
}

#[tokio::test]
async fn a_hundred_invites_are_issued_in_three_transactions_one_after_the_other() {
    let (store, direct, proxy) = behind_a_proxy().await;
    let many = many(100);
    let known = store.numbering(workspace(1)).await.unwrap();
    proxy.forget_calls();
    // Calls that do not wait for one another are under way at the same time.
    proxy.add(Matching::anything(), When::Every(1), Act::Delay(300));
    assert_eq!(store.issue_invites(&many, None, known).await.unwrap(), BTreeSet::new());
    assert!(proxy.calls().iter().all(|call| call.operation == "TransactWriteItems"));
    assert_eq!(proxy.sequential_round_trips(), 3);
    let all: BTreeSet<InviteId> = many.iter().map(|new| new.invite.id).collect();
    assert_eq!(issued(&direct, 100).await, [all.clone(), all.clone(), all.clone()]);
    assert_eq!(pending(&direct).await, all);
}

#[tokio::test]
async fn whatever_breaks_off_while_many_are_issued_those_who_can_come_in_are_those_who_are_told_of() {
    const PEOPLE: usize = 40;
    let (store, _direct, proxy) = behind_a_proxy().await;
    store.issue_invites(&many(PEOPLE), None, Numbering::default()).await.unwrap();
    let calls = proxy.calls().len() as u64;
    let mut halves = 0;
    for nth in 1..=calls {
        for act in [Act::Crash, Act::CrashAfterwards] {
            let (store, direct, proxy) = behind_a_proxy().await;
            proxy.add(Matching::anything(), When::Nth(nth), act.clone());
            let many = many(PEOPLE);
            store.issue_invites(&many, None, Numbering::default()).await.unwrap_err();
            let [open, audit, events] = issued(&direct, PEOPLE).await;
            assert_eq!(open, audit, "{act:?} {nth}");
            assert_eq!(open, events, "{act:?} {nth}");
            assert_eq!(open, pending(&direct).await, "{act:?} {nth}");
            halves += usize::from(!open.is_empty() && open.len() < PEOPLE);

            // Whoever asks again gets all of them, each once.
            proxy.lift();
            proxy.heal();
            let ws = workspace(1);
            let addresses: Vec<_> = many.iter().map(|new| new.invite.email.clone()).collect();
            let last = store.invites_to(ws, &addresses).await.unwrap();
            let again: Vec<NewInvite> = many
                .iter()
                .map(|new| {
                    let last = last.get(&new.invite.email);
                    let id = InviteId::new(NOW, ten());
                    let anew = Invite { id, token: hash(&format!("again {id}")), ..new.invite.clone() };
                    let replaces =
                        last.map(|last| Invite { state: InviteState::Revoked { at: NOW }, ..last.clone() });
                    NewInvite { replaces, last: last.map(|last| last.id), ..told(anew) }
                })
                .collect();
            assert_eq!(
                store.issue_invites(&again, None, Numbering::default()).await.unwrap(),
                BTreeSet::new()
            );
            let pending: BTreeSet<_> = store
                .invites(ws, None, 300)
                .await
                .unwrap()
                .items
                .into_iter()
                .filter(|invite| invite.state == InviteState::Pending)
                .map(|invite| invite.id)
                .collect();
            assert_eq!(pending, again.iter().map(|new| new.invite.id).collect(), "{act:?} {nth}");
        }
    }
    assert!(halves > 0, "some of it was done when it broke off");
}

#[tokio::test]
async fn somebody_in_the_way_of_a_few_keeps_only_those_few() {
    let (store, direct, _proxy) = behind_a_proxy().await;
    let many = many(100);
    for taken in [3, 40, 70] {
        let faster = Invite {
            id: InviteId::new(NOW, ten()),
            token: hash(&format!("faster {taken}")),
            ..many[taken].invite.clone()
        };
        direct.issue_invites(&[told(faster)], None, Numbering::default()).await.unwrap();
    }
    let in_the_way = store.issue_invites(&many, None, Numbering::default()).await.unwrap();
    assert_eq!(in_the_way, [3, 40, 70].map(|taken: usize| many[taken].invite.id).into());
    let [open, audit, events] = issued(&direct, 100).await;
    assert_eq!(open.len(), 97);
    assert!(open.is_subset(&audit) && audit == events && audit.len() == 100);
}

#[tokio::test]
async fn an_issuer_who_was_changed_meanwhile_issues_nothing() {
    let (store, _direct, _proxy) = behind_a_proxy().await;
    let ws = workspace(1);
    enter(&store, &member(ws, 1), None, "token").await.unwrap();
    let issuer = store.member(ws, member(ws, 1).id).await.unwrap().unwrap();
    let mut demoted = issuer.clone();
    demoted.disable(NOW);
    store.update_member(&demoted, &issuer, None, Record::default()).await.unwrap();
    for count in [1, 100] {
        let outcome = store.issue_invites(&many(count), Some(&issuer), Numbering::default()).await;
        assert_eq!(outcome, Err(StoreError::Conflict { what: "issuer" }));
        for n in 0..count {
            assert_eq!(store.invite_by_token(hash(&format!("link {n}"))).await.unwrap(), None);
        }
    }
    store.issue_invites(&many(1), None, Numbering::default()).await.unwrap();
    let pending = store.invite_by_token(hash("link 0")).await.unwrap().unwrap();
    let anew = Invite { token: hash("anew"), issued_at: NOW.plus(Duration::from_mins(5)), ..pending.clone() };
    let outcome = store.update_invite(&anew, &pending, Some(&issuer), Record::default()).await;
    assert_eq!(outcome, Err(StoreError::Conflict { what: "issuer" }), "nor is anything sent again");
    assert_eq!(store.invite_by_token(hash("anew")).await.unwrap(), None);
}

/// Invites by a member, to nobody in particular, and to the member, each issued so long after the beginning of a run.
async fn issue_around(store: &Store, n: u8, after: Duration) -> [TokenHash; 2] {
    let ws = workspace(1);
    let secs = after.as_secs();
    let links = [hash(&format!("by {n} {secs}")), hash(&format!("to {n} {secs}"))];
    let by = Invite {
        email: format!("guest{n}.{secs}@example.com").parse().unwrap(),
        token: links[0],
        issued_by: Actor::Member { id: member(ws, n).id },
        issued_at: NOW.plus(after),
        ..invite(ws, "")
    };
    let to = Invite {
        email: format!("other{n}.{secs}@example.com").parse().unwrap(),
        token: links[1],
        pinned: Some(member(ws, n).identities[0].clone()),
        ..by.clone()
    };
    let to = Invite { id: InviteId::new(NOW, ten()), issued_by: Actor::Bootstrap, ..to };
    let new = [NewInvite::first(by), NewInvite::first(to)];
    assert_eq!(store.issue_invites(&new, None, Numbering::default()).await.unwrap(), BTreeSet::new());
    links
}

#[tokio::test]
async fn what_a_member_issues_while_a_long_run_comes_to_them_is_void_once_it_has_come() {
    const LAST: Duration = Duration::from_mins(9);
    let store = testing::store().await;
    let ws = workspace(1);
    for n in [1, 2] {
        enter(&store, &member(ws, n), None, &format!("session {n}")).await.unwrap();
    }
    // The second one's turn comes ten minutes after the run has begun to write.
    let minutes = AtomicU64::new(0);
    let clock = || NOW.plus(Duration::from_mins(minutes.fetch_add(10, Ordering::Relaxed)));
    let (held, evidence) = (lease(&store, ws).await, BTreeMap::new());
    let context = Context { clock: &clock, ..context(ws, &evidence) };
    let meanwhile = issue_around(&store, 2, LAST).await;
    // Asked for just before the turn, and written just before it as well: the clocks of two machines do not decide about it.
    let at_the_last_moment = issue_around(&store, 2, Duration::from_secs(601)).await;
    let afterwards = issue_around(&store, 2, Duration::from_mins(12)).await;
    let suspend = |n| Change::SuspendMember {
        member: member(ws, n).id,
        account: Some(account(n)),
        reason: SuspensionReason::LeftWorkspace,
    };
    let mut mirror = store.mirror(ws).await.unwrap();
    let plan = [suspend(1), suspend(2)];
    let applied = store.apply(&mut mirror, &plan, &held, &context, &mut || false).await.unwrap();
    assert_eq!((applied.changes, applied.passed_over.len()), (2, 0));
    let opens = async |link: TokenHash| store.invite_by_token(link).await.unwrap().is_some();
    assert!(!opens(meanwhile[0]).await && !opens(meanwhile[1]).await);
    assert!(!opens(at_the_last_moment[0]).await);
    assert!(
        opens(afterwards[0]).await && opens(afterwards[1]).await,
        "whoever is back may invite and be invited"
    );
}

#[tokio::test]
async fn numbers_that_are_out_of_date_cost_a_repetition_and_leave_no_gap() {
    let (store, direct, _proxy) = behind_a_proxy().await;
    let many = many(4);
    let old = store.numbering(workspace(1)).await.unwrap();
    for new in many.chunks(1) {
        store.issue_invites(new, None, old.clone()).await.unwrap();
    }
    assert_eq!(issued(&direct, 4).await[2].len(), 4);
}
