//! Who may do what on a repository: the sum of everything that was granted, and nothing takes away.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::workspace::{Grants, Repository, Role, Workspace};

/// What a grant allows. Each level includes those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// Read.
    Read,
    /// Write.
    Write,
    /// Write, and make repositories. On projects only.
    CreateRepo,
    /// Everything, grants included.
    Admin,
}

impl Level {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::CreateRepo => "create-repo",
            Self::Admin => "admin",
        }
    }

    /// The level on each repository of a project.
    fn on_repository(self) -> Self {
        if self == Self::CreateRepo { Self::Write } else { self }
    }
}

/// How far somebody reaches in a workspace, worked out once and then asked for many repositories.
pub(crate) struct Reach {
    everything: bool,
    user: Option<Uuid>,
    groups: BTreeSet<String>,
    projects: BTreeMap<Uuid, Level>,
}

impl Reach {
    /// Of an account.
    pub(crate) fn of(workspace: &Workspace, user: Uuid) -> Self {
        let role = workspace.member(user).map(|member| member.role);
        let mut groups = BTreeSet::new();
        for (slug, group) in &workspace.groups {
            if group.members.contains(&user) {
                groups.insert(slug.clone());
            }
        }
        let mut reach = Self {
            everything: role == Some(Role::Owner),
            user: Some(user),
            groups,
            projects: BTreeMap::new(),
        };
        for project in workspace.projects.values() {
            if let Some(level) = reach.granted(&project.grants) {
                reach.projects.insert(project.uuid, level);
            }
        }
        reach
    }

    /// Of something that ranks as an admin of the workspace.
    pub(crate) fn everything() -> Self {
        Self { everything: true, user: None, groups: BTreeSet::new(), projects: BTreeMap::new() }
    }

    /// Of somebody unknown, or from elsewhere.
    pub(crate) fn nothing() -> Self {
        Self { everything: false, ..Self::everything() }
    }

    pub(crate) fn is_admin(&self) -> bool {
        self.everything
    }

    /// The highest level that was granted on a repository, by whichever way. Being public grants nothing.
    pub(crate) fn level(&self, repository: &Repository) -> Option<Level> {
        if self.everything {
            return Some(Level::Admin);
        }
        let inherited = self.projects.get(&repository.project).map(|level| level.on_repository());
        inherited.max(self.granted(&repository.grants))
    }

    /// The highest level that was granted on a project.
    pub(crate) fn project_level(&self, project: Uuid) -> Option<Level> {
        if self.everything { Some(Level::Admin) } else { self.projects.get(&project).copied() }
    }

    pub(crate) fn sees(&self, repository: &Repository) -> bool {
        !repository.private || self.level(repository).is_some()
    }

    fn granted(&self, grants: &Grants) -> Option<Level> {
        let direct = self.user.and_then(|user| grants.users.get(&user)).copied();
        let through =
            grants.groups.iter().filter(|(slug, _)| self.groups.contains(*slug)).map(|(_, level)| *level);
        direct.max(through.max())
    }
}

impl Workspace {
    /// Everybody with a level on a repository, by whichever way.
    pub fn effective(&self, repository: &Repository) -> BTreeMap<Uuid, Level> {
        let mut levels = BTreeMap::new();
        let mut raise = |user: Uuid, level: Level| {
            let known = levels.entry(user).or_insert(level);
            *known = level.max(*known);
        };
        for (user, member) in &self.members {
            if member.role == Role::Owner {
                raise(*user, Level::Admin);
            }
        }
        let inherited = self.projects.get(&repository.project).map(|project| &project.grants);
        for grants in inherited.into_iter().chain([&repository.grants]) {
            for (user, level) in &grants.users {
                raise(*user, level.on_repository());
            }
            for (slug, level) in &grants.groups {
                for user in self.groups.get(slug).into_iter().flat_map(|group| &group.members) {
                    raise(*user, level.on_repository());
                }
            }
        }
        levels
    }

    /// The slugs of the private repositories that somebody cannot read.
    pub fn missing_to(&self, user: Uuid) -> Vec<&str> {
        let reach = Reach::of(self, user);
        let missing = self.repositories.values().filter(|repository| !reach.sees(repository));
        missing.map(|repository| repository.slug.as_str()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::{On, To, World};

    #[test]
    fn asking_for_one_person_and_for_one_repository_gives_the_same() {
        let world = World::generated(5, 30, 60, 6, 8);
        let workspace = world.workspace();
        for (user, _) in workspace.members() {
            let reach = Reach::of(workspace, user);
            for repository in workspace.repositories() {
                let by_repository = workspace.effective(repository).get(&user).copied();
                assert_eq!(reach.level(repository), by_repository, "{user} on {}", repository.slug);
            }
        }
    }

    #[test]
    fn to_make_repositories_in_a_project_is_to_write_to_each_of_them() {
        let world = World::new("acme")
            .with_members(&["grace"])
            .with_project("P")
            .with_private("P", &["r"])
            .with_grant(On::Project("P"), To::Person("grace"), Level::CreateRepo);
        let (workspace, grace) = (world.workspace(), world.person("grace").unwrap().uuid);
        let repository = workspace.repository("r").unwrap();
        assert_eq!(Reach::of(workspace, grace).level(repository), Some(Level::Write));
        assert_eq!(workspace.effective(repository).get(&grace), Some(&Level::Write));
    }
}
