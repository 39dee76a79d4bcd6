//! The same over HTTP, under `/_control/`: the README lists it.

mod changes;
mod view;

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, patch, post, put};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::control::Control;
use crate::faults::{Fault, FaultId};
use crate::world::{Behaviour, Refused, World};

/// Which workspace a change acts on; left out, the first one.
#[derive(Deserialize)]
struct Place {
    workspace: Option<String>,
}

/// A change that could not be made, as an answer.
struct Failed(Refused);

impl From<Refused> for Failed {
    fn from(refused: Refused) -> Self {
        Self(refused)
    }
}

impl IntoResponse for Failed {
    fn into_response(self) -> Response {
        let status = match self.0 {
            Refused::Unknown { .. } => StatusCode::NOT_FOUND,
            Refused::Taken { .. } => StatusCode::CONFLICT,
            Refused::Impossible(_) => StatusCode::UNPROCESSABLE_ENTITY,
        };
        (status, Json(json!({"error": self.0.to_string()}))).into_response()
    }
}

type Done = Result<Json<Value>, Failed>;

impl Place {
    /// Makes a change in the workspace and answers with what it gives.
    fn change(self, control: &Control, change: impl FnOnce(&mut World) -> Result<Value, Refused>) -> Done {
        let changed = control.change(|world| {
            if let Some(workspace) = &self.workspace {
                world.enter(workspace)?;
            }
            change(world)
        });
        Ok(Json(changed?))
    }
}

pub(crate) fn router() -> Router<Control> {
    Router::new()
        .route("/world", get(world))
        .route("/workspaces", post(changes::add_workspace))
        .route("/workspace", patch(changes::change_workspace))
        .route("/people", post(changes::add_person))
        .route("/people/{username}", patch(changes::change_person).delete(changes::remove_person))
        .route("/groups", post(changes::add_group))
        .route("/groups/{slug}", patch(changes::rename_group).delete(changes::delete_group))
        .route(
            "/groups/{slug}/members/{username}",
            put(changes::add_to_group).delete(changes::remove_from_group),
        )
        .route("/projects", post(changes::add_project))
        .route("/projects/{key}", patch(changes::rename_project).delete(changes::delete_project))
        .route("/repositories", post(changes::add_repository))
        .route("/repositories/{slug}", patch(changes::change_repository).delete(changes::delete_repository))
        .route("/grants", put(changes::grant).delete(changes::revoke))
        .route("/consumers", post(changes::add_consumer))
        .route("/consumers/{key}", patch(changes::change_consumer).delete(changes::delete_consumer))
        .route("/tokens", post(changes::person_token))
        .route("/behaviour", get(behaviour).put(set_behaviour).patch(change_behaviour))
        .route("/requests", get(requests).delete(forget_requests))
        .route("/calls", delete(forget_calls))
        .route("/faults", get(faults).post(arm).delete(heal))
        .route("/faults/{id}", delete(remove_fault))
        .route("/clock", get(clock).put(set_clock))
        .route("/reset", post(reset))
}

async fn world(State(control): State<Control>, Query(place): Query<Place>) -> Done {
    place.change(&control, |world| Ok(view::world(world)))
}

async fn behaviour(State(control): State<Control>) -> Json<Behaviour> {
    Json(control.read(|world| world.behaviour.clone()))
}

async fn set_behaviour(State(control): State<Control>, Json(behaviour): Json<Behaviour>) -> StatusCode {
    control.change(|world| world.behaviour = behaviour);
    StatusCode::NO_CONTENT
}

/// Changes the members that are given and leaves the rest as it is.
async fn change_behaviour(State(control): State<Control>, Json(given): Json<Value>) -> Response {
    let mut wanted = control.read(|world| json!(world.behaviour));
    if let (Some(wanted), Value::Object(given)) = (wanted.as_object_mut(), given) {
        wanted.extend(given);
    }
    match serde_json::from_value::<Behaviour>(wanted) {
        Ok(behaviour) => {
            control.change(|world| world.behaviour = behaviour);
            StatusCode::NO_CONTENT.into_response()
        }
        Err(error) => {
            (StatusCode::UNPROCESSABLE_ENTITY, Json(json!({"error": error.to_string()}))).into_response()
        }
    }
}

async fn requests(State(control): State<Control>) -> Json<Value> {
    Json(json!({
        "counts": control.counts(),
        "most_at_once": control.most_at_once(),
        "requests": control.requests(),
    }))
}

async fn forget_requests(State(control): State<Control>) -> StatusCode {
    control.forget_requests();
    StatusCode::NO_CONTENT
}

async fn forget_calls(State(control): State<Control>) -> StatusCode {
    control.forget_calls();
    StatusCode::NO_CONTENT
}

async fn faults(State(control): State<Control>) -> Json<Value> {
    let faults = control.faults().into_iter();
    Json(
        faults.map(|(id, fault, happened)| json!({"id": id, "fault": fault, "happened": happened})).collect(),
    )
}

async fn arm(State(control): State<Control>, Json(fault): Json<Fault>) -> Json<Value> {
    Json(json!({"id": control.fault(fault)}))
}

async fn heal(State(control): State<Control>) -> StatusCode {
    control.heal();
    StatusCode::NO_CONTENT
}

async fn remove_fault(State(control): State<Control>, Path(id): Path<u64>) -> StatusCode {
    if control.remove_fault(FaultId(id)) { StatusCode::NO_CONTENT } else { StatusCode::NOT_FOUND }
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum PutClock {
    Offset(i64),
    Advance(i64),
}

async fn clock(State(control): State<Control>) -> Json<Value> {
    Json(json!({"offset": control.clock_offset()}))
}

async fn set_clock(State(control): State<Control>, Json(put): Json<PutClock>) -> Json<Value> {
    match put {
        PutClock::Offset(seconds) => control.set_clock_offset(seconds),
        PutClock::Advance(seconds) => control.advance_clock(seconds),
    }
    clock(State(control)).await
}

async fn reset(State(control): State<Control>) -> StatusCode {
    control.reset();
    StatusCode::NO_CONTENT
}
