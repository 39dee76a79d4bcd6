//! A world as a file, to be written by hand.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::access::Level;
use super::credentials::Consumer;
use super::people::Person;
use super::workspace::{On, To};
use super::{Behaviour, Refused, World};

/// A world in JSON. Everything but the workspace's slug can be left out.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WorldFile {
    /// The slug of the workspace.
    pub workspace: String,
    /// Its name.
    #[serde(default)]
    pub name: Option<String>,
    /// Another number gives other ids.
    #[serde(default)]
    pub seed: Option<u64>,
    /// Everybody with an account. `role` puts them into the workspace.
    #[serde(default)]
    pub people: Vec<Person>,
    /// The groups.
    #[serde(default)]
    pub groups: Vec<GroupEntry>,
    /// The projects.
    #[serde(default)]
    pub projects: Vec<ProjectEntry>,
    /// The repositories.
    #[serde(default)]
    pub repositories: Vec<RepositoryEntry>,
    /// The OAuth consumers.
    #[serde(default)]
    pub consumers: Vec<Consumer>,
    /// Workspace access tokens with their scopes.
    #[serde(default)]
    pub access_tokens: BTreeMap<String, BTreeSet<String>>,
    /// API tokens.
    #[serde(default)]
    pub api_tokens: Vec<ApiTokenEntry>,
    /// How this Bitbucket behaves.
    #[serde(default)]
    pub behaviour: Behaviour,
}

/// A group in a file.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GroupEntry {
    /// The name, which gives the slug.
    pub name: String,
    /// The usernames of its members.
    #[serde(default)]
    pub members: Vec<String>,
}

/// A project in a file.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProjectEntry {
    /// The key.
    pub key: String,
    /// The name.
    #[serde(default)]
    pub name: Option<String>,
    /// Group slugs with what is granted to them.
    #[serde(default)]
    pub groups: BTreeMap<String, Level>,
    /// Usernames with what is granted to them.
    #[serde(default)]
    pub people: BTreeMap<String, Level>,
}

/// A repository in a file.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RepositoryEntry {
    /// The slug.
    pub slug: String,
    /// The key of its project.
    pub project: String,
    /// Whether everybody may read it.
    #[serde(default)]
    pub public: bool,
    /// Group slugs with what is granted to them.
    #[serde(default)]
    pub groups: BTreeMap<String, Level>,
    /// Usernames with what is granted to them.
    #[serde(default)]
    pub people: BTreeMap<String, Level>,
}

/// An API token in a file.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApiTokenEntry {
    /// Whose, by username.
    pub person: String,
    /// The token.
    pub token: String,
    /// The granular scopes.
    pub scopes: BTreeSet<String>,
}

impl WorldFile {
    /// Makes the world.
    pub fn into_world(self) -> Result<World, Refused> {
        let mut world = World::seeded(&self.workspace, self.seed.unwrap_or(1));
        world.name_workspace(self.name.as_deref().unwrap_or(&self.workspace));
        for person in self.people {
            world.add_person(person)?;
        }
        for group in self.groups {
            let slug = world.add_group(&group.name)?;
            for username in &group.members {
                world.add_to_group(&slug, username)?;
            }
        }
        for project in self.projects {
            world.add_project(&project.key, project.name.as_deref().unwrap_or(&project.key))?;
            world.grant_all(On::Project(&project.key), &project.groups, &project.people)?;
        }
        for repository in self.repositories {
            world.add_repository(&repository.project, &repository.slug, !repository.public)?;
            world.grant_all(On::Repository(&repository.slug), &repository.groups, &repository.people)?;
        }
        for consumer in self.consumers {
            world.add_consumer(consumer);
        }
        for (token, scopes) in self.access_tokens {
            world.add_access_token(&token, &spaced(&scopes));
        }
        for entry in self.api_tokens {
            world.add_api_token(&entry.person, &entry.token, &spaced(&entry.scopes))?;
        }
        world.behaviour = self.behaviour;
        Ok(world)
    }
}

impl World {
    fn grant_all(
        &mut self,
        on: On<'_>,
        groups: &BTreeMap<String, Level>,
        people: &BTreeMap<String, Level>,
    ) -> Result<(), Refused> {
        for (slug, level) in groups {
            self.grant(on, To::Group(slug), *level)?;
        }
        for (username, level) in people {
            self.grant(on, To::Person(username), *level)?;
        }
        Ok(())
    }
}

fn spaced(scopes: &BTreeSet<String>) -> String {
    scopes.iter().map(String::as_str).collect::<Vec<_>>().join(" ")
}
