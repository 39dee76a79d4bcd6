//! Accepting an invite: by the person it was issued to, once, in time.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::future::join_all;
use http::StatusCode;
use rollcall_domain::audit::{Actor, AuditEntry};
use rollcall_domain::authority::{Access, Reach};
use rollcall_domain::event::{EventKind, about_member};
use rollcall_domain::identity::{Identity, Provider};
use rollcall_domain::invite::{Delivery, Invite, InviteState, InviteStatus};
use rollcall_domain::member::{Member, Origin, Role, State, SuspensionReason};
use rollcall_domain::{AuditId, InviteId, Secret, TokenHash, TokenId};
use rollcall_store::{AdminToken, NewInvite, Numbering, Record};
use standin_openid::Person;

use crate::rig::{Answer, Browser, INES, Rig};

const TOKEN: &str = "a-token-of-the-invite-0123456789";

async fn issue(rig: &Rig, change: impl FnOnce(&mut Invite)) -> Invite {
    let mut invite = Invite {
        id: InviteId::new(rig.now(), [3; 10]),
        workspace: rig.workspace,
        email: INES.parse().unwrap(),
        pinned: None,
        role: Role::Member,
        teams: vec![],
        providers: BTreeSet::from([Provider::Google]),
        token: TokenHash::of(&Secret::new(TOKEN)),
        issued_at: rig.now(),
        expires_at: rig.now().plus(Duration::from_hours(24)),
        membership_until: None,
        issued_by: Actor::Bootstrap,
        inviter_name: "Ada <b>Lovelace</b>".into(),
        note: None,
        state: InviteState::Pending,
        delivery: Delivery::LinkReturned,
        together: None,
        version: 0,
    };
    change(&mut invite);
    rig.store.issue_invites(&[NewInvite::first(invite.clone())], None, Numbering::default()).await.unwrap();
    invite
}

async fn accept(browser: &mut Browser<'_>, person: &str) -> Answer {
    let start = browser.post("/invite/accept", &[("token", TOKEN), ("provider", "google")]).await;
    if start.status != StatusCode::SEE_OTHER {
        return start;
    }
    let callback = browser.at_provider(&start.location(), person).await;
    browser.get(&callback).await
}

async fn status(rig: &Rig, invite: &Invite) -> InviteStatus {
    rig.store.invite(rig.workspace, invite.id).await.unwrap().unwrap().status(rig.now())
}

#[tokio::test]
async fn the_invited_signs_in_and_is_a_member_and_the_link_is_used_up() {
    let rig = Rig::new().await;
    let invite = issue(&rig, |_| {}).await;
    let mut browser = rig.browser();
    let page = browser.get("/invite").await;
    assert_eq!(page.status, StatusCode::OK);
    let choice = browser.post("/invite/accept", &[("token", TOKEN)]).await;
    assert!(
        choice.body.contains("Join Acme &#38; Sons") && choice.body.contains("Ada &#60;b&#62;Lovelace"),
        "{}",
        choice.body
    );
    assert_eq!(status(&rig, &invite).await, InviteStatus::Pending, "looking uses nothing up");

    let done = accept(&mut browser, INES).await;
    assert_eq!(done.status, StatusCode::SEE_OTHER, "{}", done.body);
    assert!(browser.has_session());
    let members = rig.store.all_members(rig.workspace).await.unwrap();
    assert_eq!(members.len(), 1);
    let events = rig.store.events_after(rig.workspace, 0, 10).await.unwrap().items;
    let onboarded = events.iter().find(|told| told.event.kind == EventKind::MemberOnboarded).unwrap();
    let invited = serde_json::json!({ "invite": invite.id });
    assert_eq!(onboarded.event.data, about_member(&members[0], invited), "who they are is told whole");
    assert_eq!((members[0].origin, members[0].identities.len()), (Origin::Invite, 1));
    assert_eq!(status(&rig, &invite).await, InviteStatus::Accepted);
    let signed_in = browser.get("/login").await;
    assert!(signed_in.body.contains("You are signed in"), "{}", signed_in.body);

    let again = accept(&mut rig.browser(), INES).await;
    assert_eq!(again.status, StatusCode::NOT_FOUND);
    assert!(again.body.contains("This invite cannot be used"), "{}", again.body);
}

#[tokio::test]
async fn somebody_else_with_the_link_is_refused_and_the_invite_stays_pending() {
    let rig = Rig::new().await;
    let invite = issue(&rig, |_| {}).await;
    rig.google.control().put_person(Person::google("Eve", "eve@mail.example"));
    let mut browser = rig.browser();
    let answer = accept(&mut browser, "eve@mail.example").await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
    assert!(!browser.has_session());
    assert_eq!(status(&rig, &invite).await, InviteStatus::Pending);
    assert!(rig.store.all_members(rig.workspace).await.unwrap().is_empty());
}

#[tokio::test]
async fn an_address_that_the_provider_has_not_verified_is_nobodys() {
    for unverified in [None, Some(false.into()), Some("true".into()), Some(1.into())] {
        let rig = Rig::new().await;
        issue(&rig, |invite| invite.email = "eve@mail.example".parse().unwrap()).await;
        rig.google
            .control()
            .put_person(Person::google("Eve", "eve@mail.example").with_email_verified(unverified.clone()));
        let mut browser = rig.browser();
        accept(&mut browser, "eve@mail.example").await;
        assert!(!browser.has_session(), "{unverified:?}");
    }
}

#[tokio::test]
async fn used_unknown_expired_and_revoked_links_look_alike_to_the_visitor() {
    let mut pages = BTreeSet::new();
    for case in ["unknown", "used", "expired", "revoked", "ended", "voided", "never issued"] {
        let rig = Rig::new().await;
        let now = rig.now();
        match case {
            "unknown" => {}
            "used" => {
                issue(&rig, |_| {}).await;
                accept(&mut rig.browser(), INES).await;
            }
            "expired" => _ = issue(&rig, |invite| invite.expires_at = now).await,
            "revoked" => _ = issue(&rig, |invite| invite.state = InviteState::Revoked { at: now }).await,
            "ended" => _ = issue(&rig, |invite| invite.membership_until = Some(now)).await,
            "voided" => {
                let id = TokenId::new(now, [5; 10]);
                issue(&rig, |invite| invite.issued_by = Actor::Token { id }).await;
                revoke(&rig, id).await;
            }
            _ => _ = issue(&rig, |invite| invite.together = Some(invite.id)).await,
        }
        let answer = accept(&mut rig.browser(), INES).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{case}");
        let id = answer.headers["x-request-id"].to_str().unwrap().to_owned();
        pages.insert(answer.body.replace(&id, ""));
    }
    assert_eq!(pages.len(), 1, "{pages:#?}");
}

async fn revoke(rig: &Rig, id: TokenId) {
    let token = AdminToken {
        id,
        name: "leaked".into(),
        hash: TokenHash::of(&Secret::new("leaked")),
        reach: Reach::Deployment,
        access: Access::Write,
        made_by: Actor::Bootstrap,
        created_at: rig.now(),
        expires_at: None,
        used_at: None,
    };
    rig.store.create_admin_token(&token, Record::default()).await.unwrap();
    let record = Record { audit: vec![entry(rig)], ..Record::default() };
    rig.store.revoke_admin_token(&token, record).await.unwrap();
}

#[tokio::test]
async fn of_fifty_who_accept_at_once_one_is_a_member_and_the_others_are_told() {
    let rig = Rig::with_rate("10000").await;
    issue(&rig, |_| {}).await;
    let attempts = (0..50).map(|_| async {
        let mut browser = rig.browser();
        let answer = accept(&mut browser, INES).await;
        (browser.has_session(), answer)
    });
    let (in_, out): (Vec<_>, Vec<_>) = join_all(attempts).await.into_iter().partition(|(has, _)| *has);
    assert_eq!((in_.len(), out.len()), (1, 49));
    for (_, told) in out {
        assert_eq!(told.status, StatusCode::NOT_FOUND, "{}", told.body);
        assert!(told.body.contains("This invite cannot be used"), "{}", told.body);
    }
    assert_eq!(rig.store.all_members(rig.workspace).await.unwrap().len(), 1);
}

#[tokio::test]
async fn the_address_of_a_pinned_invite_is_nobodys_until_a_provider_has_verified_it() {
    let rig = Rig::new().await;
    rig.google.control().put_person(Person::google("Eve", "eve@mail.example"));
    let eve =
        rig.google.people().into_iter().find(|person| person.email.as_deref() == Some("eve@mail.example"));
    let pinned =
        Identity { provider: Provider::Google, issuer: rig.google.issuer(), subject: eve.unwrap().sub };
    issue(&rig, |invite| {
        invite.email = "chief@other.example".parse().unwrap();
        invite.pinned = Some(pinned.clone());
    })
    .await;
    let mut browser = rig.browser();
    accept(&mut browser, "eve@mail.example").await;
    assert!(browser.has_session());
    let member = rig.store.all_members(rig.workspace).await.unwrap().remove(0);
    assert_eq!(member.email, Some("eve@mail.example".parse().unwrap()), "what Google vouches for");
}

#[tokio::test]
async fn a_form_of_another_site_is_refused() {
    let rig = Rig::new().await;
    issue(&rig, |_| {}).await;
    let mut browser = rig.browser();
    // Without `Sec-Fetch-Site` and `Origin`, nothing says where it comes from.
    let answer = browser.send(http::Method::POST, "/invite/accept", None).await;
    assert!(answer.status.is_client_error(), "{}", answer.status);
}

#[tokio::test]
async fn a_member_by_invite_signs_in_again_until_the_membership_ends() {
    let rig = Rig::new().await;
    let end = rig.now().plus(Duration::from_hours(2));
    issue(&rig, |invite| invite.membership_until = Some(end)).await;
    let mut browser = rig.browser();
    accept(&mut browser, INES).await;
    let mut again = rig.browser();
    let start = again.get("/login/google").await;
    let callback = again.at_provider(&start.location(), INES).await;
    assert_eq!(again.get(&callback).await.status, StatusCode::SEE_OTHER);
    assert!(again.has_session());

    rig.clock.advance(Duration::from_hours(2));
    let page = again.get("/login").await;
    assert!(!page.body.contains("You are signed in"), "a session does not outlive the membership");
}

#[tokio::test]
async fn an_invite_to_another_address_of_theirs_does_not_bring_a_suspended_member_back() {
    let rig = Rig::new().await;
    issue(&rig, |_| {}).await;
    accept(&mut rig.browser(), INES).await;
    let member = rig.store.all_members(rig.workspace).await.unwrap().remove(0);
    let elsewhere = Member { email: Some("ines@elsewhere.example".parse().unwrap()), ..member.clone() };
    rig.store.update_member(&elsewhere, &member, None, Record::default()).await.unwrap();

    // A second invite waits, to the address that is not the one we know.
    rig.clock.advance(Duration::from_mins(1));
    let before = rig.store.member(rig.workspace, member.id).await.unwrap().unwrap();
    let another = InviteId::new(rig.now(), [4; 10]);
    let first = rig.store.invite_to(rig.workspace, &INES.parse().unwrap()).await.unwrap().unwrap();
    let invite = Invite {
        id: another,
        issued_at: rig.now(),
        state: InviteState::Pending,
        version: 0,
        ..first.clone()
    };
    let invite = NewInvite { last: Some(first.id), ..NewInvite::first(invite) };
    rig.store.issue_invites(&[invite], None, Numbering::default()).await.unwrap();
    let mut suspended = before.clone();
    assert!(suspended.suspend(SuspensionReason::LeftWorkspace, None, rig.now()));
    let record = Record { audit: vec![entry(&rig)], ..Record::default() };
    rig.store.update_member(&suspended, &before, None, record).await.unwrap();

    let mut browser = rig.browser();
    let answer = accept(&mut browser, INES).await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND, "{}", answer.body);
    assert!(!browser.has_session());
    let after = rig.store.member(rig.workspace, member.id).await.unwrap().unwrap();
    assert!(matches!(after.state, State::Suspended { .. }), "{:?}", after.state);
}

fn entry(rig: &Rig) -> AuditEntry {
    AuditEntry {
        id: AuditId::new(rig.now(), [9; 10]),
        workspace: Some(rig.workspace),
        at: rig.now(),
        actor: Actor::System,
        action: "member.suspended".to_owned(),
        target: None,
        why: "left".to_owned(),
        from: None,
        detail: serde_json::Value::Null,
    }
}
