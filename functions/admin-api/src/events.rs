//! Replaying events, in order.

use axum::extract::State;
use http::StatusCode;
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
    /// The `sequence` of the last event that is known already. Left out or 0: from the oldest on that is still kept.
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

/// Problem details, and where to go on.
#[derive(Serialize, ToSchema)]
pub(crate) struct EventsGone {
    /// What is wrong.
    #[serde(flatten)]
    problem: schema::Problem,
    /// The number of the last event: what to give as `after` once everything was listed anew.
    last: String,
}

/// Replays the events of a workspace in order, as CloudEvents 1.0. They are kept for 30 days.
///
/// Nothing is left out in silence: where those that follow `after` are not kept any more, the answer is 410, and `last` in it is the
/// number to go on from after everything was listed anew.
#[utoipa::path(
    get, path = "/v1/events", tag = "events", operation_id = "list_events", params(EventsQuery),
    responses(
        (status = 200, description = "Events in order.", body = Events),
        (
            status = 410, description = "The events that follow are not kept any more.",
            body = EventsGone, content_type = "application/problem+json",
        ),
    ),
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
    if let Some(after) = query.after.filter(|after| *after > 0) {
        check_gap(&app, workspace, after, page.items.first()).await?;
    }
    let next = page.next.as_ref().and_then(|_| page.items.last()).map(|last| last.sequence.to_string());
    let url = app.admin.config().public_url.as_str();
    let numbered = |stored: &StoredEvent| NumberedEvent {
        event: CloudEvent::new(&stored.event, url),
        sequence: stored.sequence.to_string(),
    };
    Ok(Json(Events { items: page.items.iter().map(numbered).collect(), next }))
}

/// Refuses to go on where events are missing in between: they expired, or the table was put back to an earlier time.
async fn check_gap(
    app: &App,
    workspace: WorkspaceId,
    after: u64,
    next: Option<&StoredEvent>,
) -> Result<(), Failure> {
    let is_next = |sequence: u64| after.checked_add(1) == Some(sequence);
    if next.is_some_and(|next| is_next(next.sequence)) {
        return Ok(());
    }
    let store = app.admin.store();
    let last = store.last_event(workspace).await?;
    if next.is_none() && last == after {
        return Ok(());
    }
    // One that was written a moment ago is not missing.
    let again = store.events_after(workspace, after, 1).await?;
    if again.items.first().is_some_and(|event| is_next(event.sequence)) {
        return Ok(());
    }
    Err(Problem::new(StatusCode::GONE, "events-gone", "These events are not kept any more")
        .detail(format!(
            "Event {after} is not followed by those that are kept. List everything anew, then go on with after={last}."
        ))
        .member("last", last.to_string())
        .into())
}
