//! A function that is measured: its program, and what it is asked.

use core::sync::atomic::{AtomicUsize, Ordering};
use std::path::PathBuf;
use std::sync::Arc;

use rollcall_domain::WorkspaceId;
use serde_json::Value;
use standin_aws::event::{HttpAnswer, HttpEvent};
use standin_aws::{Function, LambdaRuntime};

use super::{OWNERS, PATIENCE};
use crate::budgets;
use crate::surroundings::{Return, Surroundings, person};

/// What a function is asked.
pub(crate) enum Asked {
    /// The same every time.
    Always(Value),
    /// To finish a sign-in of an owner, which this other instance of the same program has begun.
    Callback(Instance),
    /// To invite somebody who is not invited yet.
    Invite,
}

/// A program, and what it is asked.
pub(crate) struct Contender {
    pub(crate) name: &'static str,
    pub(crate) what: &'static str,
    pub(crate) program: PathBuf,
    pub(crate) environment: Vec<(String, String)>,
    pub(crate) asked: Asked,
    /// The status of a good answer. `None`: the answer has none.
    pub(crate) status: Option<u16>,
}

/// A process of a function, with Lambda's side.
pub(crate) struct Instance {
    pub(crate) lambda: LambdaRuntime,
    pub(crate) process: Arc<Function>,
}

impl Instance {
    /// Starts a process. Whether it asks for work is for the caller to wait for.
    pub(crate) async fn spawn(program: &PathBuf, environment: &[(String, String)]) -> Self {
        let lambda = LambdaRuntime::start().await.unwrap();
        let process = lambda.spawn(program, environment.iter().cloned()).unwrap();
        Self { lambda, process }
    }

    /// Calls it. An answer that is not what it is to be ends the benchmark.
    pub(crate) async fn ask(&self, event: Value, status: Option<u16>) -> Value {
        let answer = match self.lambda.invoke(event, PATIENCE).await {
            Ok(answer) => answer,
            Err(error) => panic!("{error}\n{}", self.last_words()),
        };
        let found = answer.get("statusCode").and_then(Value::as_u64);
        let wanted = status.map(u64::from);
        assert!(wanted.is_none() || found == wanted, "{answer}\n{}", self.last_words());
        answer
    }

    /// The last lines that it has written.
    pub(crate) fn last_words(&self) -> String {
        let lines = self.process.lines();
        let last: Vec<_> =
            lines.iter().skip(lines.len().saturating_sub(5)).map(|line| line.text.as_str()).collect();
        last.join("\n")
    }
}

impl Contender {
    /// The next event. What leads to it is done here, outside of what is measured.
    pub(crate) async fn event(&self, around: &Surroundings, workspace: WorkspaceId) -> Value {
        match &self.asked {
            Asked::Always(event) => event.clone(),
            Asked::Callback(other) => {
                let login = HttpEvent::get("/login/bitbucket")
                    .route("GET /login/{provider}")
                    .query("workspace", &workspace.to_string());
                let begun = HttpAnswer::read(&other.ask(login.build(), Some(303)).await).unwrap();
                let cookies: Vec<_> =
                    begun.cookies.iter().map(|cookie| cookie.split(';').next().unwrap_or_default()).collect();
                let to = begun.header("location").unwrap();
                let nth = next();
                if nth.is_multiple_of(budgets::SIGN_INS) {
                    around.forget_budgets().await;
                }
                let who = person(nth % OWNERS + 1);
                callback(&around.consent(to, &who, cookies.join("; ")).await)
            }
            Asked::Invite => {
                let address = format!("{}-{}@example.com", self.name, next());
                let path = format!("/v1/workspaces/{workspace}/invites");
                HttpEvent::post(&path)
                    .header("authorization", &format!("Bearer {}", around.admin_token.expose()))
                    .route("POST /v1/workspaces/{workspace}/invites")
                    .json(&serde_json::json!({ "invites": [{ "email": address }] }))
                    .build()
            }
        }
    }
}

/// A number that no other call gets.
fn next() -> usize {
    static CALLS: AtomicUsize = AtomicUsize::new(0);
    CALLS.fetch_add(1, Ordering::Relaxed)
}

fn callback(back: &Return) -> Value {
    let mut event = HttpEvent::get("/callback/bitbucket").route("GET /callback/{provider}");
    for (name, value) in &back.query {
        event = event.query(name, value);
    }
    for cookie in back.cookie.split("; ") {
        let (name, value) = cookie.split_once('=').unwrap();
        event = event.cookie(name, value);
    }
    event.source_ip("127.0.0.1").build()
}
