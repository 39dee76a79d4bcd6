//! Repositories, and the teams that are responsible for them.

mod view;

use std::collections::{BTreeMap, BTreeSet};

use axum::extract::State;
use rollcall_admin::page::{List, Page};
use rollcall_admin::{Failure, InWorkspace, schema};
use rollcall_domain::bitbucket::{ProjectUuid, RepositoryUuid};
use rollcall_domain::mirror::Project;
use rollcall_service::web::{Json, Query};
use rollcall_store::Position;

use crate::App;
use crate::teams::MirrorQuery;
use view::{RepositoryView, ResponsibleTeam};

/// Lists the repositories.
#[utoipa::path(
    get, path = "/v1/workspaces/{workspace}/repositories", tag = "repositories", operation_id = "list_repositories",
    params(("workspace" = schema::WorkspaceId, Path, description = "The workspace."), MirrorQuery),
    responses((status = 200, description = "A page of the repositories.", body = Page<RepositoryView>)),
)]
pub(crate) async fn list(
    State(app): State<App>,
    asked: InWorkspace,
    Query(query): Query<MirrorQuery>,
) -> Result<Json<Page<RepositoryView>>, Failure> {
    let keys = app.admin.keys().await?;
    let workspace = asked.workspace;
    let list = List::new(&keys.cursors, format!("{workspace}/repositories"));
    let after: Option<Position> = list.start(query.cursor.as_deref())?;
    app.admin.workspace(workspace).await?;
    let store = app.admin.store();
    let page = store.repositories(workspace, after.as_ref(), query.limit.unwrap_or_default().get()).await?;
    let projects: BTreeSet<ProjectUuid> = page.items.iter().map(|repository| repository.project).collect();
    let projects = store.projects_by_uuid(workspace, &projects.into_iter().collect::<Vec<_>>()).await?;
    let projects: BTreeMap<ProjectUuid, &Project> =
        projects.iter().map(|project| (project.uuid, project)).collect();
    let mut teams: BTreeMap<RepositoryUuid, Vec<ResponsibleTeam>> = BTreeMap::new();
    if let (Some(first), Some(last)) = (page.items.first(), page.items.last()) {
        for responsibility in store.responsibilities_between(workspace, first.uuid, last.uuid).await? {
            let team = ResponsibleTeam { team: responsibility.team, permission: responsibility.permission };
            teams.entry(responsibility.repository).or_default().push(team);
        }
    }
    let shown = page.items.iter().filter(|repository| query.include.is_some() || !repository.removed);
    let items = shown
        .map(|repository| {
            let project = projects.get(&repository.project).copied();
            RepositoryView::new(repository, project, teams.remove(&repository.uuid).unwrap_or_default())
        })
        .collect();
    Ok(Json(list.page(items, page.next.as_ref())?))
}
