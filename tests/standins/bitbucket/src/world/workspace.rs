//! A workspace and what is in it.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::access::Level;
use super::braced;

/// The role of a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// An ordinary one.
    Member,
    /// One who may make projects.
    CreateProject,
    /// One who has everything.
    Owner,
}

impl Role {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Member => "member",
            Self::CreateProject => "create-project",
            Self::Owner => "owner",
        }
    }
}

/// Somebody's membership.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Member {
    /// The role.
    pub role: Role,
    pub(crate) added_ms: i64,
}

/// A user group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// The name.
    pub name: String,
    /// Who is in it.
    pub members: BTreeSet<Uuid>,
    /// The old default permission on new repositories, frozen since 2023.
    pub permission: Option<Level>,
}

/// What a project or a repository grants by itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Grants {
    /// To groups, by slug.
    pub groups: BTreeMap<String, Level>,
    /// To accounts.
    pub users: BTreeMap<Uuid, Level>,
}

/// A project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Project {
    /// The UUID.
    pub uuid: Uuid,
    /// The key.
    pub key: String,
    /// The name.
    pub name: String,
    /// Whether its repositories are private by default.
    pub private: bool,
    /// What it grants.
    pub grants: Grants,
    pub(crate) created_ms: i64,
}

/// A repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repository {
    /// The UUID.
    pub uuid: Uuid,
    /// The slug.
    pub slug: String,
    /// The name.
    pub name: String,
    /// The project that it is in.
    pub project: Uuid,
    /// Whether only those may read it who have been granted it.
    pub private: bool,
    /// What it grants, beyond its project.
    pub grants: Grants,
    pub(crate) created_ms: i64,
    pub(crate) updated_ms: i64,
}

/// What a grant is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum On<'a> {
    /// A project, by its key.
    Project(&'a str),
    /// A repository, by its slug.
    Repository(&'a str),
}

/// Whom a grant is to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum To<'a> {
    /// A group, by its slug.
    Group(&'a str),
    /// A person, by the username.
    Person(&'a str),
}

/// A workspace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workspace {
    /// The UUID.
    pub uuid: Uuid,
    /// The slug.
    pub slug: String,
    /// The name.
    pub name: String,
    pub(crate) members: BTreeMap<Uuid, Member>,
    pub(crate) groups: BTreeMap<String, Group>,
    pub(crate) projects: BTreeMap<Uuid, Project>,
    pub(crate) project_keys: BTreeMap<String, Uuid>,
    pub(crate) repositories: BTreeMap<Uuid, Repository>,
    pub(crate) repository_slugs: BTreeMap<String, Uuid>,
    pub(crate) created_ms: i64,
}

impl Workspace {
    pub(crate) fn new(uuid: Uuid, slug: &str, created_ms: i64) -> Self {
        Self {
            uuid,
            slug: slug.to_owned(),
            name: slug.to_owned(),
            members: BTreeMap::new(),
            groups: BTreeMap::new(),
            projects: BTreeMap::new(),
            project_keys: BTreeMap::new(),
            repositories: BTreeMap::new(),
            repository_slugs: BTreeMap::new(),
            created_ms,
        }
    }

    /// Whether this is its slug, in any case, or its UUID in braces.
    pub(crate) fn is(&self, slug_or_uuid: &str) -> bool {
        self.slug.eq_ignore_ascii_case(slug_or_uuid) || braced(slug_or_uuid) == Some(self.uuid)
    }

    /// The members with their roles, deactivated ones included.
    pub fn members(&self) -> impl Iterator<Item = (Uuid, Member)> {
        self.members.iter().map(|(uuid, member)| (*uuid, *member))
    }

    /// Somebody's membership.
    pub fn member(&self, uuid: Uuid) -> Option<Member> {
        self.members.get(&uuid).copied()
    }

    /// The groups, by slug.
    pub fn groups(&self) -> &BTreeMap<String, Group> {
        &self.groups
    }

    /// The projects.
    pub fn projects(&self) -> impl Iterator<Item = &Project> {
        self.projects.values()
    }

    /// A project by its key, or its UUID in braces.
    pub fn project(&self, key: &str) -> Option<&Project> {
        let uuid = braced(key).or_else(|| self.project_keys.get(key).copied())?;
        self.projects.get(&uuid)
    }

    /// The repositories.
    pub fn repositories(&self) -> impl Iterator<Item = &Repository> {
        self.repositories.values()
    }

    /// A repository by its slug, or its UUID in braces.
    pub fn repository(&self, slug: &str) -> Option<&Repository> {
        let uuid = braced(slug).or_else(|| self.repository_slugs.get(slug).copied())?;
        self.repositories.get(&uuid)
    }
}
