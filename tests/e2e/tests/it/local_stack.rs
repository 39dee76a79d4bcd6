//! The local stack as a program: what it refuses, how it ends.

use std::process::{Output, Stdio};
use std::time::Duration;

use rollcall_e2e::binaries::binary;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Command;

/// Time enough for anything; only what goes wrong takes so long.
const PATIENCE: Duration = Duration::from_secs(120);

fn command(flags: &[&str], variables: &[(&str, &str)]) -> Command {
    let mut command = Command::new(binary("rollcall-local"));
    command.args(flags).env_clear().envs(variables.iter().copied()).stdin(Stdio::null()).kill_on_drop(true);
    command
}

async fn run(flags: &[&str], variables: &[(&str, &str)]) -> Output {
    tokio::time::timeout(PATIENCE, command(flags, variables).output()).await.unwrap().unwrap()
}

/// What it says when it refuses to start: one line, nothing on standard output, exit status 2.
async fn refusal(flags: &[&str], variables: &[(&str, &str)]) -> String {
    let output = run(flags, variables).await;
    let line = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{flags:?} {variables:?}: {line}");
    assert!(output.stdout.is_empty() && line.lines().count() == 1, "{flags:?} {variables:?}: {line}");
    assert!(!line.contains("hunter2") && !line.contains("panicked"), "{line}");
    line
}

#[tokio::test]
async fn once_does_the_main_job_and_ends_with_status_0_and_no_colour_in_a_pipe() {
    let output = run(&["--once"], &[]).await;
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(text.contains("Every step did what it says"), "{text}");
    assert!(!text.contains('\u{1b}'), "no colours in a pipe");
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "", "nothing to warn of");
}

#[tokio::test]
async fn a_bad_variable_is_named_in_one_line() {
    for (variable, value) in [
        ("ROLLCALL_PUBLIC_URL", "http://rollcall.example.com"),
        ("ROLLCALL_SIGN_IN_RATE", "hunter2"),
        ("ROLLCALL_INVITE_SENDER", "hunter2"),
        ("ROLLCALL_TABLE", "t!"),
        ("ROLLCALL_GOOGLE_ISSUER", "hunter2"),
        ("ROLLCALL_MICROSOFT_ISSUER", "http://hunter2.example.com"),
        ("ROLLCALL_BITBUCKET_URL", "http://127.0.0.1:1"),
        ("BITBUCKET_KEY", "key"),
    ] {
        let line = refusal(&["--once"], &[(variable, value)]).await;
        assert!(line.contains(variable), "{line}");
    }
}

#[tokio::test]
async fn a_bad_file_is_named_in_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rollcall.json");
    std::fs::write(&file, "{\"admin_tokem\": \"hunter2\"}").unwrap();
    let file = file.to_str().unwrap();
    assert!(refusal(&["--config", file], &[]).await.contains("line 1"));
    assert!(refusal(&["--config", "/nowhere/x.json"], &[]).await.contains("/nowhere/x.json"));
    assert!(refusal(&[], &[("ROLLCALL_LOCAL_CONFIG", "/nowhere/x.json")]).await.contains("/nowhere/x.json"));
    let line = refusal(&["--once", "--data", file], &[]).await;
    assert!(line.contains("--data") && line.contains("database"), "{line}");
    assert!(
        refusal(&["--once", "--data", "/nowhere/rollcall.db"], &[]).await.contains("/nowhere/rollcall.db")
    );
}

#[tokio::test]
async fn a_taken_port_is_named() {
    let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = taken.local_addr().unwrap().port();
    let line = refusal(&["--listen", &format!("127.0.0.1:{port}")], &[]).await;
    assert!(line.contains(&port.to_string()) && line.contains("taken"), "{line}");
}

#[tokio::test]
async fn an_unknown_flag_ends_with_status_2() {
    let output = run(&["--onec"], &[]).await;
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8(output.stderr).unwrap().contains("--once"), "it says what was meant");
}

#[cfg(unix)]
#[tokio::test]
async fn it_stays_up_until_ctrl_c_and_then_ends_cleanly() {
    let mut process = command(&["--listen", "127.0.0.1:0"], &[])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
    let mut told = String::new();
    let read_on = async {
        while let Some(line) = lines.next_line().await.unwrap() {
            let at_the_end = line.contains("Ctrl-C ends everything");
            told.push_str(&line);
            told.push('\n');
            if at_the_end {
                return;
            }
        }
    };
    tokio::time::timeout(PATIENCE, read_on).await.unwrap();
    let url = told.split_whitespace().find(|word| word.starts_with("http://localhost:")).unwrap();
    let login: url::Url = url.parse().unwrap();
    let http = rollcall_service::http::client().unwrap();
    let answer = http.get(login.join("/login").unwrap()).send().await.unwrap();
    assert_eq!(answer.status(), 200, "{told}");
    drop(answer);

    let pid = process.id().unwrap().to_string();
    let sent = Command::new("kill").args(["-INT", &pid]).status().await.unwrap();
    assert!(sent.success());
    let status = tokio::time::timeout(PATIENCE, process.wait()).await.unwrap().unwrap();
    assert_eq!(status.code(), Some(0));
    let last = lines.next_line().await.unwrap().unwrap_or_default();
    let rest = lines.next_line().await.unwrap().unwrap_or_default();
    assert!(format!("{last}{rest}").contains("Ended."), "{last}{rest}");
}
