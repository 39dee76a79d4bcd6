//! A function for the tests of the runtime API: it does what the event says.

use std::time::Duration;

use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use serde_json::{Value, json};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    if std::env::var_os("ECHO_REFUSES_TO_START").is_some() {
        eprintln!("ECHO_REFUSES_TO_START is set: unset it");
        std::process::exit(2);
    }
    eprintln!("echo is ready");
    run(service_fn(echo)).await
}

async fn echo(event: LambdaEvent<Value>) -> Result<Value, Error> {
    match event.payload.get("do").and_then(Value::as_str) {
        Some("fail") => Err("it was told to fail".into()),
        Some("hang") => {
            tokio::time::sleep(Duration::from_secs(600)).await;
            Ok(Value::Null)
        }
        Some("exit") => {
            eprintln!("last words");
            std::process::exit(7)
        }
        _ => Ok(json!({
            "event": event.payload,
            "deadline": event.context.deadline,
            "function": event.context.invoked_function_arn,
            "request": event.context.request_id,
            "home": std::env::var("HOME").ok(),
            "given": std::env::var("GIVEN").ok(),
        })),
    }
}
