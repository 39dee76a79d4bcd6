//! Who gets in by Bitbucket, on the local stack.

use rollcall_local::browser::Page;
use rollcall_local::settings::Settings;
use rollcall_local::stack::Stack;
use rollcall_local::world;
use rollcall_service::clock::Clock as _;
use serde_json::{Value, json};
use standin_bitbucket::{Level, On, To};
use url::Url;

/// A stack whose workspace is connected, and went round everything once.
async fn synced() -> (Stack, String) {
    let stack = Stack::start(&Settings::for_tests()).await.unwrap();
    let workspace = stack.api().post("/v1/workspaces", &json!({ "name": "Acme" })).await.unwrap();
    let workspace = workspace["id"].as_str().unwrap().to_owned();
    let connection = Value::Object(world::connection(&stack).unwrap());
    stack.api().put(&format!("/v1/workspaces/{workspace}/connection"), &connection).await.unwrap();
    stack.schedule.is_idle().await;
    (stack, workspace)
}

async fn sign_in(stack: &Stack, workspace: &str, username: &str) -> Page {
    let person = world::person(stack, username).unwrap();
    let mut browser = stack.browser();
    let login: Url = format!("{}/login?workspace={workspace}", stack.url()).parse().unwrap();
    let chooser = browser.visit(&login).await.unwrap();
    let consent = browser.visit(&chooser.link("Continue with Bitbucket").unwrap()).await.unwrap();
    if !consent.html.contains(&person.display_name) {
        return consent;
    }
    world::choose(&mut browser, &consent, &person.display_name).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn somebody_who_lacks_a_repository_that_is_newer_than_the_last_sync_is_refused() {
    let (stack, workspace) = synced().await;
    assert!(
        stack.store.sync_state(workspace.parse().unwrap()).await.unwrap().verified.is_some(),
        "the lap has ended"
    );
    let bitbucket = stack.bitbucket.as_ref().unwrap();
    bitbucket
        .change(|world| {
            world.add_project("NEW", "New")?;
            world.add_repository("NEW", "secret-plans", true)
        })
        .unwrap();
    let page = sign_in(&stack, &workspace, "amira").await;
    assert_eq!(page.heading(), "You cannot use Acme yet", "{}", page.html);
    assert_eq!(page.list("missing"), ["fernweh/secret-plans"]);
    let owner = sign_in(&stack, &workspace, "rafael").await;
    assert_eq!(owner.heading(), "You are signed in", "{}", owner.html);
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_that_is_refused_again_and_again_costs_bitbucket_no_more_calls() {
    let (stack, workspace) = synced().await;
    // They are counted by the hour: from the beginning of one, so that none ends within the test.
    let into = u64::try_from(stack.clock.now().as_seconds().rem_euclid(3600)).unwrap();
    stack.advance(core::time::Duration::from_secs(3601 - into));
    let mut headings = Vec::new();
    for _ in 0..43 {
        stack.advance(core::time::Duration::from_secs(30));
        headings.push(sign_in(&stack, &workspace, "mira").await.heading());
    }
    let bitbucket = stack.bitbucket.as_ref().unwrap();
    assert_eq!(
        headings.iter().filter(|heading| *heading == "You cannot use Acme yet").count(),
        40,
        "{headings:?}"
    );
    bitbucket.forget_requests();
    sign_in(&stack, &workspace, "mira").await;
    let asked: Vec<String> = bitbucket.requests().iter().map(|request| request.path.clone()).collect();
    assert!(!asked.iter().any(|path| path.starts_with("/2.0/")), "{asked:?}");
    stack.advance(core::time::Duration::from_hours(1));
    assert_eq!(sign_in(&stack, &workspace, "mira").await.heading(), "You cannot use Acme yet");
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn somebody_who_lacks_repositories_is_suggested_to_admins_and_is_invited_in_one_call() {
    let (stack, workspace) = synced().await;
    assert_eq!(sign_in(&stack, &workspace, "mira").await.heading(), "You cannot use Acme yet");
    let refused = stack.api().list(&format!("/v1/workspaces/{workspace}/refused-sign-ins")).await.unwrap();
    assert_eq!(refused.len(), 1, "{refused:?}");
    assert_eq!(refused[0]["detail"]["display_name"], "Mira Lindqvist");
    assert_eq!(
        refused[0]["detail"]["missing"],
        json!(world::missing(&stack, "mira").unwrap()),
        "{refused:?}"
    );

    let invites = format!("/v1/workspaces/{workspace}/invites");
    let issued = stack.api().post(&invites, &refused[0]["invite"]).await.unwrap();
    assert_eq!(issued["items"][0]["status"], "issued", "{issued}");
    let link = issued["items"][0]["link"].as_str().unwrap();
    let (page, token) = link.split_once('#').unwrap();

    let mut browser = stack.browser();
    let opened = browser.visit(&page.parse().unwrap()).await.unwrap();
    let mut form = opened.forms().remove(0);
    form.fields = vec![("token".to_owned(), token.to_owned())];
    let choice = browser.submit(&form).await.unwrap();
    assert_eq!(choice.heading(), "Join Acme", "{}", choice.html);
    let consent = browser.submit(&choice.forms()[0]).await.unwrap();
    let signed_in = world::choose(&mut browser, &consent, "Mira Lindqvist").await.unwrap();
    assert_eq!(signed_in.heading(), "You are signed in", "{}", signed_in.html);
    let members = stack.api().list(&format!("/v1/workspaces/{workspace}/members")).await.unwrap();
    assert_eq!(members[0]["display_name"], "Mira Lindqvist", "{members:?}");
    assert_eq!(members[0]["origin"], "invite");

    // Once she has the rest as well, Bitbucket lets her in, and she is still one member.
    let bitbucket = stack.bitbucket.as_ref().unwrap();
    let missing = world::missing(&stack, "mira").unwrap();
    bitbucket
        .change(|world| {
            missing.iter().try_for_each(|name| {
                let slug = name.split('/').next_back().unwrap_or_default();
                world.grant(On::Repository(slug), To::Person("mira"), Level::Read)
            })
        })
        .unwrap();
    assert_eq!(sign_in(&stack, &workspace, "mira").await.heading(), "You are signed in");
    let again = stack.api().list(&format!("/v1/workspaces/{workspace}/members")).await.unwrap();
    assert_eq!((again.len(), &again[0]["id"]), (1, &members[0]["id"]), "{again:?}");
    let why = format!("/v1/workspaces/{workspace}/members/{}/explanation", again[0]["id"].as_str().unwrap());
    let why = stack.api().get(&why).await.unwrap();
    let text = why["text"].as_str().unwrap();
    assert!(text.contains("invite") && text.contains("Bitbucket"), "{why}");
    stack.stop().await;
}
