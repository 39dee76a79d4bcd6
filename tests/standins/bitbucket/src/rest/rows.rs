//! What can be asked of the rows of listings in `q` and `sort`.

use std::borrow::Cow;

use uuid::Uuid;

use crate::query::{Queryable, Scalar, rank_of};
use crate::world::{Account, Email, Level, Member, Project, Repository, Workspace, World};

/// A member of a workspace.
pub(crate) struct MemberRow<'a> {
    pub(crate) world: &'a World,
    pub(crate) user: Uuid,
    pub(crate) member: Member,
    /// Whether the caller may ask for members by address.
    pub(crate) by_address: bool,
}

/// A repository.
pub(crate) struct RepositoryRow<'a> {
    pub(crate) workspace: &'a Workspace,
    pub(crate) repository: &'a Repository,
}

/// Somebody's level on a repository.
pub(crate) struct PermissionRow<'a> {
    pub(crate) account: &'a Account,
    pub(crate) repository: RepositoryRow<'a>,
    pub(crate) level: Level,
}

/// A workspace that somebody is in.
pub(crate) struct AccessRow<'a> {
    pub(crate) workspace: &'a Workspace,
    pub(crate) administrator: bool,
}

/// What can be neither filtered nor sorted.
pub(crate) struct Plain<T>(pub(crate) T);

fn text(text: &str) -> Scalar<'_> {
    Scalar::Text(Cow::Borrowed(text))
}

fn braced(uuid: Uuid) -> Scalar<'static> {
    Scalar::Text(Cow::Owned(super::shape::braced(uuid)))
}

fn ranked(name: &'static str) -> Scalar<'static> {
    Scalar::Ranked(name, rank_of(name).unwrap_or(0))
}

fn account<'a>(account: &'a Account, path: &str) -> Option<Scalar<'a>> {
    match path {
        "uuid" => Some(braced(account.uuid)),
        "account_id" => Some(text(&account.account_id)),
        "display_name" => Some(text(&account.display_name)),
        "nickname" => Some(text(&account.nickname)),
        _ => None,
    }
}

/// The address of an account that an admin may find it by.
pub(crate) fn findable(account: &Account) -> Option<&Email> {
    account.emails.iter().find(|email| email.primary && email.confirmed)
}

impl<'a> MemberRow<'a> {
    /// Looked up only for what is filtered by or shown.
    pub(crate) fn account(&self) -> &'a Account {
        self.world.account(self.user).expect("members have accounts")
    }
}

impl Queryable for MemberRow<'_> {
    fn field(&self, path: &str) -> Option<Scalar<'_>> {
        match path {
            "permission" => Some(ranked(self.member.role.name())),
            "user.email" if self.by_address => {
                Some(findable(self.account()).map_or(Scalar::Null, |email| text(&email.address)))
            }
            _ => account(self.account(), path.strip_prefix("user.")?),
        }
    }
}

impl Queryable for RepositoryRow<'_> {
    fn field(&self, path: &str) -> Option<Scalar<'_>> {
        let project = |of: fn(&Project) -> Scalar<'_>| {
            let project = self.workspace.projects.get(&self.repository.project);
            Some(project.map_or(Scalar::Null, of))
        };
        match path {
            "uuid" => Some(braced(self.repository.uuid)),
            "slug" => Some(text(&self.repository.slug)),
            "name" => Some(text(&self.repository.name)),
            "full_name" => {
                let name = format!("{}/{}", self.workspace.slug, self.repository.slug);
                Some(Scalar::Text(Cow::Owned(name)))
            }
            "is_private" => Some(Scalar::Bool(self.repository.private)),
            "created_on" => Some(Scalar::Moment(self.repository.created_ms)),
            "updated_on" => Some(Scalar::Moment(self.repository.updated_ms)),
            "project.uuid" => project(|project| braced(project.uuid)),
            "project.key" => project(|project| text(&project.key)),
            "project.name" => project(|project| text(&project.name)),
            _ => None,
        }
    }
}

impl Queryable for PermissionRow<'_> {
    fn field(&self, path: &str) -> Option<Scalar<'_>> {
        match path.split_once('.') {
            None if path == "permission" => Some(ranked(self.level.name())),
            Some(("user", rest)) => account(self.account, rest),
            Some(("repository", rest)) => self.repository.field(rest),
            _ => None,
        }
    }
}

impl Queryable for AccessRow<'_> {
    fn field(&self, path: &str) -> Option<Scalar<'_>> {
        match path {
            "slug" | "workspace.slug" => Some(text(&self.workspace.slug)),
            "administrator" => Some(Scalar::Bool(self.administrator)),
            _ => None,
        }
    }
}

impl<T> Queryable for Plain<T> {
    fn field(&self, _: &str) -> Option<Scalar<'_>> {
        None
    }
}
