//! A deployment with its routes.

use std::sync::{Arc, Mutex};

use axum::Router;
use futures_util::future::BoxFuture;
use rollcall_admin::testing::{Answered, As, Call, Deployment, finish};
use rollcall_admin_api::App;
use rollcall_admin_api::queue::{NotQueued, SyncQueue};
use rollcall_bitbucket::{Bitbucket, Endpoints, Limits};
use rollcall_domain::{RunId, WorkspaceId};
use rollcall_service::clock::Clock as _;
use rollcall_store::Store;
use serde_json::Value;

/// A queue that keeps what it is asked for, or takes nothing.
#[derive(Default)]
pub(crate) struct Queue {
    pub(crate) asked: Mutex<Vec<(WorkspaceId, RunId)>>,
    pub(crate) broken: Mutex<bool>,
}

impl SyncQueue for Queue {
    fn ask(&self, workspace: WorkspaceId, run: RunId) -> BoxFuture<'_, Result<(), NotQueued>> {
        let broken = *self.broken.lock().unwrap();
        if !broken {
            self.asked.lock().unwrap().push((workspace, run));
        }
        Box::pin(async move { if broken { Err(NotQueued("it is gone".to_owned())) } else { Ok(()) } })
    }
}

/// A deployment with the routes of both functions.
pub(crate) struct World {
    pub(crate) deployment: Deployment,
    pub(crate) routes: Router,
    pub(crate) queue: Arc<Queue>,
}

impl World {
    /// Without a Bitbucket: nobody answers there.
    pub(crate) async fn start() -> Self {
        Self::with_bitbucket("http://127.0.0.1:9").await
    }

    pub(crate) async fn with_bitbucket(url: &str) -> Self {
        Self::in_table(rollcall_store::testing::store().await, url, "10000").await
    }

    /// With the limit of attempts that deployments have.
    pub(crate) async fn strict() -> Self {
        Self::in_table(rollcall_store::testing::store().await, "http://127.0.0.1:9", "30").await
    }

    pub(crate) async fn in_table(store: Store, url: &str, rate: &str) -> Self {
        Self::with_variables(store, url, &[("ROLLCALL_SIGN_IN_RATE", rate)]).await
    }

    pub(crate) async fn with_variables(store: Store, url: &str, more: &[(&str, &str)]) -> Self {
        let bitbucket = [("ROLLCALL_BITBUCKET_URL", url), ("ROLLCALL_BITBUCKET_API_URL", url)];
        let variables: Vec<_> = bitbucket.into_iter().chain(more.iter().copied()).collect();
        let deployment = Deployment::with(store, &variables).await;
        let url: url::Url = url.parse().unwrap();
        let endpoints = Endpoints::new(url.clone(), url).unwrap();
        let clock = deployment.clock.clone();
        let http = rollcall_service::http::client().unwrap();
        let limits = Limits { attempts: 1, ..Limits::default() };
        let bitbucket = Bitbucket::new(http, endpoints, Arc::new(move || clock.now()), limits);
        let queue = Arc::new(Queue::default());
        let app = App { admin: deployment.admin.clone(), bitbucket, queue: Arc::<Queue>::clone(&queue) };
        let invites = rollcall_invites::App { admin: deployment.admin.clone(), mailer: None };
        let routes = finish(rollcall_admin_api::router(app).merge(rollcall_invites::router(invites)));
        Self { deployment, routes, queue }
    }

    pub(crate) async fn send(&self, call: Call) -> Answered {
        call.send(&self.routes).await
    }

    pub(crate) async fn get(&self, who: &As, path: impl Into<String>) -> Answered {
        self.send(Call::new("GET", path).by(who)).await
    }

    pub(crate) async fn post(&self, who: &As, path: impl Into<String>, body: &Value) -> Answered {
        self.send(Call::new("POST", path).by(who).json(body)).await
    }

    pub(crate) async fn put(&self, who: &As, path: impl Into<String>, body: &Value) -> Answered {
        self.send(Call::new("PUT", path).by(who).json(body)).await
    }

    pub(crate) async fn patch(&self, who: &As, path: impl Into<String>, body: &Value) -> Answered {
        self.send(Call::new("PATCH", path).by(who).json(body)).await
    }

    pub(crate) async fn delete(&self, who: &As, path: impl Into<String>) -> Answered {
        self.send(Call::new("DELETE", path).by(who)).await
    }
}

/// The actions in a trail, in the order of the alphabet: the clock stands still, so that time gives none.
pub(crate) fn actions(trail: &Answered) -> Vec<&str> {
    let entries = trail.json["items"].as_array().unwrap().iter();
    let mut actions: Vec<&str> = entries.map(|entry| entry["action"].as_str().unwrap()).collect();
    actions.sort_unstable();
    actions
}
