//! Reading the mirror: everything that is known of a Bitbucket workspace.

use futures_util::future::try_join;
use rollcall_domain::bitbucket::{AccountUuid, Permission, RepositoryUuid};
use rollcall_domain::member::Member;
use rollcall_domain::mirror::{Mirror, MirroredMember, Person, Project, Repository, Team};
use rollcall_domain::{TeamId, WorkspaceId};
use serde::{Deserialize, Serialize};

use crate::error::StoreError;
use crate::reading::{Page, Position};
use crate::{Store, keys};

/// A responsibility, as it is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Responsibility {
    /// Which team.
    pub team: TeamId,
    /// For which repository.
    pub repository: RepositoryUuid,
    /// With which permission.
    pub permission: Permission,
}

/// A place in a team, as it is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TeamPerson {
    /// Who.
    pub(crate) person: AccountUuid,
}

impl Store {
    /// The whole mirror of a workspace, its parts read side by side.
    pub async fn mirror(&self, workspace: WorkspaceId) -> Result<Mirror, StoreError> {
        let of = |what| keys::of(workspace, what);
        let (people, teams, projects) = (of("people"), of("teams"), of("projects"));
        let (repositories, responsibilities, members) =
            (of("repositories"), of("responsibilities"), of("members"));
        let first = try_join(self.query_all::<Person>(&people), self.query_all::<Team>(&teams));
        let second =
            try_join(self.query_all::<Project>(&projects), self.query_all::<Repository>(&repositories));
        let third =
            try_join(self.query_all::<Responsibility>(&responsibilities), self.query_all::<Member>(&members));
        let ((people, teams), ((projects, repositories), (responsibilities, members))) =
            Box::pin(try_join(first, try_join(second, third))).await?;
        Ok(Mirror {
            people: people.into_iter().map(|person| (person.uuid, person)).collect(),
            teams: teams.into_iter().map(|team| (team.id, team)).collect(),
            projects: projects.into_iter().map(|project| (project.uuid, project)).collect(),
            repositories: repositories.into_iter().map(|repository| (repository.uuid, repository)).collect(),
            responsibilities: responsibilities
                .into_iter()
                .map(|r| ((r.team, r.repository), r.permission))
                .collect(),
            members: members.iter().map(|member| (member.id, MirroredMember::from(member))).collect(),
        })
    }

    /// A page of the teams. One query.
    pub async fn teams(
        &self,
        workspace: WorkspaceId,
        after: Option<&Position>,
        limit: usize,
    ) -> Result<Page<Team>, StoreError> {
        self.query_page(&keys::of(workspace, "teams"), "", after, limit, true).await
    }

    /// A team.
    pub async fn team(&self, workspace: WorkspaceId, team: TeamId) -> Result<Option<Team>, StoreError> {
        self.get(&keys::team(workspace, team)).await
    }

    /// A page of a team's people. One query.
    pub async fn people_of_team(
        &self,
        workspace: WorkspaceId,
        team: TeamId,
        after: Option<&Position>,
        limit: usize,
    ) -> Result<Page<AccountUuid>, StoreError> {
        let partition = keys::team_people(workspace, team);
        let page: Page<TeamPerson> = self.query_page(&partition, "", after, limit, true).await?;
        Ok(page.map(|place| place.person))
    }

    /// A page of what a team is responsible for. One query.
    pub async fn responsibilities_of_team(
        &self,
        workspace: WorkspaceId,
        team: TeamId,
        after: Option<&Position>,
        limit: usize,
    ) -> Result<Page<Responsibility>, StoreError> {
        let prefix = format!("{team}#");
        self.query_page(&keys::of(workspace, "responsibilities"), &prefix, after, limit, true).await
    }

    /// A page of the repositories. One query.
    pub async fn repositories(
        &self,
        workspace: WorkspaceId,
        after: Option<&Position>,
        limit: usize,
    ) -> Result<Page<Repository>, StoreError> {
        self.query_page(&keys::of(workspace, "repositories"), "", after, limit, true).await
    }

    /// All projects.
    pub async fn projects(&self, workspace: WorkspaceId) -> Result<Vec<Project>, StoreError> {
        self.query_all(&keys::of(workspace, "projects")).await
    }

    /// Some people, by account.
    pub async fn people(
        &self,
        workspace: WorkspaceId,
        accounts: &[AccountUuid],
    ) -> Result<Vec<Person>, StoreError> {
        let wanted: Vec<_> = accounts.iter().map(|account| keys::person(workspace, *account)).collect();
        self.get_many(&wanted).await
    }

    /// Some repositories, by UUID.
    pub async fn repositories_by_uuid(
        &self,
        workspace: WorkspaceId,
        uuids: &[RepositoryUuid],
    ) -> Result<Vec<Repository>, StoreError> {
        let wanted: Vec<_> = uuids.iter().map(|uuid| keys::repository(workspace, *uuid)).collect();
        self.get_many(&wanted).await
    }
}
