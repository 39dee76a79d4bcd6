//! The stories of the local stack, in this process.

use std::io::Write;
use std::sync::{Arc, Mutex};

use rollcall_local::arguments::Scenario;
use rollcall_local::report::Report;
use rollcall_local::settings::Settings;
use rollcall_local::stack::Stack;
use rollcall_local::story;

/// A writer whose text can be looked at.
#[derive(Clone, Default)]
struct Paper(Arc<Mutex<Vec<u8>>>);

impl Write for Paper {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Tells a story on a stack of its own. Whether all of it went as it should, and what was told.
async fn told(settings: &Settings) -> (bool, String) {
    let stack = Stack::start(settings).await.unwrap();
    let paper = Paper::default();
    let mut report = Report::plain(paper.clone());
    let good = story::tell(&stack, settings, &mut report).await;
    stack.stop().await;
    let text = String::from_utf8(paper.0.lock().unwrap().clone()).unwrap();
    (good, text)
}

fn scenario(scenario: Scenario) -> Settings {
    let arguments = clap::Parser::parse_from(["rollcall-local", "--once"]);
    let arguments = rollcall_local::arguments::Arguments { scenario: Some(scenario), ..arguments };
    Settings::new(arguments, |_| None).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_main_job_is_done_and_told() {
    let (good, text) = told(&Settings::for_tests()).await;
    assert!(good, "{text}");
    for told in [
        "Acme ↔ Fernweh Maps (fernweh), one to one",
        "12 teams and 120 repositories",
        "Amira Haddad signed in with Bitbucket and is a member",
        "fernweh/billing-ledger, fernweh/payroll-export, fernweh/tax-rules",
        "has suspended Tuuli Nieminen",
        "Tuuli Nieminen signs in again and is refused",
    ] {
        assert!(text.contains(told), "{told}\n{text}");
    }
    assert!(!text.contains('✗'), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_step_that_does_not_do_what_it_says_is_told_and_ends_the_story() {
    let mut settings = Settings::for_tests();
    // With removals off nobody is offboarded, and the story has to notice.
    let connection = serde_json::json!({ "removals_off": true });
    settings.connection = connection.as_object().cloned();
    let (good, text) = told(&settings).await;
    assert!(!good && text.contains("✗ the run is frozen and should be applied"), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_would_remove_too_many_is_frozen_and_approved() {
    let (good, text) = told(&scenario(Scenario::Freeze)).await;
    assert!(good && text.contains("an approval of anything else is refused"), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_is_undone() {
    let (good, text) = told(&scenario(Scenario::Undo)).await;
    assert!(good && text.contains("is active again, as the same member"), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_was_cut_off_is_resumed() {
    let (good, text) = told(&scenario(Scenario::Resume)).await;
    assert!(good && text.contains("everything has been read"), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kept_table_goes_on_where_it_ended() {
    let folder = tempfile::tempdir().unwrap();
    let mut settings = Settings::for_tests();
    settings.data = Some(folder.path().join("rollcall.db"));
    let first = Stack::start(&settings).await.unwrap();
    let workspace = serde_json::json!({ "name": "Kept" });
    let made = first.api().post("/v1/workspaces", &workspace).await.unwrap();
    let token = first.admin_token.clone();
    first.stop().await;

    let second = Stack::start(&settings).await.unwrap();
    let found = second.api_as(token).list("/v1/workspaces").await.unwrap();
    assert_eq!(found[0]["id"], made["id"], "the token and the workspace are still good");
    second.stop().await;
    let (good, text) = told(&settings).await;
    assert!(good, "{text}");
    let (again, text) = told(&settings).await;
    assert!(again, "the main job can be done twice in the same table:\n{text}");
}
