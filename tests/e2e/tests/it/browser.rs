//! What people see, in a real browser. Pictures are kept in `target/screenshots`.

use std::time::Duration;

use rollcall_e2e::chromium::Chromium;
use rollcall_local::settings::Settings;
use rollcall_local::stack::Stack;
use rollcall_local::world;
use serde_json::{Value, json};

/// The widths at which pictures are kept.
const SIZES: [(&str, u32, u32); 2] = [("phone", 420, 860), ("desktop", 1280, 860)];

async fn keep_pictures(chromium: &Chromium, name: &str) {
    for (size, width, height) in SIZES {
        chromium.resize(width, height).await;
        chromium.keep_picture(&format!("{name}-{size}")).await;
    }
}

/// A stack whose workspace is connected and synced.
async fn connected() -> (Stack, String) {
    let mut settings = Settings::for_tests();
    settings.variables.insert("ROLLCALL_INVITE_SENDER", "rollcall@example.com".into());
    let stack = Stack::start(&settings).await.unwrap();
    let workspace = stack.api().post("/v1/workspaces", &json!({ "name": "Acme" })).await.unwrap();
    let workspace = workspace["id"].as_str().unwrap().to_owned();
    let connection = Value::Object(world::connection(&stack).unwrap());
    stack.api().put(&format!("/v1/workspaces/{workspace}/connection"), &connection).await.unwrap();
    stack.schedule.is_idle().await;
    (stack, workspace)
}

/// The link in the mail that somebody got.
fn link_mailed_to(stack: &Stack, address: &str) -> String {
    let mails = stack.aws.mail().to(address);
    let text = mails[0].text.clone().unwrap();
    text.split_whitespace().find(|word| word.contains("/invite#")).unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_signs_in_and_another_is_refused_with_the_reason() {
    let Some(chromium) = Chromium::start().await else { return };
    let (stack, workspace) = connected().await;
    let login = format!("{}/login?workspace={workspace}", stack.url());

    chromium.go(&login).await;
    assert_eq!(chromium.heading().await, "Sign in to Acme");
    keep_pictures(&chromium, "1-choose").await;
    chromium.click("Continue with Bitbucket").await;
    keep_pictures(&chromium, "2-consent").await;
    chromium.click("Amira Haddad").await;
    assert_eq!(chromium.heading().await, "You are signed in");
    assert!(chromium.text().await.contains("Amira Haddad"));
    keep_pictures(&chromium, "3-signed-in").await;

    // Still so after coming back, and no more after signing out.
    chromium.go(&format!("{}/login", stack.url())).await;
    assert_eq!(chromium.heading().await, "You are signed in");
    chromium.click("Sign out").await;
    chromium.go(&format!("{}/login", stack.url())).await;
    assert_ne!(chromium.heading().await, "You are signed in");

    chromium.go(&login).await;
    chromium.click("Continue with Bitbucket").await;
    chromium.click("Mira Lindqvist").await;
    assert_eq!(chromium.heading().await, "You cannot use Acme yet");
    let text = chromium.text().await;
    for repository in world::missing(&stack, "mira").unwrap() {
        assert!(text.contains(&repository), "{repository} is not named:\n{text}");
    }
    keep_pictures(&chromium, "4-refused").await;

    chromium.go(&format!("{}/callback/bitbucket?code=x&state=y", stack.url())).await;
    keep_pictures(&chromium, "5-error").await;
    chromium.stop().await;
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn somebody_invited_accepts_with_google_and_the_link_works_once() {
    let Some(chromium) = Chromium::start().await else { return };
    let (stack, workspace) = connected().await;
    let invites = format!("/v1/workspaces/{workspace}/invites");
    let invite = json!({ "invites": [{ "email": "ines.okafor@mail.example" }] });
    stack.api().post(&invites, &invite).await.unwrap();
    let link = link_mailed_to(&stack, "ines.okafor@mail.example");

    chromium.go(&format!("{}/outbox", stack.url())).await;
    assert!(chromium.text().await.contains("ines.okafor@mail.example"), "the outbox shows the mail");
    keep_pictures(&chromium, "6-outbox").await;

    chromium.go(&link).await;
    assert_eq!(chromium.heading().await, "You have been invited");
    keep_pictures(&chromium, "7-invite").await;
    chromium.click("Continue").await;
    assert_eq!(chromium.heading().await, "Join Acme");
    keep_pictures(&chromium, "8-join").await;

    // Somebody else's account does not do, and the invite stays.
    chromium.click("Continue with Google").await;
    chromium.click("Jonas Achterberg").await;
    assert_ne!(chromium.heading().await, "You are signed in");
    let pending = stack.api().list(&invites).await.unwrap();
    assert_eq!(pending[0]["status"], "pending", "{pending:?}");

    chromium.go("about:blank").await;
    chromium.go(&link).await;
    chromium.click("Continue").await;
    chromium.click("Continue with Google").await;
    chromium.click("Ines Okafor").await;
    assert_eq!(chromium.heading().await, "You are signed in", "{}", chromium.text().await);
    keep_pictures(&chromium, "9-member").await;
    let accepted = stack.api().list(&invites).await.unwrap();
    assert_eq!(accepted[0]["status"], "accepted", "{accepted:?}");

    chromium.go("about:blank").await;
    chromium.go(&link).await;
    chromium.click("Continue").await;
    assert_ne!(chromium.heading().await, "Join Acme", "the link is used up");
    chromium.stop().await;
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_invite_past_its_end_is_refused_although_its_row_is_still_there() {
    let Some(chromium) = Chromium::start().await else { return };
    let (stack, workspace) = connected().await;
    let invites = format!("/v1/workspaces/{workspace}/invites");
    let invite = json!({ "invites": [{ "email": "ines.okafor@mail.example", "lifetime_days": 1 }] });
    stack.api().post(&invites, &invite).await.unwrap();
    let link = link_mailed_to(&stack, "ines.okafor@mail.example");

    // It is opened in time, and the account is chosen too late.
    chromium.go(&link).await;
    chromium.click("Continue").await;
    assert_eq!(chromium.heading().await, "Join Acme");
    stack.advance(Duration::from_hours(24));
    let expired = stack.api().list(&invites).await.unwrap();
    assert_eq!(expired[0]["status"], "expired", "the row is there: {expired:?}");
    chromium.click("Continue with Google").await;
    let too_late = chromium.text().await;
    assert_ne!(chromium.heading().await, "You are signed in", "{too_late}");

    chromium.go("about:blank").await;
    chromium.go(&link).await;
    chromium.click("Continue").await;
    assert_ne!(chromium.heading().await, "Join Acme", "{}", chromium.text().await);
    let members = stack.api().list(&format!("/v1/workspaces/{workspace}/members")).await.unwrap();
    assert!(members.iter().all(|member| member["email"] != "ines.okafor@mail.example"), "{members:?}");
    chromium.stop().await;
    stack.stop().await;
}
