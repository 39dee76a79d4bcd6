//! The services from another process. In the same process use [`Aws`].
//!
//! | request | does |
//! |---|---|
//! | `GET`, `DELETE /_control/calls` | the log of calls; empties it |
//! | `POST /_control/faults` | `{"operation": "GetSecretValue", "fault": {"delay": 100}, "times": {"next": 1}}` ([`Fault`], [`Times`]) |
//! | `DELETE /_control/faults` | takes all faults away |
//! | `PUT /_control/secrets/{name}` | the body is the secret's new text |
//! | `GET /_control/queues/{name}` | every message in a queue |
//! | `PUT /_control/queues/{name}` | makes a queue ([`QueueSettings`]) |
//! | `GET /_control/events` | what was put on the buses |
//! | `GET`, `DELETE /_control/outbox` | what was sent by mail; empties it |
//! | `PUT /_control/clock` | `{"advance": 60000}` or `{"set": 1800000000000}`, in milliseconds |

use core::time::Duration;
use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post, put};
use axum::{Json, Router};
use serde::Deserialize;

use crate::aws::Aws;
use crate::fault::{Fault, Times};
use crate::queue::QueueSettings;

#[derive(Deserialize)]
struct PutFault {
    operation: String,
    fault: Fault,
    times: Times,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum PutClock {
    Advance(u64),
    Set(i64),
}

type Shared = State<Arc<Aws>>;

pub(crate) fn router() -> Router<Arc<Aws>> {
    Router::new()
        .route(
            "/calls",
            get(async |State(aws): Shared| Json(aws.calls()))
                .delete(async |State(aws): Shared| aws.forget_calls()),
        )
        .route("/faults", post(put_fault).delete(async |State(aws): Shared| aws.heal()))
        .route("/secrets/{name}", put(put_secret))
        .route("/queues/{name}", get(get_queue).put(put_queue))
        .route("/events", get(async |State(aws): Shared| Json(aws.events().all())))
        .route(
            "/outbox",
            get(async |State(aws): Shared| Json(aws.mail().all()))
                .delete(async |State(aws): Shared| aws.mail().clear()),
        )
        .route("/clock", put(put_clock))
}

async fn put_fault(State(aws): Shared, Json(put): Json<PutFault>) {
    aws.fault(&put.operation, put.fault, put.times);
}

async fn put_secret(State(aws): Shared, Path(name): Path<String>, text: String) -> String {
    aws.secrets().put(&name, &text)
}

async fn get_queue(State(aws): Shared, Path(name): Path<String>) -> Json<Vec<crate::queue::Message>> {
    Json(aws.queues().messages(&name))
}

async fn put_queue(
    State(aws): Shared,
    Path(name): Path<String>,
    Json(settings): Json<QueueSettings>,
) -> (StatusCode, String) {
    (StatusCode::CREATED, aws.queues().create(&name, settings))
}

async fn put_clock(State(aws): Shared, Json(put): Json<PutClock>) {
    match put {
        PutClock::Advance(milliseconds) => aws.advance_clock(Duration::from_millis(milliseconds)),
        PutClock::Set(at) => aws.set_clock(at),
    }
}
