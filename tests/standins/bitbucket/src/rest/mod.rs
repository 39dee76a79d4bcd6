//! Version 2.0 of the API: which path leads where, and what it takes.

mod grants;
mod repositories;
mod rows;
pub(crate) mod shape;
mod user;
mod workspace;

use serde_json::Value;

use crate::auth::{Actor, Caller, CredentialKind};
use crate::fields::Fields;
use crate::groups_v1;
use crate::paging::{Asked, Lengths, Manner};
use crate::query::{Query, Queryable, Sort};
use crate::refusal::Refusal;
use crate::world::{Reach, Repository, Workspace, World};
use shape::Shape;

pub(crate) type Answer = Result<Value, Refusal>;

/// Who may ask at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Who {
    /// Anybody.
    Anyone,
    /// Whoever has a credential.
    Credential,
    /// Whoever is somebody: not an access token.
    Account,
}

/// A path and what it takes.
pub(crate) struct Route {
    pub(crate) template: &'static str,
    pub(crate) who: Who,
    /// The OAuth scopes, all of which it takes.
    pub(crate) scopes: &'static [&'static str],
    /// The granular scopes of API tokens, all of which it takes.
    pub(crate) granular: &'static [&'static str],
    answer: fn(&Call<'_>) -> Answer,
}

const READ_USER: &[&str] = &["read:user:bitbucket"];
const READ_WORKSPACE: &[&str] = &["read:workspace:bitbucket"];
const READ_REPOSITORY: &[&str] = &["read:repository:bitbucket"];
const READ_PROJECT: &[&str] = &["read:project:bitbucket"];

const fn route(
    template: &'static str,
    who: Who,
    scopes: &'static [&'static str],
    granular: &'static [&'static str],
    answer: fn(&Call<'_>) -> Answer,
) -> Route {
    Route { template, who, scopes, granular, answer }
}

/// Everything that can be read. The more special path stands before the more general one.
pub(crate) const ROUTES: &[Route] = &[
    route("/2.0/user", Who::Account, &["account"], READ_USER, user::me),
    route("/2.0/user/emails", Who::Account, &["email"], READ_USER, user::emails),
    route("/2.0/user/workspaces", Who::Account, &["account"], READ_WORKSPACE, user::workspaces),
    route(
        "/2.0/user/workspaces/{workspace}/permission",
        Who::Account,
        &["account"],
        READ_WORKSPACE,
        user::permission,
    ),
    route(
        "/2.0/user/workspaces/{workspace}/permissions/repositories",
        Who::Account,
        &["account", "repository"],
        READ_REPOSITORY,
        user::repository_permissions,
    ),
    route("/2.0/user/permissions/workspaces", Who::Anyone, &[], &[], removed),
    route("/2.0/user/permissions/repositories", Who::Anyone, &[], &[], removed),
    route("/2.0/users/{selected_user}", Who::Anyone, &[], READ_USER, user::somebody),
    route("/2.0/workspaces", Who::Anyone, &[], &[], removed),
    route("/2.0/workspaces/{workspace}", Who::Anyone, &[], READ_WORKSPACE, workspace::workspace),
    route(
        "/2.0/workspaces/{workspace}/members",
        Who::Credential,
        &["account"],
        READ_WORKSPACE,
        workspace::members,
    ),
    route(
        "/2.0/workspaces/{workspace}/members/{member}",
        Who::Credential,
        &["account"],
        READ_WORKSPACE,
        workspace::member,
    ),
    route(
        "/2.0/workspaces/{workspace}/permissions",
        Who::Credential,
        &["account"],
        READ_WORKSPACE,
        workspace::permissions,
    ),
    route(
        "/2.0/workspaces/{workspace}/permissions/repositories",
        Who::Credential,
        &["account"],
        READ_REPOSITORY,
        repositories::all_permissions,
    ),
    route(
        "/2.0/workspaces/{workspace}/permissions/repositories/{repo_slug}",
        Who::Credential,
        &["repository"],
        READ_REPOSITORY,
        repositories::permissions,
    ),
    route(
        "/2.0/workspaces/{workspace}/projects",
        Who::Credential,
        &["project"],
        READ_PROJECT,
        workspace::projects,
    ),
    route(
        "/2.0/workspaces/{workspace}/projects/{project_key}",
        Who::Credential,
        &["project"],
        READ_PROJECT,
        workspace::project,
    ),
    route(
        "/2.0/workspaces/{workspace}/projects/{project_key}/permissions-config/groups",
        Who::Credential,
        &["project:admin"],
        READ_PROJECT,
        grants::project_groups,
    ),
    route(
        "/2.0/workspaces/{workspace}/projects/{project_key}/permissions-config/users",
        Who::Credential,
        &["project:admin"],
        READ_PROJECT,
        grants::project_users,
    ),
    route("/2.0/repositories", Who::Anyone, &[], &[], removed),
    route("/2.0/repositories/{workspace}", Who::Anyone, &["repository"], READ_REPOSITORY, repositories::list),
    route(
        "/2.0/repositories/{workspace}/{repo_slug}",
        Who::Anyone,
        &["repository"],
        READ_REPOSITORY,
        repositories::one,
    ),
    route(
        "/2.0/repositories/{workspace}/{repo_slug}/permissions-config/groups",
        Who::Credential,
        &["repository:admin"],
        READ_REPOSITORY,
        grants::repository_groups,
    ),
    route(
        "/2.0/repositories/{workspace}/{repo_slug}/permissions-config/users",
        Who::Credential,
        &["repository:admin"],
        READ_REPOSITORY,
        grants::repository_users,
    ),
    route("/2.0/snippets", Who::Anyone, &[], &[], removed),
    route("/1.0/groups/{workspace}", Who::Credential, &["account"], READ_WORKSPACE, groups_v1::groups),
    route(
        "/1.0/group-privileges/{workspace}",
        Who::Credential,
        &["repository:admin"],
        READ_REPOSITORY,
        groups_v1::privileges,
    ),
    route(
        "/1.0/group-privileges/{workspace}/{repo_slug}",
        Who::Credential,
        &["repository:admin"],
        READ_REPOSITORY,
        groups_v1::privileges_on,
    ),
    route(
        "/1.0/group-privileges/{workspace}/{owner}/{group_slug}",
        Who::Credential,
        &["repository:admin"],
        READ_REPOSITORY,
        groups_v1::privileges_of,
    ),
];

/// The route of a path, with the values of its names. A slash at the end does not matter.
pub(crate) fn find(path: &str) -> Option<(&'static Route, Vec<String>)> {
    let parts: Vec<&str> = path.strip_suffix('/').unwrap_or(path).split('/').collect();
    ROUTES.iter().find_map(|route| {
        let template = route.template.split('/');
        if template.clone().count() != parts.len() {
            return None;
        }
        let mut values = Vec::new();
        for (name, part) in template.zip(&parts) {
            if name.starts_with('{') {
                let value = percent_encoding::percent_decode_str(part).decode_utf8().ok()?;
                values.push(value.into_owned());
            } else if name != *part {
                return None;
            }
        }
        Some((route, values))
    })
}

fn removed(_: &Call<'_>) -> Answer {
    Err(Refusal::change_2770())
}

/// A call that is allowed to ask.
pub(crate) struct Call<'a> {
    pub(crate) world: &'a World,
    pub(crate) caller: &'a Caller,
    pub(crate) route: &'static Route,
    pub(crate) values: Vec<String>,
    pub(crate) query: &'a [(String, String)],
    pub(crate) fields: Fields,
    /// As the request reached it, as in `http://127.0.0.1:8000`.
    pub(crate) origin: &'a str,
    /// The path as it came.
    pub(crate) path: &'a str,
}

/// What a listing takes beside pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Takes {
    /// Neither `q` nor `sort`: both are passed over.
    Nothing,
    /// `q`, but not `sort`.
    Query,
    /// Both.
    QueryAndSort,
}

impl<'a> Call<'a> {
    /// Checks what the path takes, and answers.
    pub(crate) fn answer(&self) -> Answer {
        match (self.route.who, self.caller.actor) {
            (Who::Anyone, Actor::Anonymous) => return (self.route.answer)(self),
            (_, Actor::Anonymous) => return Err(Refusal::not_valid()),
            (Who::Account, Actor::Token { .. }) => return Err(Refusal::mechanism()),
            _ => {}
        }
        let granular = self.caller.kind == CredentialKind::ApiToken;
        let required = if granular { self.route.granular } else { self.route.scopes };
        if !required.iter().all(|scope| self.caller.has(scope)) {
            return Err(Refusal::scopes(&self.caller.scopes, required));
        }
        (self.route.answer)(self)
    }

    pub(crate) fn parameter(&self, name: &str) -> Option<&'a str> {
        self.query.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn shape(&self) -> Shape<'_> {
        Shape { origin: self.origin, fields: &self.fields, behaviour: &self.world.behaviour }
    }

    /// The workspace that the path names first.
    pub(crate) fn workspace(&self) -> Result<&'a Workspace, Refusal> {
        let name = &self.values[0];
        self.world.find_workspace(name).ok_or_else(|| Refusal::no_workspace(name))
    }

    /// The workspace, if the caller is in it.
    pub(crate) fn own_workspace(&self) -> Result<&'a Workspace, Refusal> {
        let workspace = self.workspace()?;
        if self.caller.is_inside(workspace) { Ok(workspace) } else { Err(Refusal::forbidden()) }
    }

    /// The repository that the path names second, if the caller can see it.
    pub(crate) fn repository(&self) -> Result<(&'a Workspace, &'a Repository, Reach), Refusal> {
        let workspace = self.workspace()?;
        let slug = &self.values[1];
        let reach = self.reach(workspace);
        let found = workspace.repository(slug).filter(|repository| reach.sees(repository));
        let found = found.ok_or_else(|| Refusal::no_repository(&format!("{}/{slug}", workspace.slug)))?;
        Ok((workspace, found, reach))
    }

    pub(crate) fn reach(&self, workspace: &Workspace) -> Reach {
        self.caller.reach(self.world, workspace)
    }

    /// A page of rows.
    pub(crate) fn list<R: Queryable>(
        &self,
        mut rows: Vec<R>,
        lengths: Lengths,
        takes: Takes,
        show: impl Fn(&R) -> Value,
    ) -> Answer {
        let behaviour = &self.world.behaviour;
        let manner = Manner {
            opaque: behaviour.opaque_next.contains(self.route.template),
            sized: !behaviour.without_size.contains(self.route.template),
        };
        let asked = Asked::read(self.query, lengths, manner.opaque)?;
        if let Some(text) = self.parameter("q").filter(|_| takes != Takes::Nothing) {
            let query = Query::parse(text)?;
            let mut met = Vec::with_capacity(rows.len());
            for row in rows {
                if query.matches(&row)? {
                    met.push(row);
                }
            }
            rows = met;
        }
        if let Some(text) = self.parameter("sort").filter(|_| takes == Takes::QueryAndSort) {
            Sort::parse(text).apply(&mut rows)?;
        }
        let values = rows.iter().skip(asked.first()).take(asked.length).map(show).collect();
        let place = format!("{}{}", self.origin, self.path);
        Ok(asked.around(values, rows.len(), manner, &place, self.query))
    }
}
