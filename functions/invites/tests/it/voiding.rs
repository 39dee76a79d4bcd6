//! What becomes of invites when those who issued or were to accept them are shut out.

use core::time::Duration;

use rollcall_admin::testing::{As, Call};
use rollcall_domain::authority::{Access, Reach};
use rollcall_domain::member::{Member, Role, SuspensionReason};
use rollcall_domain::{Secret, TokenHash};
use rollcall_store::Record;
use serde_json::json;

use crate::support::World;

async fn change(world: &World, before: &Member, change: impl FnOnce(&mut Member)) -> Member {
    let mut after = before.clone();
    change(&mut after);
    world.deployment.admin.store().update_member(&after, before, None, record(world)).await.unwrap();
    Member { version: after.version + 1, ..after }
}

fn record(world: &World) -> Record {
    let entry = rollcall_domain::audit::AuditEntry {
        id: world.deployment.admin.new_id(world.deployment.admin.now()),
        workspace: Some(world.workspace),
        at: world.deployment.admin.now(),
        actor: rollcall_domain::audit::Actor::Bootstrap,
        action: "test".into(),
        target: None,
        why: String::new(),
        from: None,
        detail: json!({}),
    };
    Record { audit: vec![entry], events: Vec::new() }
}

async fn status(world: &World, id: &str) -> String {
    let one = world.send(Call::new("GET", world.path(&format!("/{id}"))).by(&As::bootstrap())).await;
    let listed = world.send(Call::new("GET", world.path("?limit=100")).by(&As::bootstrap())).await;
    let items = listed.json["items"].as_array().unwrap();
    let in_list = items.iter().find(|item| item["id"] == id).unwrap()["status"].as_str().unwrap();
    assert_eq!(one.text_at("/status"), in_list);
    in_list.to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_inviter_has_issued_is_void_once_they_are_demoted_suspended_or_disabled() {
    let world = World::start().await;
    let (other, other_session) = world.deployment.member(world.workspace, "other", Role::Admin).await;
    for (at, name) in ["demoted", "suspended", "disabled"].into_iter().enumerate() {
        let (inviter, session) = world.deployment.member(world.workspace, name, Role::Admin).await;
        let theirs = world.invite(&session, json!([{"email": format!("a{at}@example.com")}])).await;
        let others = world.invite(&other_session, json!([{"email": format!("b{at}@example.com")}])).await;
        world.deployment.clock.advance(Duration::from_secs(1));
        let now = world.deployment.admin.now();
        change(&world, &inviter, |member| match name {
            "demoted" => member.role = Role::Member,
            "suspended" => {
                member.suspend(SuspensionReason::LeftWorkspace, None, now);
            }
            _ => {
                member.disable(now);
            }
        })
        .await;
        assert!(world.found(theirs.text_at("/items/0/link")).await.is_none(), "{name}");
        assert_eq!(status(&world, theirs.text_at("/items/0/invite/id")).await, "revoked", "{name}");
        assert!(world.found(others.text_at("/items/0/link")).await.is_some(), "{name}");
        assert_eq!(status(&world, others.text_at("/items/0/invite/id")).await, "pending");

        // Another admin may send it again, and answers for it from then on.
        world.deployment.clock.advance(Duration::from_secs(1));
        let path = world.path(&format!("/{}/resend", theirs.text_at("/items/0/invite/id")));
        let again = world.send(Call::new("POST", path).by(&other_session)).await;
        assert_eq!(again.status, 200, "{}", again.text);
        assert!(world.found(again.text_at("/link")).await.is_some());
    }
    assert_eq!(other.role, Role::Admin);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_shut_out_loses_the_invites_that_wait_for_them() {
    let world = World::start().await;
    let (member, _) = world.deployment.member(world.workspace, "grace", Role::Member).await;
    let waiting = world.invite(&As::bootstrap(), json!([{"email": "grace@example.com"}])).await;
    world.deployment.clock.advance(Duration::from_secs(1));
    let now = world.deployment.admin.now();
    change(&world, &member, |member| {
        member.suspend(SuspensionReason::LeftWorkspace, None, now);
    })
    .await;
    assert!(world.found(waiting.text_at("/items/0/link")).await.is_none());
    assert_eq!(status(&world, waiting.text_at("/items/0/invite/id")).await, "revoked");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_token_or_a_machine_has_issued_is_void_once_it_is_gone() {
    let world = World::start().await;
    let store = world.deployment.admin.store();
    let token = world.deployment.token(Reach::Deployment, Access::Write).await;
    let (client, machine) = world.deployment.machine(Reach::Deployment, Access::Write).await;
    let kept = world.invite(&As::bootstrap(), json!([{"email": "kept@example.com"}])).await;
    let mut links = Vec::new();
    for (who, email) in [(&token, "token@example.com"), (&machine, "machine@example.com")] {
        let issued = world.invite(who, json!([{ "email": email }])).await;
        links.push((
            issued.text_at("/items/0/link").to_owned(),
            issued.text_at("/items/0/invite/id").to_owned(),
        ));
    }
    for (link, _) in &links {
        assert!(world.found(link).await.is_some());
    }
    world.deployment.clock.advance(Duration::from_secs(1));
    let As::Bearer(secret) = &token else { panic!("a bearer") };
    let hash = TokenHash::of(&Secret::new(secret.as_str()));
    let token = store.admin_token(hash, world.deployment.admin.now()).await.unwrap().unwrap();
    store.revoke_admin_token(&token, record(&world)).await.unwrap();
    store.delete_client(client.id, record(&world)).await.unwrap();
    for (link, id) in &links {
        assert!(world.found(link).await.is_none());
        assert_eq!(status(&world, id).await, "revoked");
    }
    assert!(world.found(kept.text_at("/items/0/link")).await.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_just_become_an_admin_again_issues_nothing_that_is_void_from_the_start() {
    let world = World::start().await;
    let (inviter, session) = world.deployment.member(world.workspace, "inviter", Role::Admin).await;
    let demoted = change(&world, &inviter, |member| member.role = Role::Member).await;
    change(&world, &demoted, |member| member.role = Role::Admin).await;
    let too_soon = world.invite(&session, json!([{"email": "soon@example.com"}])).await;
    assert_eq!(too_soon.status, 429, "{}", too_soon.text);
    let wait = Duration::from_secs(too_soon.header("retry-after").unwrap().parse().unwrap());
    world.deployment.clock.advance(wait);
    let issued = world.invite(&session, json!([{"email": "soon@example.com"}])).await;
    assert!(world.found(issued.text_at("/items/0/link")).await.is_some());
}
