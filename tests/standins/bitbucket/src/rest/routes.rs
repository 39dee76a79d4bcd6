//! Which path leads where, and what it takes.

use super::{Answer, Call, grants, repositories, user, workspace};
use crate::groups_v1;
use crate::refusal::Refusal;

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

impl Route {
    /// Answers a call that may be answered.
    pub(super) fn answer_to(&self, call: &Call<'_>) -> Answer {
        (self.answer)(call)
    }
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
const ROUTES: &[Route] = &[
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
    route(
        "/2.0/workspaces/{workspace}/projects/{project_key}/permissions-config/groups/{group_slug}",
        Who::Credential,
        &["project:admin"],
        READ_PROJECT,
        grants::project_group,
    ),
    route(
        "/2.0/workspaces/{workspace}/projects/{project_key}/permissions-config/users/{selected_user_id}",
        Who::Credential,
        &["project:admin"],
        READ_PROJECT,
        grants::project_user,
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
    route(
        "/2.0/repositories/{workspace}/{repo_slug}/permissions-config/groups/{group_slug}",
        Who::Credential,
        &["repository:admin"],
        READ_REPOSITORY,
        grants::repository_group,
    ),
    route(
        "/2.0/repositories/{workspace}/{repo_slug}/permissions-config/users/{selected_user_id}",
        Who::Credential,
        &["repository:admin"],
        READ_REPOSITORY,
        grants::repository_user,
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
