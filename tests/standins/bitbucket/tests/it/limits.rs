//! Rate limits.

use standin_bitbucket::LOGIN_KEY;

use crate::support::{By, rig, workspace_token, world};

#[tokio::test]
async fn a_consumer_has_so_many_calls_in_an_hour_whoever_signs_in_through_it() {
    let rig = rig(world().behaving(|behaviour| behaviour.hourly_limit = 3)).await;
    let (ada, grace) = (rig.person("ada"), rig.person("grace"));
    for by in [&ada, &grace, &ada] {
        assert_eq!(rig.status(by, "/2.0/user").await, 200);
    }
    let response = rig.ask(&grace, "/2.0/user").await;
    assert_eq!(response.status(), 429);
    assert_eq!(response.headers()["content-type"], "text/plain");
    assert!(response.headers().get("retry-after").is_none());
    assert!(response.headers().keys().all(|name| !name.as_str().starts_with("x-ratelimit")));
    assert_eq!(response.text().await.unwrap(), "Rate limit for this resource has been exceeded");
    assert_eq!(rig.status(&rig.app().await, "/2.0/user").await, 200, "another consumer has its own");
    rig.bitbucket.advance_clock(3_600);
    assert_eq!(rig.status(&rig.person("grace"), "/2.0/user").await, 200);
    assert_eq!(rig.bitbucket.counts().by_credential[&format!("consumer:{LOGIN_KEY}")], 5);
}

#[tokio::test]
async fn an_access_token_has_more_calls_to_repositories_and_is_told_how_many() {
    let world = world().behaving(|behaviour| {
        behaviour.hourly_limit = 1;
        behaviour.scaled_limit = 5;
    });
    let rig = rig(world).await;
    let token = workspace_token();
    assert_eq!(rig.status(&token, "/2.0/workspaces/acme/members").await, 200);
    assert_eq!(rig.status(&token, "/2.0/workspaces/acme/members").await, 429);
    for near in ["false", "false", "false", "false", "true"] {
        let response = rig.ask(&token, "/2.0/repositories/acme").await;
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["x-ratelimit-limit"], "5");
        assert_eq!(response.headers()["x-ratelimit-resource"], "api");
        assert_eq!(response.headers()["x-ratelimit-nearlimit"], near);
    }
    assert_eq!(rig.status(&token, "/2.0/repositories/acme").await, 429);
}

#[tokio::test]
async fn without_a_credential_there_are_sixty() {
    let rig = rig(world()).await;
    let response = rig.ask(&By::Nobody, "/2.0/repositories/acme").await;
    assert_eq!(response.headers()["x-ratelimit-limit"], "60, 60;w=3600");
    assert_eq!(response.headers()["x-ratelimit-remaining"], "59");
    for _ in 1..60 {
        assert_eq!(rig.status(&By::Nobody, "/2.0/repositories/acme").await, 200);
    }
    assert_eq!(rig.status(&By::Nobody, "/2.0/repositories/acme").await, 429);
}

#[tokio::test]
async fn the_refusal_can_come_as_json() {
    let world = world().behaving(|behaviour| {
        behaviour.hourly_limit = 0;
        behaviour.json_429 = true;
    });
    let rig = rig(world).await;
    let response = rig.ask(&rig.person("ada"), "/2.0/user").await;
    let body: serde_json::Value = response.json().await.unwrap();
    assert_eq!(body["error"]["message"], "Rate limit for this resource has been exceeded");
}
