//! What only a process of its own can show: the environment, the exit status, the one line. Each child is this test program again,
//! started with one ignored test and an environment of its own.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may panic"
)]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::process::{Command, ExitCode, Output};
use std::sync::Arc;

use rollcall_service::clock::SystemClock;
use rollcall_service::config::{Config, ConfigError};
use rollcall_service::secrets::{FetchFailed, Secrets, SecretsError};
use rollcall_service::{aws, http, start};

fn child(test: &str, variables: &[(&str, &str)]) -> Output {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([test, "--exact", "--ignored", "--nocapture", "--test-threads=1"]).env_clear();
    command.envs(variables.iter().copied()).output().unwrap()
}

#[test]
#[ignore = "a child of the tests below"]
fn child_that_reads_its_configuration() {
    let status = start::run("child", async || {
        let _config = Config::from_env()?;
        Ok::<(), ConfigError>(())
    });
    assert_eq!(status, ExitCode::from(2));
}

#[test]
fn a_missing_variable_ends_the_start_with_one_line_and_status_2() {
    let output = child("child_that_reads_its_configuration", &[("ROLLCALL_TABLE", "rollcall")]);
    // The child has compared the status.
    assert!(output.status.success(), "{output:?}");
    let stderr = String::from_utf8(output.stderr).unwrap();
    let lines: Vec<&str> = stderr.lines().collect();
    assert_eq!(lines.len(), 1, "{stderr}");
    let line: serde_json::Value = serde_json::from_str(lines[0]).unwrap();
    assert!(line["message"].as_str().unwrap().starts_with("ROLLCALL_PUBLIC_URL is not set"), "{line}");
    assert_eq!((&line["level"], &line["function"]), (&"ERROR".into(), &"child".into()));
}

#[test]
#[ignore = "a child of the tests below"]
fn child_that_serves() {
    let serve = async || rollcall_service::web::lambda::serve(axum::Router::new()).await;
    assert_eq!(start::run("child", serve), ExitCode::from(2));
}

#[test]
fn a_function_that_is_started_by_hand_says_so_and_does_not_panic() {
    let output = child("child_that_serves", &[("AWS_LAMBDA_RUNTIME_API", "127.0.0.1:1")]);
    assert!(output.status.success(), "{output:?}");
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(
        stderr.contains("AWS_LAMBDA_FUNCTION_NAME is not set") && stderr.lines().count() == 1,
        "{stderr}"
    );
}

#[test]
#[ignore = "a child of the tests below"]
fn child_that_calls_aws() {
    let status = start::run("child", async || {
        let config = aws::sdk_config(&http::client().unwrap()).map_err(|error| error.to_string())?;
        let id = rollcall_service::config::SecretId::parse("rollcall/deployment").unwrap();
        let secrets = Secrets::new(aws::secrets_manager(&config), id, Arc::new(SystemClock));
        let refused = secrets.current().await.err();
        assert_eq!(refused, Some(SecretsError::Fetch(FetchFailed::NotFound)));
        let tables = aws::dynamodb(&config).list_tables().send().await.map_err(|error| error.to_string())?;
        assert_eq!(tables.table_names(), ["rollcall"]);
        Ok::<(), String>(())
    });
    assert_eq!(status, ExitCode::SUCCESS);
}

/// Answers one SDK request for each given answer, and returns what was asked.
fn aws(answers: Vec<(u16, &'static str)>) -> (String, std::thread::JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let asked = std::thread::spawn(move || {
        let answer_one = |(status, body): (u16, &str)| {
            let (socket, _) = listener.accept().unwrap();
            let mut reader = BufReader::new(socket);
            let mut request = String::new();
            let mut length = 0;
            loop {
                let mut line = String::new();
                reader.read_line(&mut line).unwrap();
                if line == "\r\n" {
                    break;
                }
                if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap();
                }
                request.push_str(&line);
            }
            let mut sent = vec![0; length];
            reader.read_exact(&mut sent).unwrap();
            request.push_str(std::str::from_utf8(&sent).unwrap());
            write!(
                reader.into_inner(),
                "HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-type: application/x-amz-json-1.1\r\n\
                 content-length: {}\r\n\r\n{body}",
                body.len()
            )
            .unwrap();
            request
        };
        answers.into_iter().map(answer_one).collect()
    });
    (url, asked)
}

#[test]
fn the_sdk_really_calls_the_endpoint_that_the_environment_names() {
    let (url, asked) = aws(vec![
        (400, "{\"__type\":\"ResourceNotFoundException\",\"message\":\"hunter2\"}"),
        (200, "{\"TableNames\":[\"rollcall\"]}"),
    ]);
    let output = child(
        "child_that_calls_aws",
        &[
            ("AWS_ENDPOINT_URL", &url),
            ("AWS_REGION", "eu-west-1"),
            ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"),
            ("AWS_SECRET_ACCESS_KEY", "hunter2"),
        ],
    );
    assert!(output.status.success(), "{output:?}");
    let asked = asked.join().unwrap();
    assert!(
        asked[0].contains("secretsmanager.GetSecretValue") && asked[0].contains("rollcall/deployment"),
        "{asked:?}"
    );
    assert!(asked[1].contains("ListTables") && asked[1].contains("Credential=AKIDEXAMPLE"), "{asked:?}");
}

#[test]
fn a_missing_region_is_named() {
    let output = child("child_that_calls_aws", &[("AWS_EC2_METADATA_DISABLED", "true")]);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.contains("AWS_REGION is not set"), "{stderr}");
}
