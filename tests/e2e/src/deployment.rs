//! The four functions, each a process of its own, behind a gateway with the template's routes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rollcall_local::api::Api;
use rollcall_local::settings::Settings;
use rollcall_local::stack::{QUEUE, Stack};
use rollcall_service::config;
use serde_json::Value;
use standin_aws::{Function, InvocationError, LambdaRuntime, QueueSettings};

use crate::binaries::binary;
use crate::gateway;

/// The functions, by the names of their binaries.
pub const FUNCTIONS: [&str; 4] = ["oauth-callback", "invites", "admin-api", "scheduled-sync"];

/// Time enough for any answer; only what goes wrong takes so long.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A function that runs.
pub struct Deployed {
    /// Lambda's side.
    pub lambda: Arc<LambdaRuntime>,
    /// The process.
    pub process: Arc<Function>,
}

/// A deployment on this machine. The stack gives it table, secret, queue and providers; its own server is not used.
pub struct Deployment {
    /// What stands around the functions.
    pub stack: Stack,
    /// Where the gateway is, which is the public base URL.
    pub url: String,
    functions: BTreeMap<String, Deployed>,
}

impl Deployment {
    /// Starts everything.
    pub async fn start() -> Self {
        let (listener, address) = gateway::listen().await;
        let url = format!("http://localhost:{}", address.port());
        let mut settings = Settings::for_tests();
        settings.variables.insert(config::PUBLIC_URL, url.clone().into());
        settings.variables.insert(config::SIGN_IN_RATE, "1000".into());
        settings.variables.insert(config::INVITE_SENDER, "rollcall@example.com".into());
        let stack = Stack::start(&settings).await.unwrap();
        stack.aws.queues().create(QUEUE, QueueSettings::default());
        let environment = stack.environment();
        let mut functions = BTreeMap::new();
        for name in FUNCTIONS {
            let lambda = Arc::new(LambdaRuntime::start().await.unwrap());
            let process = lambda.spawn(binary(name), environment.clone()).unwrap();
            functions.insert(name.to_owned(), Deployed { lambda, process });
        }
        let lambdas = functions.iter().map(|(name, function)| (name.clone(), Arc::clone(&function.lambda)));
        gateway::serve(listener, lambdas.collect());
        Self { stack, url, functions }
    }

    /// A function.
    pub fn function(&self, name: &str) -> &Deployed {
        &self.functions[name]
    }

    /// The admin API behind the gateway.
    pub fn api(&self) -> Api {
        Api::new(self.stack.http().clone(), self.url.clone(), self.stack.admin_token.clone())
    }

    /// Invokes a function directly, as a schedule does.
    pub async fn invoke(&self, name: &str, event: Value) -> Result<Value, InvocationError> {
        self.function(name).lambda.invoke(event, PATIENCE).await
    }

    /// Hands everything that is in the queue to the sync, one message at a time, as Lambda does. What the function answered.
    pub async fn work_off_the_queue(&self) -> Vec<Value> {
        let mut answers = Vec::new();
        while let Some(delivery) = self.stack.aws.queues().deliver(QUEUE, 1) {
            let answer = self.invoke("scheduled-sync", delivery.event().clone()).await;
            self.stack.aws.queues().settle(&delivery, answer.as_ref().ok());
            answers.push(answer.unwrap());
        }
        answers
    }

    /// Everything that the functions have written.
    pub fn output(&self) -> String {
        self.functions.values().map(|function| function.process.output()).collect()
    }
}
