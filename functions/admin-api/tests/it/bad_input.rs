//! What is not understood is refused, precisely.

use rollcall_admin::testing::{As, Call};
use serde_json::json;

use crate::support::World;

#[tokio::test(flavor = "multi_thread")]
async fn each_kind_of_bad_body_has_its_status_and_says_where() {
    let world = World::start().await;
    let call = |body: &str| Call::new("POST", "/v1/workspaces").by(&As::bootstrap()).body(body);
    for (body, status, pointer) in [
        ("", 400, None),
        ("{", 400, None),
        ("{\"name\":\"a\"} x", 400, None),
        ("[]", 422, Some("")),
        ("[\"a\"]", 422, Some("")),
        ("{}", 422, Some("")),
        ("{\"name\":1}", 422, Some("/name")),
        ("{\"name\":\"\"}", 422, Some("/name")),
        ("{\"name\":\"a\\u0000b\"}", 422, Some("/name")),
        ("{\"name\":\"a\\u202eb\"}", 422, Some("/name")),
        ("{\"name\":\"a\",\"id\":\"ws_1\"}", 422, Some("/id")),
        ("{\"name\":\"a\",\"language\":\"../..\"}", 422, Some("/language")),
    ] {
        let answer = world.send(call(body)).await;
        assert_eq!(answer.status.as_u16(), status, "{body}: {}", answer.text);
        assert_eq!(answer.header("content-type"), Some("application/problem+json"));
        assert_eq!(answer.json["errors"][0]["pointer"].as_str(), pointer, "{body}");
        assert!(answer.text_at("/instance").starts_with("urn:uuid:"));
    }
    let large = format!("{{\"name\":\"{}\"}}", "a".repeat(256 * 1024));
    assert_eq!(world.send(call(&large)).await.status, 413);
    let keyed = call(&large).with("idempotency-key", "k");
    assert_eq!(world.send(keyed).await.status, 413);
    let form = Call::new("POST", "/v1/workspaces")
        .by(&As::bootstrap())
        .body("name=a")
        .with("content-type", "text/plain");
    assert_eq!(world.send(form).await.status, 415);
    assert_eq!(
        world.get(&As::bootstrap(), "/v1/workspaces").await.json["items"],
        json!([]),
        "nothing was made"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_parameters_headers_and_cursors_are_named() {
    let world = World::start().await;
    let workspace = world.deployment.workspace("Acme").await;
    let other = world.deployment.workspace("Other").await;
    let list = format!("/v1/workspaces/{workspace}/members");
    for (query, parameter) in [
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("limit=x", "limit"),
        ("limit=1&limit=2", "limit"),
        ("state=gone", "state"),
        ("team=team_1", "team"),
        ("cursor=x", "cursor"),
    ] {
        let answer = world.get(&As::bootstrap(), format!("{list}?{query}")).await;
        assert_eq!(
            (answer.status.as_u16(), answer.text_at("/errors/0/parameter")),
            (400, parameter),
            "{query}"
        );
    }
    assert_eq!(world.get(&As::bootstrap(), format!("{list}?lmit=1")).await.status, 400);

    for n in 0..3 {
        world.deployment.member(workspace, &format!("m{n}"), rollcall_domain::member::Role::Member).await;
    }
    let page = world.get(&As::bootstrap(), format!("{list}?limit=1")).await;
    let cursor = page.text_at("/next").to_owned();
    let elsewhere =
        world.get(&As::bootstrap(), format!("/v1/workspaces/{other}/members?cursor={cursor}")).await;
    assert_eq!(elsewhere.status, 400, "a cursor leads on in its own list only");

    for (name, value) in [("if-match", "v1"), ("idempotency-key", "a b")] {
        let method = if name == "if-match" { "PATCH" } else { "POST" };
        let path =
            if name == "if-match" { format!("/v1/workspaces/{workspace}") } else { "/v1/workspaces".into() };
        let call = Call::new(method, path).by(&As::bootstrap()).with(name, value).json(&json!({"name": "x"}));
        assert_eq!(world.send(call).await.status, 400, "{name}");
    }
    assert_eq!(world.send(Call::new("PUT", "/v1/workspaces").by(&As::bootstrap())).await.status, 405);
    assert_eq!(world.get(&As::bootstrap(), "/v1/workspaces/").await.status, 404);
    assert_eq!(world.get(&As::Nobody, "/v1/nothing").await.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_for_invites_are_domains_and_tenants() {
    let world = World::start().await;
    let workspace = world.deployment.workspace("Acme").await;
    let path = format!("/v1/workspaces/{workspace}");
    for (rules, pointer) in [
        (json!({"accepted_domains": ["@example.com"]}), "/invite_rules/accepted_domains/0"),
        (json!({"refused_domains": ["*.example.com"]}), "/invite_rules/refused_domains/0"),
        (json!({"accepted_tenants": ["contoso"]}), "/invite_rules/accepted_tenants/0"),
        (json!({"domains": []}), "/invite_rules/domains"),
        // Repetitions count.
        (json!({"refused_domains": vec!["example.com"; 501]}), "/invite_rules/refused_domains"),
    ] {
        let refused = world.patch(&As::bootstrap(), path.clone(), &json!({"invite_rules": rules})).await;
        assert_eq!((refused.status.as_u16(), refused.text_at("/errors/0/pointer")), (422, pointer));
    }
    let set = world
        .patch(
            &As::bootstrap(),
            path.clone(),
            &json!({"invite_rules": {"accepted_domains": ["Example.com"]}}),
        )
        .await;
    assert_eq!(set.text_at("/invite_rules/accepted_domains/0"), "example.com");
    let invites = json!({"invites": [{"email": "a@example.com"}, {"email": "a@evil-example.com"}]});
    let answer = world.post(&As::bootstrap(), format!("{path}/invites"), &invites).await;
    assert_eq!((answer.text_at("/items/0/status"), answer.text_at("/items/1/status")), ("issued", "refused"));
}
