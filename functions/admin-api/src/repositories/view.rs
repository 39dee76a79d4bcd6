//! How a repository looks from outside.

use rollcall_admin::schema;
use rollcall_domain::TeamId;
use rollcall_domain::bitbucket::{Permission, RepositoryUuid};
use rollcall_domain::mirror::{Project, Repository};
use serde::Serialize;
use utoipa::ToSchema;

/// The project of a repository.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ProjectName {
    /// Its key.
    key: String,
    /// Its name.
    name: String,
}

/// A team that is responsible for a repository.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ResponsibleTeam {
    /// The team.
    #[schema(value_type = schema::TeamId)]
    pub(crate) team: TeamId,
    /// With which permission.
    #[schema(value_type = schema::Permission)]
    pub(crate) permission: Permission,
}

/// A repository of the Bitbucket workspace.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Repository)]
pub(crate) struct RepositoryView {
    /// Its UUID, through rename and move.
    #[schema(value_type = schema::BitbucketUuid)]
    id: RepositoryUuid,
    /// Its slug.
    slug: String,
    /// Its name.
    name: String,
    /// Its project, as far as that is known.
    #[schema(required)]
    project: Option<ProjectName>,
    /// Whether it counts for "all repositories".
    private: bool,
    /// Whether it is gone.
    removed: bool,
    /// The teams that are responsible for it.
    teams: Vec<ResponsibleTeam>,
    /// Where it comes from: `bitbucket`.
    external_source: &'static str,
    /// Its UUID there.
    #[schema(value_type = schema::BitbucketUuid)]
    external_source_id: RepositoryUuid,
}

impl RepositoryView {
    pub(crate) fn new(
        repository: &Repository,
        project: Option<&Project>,
        teams: Vec<ResponsibleTeam>,
    ) -> Self {
        Self {
            id: repository.uuid,
            slug: repository.slug.to_string(),
            name: repository.name.clone(),
            project: project
                .map(|project| ProjectName { key: project.key.to_string(), name: project.name.clone() }),
            private: repository.private,
            removed: repository.removed,
            teams,
            external_source: "bitbucket",
            external_source_id: repository.uuid,
        }
    }
}
