//! Issuing, listing, re-sending and revoking.

use core::time::Duration;

use rollcall_admin::testing::{As, Call, START};
use rollcall_domain::authority::{Access, Reach};
use rollcall_domain::invite::InviteState;
use rollcall_domain::member::Role;
use rollcall_service::rfc3339;
use serde_json::{Value, json};

use crate::support::World;

fn statuses(answer: &rollcall_admin::testing::Answered) -> Vec<&str> {
    answer.json["items"].as_array().unwrap().iter().map(|item| item["status"].as_str().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_entry_is_answered_for_itself_and_its_link_is_shown_once_and_kept_as_a_hash() {
    let world = World::start().await;
    let answer = world
        .invite(
            &As::bootstrap(),
            json!([
                {"email": "Grace@example.com", "note": "Welcome"},
                {"email": "no address"},
                {"email": "grace@EXAMPLE.com"},
                {"email": "linus@example.com", "role": "admin", "lifetime_days": 1, "providers": ["google"]},
            ]),
        )
        .await;
    assert_eq!(statuses(&answer), ["issued", "refused", "refused", "issued"], "{}", answer.text);
    assert_eq!(answer.text_at("/items/1/problem/errors/0/pointer"), "/email");
    assert_eq!(answer.text_at("/items/2/problem/errors/0/pointer"), "/email");
    let link = answer.text_at("/items/0/link").to_owned();
    let (before, token) = link.split_once('#').unwrap();
    assert_eq!(
        (before, token.len()),
        ("https://rollcall.example.com/invite", 22),
        "128 bits in the fragment"
    );
    let invite = world.found(&link).await.unwrap();
    assert_eq!(invite.email.as_str(), "grace@example.com");
    assert_eq!(invite.expires_at, START.plus(Duration::from_hours(7 * 24)));
    assert_eq!(
        answer.text_at("/items/3/invite/expires_at"),
        rfc3339::format(START.plus(Duration::from_hours(24)))
    );

    let listed = world.send(Call::new("GET", world.path("")).by(&As::bootstrap())).await;
    assert_eq!(listed.json["items"].as_array().unwrap().len(), 2);
    assert!(!listed.text.contains(token) && !listed.text.contains("invite#"));
    let trail =
        world.deployment.admin.store().audit_page(Some(world.workspace), None, 100, true).await.unwrap();
    let trail = format!("{:?}", trail.items);
    assert!(trail.contains("invite.issued") && !trail.contains(token));
    let events = world.deployment.admin.store().events_after(world.workspace, 0, 100).await.unwrap();
    assert_eq!(events.items.len(), 2);
    assert!(!format!("{events:?}").contains(token));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_are_invited_in_one_request_and_more_are_refused_whole() {
    let world = World::start().await;
    let invites =
        |n: usize| -> Value { (0..n).map(|n| json!({"email": format!("p{n}@example.com")})).collect() };
    for n in [0, 101] {
        let answer = world.invite(&As::bootstrap(), invites(n)).await;
        assert_eq!((answer.status.as_u16(), answer.text_at("/errors/0/pointer")), (422, "/invites"));
    }
    let answer = world.invite(&As::bootstrap(), invites(100)).await;
    assert!(statuses(&answer).iter().all(|status| *status == "issued"));
    let again = world.invite(&As::bootstrap(), invites(100)).await;
    assert!(statuses(&again).iter().all(|status| *status == "reissued"));
    let mut pending = Vec::new();
    let mut cursor = String::new();
    loop {
        let path = world.path(&format!("?status=pending&limit=30{cursor}"));
        let page = world.send(Call::new("GET", path).by(&As::bootstrap())).await;
        pending.extend(page.json["items"].as_array().unwrap().iter().map(|item| item["email"].to_string()));
        match page.json["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    pending.sort_unstable();
    pending.dedup();
    assert_eq!(pending.len(), 100, "one pending invite for each address");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_invite_to_an_address_kills_the_former_link() {
    let world = World::start().await;
    let first = world.invite(&As::bootstrap(), json!([{"email": "grace@example.com"}])).await;
    let second =
        world.invite(&As::bootstrap(), json!([{"email": "GRACE@example.com", "role": "admin"}])).await;
    assert_eq!(statuses(&second), ["reissued"]);
    assert!(world.found(first.text_at("/items/0/link")).await.is_none());
    assert_eq!(world.found(second.text_at("/items/0/link")).await.unwrap().role, Role::Admin);
    let revoked = world.send(Call::new("GET", world.path("?status=revoked")).by(&As::bootstrap())).await;
    assert_eq!(revoked.text_at("/items/0/id"), first.text_at("/items/0/invite/id"));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_who_invite_the_same_person_at_once_one_link_is_alive() {
    let world = World::start().await;
    let who = As::bootstrap();
    let calls = (0..10).map(|_| world.invite(&who, json!([{"email": "grace@example.com"}])));
    let answers = futures_util::future::join_all(calls).await;
    let mut alive = 0;
    for answer in &answers {
        if let Some(link) = answer.json["items"][0]["link"].as_str() {
            alive += usize::from(
                world.found(link).await.is_some_and(|invite| invite.state == InviteState::Pending),
            );
        }
    }
    assert_eq!(alive, 1, "{:?}", answers.iter().map(statuses).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_grants_more_than_they_have() {
    let world = World::start().await;
    let deployment = &world.deployment;
    let reader = deployment.token(Reach::Workspace(world.workspace), Access::Read).await;
    let (_, member) = deployment.member(world.workspace, "grace", Role::Member).await;
    for who in [reader, member] {
        assert_eq!(world.invite(&who, json!([{"email": "x@example.com"}])).await.status, 403);
    }
    let (_, admin) = deployment.member(world.workspace, "ada", Role::Admin).await;
    let answer = world.invite(&admin, json!([{"email": "x@example.com", "role": "admin"}])).await;
    assert_eq!(statuses(&answer), ["issued"]);
    assert_eq!(answer.text_at("/items/0/invite/inviter_name"), "ada");
    let unknown = world.invite(&admin, json!([{"email": "y@example.com", "owner": true}])).await;
    assert_eq!((unknown.status.as_u16(), unknown.text_at("/errors/0/pointer")), (422, "/invites/0/owner"));
}

#[tokio::test(flavor = "multi_thread")]
async fn sending_again_makes_a_new_link_with_its_whole_lifetime_and_kills_the_former() {
    let world = World::start().await;
    let first =
        world.invite(&As::bootstrap(), json!([{"email": "grace@example.com", "lifetime_days": 2}])).await;
    let path = world.path(&format!("/{}/resend", first.text_at("/items/0/invite/id")));
    world.deployment.clock.advance(Duration::from_hours(5 * 24));
    let one = world.path(&format!("/{}", first.text_at("/items/0/invite/id")));
    let expired = world.send(Call::new("GET", one.clone()).by(&As::bootstrap())).await;
    assert_eq!(expired.text_at("/status"), "expired");
    let again = world.send(Call::new("POST", path.clone()).by(&As::bootstrap())).await;
    assert_eq!((again.status.as_u16(), again.text_at("/invite/status")), (200, "pending"), "{}", again.text);
    let end = START.plus(Duration::from_hours(7 * 24));
    assert_eq!(again.text_at("/invite/expires_at"), rfc3339::format(end));
    assert!(world.found(first.text_at("/items/0/link")).await.is_none());
    assert!(world.found(again.text_at("/link")).await.is_some());

    let revoked = world.send(Call::new("DELETE", one.clone()).by(&As::bootstrap())).await;
    assert_eq!((revoked.status.as_u16(), revoked.text_at("/status")), (200, "revoked"));
    assert!(world.found(again.text_at("/link")).await.is_none());
    assert_eq!(
        world.send(Call::new("DELETE", one).by(&As::bootstrap())).await.status,
        200,
        "again changes nothing"
    );
    assert_eq!(world.send(Call::new("POST", path).by(&As::bootstrap())).await.status, 409);
}

#[tokio::test(flavor = "multi_thread")]
async fn under_one_key_people_are_invited_once_and_the_same_links_are_shown_again() {
    let world = World::start().await;
    let call = || {
        let body = json!({"invites": [{"email": "grace@example.com"}]});
        Call::new("POST", world.path("")).by(&As::bootstrap()).with("idempotency-key", "\"k\"").json(&body)
    };
    let first = world.send(call()).await;
    let again = world.send(call()).await;
    assert_eq!(
        (first.text.as_str(), again.header("idempotency-replayed")),
        (again.text.as_str(), Some("true"))
    );
    assert!(world.found(again.text_at("/items/0/link")).await.is_some());
    let table = rollcall_table(&world).await;
    let token = first.text_at("/items/0/link").split_once('#').unwrap().1.to_owned();
    assert!(!table.contains(&token), "the table holds the link in clear");
}

/// Everything in the table, as text.
async fn rollcall_table(world: &World) -> String {
    let store = world.deployment.admin.store();
    let all = store.client().scan().table_name(store.table()).send().await.unwrap();
    format!("{:?}", all.items())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_and_an_issuer_have_their_limits() {
    let world = World::with(rollcall_store::testing::store().await, false, "20").await;
    for n in 0..10 {
        let answer = world.invite(&As::bootstrap(), json!([{"email": "grace@example.com"}])).await;
        assert_eq!(statuses(&answer), [if n == 0 { "issued" } else { "reissued" }]);
        world.deployment.clock.advance(Duration::from_mins(1));
    }
    let too_many = world
        .invite(&As::bootstrap(), json!([{"email": "grace@example.com"}, {"email": "x@example.com"}]))
        .await;
    assert_eq!(statuses(&too_many), ["refused", "issued"], "{}", too_many.text);
    assert_eq!(too_many.json["items"][0]["problem"]["status"], 429);
    world.deployment.clock.advance(Duration::from_hours(24));
    let tomorrow = world.invite(&As::bootstrap(), json!([{"email": "grace@example.com"}])).await;
    assert_eq!(statuses(&tomorrow), ["reissued"]);
    for n in 1..20 {
        let answer = world.invite(&As::bootstrap(), json!([{"email": format!("p{n}@example.com")}])).await;
        assert_eq!(answer.status, 200, "{n}");
    }
    let issuer = world.invite(&As::bootstrap(), json!([{"email": "z@example.com"}])).await;
    assert_eq!((issuer.status.as_u16(), issuer.header("retry-after").is_some()), (429, true));
}
