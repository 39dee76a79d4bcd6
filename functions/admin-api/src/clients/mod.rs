//! Applications and machines that sign in through Rollcall.

pub(crate) mod input;

use axum::extract::State;
use http::StatusCode;
use http::header::LOCATION;
use rollcall_admin::page::{List, Page};
use rollcall_admin::{Act, Caller, Failure, schema};
use rollcall_domain::authority::Reach;
use rollcall_domain::{ClientId, WorkspaceId};
use rollcall_identity::provider::{Client, RedirectUri, new_client_secret};
use rollcall_service::random;
use rollcall_service::web::{Json, Path, Problem, Query};
use rollcall_store::{Position, Record};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use crate::App;
use crate::tokens::check_reach;
use crate::workspaces::Paging;
use input::{MachineView, NewClient};

/// An application or machine, without its secret.
#[derive(Serialize, ToSchema)]
#[schema(as = Client)]
pub(crate) struct ClientView {
    /// Its id: the `client_id`.
    #[schema(value_type = schema::ClientId)]
    id: ClientId,
    /// What people call it.
    name: String,
    /// Whether it has no secret.
    public: bool,
    /// Where codes may be sent.
    redirect_uris: Vec<String>,
    /// Where the browser may be sent after logout.
    post_logout_redirect_uris: Vec<String>,
    /// Where logout tokens are sent.
    #[schema(required)]
    backchannel_logout_uri: Option<String>,
    /// The audience of its access tokens.
    audience: String,
    /// Whose members may sign in through it; `null`: those of every workspace.
    #[schema(value_type = Option<schema::WorkspaceId>, required)]
    workspace: Option<WorkspaceId>,
    /// What it may do with the admin API by itself.
    #[schema(required)]
    machine: Option<MachineView>,
}

impl From<&Client> for ClientView {
    fn from(client: &Client) -> Self {
        let texts = |uris: &[RedirectUri]| uris.iter().map(|uri| uri.as_str().to_owned()).collect();
        Self {
            id: client.id,
            name: client.name.clone(),
            public: client.is_public(),
            redirect_uris: texts(&client.redirect_uris),
            post_logout_redirect_uris: texts(&client.post_logout_redirect_uris),
            backchannel_logout_uri: client.backchannel_logout_uri.as_ref().map(|uri| uri.as_str().to_owned()),
            audience: client.audience(),
            workspace: client.workspace,
            machine: client
                .machine
                .map(|machine| MachineView { reach: machine.reach.into(), access: machine.access }),
        }
    }
}

/// A client that was just registered.
#[derive(Serialize, ToSchema)]
pub(crate) struct MadeClient {
    /// About it.
    #[serde(flatten)]
    about: ClientView,
    /// Its secret, shown this once; `null` for a public one.
    #[schema(required)]
    client_secret: Option<String>,
}

/// Lists the clients.
#[utoipa::path(
    get, path = "/v1/clients", tag = "clients", operation_id = "list_clients", params(Paging),
    responses((status = 200, description = "A page of the clients.", body = Page<ClientView>)),
)]
pub(crate) async fn list(
    State(app): State<App>,
    _: Caller,
    Query(paging): Query<Paging>,
) -> Result<Json<Page<ClientView>>, Failure> {
    let keys = app.admin.keys().await?;
    let list = List::new(&keys.cursors, "clients");
    let after: Option<Position> = list.start(paging.cursor.as_deref())?;
    let limit = paging.limit.unwrap_or_default().get();
    let page = app.admin.store().openid_clients::<Client>(after.as_ref(), limit).await?;
    Ok(Json(list.page(page.items.iter().map(ClientView::from).collect(), page.next.as_ref())?))
}

/// Registers an application or machine. Its secret is shown in this answer and never again.
#[utoipa::path(
    post, path = "/v1/clients", tag = "clients", operation_id = "create_client", request_body = NewClient,
    responses((status = 201, description = "The client.", body = MadeClient, headers(("Location" = String, description = "Where it is.")))),
)]
pub(crate) async fn create(
    State(app): State<App>,
    caller: Caller,
    Json(new): Json<NewClient>,
) -> Result<impl axum::response::IntoResponse, Failure> {
    let now = app.admin.now();
    if let Some(workspace) = new.workspace {
        check_reach(&app, Reach::Workspace(workspace), "/workspace").await?;
    }
    if let Some(machine) = new.machine {
        check_reach(&app, machine.reach.into(), "/machine/reach/workspace").await?;
    }
    let secret = (!new.public).then(|| new_client_secret(random::bytes(app.admin.random())));
    let keys = app.admin.keys().await?;
    let client = new.into_client(app.admin.new_id(now), secret.as_ref(), &keys.issuer.admin_audience())?;
    let act = Act {
        workspace: None,
        action: "client.created",
        target: Some(client.id.to_string()),
        why: "A client was registered.".to_owned(),
        detail: json!(ClientView::from(&client)),
    };
    let record = Record { audit: vec![app.admin.audit(&caller, now, act)], events: Vec::new() };
    app.admin.store().create_client(client.id, &client, record).await?;
    let made = MadeClient {
        about: ClientView::from(&client),
        client_secret: secret.map(|secret| secret.expose().to_owned()),
    };
    let location = [(LOCATION, format!("/v1/clients/{}", client.id))];
    Ok((StatusCode::CREATED, location, Json(made)))
}

/// The places in a path.
#[derive(Deserialize)]
pub(crate) struct Place {
    client: ClientId,
}

/// Shows a client.
#[utoipa::path(
    get, path = "/v1/clients/{client}", tag = "clients", operation_id = "get_client",
    params(("client" = schema::ClientId, Path, description = "The client.")),
    responses((status = 200, description = "The client.", body = ClientView)),
)]
pub(crate) async fn read(
    State(app): State<App>,
    _: Caller,
    Path(Place { client }): Path<Place>,
) -> Result<Json<ClientView>, Failure> {
    let client: Client = app.admin.store().openid_client(client).await?.ok_or_else(Problem::not_found)?;
    Ok(Json(ClientView::from(&client)))
}

/// Removes a client. Nobody signs in through it any more, and its own tokens are refused.
#[utoipa::path(
    delete, path = "/v1/clients/{client}", tag = "clients", operation_id = "delete_client",
    params(("client" = schema::ClientId, Path, description = "The client.")),
    responses((status = 204, description = "The client is removed.")),
)]
pub(crate) async fn delete(
    State(app): State<App>,
    caller: Caller,
    Path(Place { client }): Path<Place>,
) -> Result<StatusCode, Failure> {
    let now = app.admin.now();
    let client: Client = app.admin.store().openid_client(client).await?.ok_or_else(Problem::not_found)?;
    let act = Act {
        workspace: None,
        action: "client.deleted",
        target: Some(client.id.to_string()),
        why: "A client was removed.".to_owned(),
        detail: json!({ "name": client.name }),
    };
    let record = Record { audit: vec![app.admin.audit(&caller, now, act)], events: Vec::new() };
    match app.admin.store().delete_client(client.id, record).await {
        Ok(()) => Ok(StatusCode::NO_CONTENT),
        Err(error) if error.is_conflict() => Err(Problem::not_found().into()),
        Err(error) => Err(error.into()),
    }
}
