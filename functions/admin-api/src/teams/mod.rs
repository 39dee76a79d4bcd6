//! Teams: who is in them, and what they are responsible for.

pub(crate) mod view;

use std::collections::BTreeMap;

use axum::extract::State;
use rollcall_admin::page::{Limit, List, Page};
use rollcall_admin::{Failure, InWorkspace, schema};
use rollcall_domain::TeamId;
use rollcall_domain::identity::Identity;
use rollcall_service::web::{Json, Path, Problem, Query};
use rollcall_store::Position;
use serde::Deserialize;
use utoipa::IntoParams;

use crate::App;
use view::{PersonView, ResponsibilityView, TeamDetail, TeamView};

/// Where in the list, and whether with those that are gone.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct MirrorQuery {
    /// How many entries at most. A page can be shorter although more follow.
    #[param(value_type = Option<u16>, minimum = 1, maximum = 100)]
    pub(crate) limit: Option<Limit>,
    /// Where to go on: `next` of the page before.
    #[param(value_type = Option<schema::Cursor>, inline)]
    pub(crate) cursor: Option<String>,
    /// `removed`: also those that are gone.
    #[param(value_type = Option<String>, pattern = "^removed$")]
    pub(crate) include: Option<IncludeRemoved>,
}

/// What else to show.
#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum IncludeRemoved {
    Removed,
}

/// Lists the teams.
#[utoipa::path(
    get, path = "/v1/workspaces/{workspace}/teams", tag = "teams", operation_id = "list_teams",
    params(("workspace" = schema::WorkspaceId, Path, description = "The workspace."), MirrorQuery),
    responses((status = 200, description = "A page of the teams.", body = Page<TeamView>)),
)]
pub(crate) async fn list(
    State(app): State<App>,
    asked: InWorkspace,
    Query(query): Query<MirrorQuery>,
) -> Result<Json<Page<TeamView>>, Failure> {
    let keys = app.admin.keys().await?;
    let list = List::new(&keys.cursors, format!("{}/teams", asked.workspace));
    let after: Option<Position> = list.start(query.cursor.as_deref())?;
    app.admin.workspace(asked.workspace).await?;
    let store = app.admin.store();
    let page = store.teams(asked.workspace, after.as_ref(), query.limit.unwrap_or_default().get()).await?;
    let shown = page.items.iter().filter(|team| query.include.is_some() || !team.removed);
    let items = shown.map(TeamView::new).collect();
    Ok(Json(list.page(items, page.next.as_ref())?))
}

/// Where in a team's two lists.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct TeamQuery {
    /// How many entries of each list at most.
    #[param(value_type = Option<u16>, minimum = 1, maximum = 100)]
    limit: Option<Limit>,
    /// Where to go on in the list of people: its `next`.
    #[param(value_type = Option<schema::Cursor>, inline)]
    people_cursor: Option<String>,
    /// Where to go on in the list of repositories: its `next`.
    #[param(value_type = Option<schema::Cursor>, inline)]
    repositories_cursor: Option<String>,
}

/// The places in a path.
#[derive(Deserialize)]
pub(crate) struct Place {
    team: TeamId,
}

/// Shows a team with a page of its people and a page of what it is responsible for.
#[utoipa::path(
    get, path = "/v1/workspaces/{workspace}/teams/{team}", tag = "teams", operation_id = "get_team",
    params(
        ("workspace" = schema::WorkspaceId, Path, description = "The workspace."),
        ("team" = schema::TeamId, Path, description = "The team."),
        TeamQuery,
    ),
    responses((status = 200, description = "The team.", body = TeamDetail)),
)]
pub(crate) async fn read(
    State(app): State<App>,
    asked: InWorkspace,
    Path(Place { team: id }): Path<Place>,
    Query(query): Query<TeamQuery>,
) -> Result<Json<TeamDetail>, Failure> {
    let keys = app.admin.keys().await?;
    let store = app.admin.store();
    let workspace = asked.workspace;
    let people_list = List::new(&keys.cursors, format!("{workspace}/teams/{id}/people"));
    let repositories_list = List::new(&keys.cursors, format!("{workspace}/teams/{id}/repositories"));
    let people_after: Option<Position> = people_list.start(query.people_cursor.as_deref())?;
    let repositories_after: Option<Position> =
        repositories_list.start(query.repositories_cursor.as_deref())?;
    let limit = query.limit.unwrap_or_default().get();
    let team = store.team(workspace, id).await?.ok_or_else(Problem::not_found)?;

    let places = store.people_of_team(workspace, id, people_after.as_ref(), limit).await?;
    let people = store.people(workspace, &places.items).await?;
    let issuer = app.admin.config().bitbucket_url.as_str();
    let identities: Vec<Identity> =
        people.iter().map(|person| Identity::bitbucket(issuer, person.uuid)).collect();
    let members = store.members_by_identities(workspace, &identities).await?;
    let member_of =
        |account| members.iter().find(|member| member.account() == Some(account)).map(|member| member.id);
    let mut people: Vec<PersonView> =
        people.iter().map(|person| PersonView::new(person, member_of(person.uuid))).collect();
    people.sort_by_key(PersonView::order);

    let members = if places.next.is_none() && people_after.is_none() {
        places.items.len()
    } else {
        store.count_people_of_team(workspace, id).await?
    };

    let held = store.responsibilities_of_team(workspace, id, repositories_after.as_ref(), limit).await?;
    let uuids: Vec<_> = held.items.iter().map(|responsibility| responsibility.repository).collect();
    let repositories = store.repositories_by_uuid(workspace, &uuids).await?;
    let repositories: BTreeMap<_, _> =
        repositories.iter().map(|repository| (repository.uuid, repository)).collect();
    let responsible = held.items.iter().filter_map(|held| {
        repositories
            .get(&held.repository)
            .map(|repository| ResponsibilityView::new(repository, held.permission))
    });

    Ok(Json(TeamDetail {
        team: TeamView::new(&team),
        members,
        people: people_list.page(people, places.next.as_ref())?,
        repositories: repositories_list.page(responsible.collect(), held.next.as_ref())?,
    }))
}
