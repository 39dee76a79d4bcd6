//! The stand-in as a program.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

fn program(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_standin-bitbucket"));
    command.args(arguments).stderr(Stdio::piped());
    command
}

/// The only line of a start that fails.
fn refusal(arguments: &[&str]) -> String {
    let output = program(arguments).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{arguments:?}");
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(text.trim_end().lines().count(), 1, "{text}");
    text
}

#[test]
fn a_start_that_cannot_be_says_why_in_a_line() {
    assert!(refusal(&["--listen", "0.0.0.0:0"]).contains("--listen must be an address of this machine"));
    assert!(refusal(&["--world", "/nowhere.json"]).contains("--world /nowhere.json cannot be read"));
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    assert!(refusal(&["--listen", &address]).contains(&address));
}

#[tokio::test]
async fn a_start_that_succeeds_prints_where_it_is_and_answers_there() {
    let mut child = program(&["--listen", "127.0.0.1:0"]).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let first = lines.next().unwrap().unwrap();
    let url = first.strip_prefix("ROLLCALL_BITBUCKET_URL=").unwrap().to_owned();
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let answer = http.get(format!("{url}/_control/world")).send().await.unwrap();
    let world = answer.text().await.unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(world.contains("\"fernweh\""));
}
