//! A workspace's webhook.

use rollcall_admin::testing::As;
use rollcall_domain::authority::{Access, Reach};
use serde_json::json;

use crate::support::{World, actions};

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_is_registered_changed_rotated_and_removed_and_its_secret_shown_once() {
    let world = World::start().await;
    let workspace = world.deployment.workspace("Acme").await;
    let path = format!("/v1/workspaces/{workspace}/webhook");
    let admin = As::bootstrap();
    assert_eq!(world.get(&admin, path.clone()).await.status, 404);

    let made = world.put(&admin, path.clone(), &json!({ "url": "https://app.example/hook" })).await;
    assert_eq!(made.status, 201, "{}", made.text);
    let secret = made.text_at("/secret").to_owned();
    assert!(secret.starts_with("whsec_") && secret.len() == 50);
    let read = world.get(&admin, path.clone()).await;
    assert_eq!((read.status.as_u16(), read.text_at("/url")), (200, "https://app.example/hook"));
    assert!(!read.text.contains("whsec_"));

    let moved = world.put(&admin, path.clone(), &json!({ "url": "https://app.example/hook2" })).await;
    assert_eq!((moved.status.as_u16(), &moved.json["secret"]), (200, &json!(null)), "{}", moved.text);
    let rotated = world.post(&admin, format!("{path}/rotate"), &json!({})).await;
    assert_eq!(rotated.status, 200, "{}", rotated.text);
    assert_ne!(rotated.text_at("/secret"), secret);

    assert_eq!(world.delete(&admin, path.clone()).await.status, 204);
    assert_eq!(world.get(&admin, path.clone()).await.status, 404);
    let trail = world.get(&admin, format!("/v1/workspaces/{workspace}/audit")).await;
    let told = actions(&trail);
    for action in ["webhook.changed", "webhook.created", "webhook.deleted", "webhook.rotated"] {
        assert!(told.contains(&action), "{told:?}");
    }
    assert!(!trail.text.contains("whsec_"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_leads_to_the_public_internet_only() {
    let world = World::start().await;
    let workspace = world.deployment.workspace("Acme").await;
    let path = format!("/v1/workspaces/{workspace}/webhook");
    for url in [
        "http://app.example/hook",
        "https://127.0.0.1/",
        "https://169.254.169.254/latest/meta-data",
        "https://[::ffff:10.0.0.1]/",
        "https://localhost/",
        "https://user:pass@app.example/",
        "javascript:alert(1)",
        "",
    ] {
        let answer = world.put(&As::bootstrap(), path.clone(), &json!({ "url": url })).await;
        assert_eq!(answer.status, 422, "{url}: {}", answer.text);
        assert_eq!(answer.text_at("/errors/0/pointer"), "/url", "{url}");
    }
    assert_eq!(world.get(&As::bootstrap(), path).await.status, 404, "nothing was kept");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_workspaces_admin_sees_no_webhook() {
    let world = World::start().await;
    let (ours, theirs) =
        (world.deployment.workspace("Acme").await, world.deployment.workspace("Other").await);
    let path = format!("/v1/workspaces/{ours}/webhook");
    world.put(&As::bootstrap(), path.clone(), &json!({ "url": "https://app.example/hook" })).await;
    let stranger = world.deployment.token(Reach::Workspace(theirs), Access::Write).await;
    assert_eq!(world.get(&stranger, path.clone()).await.status, 404);
    assert_eq!(world.delete(&stranger, path.clone()).await.status, 404);
    assert_eq!(world.post(&stranger, format!("{path}/rotate"), &json!({})).await.status, 404);
}
