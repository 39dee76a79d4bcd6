//! Everything that can go wrong on request.

use core::time::Duration;

use serde_json::Value;
use standin_bitbucket::{Act, CredentialKind, Fault};

use crate::support::{Rig, rig, workspace_token, world};

const MEMBERS: &str = "/2.0/workspaces/{workspace}/members";
const PATIENCE: Duration = Duration::from_secs(10);

/// The members, two to a page.
fn path(page: u64) -> String {
    format!("/2.0/workspaces/acme/members?pagelen=2&page={page}")
}

async fn page_with(rig: &Rig, act: Act) -> Value {
    let fault = rig.bitbucket.fault(Fault::at(MEMBERS, act).page(1));
    let page = rig.json(&workspace_token(), &path(1)).await;
    assert_eq!(rig.bitbucket.happened(fault), 1);
    rig.bitbucket.remove_fault(fault);
    page
}

fn uuids(page: &Value) -> Vec<&str> {
    page["values"].as_array().unwrap().iter().filter_map(|row| row["user"]["uuid"].as_str()).collect()
}

#[tokio::test]
async fn a_page_fails_as_often_as_it_should_and_others_do_not() {
    let rig = rig(world()).await;
    let token = workspace_token();
    rig.bitbucket.fault(Fault::at(MEMBERS, Act::Status(503)).page(2).times(2));
    assert_eq!(rig.status(&token, &path(1)).await, 200);
    assert_eq!(rig.status(&token, &path(2)).await, 503);
    assert_eq!(rig.status(&token, &path(2)).await, 503);
    assert_eq!(rig.status(&token, &path(2)).await, 200);
}

#[tokio::test]
async fn a_fault_can_be_for_one_kind_of_credential_and_one_query() {
    let rig = rig(world()).await;
    let fault = Fault::at("/2.0/repositories/*", Act::Status(500));
    rig.bitbucket.fault(fault.with(CredentialKind::PersonToken).query("q", "is_private"));
    let private = "/2.0/repositories/acme?q=is_private%3Dtrue";
    assert_eq!(rig.status(&rig.person("ada"), private).await, 500);
    assert_eq!(rig.status(&rig.person("ada"), "/2.0/repositories/acme").await, 200);
    assert_eq!(rig.status(&workspace_token(), private).await, 200);
}

#[tokio::test]
async fn errors_are_worded_as_they_were_recorded() {
    let rig = rig(world()).await;
    let token = workspace_token();
    let told = async |act| {
        rig.bitbucket.fault(Fault::at("/**", act).once());
        let response = rig.ask(&token, &path(1)).await;
        let kind = response.headers()["content-type"].to_str().unwrap().to_owned();
        (response.status().as_u16(), kind, response.text().await.unwrap())
    };
    let (status, kind, body) = told(Act::Status(429)).await;
    assert_eq!(
        (status, kind.as_str(), body.as_str()),
        (429, "text/plain", "Rate limit for this resource has been exceeded")
    );
    let (status, _, body) = told(Act::Status(410)).await;
    assert!(status == 410 && body.contains("CHANGE-2770"));
    let (status, kind, body) = told(Act::Html200).await;
    assert!(status == 200 && kind.starts_with("text/html") && body.starts_with("<!doctype"));
    let answer = Act::Answer { status: 418, media_type: "text/x-tea".into(), body: "short".into() };
    assert_eq!(told(answer).await, (418, "text/x-tea".into(), "short".into()));
    assert_eq!(told(Act::Text200).await.2, "OK");
}

#[tokio::test]
async fn an_answer_may_be_cut_with_and_without_being_told_so() {
    let rig = rig(world()).await;
    let token = workspace_token();
    let whole = rig.ask(&token, &path(1)).await.text().await.unwrap();
    rig.bitbucket.fault(Fault::at(MEMBERS, Act::CutJson).once());
    let cut = rig.ask(&token, &path(1)).await.text().await.unwrap();
    assert!(whole.starts_with(&cut) && cut.len() == whole.len() / 2);
    assert!(serde_json::from_str::<Value>(&cut).unwrap_err().is_eof());
    rig.bitbucket.fault(Fault::at(MEMBERS, Act::BreakOff).once());
    let response = rig.ask(&token, &path(1)).await;
    assert_eq!(response.content_length(), Some(whole.len() as u64));
    assert!(response.text().await.is_err(), "the connection breaks");
    rig.bitbucket.fault(Fault::at(MEMBERS, Act::Padding(3_000_000)).once());
    let padded = rig.ask(&token, &path(1)).await.text().await.unwrap();
    assert!(padded.len() > 3_000_000 && padded.ends_with(&whole));
}

#[tokio::test]
async fn an_answer_may_never_come_or_come_when_it_is_let() {
    let rig = rig(world()).await;
    let token = workspace_token();
    rig.bitbucket.fault(Fault::at(MEMBERS, Act::Hang).once());
    let hung = rig.request(&token, &path(1)).timeout(Duration::from_millis(100)).send().await;
    assert!(hung.unwrap_err().is_timeout());

    let wait = rig.bitbucket.fault(Fault::at(MEMBERS, Act::Wait).once());
    let waiting = tokio::spawn(rig.request(&token, &path(1)).send());
    let came = rig.bitbucket.wait_for(PATIENCE, |control| (control.happened(wait) == 1).then_some(())).await;
    assert!(came.is_some() && !waiting.is_finished());
    rig.bitbucket.remove_fault(wait);
    assert_eq!(waiting.await.unwrap().unwrap().status(), 200);
}

#[tokio::test]
async fn rows_may_be_doubled_missing_or_damaged() {
    let rig = rig(world()).await;
    let good = rig.json(&workspace_token(), &path(1)).await;
    let [first, second] = uuids(&good)[..] else { panic!("two rows") };
    assert_eq!(good["size"], 3);

    let page = page_with(&rig, Act::DuplicateRow).await;
    assert_eq!((uuids(&page), &page["size"]), (vec![first, first], &3.into()));
    let page = page_with(&rig, Act::RepeatRow).await;
    assert_eq!(uuids(&page), [first, second, first]);
    let page = page_with(&rig, Act::OmitRow { hide: false }).await;
    assert_eq!((uuids(&page), &page["size"]), (vec![first], &3.into()));
    let page = page_with(&rig, Act::OmitRow { hide: true }).await;
    assert_eq!((uuids(&page), &page["size"]), (vec![first], &2.into()));
    let page = page_with(&rig, Act::MissingId).await;
    assert_eq!(uuids(&page), [first]);
    assert_eq!(page["values"].as_array().unwrap().len(), 2);
    let page = page_with(&rig, Act::WrongType).await;
    assert_eq!(page["values"][1]["user"]["uuid"], 7);
    let page = page_with(&rig, Act::NotAnObject).await;
    assert!(page["values"][1].is_string());
    let page = page_with(&rig, Act::WrongWorkspace).await;
    assert!(page["values"].as_array().unwrap().iter().all(|row| {
        row["workspace"]["uuid"].is_string()
            && row["workspace"]["uuid"] != good["values"][0]["workspace"]["uuid"]
    }));
}

#[tokio::test]
async fn pages_may_lie_about_themselves() {
    let rig = rig(world()).await;
    let page = page_with(&rig, Act::EmptyPage).await;
    assert!(uuids(&page).is_empty() && page["next"].is_string() && page["size"] == 3);
    let page = page_with(&rig, Act::EmptyListing).await;
    assert!(uuids(&page).is_empty() && page.get("next").is_none() && page["size"] == 0);
    let page = page_with(&rig, Act::NoNext).await;
    assert_eq!((page.get("next"), uuids(&page).len()), (None, 2));
    let page = page_with(&rig, Act::LoopNext(1)).await;
    let next = page["next"].as_str().unwrap();
    assert!(next.contains("page=1") && next.contains("pagelen=2"), "{next}");
    let page = page_with(&rig, Act::ForeignNext("http://127.0.0.1:9".into())).await;
    assert!(page["next"].as_str().unwrap().starts_with("http://127.0.0.1:9/2.0/workspaces/acme/members?"));
    assert_eq!(page_with(&rig, Act::Size(99)).await["size"], 99);
    assert_eq!(page_with(&rig, Act::NoSize).await.get("size"), None);
}

#[tokio::test]
async fn a_request_may_be_sent_elsewhere() {
    let rig = rig(world()).await;
    rig.bitbucket.fault(Fault::at(MEMBERS, Act::Redirect("http://127.0.0.1:9/".into())).once());
    let response = rig.ask(&workspace_token(), &path(1)).await;
    assert_eq!(response.status(), 302);
    let location = response.headers()["location"].to_str().unwrap();
    assert_eq!(location, format!("http://127.0.0.1:9{}", path(1)));
}

#[tokio::test]
async fn the_token_endpoint_fails_too() {
    let rig = rig(world()).await;
    rig.bitbucket.fault(Fault::at("/site/oauth2/access_token", Act::Status(500)).once());
    let form = [("grant_type", "client_credentials")];
    let failed = rig.redeem(standin_bitbucket::SYNC_KEY, standin_bitbucket::SYNC_SECRET, &form).await;
    assert_eq!(failed.0, 500);
}

#[tokio::test]
async fn unheard_of_things_are_everywhere() {
    let weird = world().behaving(|behaviour| {
        behaviour.weird.fields = true;
        behaviour.weird.values = true;
        behaviour.weird.levels = true;
        behaviour.weird.kinds = true;
    });
    let rig = rig(weird).await;
    let token = workspace_token();
    let page = rig.json(&token, "/2.0/workspaces/acme/permissions").await;
    assert!(page.get("unheard_of").is_some());
    for row in page["values"].as_array().unwrap() {
        assert!(row.get("unheard_of").is_some() && row["user"].get("unheard_of").is_some());
        assert_ne!(row["user"]["type"], "user");
        assert_ne!(row["permission"], "member");
    }
    let repository = rig.json(&token, "/2.0/repositories/acme/engine").await;
    assert_eq!(repository["fork_policy"], "ask_first");
}

#[tokio::test]
async fn answers_can_be_late_and_what_is_under_way_is_counted() {
    let rig = rig(world()).await;
    let wait = rig.bitbucket.fault(Fault::at(MEMBERS, Act::Wait));
    let token = workspace_token();
    let waiting: Vec<_> = (0..5).map(|_| tokio::spawn(rig.request(&token, &path(1)).send())).collect();
    let all = rig.bitbucket.wait_for(PATIENCE, |control| (control.most_at_once() == 5).then_some(())).await;
    assert!(all.is_some());
    rig.bitbucket.remove_fault(wait);
    for one in waiting {
        assert_eq!(one.await.unwrap().unwrap().status(), 200);
    }
    rig.bitbucket.set_latency(50);
    let impatient = rig.request(&token, &path(1)).timeout(Duration::from_millis(20)).send().await;
    assert!(impatient.is_err());
    assert_eq!(rig.status(&token, &path(1)).await, 200);
}
