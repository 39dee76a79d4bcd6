//! The runtime API itself (version 2018-06-01).

use core::time::Duration;
use std::collections::{HashMap, VecDeque};
use std::ffi::OsStr;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitStatus;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderName, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio::sync::{Notify, oneshot, watch};

use crate::account::{REGION, arn, new_id};
use crate::clock;
use crate::lambda::invocation::{Invocation, InvocationError, error_in};
use crate::lambda::process::Function;

/// How long Lambda waits for a function to start.
const INIT_DEADLINE: Duration = Duration::from_secs(10);
/// What the function is called.
const FUNCTION_NAME: &str = "function-under-test";

/// The runtime API of one function instance. Dropping it takes the API down.
pub struct LambdaRuntime {
    bench: Arc<Bench>,
    address: SocketAddr,
    _stop: oneshot::Sender<()>,
}

/// What lies ready, what is being worked on.
struct Bench {
    work: Mutex<Work>,
    arrived: Notify,
    init_error: watch::Sender<Option<(String, String)>>,
    /// How often the function has asked for work.
    asked: watch::Sender<u64>,
}

#[derive(Default)]
struct Work {
    waiting: VecDeque<Invocation>,
    in_hand: HashMap<String, oneshot::Sender<Result<Value, InvocationError>>>,
    process: Option<Process>,
}

/// What the runtime has to know of the process it has started.
#[derive(Clone)]
struct Process {
    exit: watch::Receiver<Option<ExitStatus>>,
    function: std::sync::Weak<Function>,
}

impl LambdaRuntime {
    /// Opens the API on a free port.
    pub async fn start() -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let bench = Arc::new(Bench {
            work: Mutex::default(),
            arrived: Notify::new(),
            init_error: watch::Sender::new(None),
            asked: watch::Sender::new(0),
        });
        let router = Router::new()
            .route("/2018-06-01/runtime/invocation/next", get(next))
            .route("/2018-06-01/runtime/invocation/{id}/response", post(response))
            .route("/2018-06-01/runtime/invocation/{id}/error", post(error))
            .route("/2018-06-01/runtime/init/error", post(init_error))
            .with_state(bench.clone());
        let (stop, stopped) = oneshot::channel::<()>();
        tokio::spawn(async move {
            let ended = async {
                let _ = stopped.await;
            };
            axum::serve(listener, router).with_graceful_shutdown(ended).await
        });
        Ok(Self { bench, address, _stop: stop })
    }

    /// The value of `AWS_LAMBDA_RUNTIME_API`.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The variables that Lambda sets for a function, credentials aside.
    pub fn environment(&self) -> Vec<(String, String)> {
        [
            ("AWS_LAMBDA_RUNTIME_API", self.address.to_string().as_str()),
            ("AWS_LAMBDA_FUNCTION_NAME", FUNCTION_NAME),
            ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256"),
            ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand"),
            ("AWS_LAMBDA_LOG_GROUP_NAME", "/aws/lambda/function-under-test"),
            ("AWS_LAMBDA_LOG_STREAM_NAME", "2026/01/01/[$LATEST]0123456789abcdef0123456789abcdef"),
            ("AWS_EXECUTION_ENV", "AWS_Lambda_provided.al2023"),
            ("AWS_REGION", REGION),
            ("AWS_DEFAULT_REGION", REGION),
            ("LAMBDA_TASK_ROOT", "/var/task"),
            ("LAMBDA_RUNTIME_DIR", "/var/runtime"),
            ("_HANDLER", "bootstrap"),
            ("TZ", ":UTC"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .to_vec()
    }

    /// Starts a built function. It gets [`LambdaRuntime::environment`] and `envs`, and nothing of this process's environment.
    pub fn spawn<N: AsRef<OsStr>, V: AsRef<OsStr>>(
        &self,
        path: impl AsRef<OsStr>,
        envs: impl IntoIterator<Item = (N, V)>,
    ) -> io::Result<Arc<Function>> {
        let mut command = Command::new(path);
        command.env_clear().envs(self.environment()).envs(envs);
        let function = Arc::new(Function::spawn(command)?);
        let mut work = self.bench.work();
        work.process = Some(Process { exit: function.exit(), function: Arc::downgrade(&function) });
        Ok(function)
    }

    /// Waits until the function has started: it asks for its first work. Whether it has, within the ten seconds that Lambda gives it.
    pub async fn has_started(&self) -> bool {
        let mut asked = self.bench.asked.subscribe();
        let first = asked.wait_for(|times| *times > 0);
        tokio::time::timeout(INIT_DEADLINE, first).await.is_ok_and(|asked| asked.is_ok())
    }

    /// Calls the function with an event, and waits for its answer. `deadline` is the function's timeout; it counts from the
    /// moment at which the function takes the event.
    pub async fn invoke(&self, payload: Value, deadline: Duration) -> Result<Value, InvocationError> {
        let (taken, is_taken) = oneshot::channel();
        let (outcome, answer) = oneshot::channel();
        let id = new_id();
        let process = {
            let mut work = self.bench.work();
            work.waiting.push_back(Invocation { id: id.clone(), payload, deadline, taken, outcome });
            work.process.clone()
        };
        self.bench.arrived.notify_one();
        let mut init_error = self.bench.init_error.subscribe();
        let in_time = async {
            if tokio::time::timeout(INIT_DEADLINE, is_taken).await.is_err() {
                return Err(InvocationError::NotStarted(INIT_DEADLINE));
            }
            match tokio::time::timeout(deadline, answer).await {
                Ok(Ok(answer)) => answer,
                // The bench does not drop an invocation that was taken.
                Ok(Err(_)) => Err(InvocationError::NotStarted(INIT_DEADLINE)),
                Err(_) => Err(InvocationError::TimedOut(deadline)),
            }
        };
        let outcome = tokio::select! {
            biased;
            outcome = in_time => outcome,
            failed = init_error.wait_for(Option::is_some) => {
                let (kind, message) = failed.ok().and_then(|told| told.clone()).unwrap_or_default();
                Err(InvocationError::Init { kind, message })
            }
            status = exit_of(process.clone()) => Err(InvocationError::Exited { status }),
        };
        if outcome.is_err() {
            self.bench.work().forget(&id);
        }
        if let (Err(InvocationError::TimedOut(_)), Some(process)) = (&outcome, process) {
            // Lambda ends the whole execution environment.
            if let Some(function) = process.function.upgrade() {
                function.kill().await;
            }
        }
        outcome
    }
}

/// How the process ended, once it has.
async fn exit_of(process: Option<Process>) -> String {
    let Some(mut process) = process else { return std::future::pending().await };
    match process.exit.wait_for(Option::is_some).await {
        Ok(status) => status.map(|status| status.to_string()).unwrap_or_default(),
        Err(_) => "unknown".into(),
    }
}

impl Bench {
    fn work(&self) -> MutexGuard<'_, Work> {
        self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Work {
    fn forget(&mut self, id: &str) {
        self.waiting.retain(|invocation| invocation.id != id);
        self.in_hand.remove(id);
    }
}

async fn next(State(bench): State<Arc<Bench>>) -> Response {
    bench.asked.send_modify(|times| *times += 1);
    let invocation = loop {
        let arrived = bench.arrived.notified();
        if let Some(invocation) = bench.work().waiting.pop_front() {
            break invocation;
        }
        arrived.await;
    };
    let deadline = clock::system() + i64::try_from(invocation.deadline.as_millis()).unwrap_or(i64::MAX / 2);
    bench.work().in_hand.insert(invocation.id.clone(), invocation.outcome);
    let _ = invocation.taken.send(());
    let fields = [
        (HeaderName::from_static("lambda-runtime-aws-request-id"), invocation.id),
        (HeaderName::from_static("lambda-runtime-deadline-ms"), deadline.to_string()),
        (
            HeaderName::from_static("lambda-runtime-invoked-function-arn"),
            arn("lambda", &format!("function:{FUNCTION_NAME}")),
        ),
        (
            HeaderName::from_static("lambda-runtime-trace-id"),
            "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Parent=9a9197af755a6419;Sampled=0".to_owned(),
        ),
        (header::CONTENT_TYPE, "application/json".to_owned()),
    ];
    (fields, invocation.payload.to_string()).into_response()
}

async fn response(State(bench): State<Arc<Bench>>, Path(id): Path<String>, body: Bytes) -> Response {
    let answer = serde_json::from_slice(&body).map_err(|error| InvocationError::NotJson(error.to_string()));
    settle(&bench, &id, answer)
}

async fn error(State(bench): State<Arc<Bench>>, Path(id): Path<String>, body: Bytes) -> Response {
    let (kind, message) = error_in(&body);
    settle(&bench, &id, Err(InvocationError::Function { kind, message }))
}

fn settle(bench: &Bench, id: &str, outcome: Result<Value, InvocationError>) -> Response {
    let Some(waiting) = bench.work().in_hand.remove(id) else {
        let body = json!({"errorMessage": "Invalid request ID", "errorType": "InvalidRequestID"});
        return (StatusCode::BAD_REQUEST, axum::Json(body)).into_response();
    };
    let _ = waiting.send(outcome);
    (StatusCode::ACCEPTED, axum::Json(json!({"status": "OK"}))).into_response()
}

async fn init_error(State(bench): State<Arc<Bench>>, body: Bytes) -> Response {
    bench.init_error.send_replace(Some(error_in(&body)));
    (StatusCode::ACCEPTED, axum::Json(json!({"status": "OK"}))).into_response()
}
