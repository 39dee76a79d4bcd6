//! Setting a world up in one expression.

use super::access::Level;
use super::people::Person;
use super::workspace::{On, To};
use super::{Behaviour, Consumer, World};

const SET_UP: &str = "a world that can be set up as described";

impl World {
    /// With this person.
    #[must_use]
    pub fn with_person(mut self, person: Person) -> Self {
        self.add_person(person).expect(SET_UP);
        self
    }

    /// With an owner who is known by this username.
    #[must_use]
    pub fn with_owner(self, username: &str) -> Self {
        self.with_person(Person::owner(username, username))
    }

    /// With members who are known by these usernames.
    #[must_use]
    pub fn with_members(self, usernames: &[&str]) -> Self {
        usernames.iter().fold(self, |world, username| world.with_person(Person::member(username, username)))
    }

    /// With a group of this name (which gives the slug) and these members.
    #[must_use]
    pub fn with_group(mut self, name: &str, usernames: &[&str]) -> Self {
        let slug = self.add_group(name).expect(SET_UP);
        for username in usernames {
            self.add_to_group(&slug, username).expect(SET_UP);
        }
        self
    }

    /// With a project that has its key for a name.
    #[must_use]
    pub fn with_project(mut self, key: &str) -> Self {
        self.add_project(key, key).expect(SET_UP);
        self
    }

    /// With private repositories in a project.
    #[must_use]
    pub fn with_private(mut self, project: &str, slugs: &[&str]) -> Self {
        for slug in slugs {
            self.add_repository(project, slug, true).expect(SET_UP);
        }
        self
    }

    /// With public repositories in a project.
    #[must_use]
    pub fn with_public(mut self, project: &str, slugs: &[&str]) -> Self {
        for slug in slugs {
            self.add_repository(project, slug, false).expect(SET_UP);
        }
        self
    }

    /// With a grant.
    #[must_use]
    pub fn with_grant(mut self, on: On<'_>, to: To<'_>, level: Level) -> Self {
        self.grant(on, to, level).expect(SET_UP);
        self
    }

    /// With a consumer.
    #[must_use]
    pub fn with_consumer(mut self, consumer: Consumer) -> Self {
        self.add_consumer(consumer);
        self
    }

    /// With a workspace access token.
    #[must_use]
    pub fn with_access_token(mut self, token: &str, scopes: &str) -> Self {
        self.add_access_token(token, scopes);
        self
    }

    /// With an API token of a person.
    #[must_use]
    pub fn with_api_token(mut self, username: &str, token: &str, scopes: &str) -> Self {
        self.add_api_token(username, token, scopes).expect(SET_UP);
        self
    }

    /// Behaving otherwise.
    #[must_use]
    pub fn behaving(mut self, change: impl FnOnce(&mut Behaviour)) -> Self {
        change(&mut self.behaviour);
        self
    }
}
