//! How everything looks in JSON.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::clock::iso;
use crate::fields::Fields;
use crate::world::{Account, Behaviour, Email, Group, Kind, Level, Member, Project, Repository, Workspace};

/// `{01234567-89ab-cdef-0123-456789abcdef}`
pub(crate) fn braced(uuid: Uuid) -> String {
    format!("{{{}}}", uuid.as_hyphenated())
}

/// The same as a part of a path.
fn in_path(uuid: Uuid) -> String {
    format!("%7B{}%7D", uuid.as_hyphenated())
}

/// Makes JSON of things, with links to where the request reached the stand-in.
#[derive(Clone, Copy)]
pub(crate) struct Shape<'a> {
    pub(crate) origin: &'a str,
    pub(crate) fields: &'a Fields,
    pub(crate) behaviour: &'a Behaviour,
}

impl Shape<'_> {
    /// A link, if links are asked for.
    fn link(self, path: impl FnOnce() -> String) -> Value {
        self.if_wanted("links", || json!({"href": format!("{}{}", self.origin, path())}))
    }

    /// Something that takes effort, if it is asked for. What is null instead is left out of the answer anyway.
    fn if_wanted(self, name: &str, make: impl FnOnce() -> Value) -> Value {
        if self.fields.wants(name) { make() } else { Value::Null }
    }

    /// An account as rows show it.
    pub(crate) fn account(self, account: &Account) -> Value {
        let id = in_path(account.uuid);
        let mut shown = json!({
            "type": account.kind.name(),
            "uuid": braced(account.uuid),
            "account_id": account.account_id,
            "display_name": account.display_name,
            "nickname": account.nickname,
            "links": {
                "self": self.link(|| format!("/2.0/users/{id}")),
                "html": self.link(|| format!("/{id}/")),
                "avatar": self.link(|| format!("/{id}/avatar.png")),
            },
        });
        if account.kind == Kind::AppUser {
            shown["account_status"] = status(account).into();
            shown["kind"] = "repository_access_token_user".into();
        }
        shown
    }

    /// An account by itself.
    pub(crate) fn whole_account(self, account: &Account) -> Value {
        let mut shown = self.account(account);
        shown["account_status"] = status(account).into();
        shown["created_on"] = iso(account.created_ms).into();
        shown["is_staff"] = false.into();
        shown["location"] = Value::Null;
        shown["links"]["repositories"] = self.link(|| format!("/2.0/repositories/{}", in_path(account.uuid)));
        shown
    }

    /// An account as it is shown to itself.
    pub(crate) fn own_account(self, account: &Account) -> Value {
        let mut shown = self.whole_account(account);
        shown["username"] = account.username.as_str().into();
        shown["has_2fa_enabled"] = Value::Null;
        shown
    }

    pub(crate) fn email(self, email: &Email) -> Value {
        json!({
            "type": "email",
            "email": email.address,
            "is_primary": email.primary,
            "is_confirmed": email.confirmed,
            "links": {"self": self.link(|| format!("/2.0/user/emails/{}", email.address))},
        })
    }

    /// A workspace as rows show it.
    pub(crate) fn workspace(self, workspace: &Workspace) -> Value {
        let slug = &workspace.slug;
        json!({
            "type": "workspace",
            "uuid": braced(workspace.uuid),
            "slug": slug,
            "name": workspace.name,
            "links": {
                "self": self.link(|| format!("/2.0/workspaces/{slug}")),
                "html": self.link(|| format!("/{slug}/")),
                "avatar": self.link(|| format!("/workspaces/{slug}/avatar/")),
            },
        })
    }

    /// A workspace by itself.
    pub(crate) fn whole_workspace(self, workspace: &Workspace) -> Value {
        let slug = &workspace.slug;
        let mut shown = self.workspace(workspace);
        shown["is_private"] = true.into();
        shown["is_privacy_enforced"] = false.into();
        shown["forking_mode"] = "allow_forks".into();
        shown["created_on"] = iso(workspace.created_ms).into();
        shown["updated_on"] = iso(workspace.created_ms).into();
        for (name, path) in [
            ("members", format!("/2.0/workspaces/{slug}/members")),
            ("owners", format!("/2.0/workspaces/{slug}/permissions?q=permission%3D%22owner%22")),
            ("projects", format!("/2.0/workspaces/{slug}/projects")),
            ("repositories", format!("/2.0/repositories/{slug}")),
        ] {
            shown["links"][name] = self.link(|| path);
        }
        shown
    }

    /// A workspace as somebody's list of workspaces shows it.
    pub(crate) fn workspace_access(self, workspace: &Workspace, administrator: bool) -> Value {
        let slug = &workspace.slug;
        json!({
            "type": "workspace_access",
            "administrator": administrator,
            "workspace": {
                "type": "workspace_base",
                "uuid": braced(workspace.uuid),
                "slug": slug,
                "links": {
                    "self": self.link(|| format!("/2.0/workspaces/{slug}")),
                    "avatar": self.link(|| format!("/workspaces/{slug}/avatar/")),
                },
            },
        })
    }

    pub(crate) fn membership(self, workspace: &Workspace, account: &Account) -> Value {
        let path = format!("/2.0/workspaces/{}/members/{}", workspace.slug, in_path(account.uuid));
        json!({
            "type": "workspace_membership",
            "user": self.account(account),
            "workspace": self.if_wanted("workspace", || self.workspace(workspace)),
            "links": {"self": self.link(|| path)},
        })
    }

    /// A membership with the role.
    pub(crate) fn permission(self, workspace: &Workspace, account: &Account, member: Member) -> Value {
        let mut shown = self.membership(workspace, account);
        shown["permission"] = member.role.name().into();
        if self.behaviour.membership_dates {
            shown["added_on"] = iso(member.added_ms).into();
            shown["last_accessed"] = Value::Null;
        }
        shown
    }

    fn project_in_rows(self, workspace: &Workspace, project: &Project) -> Value {
        let (slug, key) = (&workspace.slug, &project.key);
        json!({
            "type": "project",
            "uuid": braced(project.uuid),
            "key": key,
            "name": project.name,
            "links": {
                "self": self.link(|| format!("/2.0/workspaces/{slug}/projects/{key}")),
                "html": self.link(|| format!("/{slug}/workspace/projects/{key}")),
                "avatar": self.link(|| format!("/{slug}/workspace/projects/{key}/avatar/32")),
            },
        })
    }

    pub(crate) fn project(self, workspace: &Workspace, project: &Project) -> Value {
        let mut shown = self.project_in_rows(workspace, project);
        shown["is_private"] = project.private.into();
        shown["has_publicly_visible_repos"] = false.into();
        shown["description"] = "".into();
        shown["created_on"] = iso(project.created_ms).into();
        shown["updated_on"] = iso(project.created_ms).into();
        shown["owner"] = self.if_wanted("owner", || self.team(workspace));
        shown["workspace"] = self.if_wanted("workspace", || self.workspace(workspace));
        shown
    }

    /// A workspace as the owner of things, from the time when workspaces were teams.
    fn team(self, workspace: &Workspace) -> Value {
        json!({
            "type": "team",
            "uuid": braced(workspace.uuid),
            "username": workspace.slug,
            "display_name": workspace.name,
            "links": {"html": self.link(|| format!("/{}/", workspace.slug))},
        })
    }

    fn repository_in_rows(self, workspace: &Workspace, repository: &Repository) -> Value {
        let full_name = format!("{}/{}", workspace.slug, repository.slug);
        json!({
            "type": "repository",
            "uuid": braced(repository.uuid),
            "full_name": full_name,
            "name": repository.name,
            "links": {
                "self": self.link(|| format!("/2.0/repositories/{full_name}")),
                "html": self.link(|| format!("/{full_name}")),
                "avatar": self.link(|| format!("/{full_name}/avatar")),
            },
        })
    }

    pub(crate) fn repository(self, workspace: &Workspace, repository: &Repository) -> Value {
        let full_name = format!("{}/{}", workspace.slug, repository.slug);
        let mut shown = self.repository_in_rows(workspace, repository);
        shown["slug"] = repository.slug.as_str().into();
        shown["is_private"] = repository.private.into();
        shown["description"] = "".into();
        shown["scm"] = "git".into();
        shown["language"] = "rust".into();
        shown["size"] = (4096 + repository.created_ms.rem_euclid(1_000_000)).into();
        shown["has_issues"] = false.into();
        shown["has_wiki"] = false.into();
        shown["fork_policy"] = if repository.private { "no_public_forks" } else { "allow_forks" }.into();
        shown["created_on"] = iso(repository.created_ms).into();
        shown["updated_on"] = iso(repository.updated_ms).into();
        shown["mainbranch"] = json!({"type": "branch", "name": "main"});
        shown["owner"] = self.if_wanted("owner", || self.team(workspace));
        shown["workspace"] = self.if_wanted("workspace", || self.workspace(workspace));
        if let Some(project) = workspace.projects.get(&repository.project) {
            shown["project"] = self.if_wanted("project", || self.project_in_rows(workspace, project));
        }
        shown["links"]["clone"] =
            json!([{"name": "https", "href": format!("{}/{full_name}.git", self.origin)}]);
        shown
    }

    /// Somebody's level on a repository.
    pub(crate) fn repository_permission(
        self,
        workspace: &Workspace,
        repository: &Repository,
        account: &Account,
        level: Level,
    ) -> Value {
        json!({
            "type": "repository_permission",
            "permission": level.name(),
            "user": self.account(account),
            "repository": self.repository_in_rows(workspace, repository),
        })
    }

    pub(crate) fn group(self, workspace: &Workspace, slug: &str, group: &Group) -> Value {
        let place = &workspace.slug;
        json!({
            "type": "group",
            "name": group.name,
            "slug": slug,
            "full_slug": format!("{place}:{slug}"),
            "workspace": self.if_wanted("workspace", || self.workspace(workspace)),
            "owner": self.if_wanted("owner", || self.team(workspace)),
            "links": {
                "self": self.link(|| format!("/2.0/groups/{place}/{slug}")),
                "html": self.link(|| format!("/{place}/workspace/settings/groups/{slug}")),
            },
        })
    }

    /// A grant: what of, to whom (`group` or `user`), and how much.
    pub(crate) fn grant(
        self,
        of: Granting<'_>,
        to: (&'static str, Value),
        level: Option<Level>,
        name: &str,
    ) -> Value {
        let (to_name, to) = to;
        let (of_name, shown, place) = match of {
            Granting::Project(workspace, project) => (
                "project",
                self.project_in_rows(workspace, project),
                format!("/2.0/workspaces/{}/projects/{}", workspace.slug, project.key),
            ),
            Granting::Repository(workspace, repository) => (
                "repository",
                self.repository_in_rows(workspace, repository),
                format!("/2.0/repositories/{}/{}", workspace.slug, repository.slug),
            ),
        };
        let name: String = url::form_urlencoded::byte_serialize(name.as_bytes()).collect();
        json!({
            "type": format!("{of_name}_{to_name}_permission"),
            "permission": level.map_or("none", Level::name),
            to_name: to,
            of_name: shown,
            "links": {"self": self.link(|| format!("{place}/permissions-config/{to_name}s/{name}"))},
        })
    }
}

/// What grants something.
#[derive(Clone, Copy)]
pub(crate) enum Granting<'a> {
    Project(&'a Workspace, &'a Project),
    Repository(&'a Workspace, &'a Repository),
}

fn status(account: &Account) -> &'static str {
    if account.active { "active" } else { "inactive" }
}
