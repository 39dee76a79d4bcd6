//! What can happen in a world.

use uuid::Uuid;

use super::access::Level;
use super::credentials::{AccessToken, ApiToken, Consumer, scopes};
use super::people::{Account, Email, Person};
use super::workspace::{Grants, Group, Member, On, Project, Repository, Role, To};
use super::{Refused, World, slug_of};

fn unknown(what: &'static str, name: &str) -> Refused {
    Refused::Unknown { what, name: name.to_owned() }
}

fn taken(what: &'static str, name: &str) -> Refused {
    Refused::Taken { what, name: name.to_owned() }
}

impl World {
    /// Adds an account, and to the workspace where the person has a role.
    pub fn add_person(&mut self, person: Person) -> Result<Uuid, Refused> {
        if self.usernames.contains_key(&person.username) {
            return Err(taken("person", &person.username));
        }
        let uuid = self.next_uuid();
        let account_id = format!("{:06}:{}", 557_058 + self.made % 7, self.next_uuid().as_hyphenated());
        let created_ms = self.next_moment();
        let emails = if person.emails.is_empty() {
            let address = format!("{}@example.com", person.username);
            vec![Email { address, primary: true, confirmed: true }]
        } else {
            person.emails
        };
        let name = if person.name.is_empty() { person.username.clone() } else { person.name };
        let account = Account {
            uuid,
            account_id,
            username: person.username.clone(),
            nickname: name.split_whitespace().next().unwrap_or(&name).to_owned(),
            display_name: name,
            kind: person.kind,
            active: !person.deactivated,
            emails,
            note: person.note,
            created_ms,
        };
        self.accounts.insert(uuid, account);
        self.usernames.insert(person.username.clone(), uuid);
        if let Some(role) = person.role {
            self.join(&person.username, role)?;
        }
        Ok(uuid)
    }

    /// Takes an existing account into the workspace.
    pub fn join(&mut self, username: &str, role: Role) -> Result<(), Refused> {
        let (user, added_ms) = (self.person_uuid(username)?, self.next_moment());
        self.workspace_mut().members.insert(user, Member { role, added_ms });
        Ok(())
    }

    /// Takes a person out of the workspace, its groups and its grants. The account stays.
    pub fn leave(&mut self, username: &str) -> Result<(), Refused> {
        let user = self.person_uuid(username)?;
        let workspace = self.workspace_mut();
        workspace.members.remove(&user).ok_or_else(|| unknown("member", username))?;
        for group in workspace.groups.values_mut() {
            group.members.remove(&user);
        }
        let projects = workspace.projects.values_mut().map(|project| &mut project.grants);
        let repositories = workspace.repositories.values_mut().map(|repository| &mut repository.grants);
        projects.chain(repositories).for_each(|grants| {
            grants.users.remove(&user);
        });
        Ok(())
    }

    /// Deletes an account altogether, out of every workspace.
    pub fn delete_account(&mut self, username: &str) -> Result<(), Refused> {
        let user = self.person_uuid(username)?;
        let here = self.current;
        for at in 0..self.workspaces.len() {
            self.current = at;
            if self.workspace().member(user).is_some() {
                self.leave(username)?;
            }
        }
        self.current = here;
        self.accounts.remove(&user);
        self.usernames.remove(username);
        Ok(())
    }

    /// Changes an account: whatever the closure does to it. UUID and username stay as they are.
    pub fn change_account(
        &mut self,
        username: &str,
        change: impl FnOnce(&mut Account),
    ) -> Result<(), Refused> {
        let uuid = self.person_uuid(username)?;
        let account = self.accounts.get_mut(&uuid).ok_or_else(|| unknown("person", username))?;
        change(account);
        account.uuid = uuid;
        username.clone_into(&mut account.username);
        Ok(())
    }

    /// Deactivates an account: still listed among the members, its tokens are worth nothing.
    pub fn deactivate(&mut self, username: &str) -> Result<(), Refused> {
        self.change_account(username, |account| account.active = false)
    }

    /// Takes that back.
    pub fn reactivate(&mut self, username: &str) -> Result<(), Refused> {
        self.change_account(username, |account| account.active = true)
    }

    /// Gives a person another username.
    pub fn change_username(&mut self, username: &str, to: &str) -> Result<(), Refused> {
        let uuid = self.person_uuid(username)?;
        if self.usernames.contains_key(to) {
            return Err(taken("person", to));
        }
        self.usernames.remove(username);
        self.usernames.insert(to.to_owned(), uuid);
        if let Some(account) = self.accounts.get_mut(&uuid) {
            to.clone_into(&mut account.username);
        }
        Ok(())
    }

    /// Makes a member an owner, or an ordinary member again.
    pub fn set_role(&mut self, username: &str, role: Role) -> Result<(), Refused> {
        let user = self.person_uuid(username)?;
        let member =
            self.workspace_mut().members.get_mut(&user).ok_or_else(|| unknown("member", username))?;
        member.role = role;
        Ok(())
    }

    /// Gives the workspace another slug. The old one is free from then on.
    pub fn rename_workspace(&mut self, slug: &str) -> Result<(), Refused> {
        if self.find_workspace(slug).is_some_and(|found| found.uuid != self.workspace().uuid) {
            return Err(taken("workspace", slug));
        }
        slug.clone_into(&mut self.workspace_mut().slug);
        Ok(())
    }

    /// Gives the workspace another name.
    pub fn name_workspace(&mut self, name: &str) {
        name.clone_into(&mut self.workspace_mut().name);
    }

    /// Makes a group and gives its slug.
    pub fn add_group(&mut self, name: &str) -> Result<String, Refused> {
        let slug = slug_of(name);
        let groups = &mut self.workspace_mut().groups;
        if groups.contains_key(&slug) {
            return Err(taken("group", &slug));
        }
        let group =
            Group { name: name.to_owned(), members: std::collections::BTreeSet::new(), permission: None };
        groups.insert(slug.clone(), group);
        Ok(slug)
    }

    /// Deletes a group with everything that was granted to it.
    pub fn delete_group(&mut self, slug: &str) -> Result<(), Refused> {
        self.workspace_mut().groups.remove(slug).ok_or_else(|| unknown("group", slug))?;
        for grants in self.all_grants() {
            grants.groups.remove(slug);
        }
        Ok(())
    }

    /// Gives a group another name, and another slug where one is given. Its grants go with it. Gives the slug.
    pub fn rename_group(
        &mut self,
        slug: &str,
        name: &str,
        new_slug: Option<&str>,
    ) -> Result<String, Refused> {
        let to = new_slug.unwrap_or(slug).to_owned();
        let groups = &mut self.workspace_mut().groups;
        if to != slug && groups.contains_key(&to) {
            return Err(taken("group", &to));
        }
        let mut group = groups.remove(slug).ok_or_else(|| unknown("group", slug))?;
        name.clone_into(&mut group.name);
        groups.insert(to.clone(), group);
        for grants in self.all_grants() {
            if let Some(level) = grants.groups.remove(slug) {
                grants.groups.insert(to.clone(), level);
            }
        }
        Ok(to)
    }

    /// Puts somebody into a group.
    pub fn add_to_group(&mut self, slug: &str, username: &str) -> Result<(), Refused> {
        let user = self.person_uuid(username)?;
        if self.workspace().member(user).is_none() {
            return Err(Refused::Impossible("only members of the workspace can be in its groups"));
        }
        let group = self.workspace_mut().groups.get_mut(slug).ok_or_else(|| unknown("group", slug))?;
        group.members.insert(user);
        Ok(())
    }

    /// Takes somebody out of a group.
    pub fn remove_from_group(&mut self, slug: &str, username: &str) -> Result<(), Refused> {
        let user = self.person_uuid(username)?;
        let group = self.workspace_mut().groups.get_mut(slug).ok_or_else(|| unknown("group", slug))?;
        if group.members.remove(&user) { Ok(()) } else { Err(unknown("member", username)) }
    }

    /// Makes a project.
    pub fn add_project(&mut self, key: &str, name: &str) -> Result<Uuid, Refused> {
        if self.workspace().project_keys.contains_key(key) {
            return Err(taken("project", key));
        }
        let (uuid, created_ms) = (self.next_uuid(), self.next_moment());
        let (key, name) = (key.to_owned(), name.to_owned());
        let project =
            Project { uuid, key: key.clone(), name, private: true, grants: Grants::default(), created_ms };
        let workspace = self.workspace_mut();
        workspace.projects.insert(uuid, project);
        workspace.project_keys.insert(key, uuid);
        Ok(uuid)
    }

    /// Deletes a project in which no repository is.
    pub fn delete_project(&mut self, key: &str) -> Result<(), Refused> {
        let uuid = self.workspace().project(key).ok_or_else(|| unknown("project", key))?.uuid;
        if self.workspace().repositories().any(|repository| repository.project == uuid) {
            return Err(Refused::Impossible("a project with repositories cannot be deleted"));
        }
        let workspace = self.workspace_mut();
        workspace.projects.remove(&uuid);
        workspace.project_keys.remove(key);
        Ok(())
    }

    /// Gives a project another key and name.
    pub fn rename_project(&mut self, key: &str, new_key: &str, name: &str) -> Result<(), Refused> {
        let workspace = self.workspace_mut();
        if key != new_key && workspace.project_keys.contains_key(new_key) {
            return Err(taken("project", new_key));
        }
        let uuid = workspace.project_keys.remove(key).ok_or_else(|| unknown("project", key))?;
        workspace.project_keys.insert(new_key.to_owned(), uuid);
        let project = workspace.projects.get_mut(&uuid).ok_or_else(|| unknown("project", key))?;
        new_key.clone_into(&mut project.key);
        name.clone_into(&mut project.name);
        Ok(())
    }

    /// Makes a repository.
    pub fn add_repository(&mut self, project: &str, slug: &str, private: bool) -> Result<Uuid, Refused> {
        if self.workspace().repository_slugs.contains_key(slug) {
            return Err(taken("repository", slug));
        }
        let project = self.workspace().project(project).ok_or_else(|| unknown("project", project))?.uuid;
        let (uuid, created_ms) = (self.next_uuid(), self.next_moment());
        let repository = Repository {
            uuid,
            slug: slug.to_owned(),
            name: slug.to_owned(),
            project,
            private,
            grants: Grants::default(),
            created_ms,
            updated_ms: created_ms,
        };
        let workspace = self.workspace_mut();
        workspace.repositories.insert(uuid, repository);
        workspace.repository_slugs.insert(slug.to_owned(), uuid);
        Ok(uuid)
    }

    /// Deletes a repository.
    pub fn delete_repository(&mut self, slug: &str) -> Result<(), Refused> {
        let workspace = self.workspace_mut();
        let uuid = workspace.repository_slugs.remove(slug).ok_or_else(|| unknown("repository", slug))?;
        workspace.repositories.remove(&uuid);
        Ok(())
    }

    /// Gives a repository another slug and name. Its UUID stays.
    pub fn rename_repository(&mut self, slug: &str, to: &str) -> Result<(), Refused> {
        let workspace = self.workspace_mut();
        if slug != to && workspace.repository_slugs.contains_key(to) {
            return Err(taken("repository", to));
        }
        let uuid = workspace.repository_slugs.remove(slug).ok_or_else(|| unknown("repository", slug))?;
        workspace.repository_slugs.insert(to.to_owned(), uuid);
        self.change_repository(to, |repository| {
            to.clone_into(&mut repository.slug);
            to.clone_into(&mut repository.name);
        })
    }

    /// Moves a repository into another project of the workspace.
    pub fn move_repository(&mut self, slug: &str, project: &str) -> Result<(), Refused> {
        let project = self.workspace().project(project).ok_or_else(|| unknown("project", project))?.uuid;
        self.change_repository(slug, |repository| repository.project = project)
    }

    /// Makes a repository private, or public.
    pub fn set_private(&mut self, slug: &str, private: bool) -> Result<(), Refused> {
        self.change_repository(slug, |repository| repository.private = private)
    }

    /// Somebody has pushed to a repository: it is the one that was changed last.
    pub fn touch_repository(&mut self, slug: &str) -> Result<(), Refused> {
        self.change_repository(slug, |_| ())
    }

    /// Gives a level, or another one.
    pub fn grant(&mut self, on: On<'_>, to: To<'_>, level: Level) -> Result<(), Refused> {
        if level == Level::CreateRepo && matches!(on, On::Repository(_)) {
            return Err(Refused::Impossible("create-repo can be granted on projects only"));
        }
        match to {
            To::Group(slug) => {
                if !self.workspace().groups.contains_key(slug) {
                    return Err(unknown("group", slug));
                }
                self.grants(on)?.groups.insert(slug.to_owned(), level);
            }
            To::Person(username) => {
                let user = self.person_uuid(username)?;
                self.grants(on)?.users.insert(user, level);
            }
        }
        Ok(())
    }

    /// Takes a grant away.
    pub fn revoke(&mut self, on: On<'_>, to: To<'_>) -> Result<(), Refused> {
        let removed = match to {
            To::Group(slug) => self.grants(on)?.groups.remove(slug),
            To::Person(username) => {
                let user = self.person_uuid(username)?;
                self.grants(on)?.users.remove(&user)
            }
        };
        removed.map(|_| ()).ok_or(Refused::Impossible("there is no such grant"))
    }

    /// Adds a consumer to the workspace, or replaces the one with the same key. Gives the UUID of its `app_user`.
    pub fn add_consumer(&mut self, mut consumer: Consumer) -> Uuid {
        consumer.workspace = self.workspace().uuid;
        let username = format!("app-{}", consumer.key);
        let known = self.usernames.get(&username).copied();
        let app = Person { role: None, ..Person::app(&username, &format!("{} (app)", consumer.name)) };
        consumer.app_user = known.unwrap_or_else(|| self.add_person(app).expect("a name that nobody has"));
        let app_user = consumer.app_user;
        self.consumers.insert(consumer.key.clone(), consumer);
        app_user
    }

    /// Changes a consumer.
    pub fn change_consumer(&mut self, key: &str, change: impl FnOnce(&mut Consumer)) -> Result<(), Refused> {
        self.consumers.get_mut(key).map(change).ok_or_else(|| unknown("consumer", key))
    }

    /// Deletes a consumer.
    pub fn delete_consumer(&mut self, key: &str) -> Result<(), Refused> {
        self.consumers.remove(key).map(|_| ()).ok_or_else(|| unknown("consumer", key))
    }

    /// The consumers.
    pub fn consumers(&self) -> impl Iterator<Item = &Consumer> {
        self.consumers.values()
    }

    /// Adds a workspace access token with scopes parted by spaces. A real one begins with `ATCT`.
    pub fn add_access_token(&mut self, token: &str, names: &str) {
        let workspace = self.workspace().uuid;
        self.access_tokens.insert(token.to_owned(), AccessToken { workspace, scopes: scopes(names) });
    }

    /// Revokes a workspace access token.
    pub fn revoke_access_token(&mut self, token: &str) -> Result<(), Refused> {
        // The token is a secret and not told.
        self.access_tokens.remove(token).map(|_| ()).ok_or_else(|| unknown("access token", "…"))
    }

    /// Adds an API token of a person with granular scopes parted by spaces. It goes with the person's primary address.
    pub fn add_api_token(&mut self, username: &str, token: &str, names: &str) -> Result<(), Refused> {
        let account = self.person(username).ok_or_else(|| unknown("person", username))?;
        let email = account.emails.iter().find(|email| email.primary).or(account.emails.first());
        let email = email.map(|email| email.address.clone()).ok_or(Refused::Impossible("no address"))?;
        let added = ApiToken { account: account.uuid, email, scopes: scopes(names) };
        self.api_tokens.insert(token.to_owned(), added);
        Ok(())
    }

    /// Revokes an API token.
    pub fn revoke_api_token(&mut self, token: &str) -> Result<(), Refused> {
        self.api_tokens.remove(token).map(|_| ()).ok_or_else(|| unknown("API token", "…"))
    }

    /// Changes a repository, which makes it the one that was changed last.
    fn change_repository(&mut self, slug: &str, change: impl FnOnce(&mut Repository)) -> Result<(), Refused> {
        let workspace = self.workspace_mut();
        let last = workspace.repositories.values().map(|repository| repository.updated_ms).max().unwrap_or(0);
        let uuid =
            workspace.repository_slugs.get(slug).copied().ok_or_else(|| unknown("repository", slug))?;
        let found = workspace.repositories.get_mut(&uuid).ok_or_else(|| unknown("repository", slug))?;
        change(found);
        found.updated_ms = last + 60_000;
        Ok(())
    }

    fn grants(&mut self, on: On<'_>) -> Result<&mut Grants, Refused> {
        let workspace = self.workspace_mut();
        match on {
            On::Project(key) => {
                let found = workspace.project_keys.get(key).and_then(|uuid| workspace.projects.get_mut(uuid));
                found.map(|project| &mut project.grants).ok_or_else(|| unknown("project", key))
            }
            On::Repository(slug) => {
                let uuid = workspace.repository_slugs.get(slug);
                let found = uuid.and_then(|uuid| workspace.repositories.get_mut(uuid));
                found.map(|repository| &mut repository.grants).ok_or_else(|| unknown("repository", slug))
            }
        }
    }

    fn all_grants(&mut self) -> impl Iterator<Item = &mut Grants> {
        let workspace = self.workspace_mut();
        let projects = workspace.projects.values_mut().map(|project| &mut project.grants);
        projects.chain(workspace.repositories.values_mut().map(|repository| &mut repository.grants))
    }
}
