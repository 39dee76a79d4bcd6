//! Replaying events, in order.

use axum::extract::State;
use rollcall_admin::cloud_event::CloudEvent;
use rollcall_admin::page::Limit;
use rollcall_admin::{Caller, Failure, schema};
use rollcall_domain::WorkspaceId;
use rollcall_service::web::{FieldError, Json, Problem, Query};
use rollcall_store::events::StoredEvent;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::App;

/// Which events.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct EventsQuery {
    /// Of which workspace. Can be left out by a credential that is bound to one.
    #[param(value_type = Option<schema::WorkspaceId>, inline)]
    workspace: Option<WorkspaceId>,
    /// The `sequence` of the last event that is known already. Left out: from the oldest on that is still kept.
    #[param(value_type = Option<u64>, minimum = 0)]
    after: Option<u64>,
    /// How many at most.
    #[param(value_type = Option<u16>, minimum = 1, maximum = 100)]
    limit: Option<Limit>,
}

/// An event with its number.
#[derive(Serialize, ToSchema)]
pub(crate) struct NumberedEvent {
    /// The event.
    #[serde(flatten)]
    event: CloudEvent,
    /// Its number in the workspace: the CloudEvents extension `sequence`. Numbers rise by one.
    sequence: String,
}

/// Events in order.
#[derive(Serialize, ToSchema)]
pub(crate) struct Events {
    /// The events, oldest first.
    items: Vec<NumberedEvent>,
    /// What to give as `after` for those that follow; `null`: these are all there are at the moment.
    #[schema(required)]
    next: Option<String>,
}

/// Replays the events of a workspace in order, as CloudEvents 1.0. They are kept for 30 days.
#[utoipa::path(
    get, path = "/v1/events", tag = "events", operation_id = "list_events", params(EventsQuery),
    responses((status = 200, description = "Events in order.", body = Events)),
)]
pub(crate) async fn list(
    State(app): State<App>,
    caller: Caller,
    Query(query): Query<EventsQuery>,
) -> Result<Json<Events>, Failure> {
    let workspace = match (caller.workspace(), query.workspace) {
        (Some(own), Some(named)) if own != named => return Err(Problem::not_found().into()),
        (Some(own), _) => own,
        (None, Some(named)) => named,
        (None, None) => {
            let missing =
                FieldError::parameter("workspace", "is required: events are in order for each workspace");
            return Err(Problem::bad_request("A parameter is missing.").errors(vec![missing]).into());
        }
    };
    app.admin.workspace(workspace).await?;
    let limit = query.limit.unwrap_or_default().get();
    let page = app.admin.store().events_after(workspace, query.after.unwrap_or(0), limit).await?;
    let next = page.next.as_ref().and_then(|_| page.items.last()).map(|last| last.sequence.to_string());
    let url = app.admin.config().public_url.as_str();
    let numbered = |stored: &StoredEvent| NumberedEvent {
        event: CloudEvent::new(&stored.event, url),
        sequence: stored.sequence.to_string(),
    };
    Ok(Json(Events { items: page.items.iter().map(numbered).collect(), next }))
}
