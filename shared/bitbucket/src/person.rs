//! What a person's own token is asked for at sign-in.

use std::collections::BTreeSet;

use rollcall_domain::bitbucket::{BitbucketWorkspaceUuid, Permission, RepositoryUuid};
use rollcall_domain::identity::EmailAddress;
use rollcall_domain::listing::{Complete, Keyed};
use rollcall_domain::mirror::SeenPerson;
use serde::Deserialize;

use crate::call::Target;
use crate::error::{Error, line};
use crate::listing::Ended;
use crate::row::FromRow;
use crate::session::Session;
use crate::workspace::{AccountWire, PlaceWire};

const ME: &str = "/2.0/user";
const MY_EMAILS: &str = "/2.0/user/emails";
const MY_PERMISSION: &str = "/2.0/user/workspaces/{workspace}/permission";
const MY_REPOSITORY_PERMISSIONS: &str = "/2.0/user/workspaces/{workspace}/permissions/repositories";
const REPOSITORIES: &str = "/2.0/repositories/{workspace}";

/// An e-mail address of the person who signs in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Email {
    /// The address.
    pub address: EmailAddress,
    /// Whether Bitbucket has seen them answer a mail sent to it. Others say nothing about the person.
    pub confirmed: bool,
    /// Whether it is their first address.
    pub primary: bool,
}

/// Whether a person is in a workspace, as their own token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// They are, with this role.
    In(WorkspaceRole),
    /// Bitbucket says no. That refuses this sign-in; it does not prove that they have left.
    NotInWorkspace,
}

/// A person's role in a workspace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WorkspaceRole {
    /// Has everything.
    Owner,
    /// An ordinary member, whatever else they may do.
    Member,
    /// A name that is not known here: a member, and nothing more.
    Other(String),
}

/// A private repository that the person can access.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OwnRepository {
    /// Which one.
    pub uuid: RepositoryUuid,
}

/// What the person may do on a repository, all grants put together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OwnPermission {
    /// Which repository.
    pub repository: RepositoryUuid,
    /// What they may do; `None` where that is nothing.
    pub permission: Option<Permission>,
}

/// The private repositories that a person can access.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OwnRepositories {
    /// All of them.
    All(BTreeSet<RepositoryUuid>),
    /// Not read to the end, because what the first page says was enough to know.
    Stopped {
        /// How many there are, as Bitbucket says. Good for a refusal, never for an admission.
        size: u64,
        /// How many calls it would take to read them all, the one made included.
        calls: u64,
    },
}

#[derive(Deserialize)]
pub(crate) struct EmailWire {
    email: Option<String>,
    is_confirmed: Option<bool>,
    is_primary: Option<bool>,
}

#[derive(Deserialize)]
struct PermissionWire {
    permission: Option<String>,
    workspace: Option<PlaceWire>,
}

#[derive(Deserialize)]
pub(crate) struct UuidWire {
    pub(crate) uuid: Option<String>,
}

#[derive(Deserialize)]
pub(crate) struct OwnPermissionWire {
    permission: Option<String>,
    repository: Option<UuidWire>,
}

impl Keyed for Email {
    type Key = EmailAddress;

    fn key(&self) -> EmailAddress {
        self.address.clone()
    }
}

impl FromRow for Email {
    type Wire = EmailWire;
    const KEY: &'static str = "/email";

    fn from_row(row: EmailWire) -> Result<Self, &'static str> {
        let address = row.email.as_deref().and_then(|email| email.parse().ok());
        Ok(Self {
            address: address.ok_or("the address is not one that is accepted")?,
            confirmed: row.is_confirmed == Some(true),
            primary: row.is_primary == Some(true),
        })
    }
}

impl Keyed for OwnRepository {
    type Key = RepositoryUuid;

    fn key(&self) -> RepositoryUuid {
        self.uuid
    }
}

impl FromRow for OwnRepository {
    type Wire = UuidWire;
    const KEY: &'static str = "/uuid";

    fn from_row(row: UuidWire) -> Result<Self, &'static str> {
        let uuid = row.uuid.and_then(|uuid| uuid.parse().ok());
        Ok(Self { uuid: uuid.ok_or("the repository has no UUID")? })
    }
}

impl Keyed for OwnPermission {
    type Key = RepositoryUuid;

    fn key(&self) -> RepositoryUuid {
        self.repository
    }
}

impl FromRow for OwnPermission {
    type Wire = OwnPermissionWire;
    const KEY: &'static str = "/repository/uuid";

    fn from_row(row: OwnPermissionWire) -> Result<Self, &'static str> {
        let uuid = row.repository.and_then(|repository| repository.uuid).and_then(|uuid| uuid.parse().ok());
        Ok(Self {
            repository: uuid.ok_or("the repository has no UUID")?,
            permission: level(row.permission.as_deref())?,
        })
    }
}

/// A permission level as Bitbucket writes it; `None` for `none`. A level that is not known is not guessed at.
pub(crate) fn level(text: Option<&str>) -> Result<Option<Permission>, &'static str> {
    match text {
        Some("none") => Ok(None),
        Some("read") => Ok(Some(Permission::Read)),
        // On projects: may write to each repository, and make new ones.
        Some("write" | "create-repo") => Ok(Some(Permission::Write)),
        Some("admin") => Ok(Some(Permission::Admin)),
        _ => Err("the permission level is not known"),
    }
}

impl Session {
    /// Whose token it is. One call; needs `account`.
    pub async fn user(&self) -> Result<SeenPerson, Error> {
        let target = Target::new(ME, &[]).query("fields", "uuid,account_id,display_name,nickname,type");
        let call = target.call();
        let wire: AccountWire = self.ask(&target).await?.json(call)?;
        wire.person().map_err(|why| Error::Unexpected { call, why: why.to_owned() })
    }

    /// Their e-mail addresses, as far as they are of an accepted form. Only confirmed ones say anything. Needs `email`.
    pub async fn emails(&self) -> Result<Vec<Email>, Error> {
        let fields = "next,page,pagelen,size,values.email,values.is_confirmed,values.is_primary";
        let target = Target::new(MY_EMAILS, &[]).query("fields", fields);
        let reading = self.list::<Email>(&target, None).await?;
        Ok(reading.listed.into_read().seen.into_entries())
    }

    /// Whether they are in a workspace. One call; needs `account`.
    ///
    /// A 403 means that they are not, unless it says that it is about something else: a scope, the kind of token, an address or a
    /// second factor that the workspace insists on.
    pub async fn permission_in(&self, workspace: BitbucketWorkspaceUuid) -> Result<Standing, Error> {
        let target = Target::new(MY_PERMISSION, &[&workspace]).query("fields", "permission,workspace.uuid");
        let call = target.call();
        let body = match self.ask(&target).await {
            Ok(body) => body,
            Err(Error::Forbidden { missing, why, .. })
                if missing.is_empty() && !names_another_reason(&why) =>
            {
                return Ok(Standing::NotInWorkspace);
            }
            Err(error) => return Err(error),
        };
        let wire: PermissionWire = body.json(call)?;
        let unexpected = |why: &str| Error::Unexpected { call, why: why.to_owned() };
        // Here a missing UUID is not forgiven: this answer alone may admit an owner.
        let of = wire.workspace.and_then(|workspace| workspace.uuid);
        let of = of.ok_or_else(|| unexpected("the answer does not say which workspace it is about"))?;
        if of.parse() != Ok(workspace) {
            return Err(Error::WrongWorkspace { call });
        }
        let role = match wire.permission.as_deref() {
            Some("owner") => WorkspaceRole::Owner,
            Some("member" | "collaborator" | "create-project") => WorkspaceRole::Member,
            Some(other) => WorkspaceRole::Other(line(other)),
            None => return Err(unexpected("the answer names no permission")),
        };
        Ok(Standing::In(role))
    }

    /// Their private repositories in a workspace, through grants of any kind. `ceil(R/100)` calls; needs `repository`.
    ///
    /// After the first page, `enough` is told how many there are and how many calls all of them take, and may end it there.
    pub async fn own_private_repositories(
        &self,
        workspace: BitbucketWorkspaceUuid,
        enough: impl FnOnce(u64, u64) -> bool + Send,
    ) -> Result<OwnRepositories, Error> {
        let target = Target::new(REPOSITORIES, &[&workspace])
            .query("role", "member")
            .query("q", "is_private=true")
            .query("fields", "next,page,pagelen,size,values.uuid");
        let enough = |ahead: crate::listing::Ahead| enough(ahead.size, ahead.pages + 1);
        match self.list_unless::<OwnRepository>(&target, None, enough).await? {
            Ended::Stopped(ahead) => {
                Ok(OwnRepositories::Stopped { size: ahead.size, calls: ahead.pages + 1 })
            }
            Ended::Whole(reading) => {
                let all = reading.listed.whole()?.into_entries();
                Ok(OwnRepositories::All(all.into_iter().map(|repository| repository.uuid).collect()))
            }
        }
    }

    /// How many private repositories they can access, as Bitbucket says: `None` where it does not. One call; needs `repository`.
    ///
    /// Another number than the workspace's may refuse somebody; the same number admits nobody.
    pub async fn own_private_count(&self, workspace: BitbucketWorkspaceUuid) -> Result<Option<u64>, Error> {
        #[derive(Deserialize)]
        struct Wire {
            size: Option<u64>,
        }
        let target = Target::new(REPOSITORIES, &[&workspace])
            .query("role", "member")
            .query("q", "is_private=true")
            .query("pagelen", "1")
            .query("fields", "size");
        let wire: Wire = self.ask(&target).await?.json(target.call())?;
        Ok(wire.size)
    }

    /// What they may do on each repository that somebody granted them. `ceil(R/100)` calls; needs `account` and `repository`.
    /// Public repositories without a grant are left out.
    pub async fn own_permissions(
        &self,
        workspace: BitbucketWorkspaceUuid,
    ) -> Result<Complete<OwnPermission>, Error> {
        let target = Target::new(MY_REPOSITORY_PERMISSIONS, &[&workspace])
            .query("fields", "next,page,pagelen,size,values.permission,values.repository.uuid");
        self.list::<OwnPermission>(&target, None).await?.listed.whole()
    }
}

/// Whether a 403 says that something else than the membership is missing.
fn names_another_reason(why: &str) -> bool {
    let why = why.to_ascii_lowercase();
    [
        "scope",
        "authentication mechanism",
        "two-step",
        "two-factor",
        "2fa",
        "ip address",
        "allowlist",
        "whitelist",
    ]
    .iter()
    .any(|reason| why.contains(reason))
}
