//! The bodies that the admin API reads, for a fuzzer.

use axum::body::Body;
use axum::extract::{FromRequest as _, Request};
use futures_util::FutureExt as _;
use http::header::CONTENT_TYPE;
use rollcall_service::web::Json;
use serde::de::DeserializeOwned;

use crate::clients::input::NewClient;
use crate::connection::input::Connect;
use crate::members::change::MemberChange;
use crate::sync_runs::{Approval, NewRun};
use crate::tokens::NewToken;
use crate::webhook::PutWebhook;
use crate::workspaces::{NewWorkspace, WorkspaceChange};

/// Reads a body as each kind there is.
pub fn body(bytes: &[u8]) {
    if let Some(connect) = read::<Connect>(bytes) {
        let _ = connect.settings(None);
    }
    let _ = read::<NewClient>(bytes);
    let _ = read::<MemberChange>(bytes);
    let _ = read::<NewRun>(bytes);
    let _ = read::<Approval>(bytes);
    let _ = read::<NewToken>(bytes);
    let _ = read::<PutWebhook>(bytes);
    let _ = read::<NewWorkspace>(bytes);
    let _ = read::<WorkspaceChange>(bytes);
}

fn read<T: DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    let request = Request::builder().header(CONTENT_TYPE, "application/json");
    let request = request.body(Body::from(bytes.to_vec())).ok()?;
    let Json(value) = Json::<T>::from_request(request, &()).now_or_never()?.ok()?;
    Some(value)
}
