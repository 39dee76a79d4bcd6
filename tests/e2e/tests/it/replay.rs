//! Events are enough: whoever reads them all knows every member as the list shows them.

use std::collections::BTreeMap;

use reqwest::Method;
use rollcall_local::report::Report;
use rollcall_local::settings::Settings;
use rollcall_local::stack::Stack;
use rollcall_local::{story, world};
use serde_json::{Value, json};

const TOLD: [&str; 6] = ["display_name", "email", "role", "origin", "state", "reason"];

/// What is told of each member, by their id.
type Members = BTreeMap<String, BTreeMap<&'static str, Value>>;

fn told(of: &Value) -> BTreeMap<&'static str, Value> {
    TOLD.into_iter().map(|name| (name, of[name].clone())).collect()
}

/// The members by the events alone, from the first on: each event about one says how they are from then on. The kinds come along.
async fn replayed(stack: &Stack, workspace: &str) -> (Members, Vec<String>) {
    let (mut members, mut kinds, mut after) = (Members::new(), Vec::new(), 0_u64);
    loop {
        let path = format!("/v1/events?workspace={workspace}&limit=3&after={after}");
        let page = stack.api().get(&path).await.unwrap();
        for event in page["items"].as_array().unwrap() {
            let kind = event["type"].as_str().unwrap().to_owned();
            if kind.starts_with("rollcall.member.") {
                let data = &event["data"];
                assert_eq!(data["member"], event["subject"], "{event}");
                members.insert(data["member"].as_str().unwrap().to_owned(), told(data));
            }
            kinds.push(kind);
        }
        match page["next"].as_str() {
            Some(next) => after = next.parse().unwrap(),
            None => return (members, kinds),
        }
    }
}

async fn listed(stack: &Stack, workspace: &str) -> Members {
    let path = format!("/v1/workspaces/{workspace}/members?include=suspended");
    let members = stack.api().list(&path).await.unwrap();
    members.iter().map(|member| (member["id"].as_str().unwrap().to_owned(), told(member))).collect()
}

async fn check(stack: &Stack, workspace: &str, members: usize) {
    let (replayed, _) = replayed(stack, workspace).await;
    assert_eq!(replayed.len(), members);
    assert_eq!(replayed, listed(stack, workspace).await);
}

async fn sign_in(stack: &Stack, workspace: &str, display_name: &str) {
    let mut browser = stack.browser();
    let login = format!("{}/login?workspace={workspace}", stack.url()).parse().unwrap();
    let chooser = browser.visit(&login).await.unwrap();
    let consent = browser.visit(&chooser.link("Continue with Bitbucket").unwrap()).await.unwrap();
    let page = world::choose(&mut browser, &consent, display_name).await.unwrap();
    assert_eq!(page.heading(), "You are signed in");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replaying_the_events_from_the_start_rebuilds_the_members_list() {
    let settings = Settings::for_tests();
    let stack = Stack::start(&settings).await.unwrap();
    let mut report = Report::plain(std::io::sink());
    // Two sign in, and one of them leaves and is suspended by the sync.
    assert!(story::tell(&stack, &settings, &mut report).await);
    let api = stack.api();
    let workspace = api.list("/v1/workspaces").await.unwrap()[0]["id"].as_str().unwrap().to_owned();
    check(&stack, &workspace, 2).await;

    let amira = world::person(&stack, "amira").unwrap();
    let members = api.list(&format!("/v1/workspaces/{workspace}/members?include=suspended")).await.unwrap();
    let member = |uuid: &str| members.iter().find(|member| member["external_source_id"] == uuid).unwrap();
    let path = format!("/v1/workspaces/{workspace}/members/{}", member(&amira.uuid)["id"].as_str().unwrap());
    for change in [json!({"role": "admin"}), json!({"state": "disabled"}), json!({"state": "active"})] {
        api.call(Method::PATCH, &path, Some(&change)).await.unwrap();
        check(&stack, &workspace, 2).await;
    }

    // Somebody has another name at their next sign-in.
    let renamed = "Amira Haddad-Berg";
    let bitbucket = stack.bitbucket.as_ref().unwrap();
    bitbucket
        .change(|world| {
            world.change_account("amira", |account| renamed.clone_into(&mut account.display_name))
        })
        .unwrap();
    sign_in(&stack, &workspace, renamed).await;
    check(&stack, &workspace, 2).await;

    // The run that suspended somebody is undone.
    let tuuli = world::person(&stack, "tuuli").unwrap();
    let id = member(&tuuli.uuid)["id"].as_str().unwrap();
    let why = api.get(&format!("/v1/workspaces/{workspace}/members/{id}/explanation")).await.unwrap();
    let run = why["run"].as_str().unwrap();
    api.call(Method::POST, &format!("/v1/workspaces/{workspace}/sync-runs/{run}/undo"), None).await.unwrap();
    stack.schedule.is_idle().await;
    check(&stack, &workspace, 2).await;

    let (_, kinds) = replayed(&stack, &workspace).await;
    for kind in ["onboarded", "suspended", "disabled", "enabled", "updated", "restored"] {
        assert!(kinds.contains(&format!("rollcall.member.{kind}")), "{kind}: {kinds:?}");
    }
    stack.stop().await;
}
