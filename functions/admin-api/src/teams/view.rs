//! How a team looks from outside.

use rollcall_admin::page::Page;
use rollcall_admin::schema;
use rollcall_domain::bitbucket::{AccountUuid, Permission, RepositoryUuid};
use rollcall_domain::mirror::{Person, Repository, Team};
use rollcall_domain::{MemberId, TeamId};
use serde::Serialize;
use utoipa::ToSchema;

/// A Bitbucket user group, through all its renames.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Team)]
pub(crate) struct TeamView {
    /// Its id.
    #[schema(value_type = schema::TeamId)]
    id: TeamId,
    /// The group's name.
    name: String,
    /// The group's slug.
    slug: String,
    /// Whether the group is gone.
    removed: bool,
    /// Where it comes from: `bitbucket`.
    external_source: &'static str,
    /// The group's slug there: groups have no other id.
    external_source_id: String,
}

impl TeamView {
    pub(crate) fn new(team: &Team) -> Self {
        Self {
            id: team.id,
            name: team.name.clone(),
            slug: team.slug.to_string(),
            removed: team.removed,
            external_source: "bitbucket",
            external_source_id: team.slug.to_string(),
        }
    }
}

/// Somebody of a team.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TeamPerson)]
pub(crate) struct PersonView {
    /// The Bitbucket account.
    #[schema(value_type = schema::BitbucketUuid)]
    account: AccountUuid,
    /// What they call themselves.
    display_name: String,
    /// The member they are, if they have been let in.
    #[schema(value_type = Option<schema::MemberId>, required)]
    member: Option<MemberId>,
}

impl PersonView {
    pub(crate) fn new(person: &Person, member: Option<MemberId>) -> Self {
        Self { account: person.uuid, display_name: person.display_name.clone(), member }
    }

    /// The order of the list.
    pub(crate) const fn order(&self) -> AccountUuid {
        self.account
    }
}

/// What a team is responsible for.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Responsibility)]
pub(crate) struct ResponsibilityView {
    /// The repository.
    #[schema(value_type = schema::BitbucketUuid)]
    id: RepositoryUuid,
    /// Its slug.
    slug: String,
    /// With which permission.
    #[schema(value_type = schema::Permission)]
    permission: Permission,
}

impl ResponsibilityView {
    pub(crate) fn new(repository: &Repository, permission: Permission) -> Self {
        Self { id: repository.uuid, slug: repository.slug.to_string(), permission }
    }
}

/// A team with its people and what it is responsible for.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TeamDetail {
    /// The team.
    #[serde(flatten)]
    pub(crate) team: TeamView,
    /// How many people are in it.
    pub(crate) members: usize,
    /// Its people.
    pub(crate) people: Page<PersonView>,
    /// The repositories it is responsible for.
    pub(crate) repositories: Page<ResponsibilityView>,
}
