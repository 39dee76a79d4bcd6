//! Repositories, projects, and what they grant.

use std::collections::BTreeMap;

use rollcall_domain::Timestamp;
use rollcall_domain::access::Grants;
use rollcall_domain::bitbucket::{
    AccountUuid, GroupSlug, Permission, ProjectKey, ProjectUuid, RepositorySlug, RepositoryUuid,
};
use rollcall_domain::listing::{Complete, Keyed};
use rollcall_domain::mirror::{SeenProject, SeenRepository};
use serde::Deserialize;

use crate::call::Target;
use crate::error::Error;
use crate::person::{UuidWire, level};
use crate::row::{FromRow, Listed};
use crate::session::Session;
use crate::workspace::{AccountWire, BitbucketWorkspace};

const REPOSITORIES: &str = "/2.0/repositories/{workspace}";
const PROJECTS: &str = "/2.0/workspaces/{workspace}/projects";
const PROJECT_GROUPS: &str = "/2.0/workspaces/{workspace}/projects/{project_key}/permissions-config/groups";
const PROJECT_USERS: &str = "/2.0/workspaces/{workspace}/projects/{project_key}/permissions-config/users";
const REPOSITORY_GROUPS: &str = "/2.0/repositories/{workspace}/{repo_slug}/permissions-config/groups";
const REPOSITORY_USERS: &str = "/2.0/repositories/{workspace}/{repo_slug}/permissions-config/users";
const PROJECT_GROUP: &str =
    "/2.0/workspaces/{workspace}/projects/{project_key}/permissions-config/groups/{group_slug}";
const PROJECT_USER: &str =
    "/2.0/workspaces/{workspace}/projects/{project_key}/permissions-config/users/{selected_user_id}";
const REPOSITORY_GROUP: &str =
    "/2.0/repositories/{workspace}/{repo_slug}/permissions-config/groups/{group_slug}";
const REPOSITORY_USER: &str =
    "/2.0/repositories/{workspace}/{repo_slug}/permissions-config/users/{selected_user_id}";

const REPOSITORY_FIELDS: &str = "next,page,pagelen,size,values.uuid,values.slug,values.name,values.full_name,\
                                 values.is_private,values.project.key,values.project.uuid,values.updated_on";
const PROJECT_FIELDS: &str = "next,page,pagelen,size,values.uuid,values.key,values.name";

/// Which repositories to list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// All of the workspace.
    All,
    /// Those that count for "all repositories".
    Private,
}

/// To whom something is granted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Grantee {
    /// To a group.
    Group(GroupSlug),
    /// To a single account.
    Account(AccountUuid),
}

/// A repository as it is listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repository {
    /// What the mirror keeps of it.
    pub seen: SeenRepository,
    /// The key of its project.
    pub project_key: ProjectKey,
    /// When it was last changed, where Bitbucket says so: those changed last have their grants read first.
    pub updated_on: Option<Timestamp>,
}

#[derive(Deserialize)]
pub(crate) struct RepositoryWire {
    uuid: Option<String>,
    slug: Option<String>,
    name: Option<String>,
    full_name: Option<String>,
    is_private: Option<bool>,
    project: Option<ProjectWire>,
    updated_on: Option<String>,
}

#[derive(Deserialize)]
pub(crate) struct ProjectWire {
    uuid: Option<String>,
    key: Option<String>,
    name: Option<String>,
}

impl Keyed for Repository {
    type Key = RepositoryUuid;

    fn key(&self) -> RepositoryUuid {
        self.seen.uuid
    }
}

impl FromRow for Repository {
    type Wire = RepositoryWire;
    const KEY: &'static str = "/uuid";

    fn from_row(row: RepositoryWire) -> Result<Self, &'static str> {
        let slug = row.slug.or_else(|| {
            // The description has no slug: it is the second half of the full name.
            let full = row.full_name?;
            full.split_once('/').map(|(_, slug)| slug.to_owned())
        });
        let slug: RepositorySlug = parsed(slug).ok_or("the repository has no slug")?;
        let project = row.project.ok_or("the repository names no project")?;
        Ok(Self {
            seen: SeenRepository {
                uuid: parsed(row.uuid).ok_or("the repository has no UUID")?,
                name: row.name.unwrap_or_else(|| slug.as_str().to_owned()),
                slug,
                project: parsed(project.uuid).ok_or("the repository's project has no UUID")?,
                private: row.is_private.ok_or("the repository does not say whether it is private")?,
            },
            project_key: parsed(project.key).ok_or("the repository's project has no key")?,
            updated_on: row.updated_on.and_then(|moment| {
                let moment: jiff::Timestamp = moment.parse().ok()?;
                Some(Timestamp::from_millis(moment.as_millisecond()))
            }),
        })
    }
}

impl FromRow for SeenProject {
    type Wire = ProjectWire;
    const KEY: &'static str = "/uuid";

    fn from_row(row: ProjectWire) -> Result<Self, &'static str> {
        let key: ProjectKey = parsed(row.key).ok_or("the project has no key")?;
        Ok(Self {
            uuid: parsed(row.uuid).ok_or("the project has no UUID")?,
            name: row.name.unwrap_or_else(|| key.as_str().to_owned()),
            key,
        })
    }
}

fn parsed<T: std::str::FromStr>(text: Option<String>) -> Option<T> {
    text.and_then(|text| text.parse().ok())
}

#[derive(Deserialize)]
pub(crate) struct GrantWire {
    permission: Option<String>,
    group: Option<GroupWire>,
    user: Option<AccountWire>,
    project: Option<UuidWire>,
    repository: Option<UuidWire>,
}

#[derive(Deserialize)]
struct GroupWire {
    slug: Option<String>,
}

/// A grant: to whom, what, and of which project or repository.
struct Grant<K> {
    to: K,
    level: Option<Permission>,
    of: Option<String>,
}

impl<K: Ord + Clone + std::fmt::Display> Keyed for Grant<K> {
    type Key = K;

    fn key(&self) -> K {
        self.to.clone()
    }
}

impl GrantWire {
    fn of(&self) -> Option<String> {
        self.project.as_ref().or(self.repository.as_ref())?.uuid.clone()
    }
}

impl FromRow for Grant<GroupSlug> {
    type Wire = GrantWire;
    const KEY: &'static str = "/group/slug";

    fn from_row(row: GrantWire) -> Result<Self, &'static str> {
        let (level, of) = (level(row.permission.as_deref())?, row.of());
        let to = parsed(row.group.and_then(|group| group.slug)).ok_or("the grant names no group")?;
        Ok(Self { to, level, of })
    }
}

impl FromRow for Grant<AccountUuid> {
    type Wire = GrantWire;
    const KEY: &'static str = "/user/uuid";

    fn from_row(row: GrantWire) -> Result<Self, &'static str> {
        let (level, of) = (level(row.permission.as_deref())?, row.of());
        let to = row.user.ok_or("the grant names no account")?.uuid()?;
        Ok(Self { to, level, of })
    }
}

impl Session {
    /// The repositories that the credential can see, which for a workspace admin are all. `ceil(R/100)` calls; needs
    /// `repository`.
    pub async fn repositories(
        &self,
        workspace: &BitbucketWorkspace,
        which: Which,
    ) -> Result<Listed<Repository>, Error> {
        let target = Target::new(REPOSITORIES, &[&workspace.slug]);
        let target = match which {
            Which::All => target,
            Which::Private => target.query("q", "is_private=true"),
        };
        let target = target.query("fields", REPOSITORY_FIELDS);
        let listed = self.list::<Repository>(&target, None).await?.listed;
        if which == Which::Private
            && listed.seen().entries().iter().any(|repository| !repository.seen.private)
        {
            let why = "public repositories came, and only private ones were asked for".to_owned();
            return Err(Error::Unexpected { call: target.call(), why });
        }
        Ok(listed)
    }

    /// How many private repositories there are, where Bitbucket says so. One call; needs `repository`. The number of something else
    /// of the same name is an error.
    pub async fn private_count(&self, workspace: &BitbucketWorkspace) -> Result<Option<u64>, Error> {
        #[derive(Deserialize)]
        struct Wire {
            size: Option<u64>,
            values: Vec<Of>,
        }
        #[derive(Deserialize)]
        struct Of {
            workspace: Option<UuidWire>,
        }
        let target = Target::new(REPOSITORIES, &[&workspace.slug])
            .query("q", "is_private=true")
            .query("pagelen", "1")
            .query("fields", "size,values.workspace.uuid");
        let call = target.call();
        let wire: Wire = self.ask(&target).await?.json(call)?;
        let ours = workspace.uuid.to_string();
        let is_ours = |of: &Of| of.workspace.as_ref().and_then(|of| of.uuid.as_ref()) == Some(&ours);
        if wire.values.iter().all(is_ours) { Ok(wire.size) } else { Err(Error::WrongWorkspace { call }) }
    }

    /// The projects. `ceil(P/100)` calls; needs `project`.
    pub async fn projects(&self, workspace: &BitbucketWorkspace) -> Result<Listed<SeenProject>, Error> {
        let target = Target::new(PROJECTS, &[&workspace.slug]).query("fields", PROJECT_FIELDS);
        Ok(self.list::<SeenProject>(&target, None).await?.listed)
    }

    /// A repository of the workspace, if it has any. One call.
    pub(crate) async fn first_repository(
        &self,
        workspace: &BitbucketWorkspace,
    ) -> Result<Option<Repository>, Error> {
        self.first(&Target::new(REPOSITORIES, &[&workspace.slug]).query("fields", REPOSITORY_FIELDS), None)
            .await
    }

    /// A project of the workspace, if it has any. One call.
    pub(crate) async fn first_project(
        &self,
        workspace: &BitbucketWorkspace,
    ) -> Result<Option<SeenProject>, Error> {
        self.first(&Target::new(PROJECTS, &[&workspace.slug]).query("fields", PROJECT_FIELDS), None).await
    }

    /// What a project grants to groups and to accounts, by itself. Two calls; needs `project:admin` and a project admin.
    pub async fn project_grants(
        &self,
        workspace: &BitbucketWorkspace,
        project: &SeenProject,
    ) -> Result<Grants<GroupSlug>, Error> {
        let uuid = project.uuid.to_string();
        let groups = Target::new(PROJECT_GROUPS, &[&workspace.slug, &project.key]);
        let users = Target::new(PROJECT_USERS, &[&workspace.slug, &project.key]);
        let groups = self.grants(groups, "values.permission,values.group.slug,values.project.uuid", &uuid);
        let users = self.grants(users, "values.permission,values.user.uuid,values.project.uuid", &uuid);
        let (groups, users) = futures_util::future::try_join(groups, users).await?;
        Ok(Grants { groups, users })
    }

    /// What a repository grants to groups by itself, beyond its project. One call; needs `repository:admin` and a repository admin.
    pub async fn repository_group_grants(
        &self,
        workspace: &BitbucketWorkspace,
        repository: &SeenRepository,
    ) -> Result<BTreeMap<GroupSlug, Permission>, Error> {
        let target = Target::new(REPOSITORY_GROUPS, &[&workspace.slug, &repository.slug]);
        let fields = "values.permission,values.group.slug,values.repository.uuid";
        self.grants(target, fields, &repository.uuid.to_string()).await
    }

    /// What a repository grants to single accounts by itself, beyond its project. One call; needs `repository:admin` and a
    /// repository admin.
    pub async fn repository_user_grants(
        &self,
        workspace: &BitbucketWorkspace,
        repository: &SeenRepository,
    ) -> Result<BTreeMap<AccountUuid, Permission>, Error> {
        let target = Target::new(REPOSITORY_USERS, &[&workspace.slug, &repository.slug]);
        let fields = "values.permission,values.user.uuid,values.repository.uuid";
        self.grants(target, fields, &repository.uuid.to_string()).await
    }

    async fn grants<K: Ord + Clone>(
        &self,
        target: Target,
        fields: &str,
        of: &str,
    ) -> Result<BTreeMap<K, Permission>, Error>
    where
        Grant<K>: FromRow + Keyed<Key = K>,
    {
        let target = target.query("fields", &format!("next,page,pagelen,size,{fields}"));
        let grants: Complete<Grant<K>> = self.list(&target, None).await?.listed.whole()?;
        // A slug or key that was given to something else meanwhile must not lend it the grants of its successor.
        if grants.entries().iter().any(|grant| grant.of.as_deref().is_some_and(|found| found != of)) {
            let why = "the grants are those of something else of the same name".to_owned();
            return Err(Error::Unexpected { call: target.call(), why });
        }
        let granted = grants.into_entries().into_iter();
        Ok(granted.filter_map(|grant| Some((grant.to, grant.level?))).collect())
    }

    /// Asks by name whether a project grants nothing to a group or account by itself; a grant that is there is an error. One call;
    /// needs `project:admin` and a project admin.
    ///
    /// A listing of grants is small, and nothing tells an empty one from a wrong one: one that lacks a grant is believed only
    /// after this.
    pub async fn prove_no_project_grant(
        &self,
        workspace: &BitbucketWorkspace,
        project: &SeenProject,
        grantee: &Grantee,
    ) -> Result<(), Error> {
        let target = match grantee {
            Grantee::Group(slug) => Target::new(PROJECT_GROUP, &[&workspace.slug, &project.key, slug]),
            Grantee::Account(uuid) => Target::new(PROJECT_USER, &[&workspace.slug, &project.key, uuid]),
        };
        self.prove_no_grant(target, "project.uuid", &project.uuid.to_string()).await
    }

    /// The same for a repository. One call; needs `repository:admin` and a repository admin.
    pub async fn prove_no_repository_grant(
        &self,
        workspace: &BitbucketWorkspace,
        repository: &SeenRepository,
        grantee: &Grantee,
    ) -> Result<(), Error> {
        let target = match grantee {
            Grantee::Group(slug) => Target::new(REPOSITORY_GROUP, &[&workspace.slug, &repository.slug, slug]),
            Grantee::Account(uuid) => {
                Target::new(REPOSITORY_USER, &[&workspace.slug, &repository.slug, uuid])
            }
        };
        self.prove_no_grant(target, "repository.uuid", &repository.uuid.to_string()).await
    }

    async fn prove_no_grant(&self, target: Target, of_field: &str, of: &str) -> Result<(), Error> {
        let target = target.query("fields", &format!("permission,{of_field}"));
        let call = target.call();
        let body = match self.ask(&target).await {
            Ok(body) => body,
            // No such group or account, or nothing granted to it.
            Err(Error::NotFound { .. }) => return Ok(()),
            Err(error) => return Err(error),
        };
        let row: GrantWire = body.json(call)?;
        let unexpected = |why: &str| Error::Unexpected { call, why: why.to_owned() };
        if row.of().is_some_and(|found| found != of) {
            return Err(unexpected("the grant is that of something else of the same name"));
        }
        match level(row.permission.as_deref()).map_err(unexpected)? {
            None => Ok(()),
            Some(_) => Err(Error::Implausible { call, why: "a grant that a listing lacks is there" }),
        }
    }

    /// What each of these projects grants, as many at once as may be under way.
    ///
    /// Where an error concerns all of them (a pause, an empty budget, a missing scope), the rest are not asked and get the same
    /// error.
    pub async fn grants_of_projects(
        &self,
        workspace: &BitbucketWorkspace,
        projects: impl IntoIterator<Item = SeenProject>,
    ) -> BTreeMap<ProjectUuid, Result<Grants<GroupSlug>, Error>> {
        let each = |project: SeenProject| async move { self.project_grants(workspace, &project).await };
        self.each(projects, |project| project.uuid, each).await
    }

    /// What each of these repositories grants to groups by itself; otherwise as [`Session::grants_of_projects`].
    pub async fn group_grants_of_repositories(
        &self,
        workspace: &BitbucketWorkspace,
        repositories: impl IntoIterator<Item = SeenRepository>,
    ) -> BTreeMap<RepositoryUuid, Result<BTreeMap<GroupSlug, Permission>, Error>> {
        let each = |repository: SeenRepository| async move {
            self.repository_group_grants(workspace, &repository).await
        };
        self.each(repositories, |repository| repository.uuid, each).await
    }

    /// What each of these repositories grants to single accounts by itself; otherwise as [`Session::grants_of_projects`].
    pub async fn user_grants_of_repositories(
        &self,
        workspace: &BitbucketWorkspace,
        repositories: impl IntoIterator<Item = SeenRepository>,
    ) -> BTreeMap<RepositoryUuid, Result<BTreeMap<AccountUuid, Permission>, Error>> {
        let each = |repository: SeenRepository| async move {
            self.repository_user_grants(workspace, &repository).await
        };
        self.each(repositories, |repository| repository.uuid, each).await
    }
}
