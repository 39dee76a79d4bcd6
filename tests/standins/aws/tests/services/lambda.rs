//! The runtime API, proven with a function on the real `lambda_runtime`.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use standin_aws::{Function, InvocationError, LambdaRuntime};

/// Long enough for any machine; only what goes wrong takes so long.
const PATIENCE: Duration = Duration::from_secs(30);

/// The built example, which Cargo puts beside the tests.
fn echo_binary() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    test.parent().and_then(|deps| deps.parent()).unwrap().join("examples/echo")
}

async fn started(envs: &[(&str, &str)]) -> (LambdaRuntime, Arc<Function>) {
    let lambda = LambdaRuntime::start().await.unwrap();
    let function = lambda.spawn(echo_binary(), envs.iter().copied()).unwrap();
    (lambda, function)
}

#[tokio::test]
async fn a_function_is_called_again_and_again_with_its_context() {
    let (lambda, function) = started(&[("GIVEN", "a value")]).await;
    for number in 0..3 {
        let answer = lambda.invoke(json!({"number": number}), PATIENCE).await.unwrap();
        assert_eq!(answer["event"]["number"], number);
        assert_eq!(answer["given"], "a value");
        assert_eq!(answer["home"], Value::Null, "nothing of our environment gets in");
        assert_eq!(answer["function"], "arn:aws:lambda:eu-west-1:123456789012:function:function-under-test");
        assert!(answer["deadline"].as_u64().unwrap() > 1_700_000_000_000);
    }
    assert!(function.wait_for_line(PATIENCE, |line| line == "echo is ready").await.is_some());
    function.kill().await;
}

#[tokio::test]
async fn many_invocations_at_once_are_answered_one_after_another() {
    let (lambda, _function) = started(&[]).await;
    let calls = (0..20).map(|number| lambda.invoke(json!({"number": number}), PATIENCE));
    let answers = futures_util::future::join_all(calls).await;
    let numbers: Vec<Value> =
        answers.into_iter().map(|answer| answer.unwrap()["event"]["number"].clone()).collect();
    assert_eq!(numbers, (0..20).map(Value::from).collect::<Vec<_>>());
}

#[tokio::test]
async fn an_error_of_the_function_is_told_and_it_lives_on() {
    let (lambda, _function) = started(&[]).await;
    let Err(InvocationError::Function { message, .. }) = lambda.invoke(json!({"do": "fail"}), PATIENCE).await
    else {
        panic!("it was told to fail");
    };
    assert!(message.contains("it was told to fail"), "{message}");
    assert!(lambda.invoke(json!({}), PATIENCE).await.is_ok());
}

#[tokio::test]
async fn a_function_that_misses_its_deadline_is_killed() {
    let (lambda, function) = started(&[]).await;
    let deadline = Duration::from_millis(100);
    let outcome = lambda.invoke(json!({"do": "hang"}), deadline).await;
    assert_eq!(outcome, Err(InvocationError::TimedOut(deadline)));
    assert!(function.exited(PATIENCE).await.is_some());
}

#[tokio::test]
async fn a_process_that_ends_ends_the_invocation_and_its_last_words_are_kept() {
    let (lambda, function) = started(&[]).await;
    let outcome = lambda.invoke(json!({"do": "exit"}), PATIENCE).await;
    assert_eq!(outcome, Err(InvocationError::Exited { status: "exit status: 7".into() }));
    assert!(function.output().contains("last words"));
}

#[tokio::test]
async fn a_function_that_refuses_to_start_is_told_with_its_status() {
    let (lambda, function) = started(&[("ECHO_REFUSES_TO_START", "1")]).await;
    assert_eq!(function.exited(PATIENCE).await.and_then(|status| status.code()), Some(2));
    assert_eq!(function.output(), "ECHO_REFUSES_TO_START is set: unset it\n");
    let outcome = lambda.invoke(json!({}), PATIENCE).await;
    assert_eq!(outcome, Err(InvocationError::Exited { status: "exit status: 2".into() }));
}

#[tokio::test]
async fn an_init_error_ends_the_invocation() {
    let lambda = LambdaRuntime::start().await.unwrap();
    let place = format!("http://{}/2018-06-01/runtime/init/error", lambda.address());
    let told = json!({"errorType": "Config", "errorMessage": "a variable is missing"});
    let response =
        reqwest::Client::builder().no_proxy().build().unwrap().post(place).json(&told).send().await;
    assert_eq!(response.unwrap().status(), 202);
    let outcome = lambda.invoke(json!({}), PATIENCE).await;
    let expected = InvocationError::Init { kind: "Config".into(), message: "a variable is missing".into() };
    assert_eq!(outcome, Err(expected));
}

#[tokio::test]
async fn an_answer_to_an_unknown_invocation_is_refused() {
    let lambda = LambdaRuntime::start().await.unwrap();
    let place = format!("http://{}/2018-06-01/runtime/invocation/unknown/response", lambda.address());
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    assert_eq!(http.post(place).body("{}").send().await.unwrap().status(), 400);
}
