//! What a request leaves in the log, and what it does not.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may panic"
)]

use std::io;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use http::Request;
use rollcall_domain::{Timestamp, WorkspaceId};
use rollcall_service::telemetry::{self, JsonLines};
use rollcall_service::web::{Bearer, Web};
use serde_json::Value;
use tower::ServiceExt as _;
use tracing_subscriber::layer::SubscriberExt as _;

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_request_leaves_its_route_and_status_and_nothing_that_was_in_it() {
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber = tracing_subscriber::registry().with(JsonLines::new("test", move || writer.clone()));
    let _guard = tracing::subscriber::set_default(subscriber);

    let workspace = WorkspaceId::new(Timestamp::EPOCH, [1; 10]);
    let router = Router::new().route(
        "/callback/{provider}",
        get(async move |_token: Bearer| {
            telemetry::note_workspace(workspace);
            tracing::warn!("inside");
            "ok"
        }),
    );
    let request = Request::builder()
        .uri("/callback/hunter2-path?code=hunter2-query&state=hunter2")
        .header("authorization", "Bearer hunter2-token")
        .header("cookie", "__Host-session=hunter2-cookie")
        .header("user-agent", "hunter2")
        .body(Body::from("hunter2-body"))
        .unwrap();
    let answer = Web::new().finish(router).oneshot(request).await.unwrap();
    assert_eq!(answer.status(), 200);

    let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    assert!(!text.contains("hunter2"), "{text}");
    let objects: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(objects.len(), 2);
    for line in &objects {
        assert_eq!(line["route"], "/callback/{provider}");
        assert_eq!(line["workspace"], workspace.to_string());
        assert_eq!(line["request_id"], answer.headers()["x-request-id"].to_str().unwrap());
    }
    assert_eq!(objects[1]["status"], 200);
}
