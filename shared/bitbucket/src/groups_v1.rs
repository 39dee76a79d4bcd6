//! User groups, from version 1.0 of the API: its successor has none.
//!
//! Atlassian supports these calls "temporarily" since 2019 and has named neither a successor nor an end
//! (<https://support.atlassian.com/bitbucket-cloud/docs/groups-endpoint/>). Whatever replaces them replaces this file. They take a
//! workspace's slug only, answer to workspace admins only, and come without pages.

use std::collections::BTreeMap;
use std::fmt;

use rollcall_domain::bitbucket::{AccountUuid, GroupSlug, Permission, RepositorySlug};
use rollcall_domain::listing::{Complete, Keyed};
use rollcall_domain::mirror::SeenGroup;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::answer;
use crate::call::{Call, Target};
use crate::error::Error;
use crate::listing::Reading;
use crate::person::level;
use crate::row::{FromRow, Listed, Row, read};
use crate::session::Session;
use crate::workspace::{BitbucketWorkspace, PlaceWire};

const GROUPS: &str = "/1.0/groups/{workspace}/";
const PRIVILEGES: &str = "/1.0/group-privileges/{workspace}/";

#[derive(Deserialize)]
pub(crate) struct GroupWire {
    slug: Option<String>,
    name: Option<String>,
    members: Option<Vec<GroupMemberWire>>,
    owner: Option<OwnerWire>,
}

#[derive(Deserialize)]
struct GroupMemberWire {
    uuid: Option<String>,
    is_active: Option<bool>,
}

#[derive(Deserialize)]
struct OwnerWire {
    uuid: Option<String>,
    is_team: Option<bool>,
}

impl FromRow for SeenGroup {
    type Wire = GroupWire;
    const KEY: &'static str = "/slug";

    /// A group with a member who cannot be understood is kept back as a whole: without that member it would be another group.
    fn from_row(row: GroupWire) -> Result<Self, &'static str> {
        let slug = row.slug.and_then(|slug| slug.parse::<GroupSlug>().ok()).ok_or("the group has no slug")?;
        let mut members = BTreeMap::new();
        for member in row.members.ok_or("the group does not say who is in it")? {
            let uuid: Option<AccountUuid> = member.uuid.and_then(|uuid| uuid.parse().ok());
            let uuid = uuid.ok_or("a member of the group has no UUID")?;
            if members.insert(uuid, member.is_active != Some(false)).is_some() {
                return Err("a member of the group is listed twice");
            }
        }
        Ok(Self { name: row.name.unwrap_or_else(|| slug.as_str().to_owned()), slug, members })
    }

    /// Workspaces were called teams in version 1.0. A personal workspace's groups name the person instead, who has another UUID.
    fn workspace(row: &GroupWire) -> Option<&str> {
        row.owner.as_ref().filter(|owner| owner.is_team == Some(true))?.uuid.as_deref()
    }
}

/// What a group may do on a repository, all projects put together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupPrivilege {
    /// The group.
    pub group: GroupSlug,
    /// The repository.
    pub repository: RepositorySlug,
    /// What it may do; `None` where that is nothing.
    pub permission: Option<Permission>,
}

/// Which group and which repository a privilege is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct PrivilegeKey(GroupSlug, RepositorySlug);

impl fmt::Display for PrivilegeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} on {}", self.0, self.1)
    }
}

impl Keyed for GroupPrivilege {
    type Key = PrivilegeKey;

    fn key(&self) -> PrivilegeKey {
        PrivilegeKey(self.group.clone(), self.repository.clone())
    }
}

#[derive(Deserialize)]
struct PrivilegeWire {
    repo: Option<String>,
    privilege: Option<String>,
    group: Option<PrivilegedWire>,
}

#[derive(Deserialize)]
struct PrivilegedWire {
    slug: Option<String>,
    owner: Option<PlaceWire>,
}

impl Session {
    /// All user groups with their members, and whether each member's account is in use. Needs `account` and a workspace admin.
    ///
    /// One call where a group names the workspace, as all do but those of personal workspaces; else one more asks whether the
    /// workspace is unchanged.
    pub async fn groups(&self, workspace: &BitbucketWorkspace) -> Result<Listed<SeenGroup>, Error> {
        let target = Target::new(GROUPS, &[&workspace.slug]);
        let call = target.call();
        let body = self.ask_unpaged(&target).await?;
        let raw: Vec<&RawValue> = answer::json(&body.bytes, call)?;
        let mut rows = Vec::with_capacity(raw.len());
        let mut placed = false;
        for (at, raw) in raw.into_iter().enumerate() {
            let (row, of): (Row<SeenGroup>, _) = read(raw, (1, at));
            if let Some(of) = of {
                if of.parse() != Ok(workspace.uuid) {
                    return Err(Error::WrongWorkspace { call });
                }
                placed = true;
            }
            rows.push(row);
        }
        let unproven = |unproven| Error::Unproven { call, unproven };
        let listed = Listed::from_rows(call, Complete::unpaged(rows).map_err(unproven)?).map_err(unproven)?;
        self.placed(workspace, Reading { listed, placed }).await
    }

    /// What every group may do on every repository, in one call: an accelerator that may be missing. Needs `repository:admin`.
    ///
    /// Whether it takes grants on projects into account is not documented: it may add to what is known and must not end anything.
    pub async fn group_privileges(
        &self,
        workspace: &BitbucketWorkspace,
    ) -> Result<Complete<GroupPrivilege>, Error> {
        let target = Target::new(PRIVILEGES, &[&workspace.slug]);
        let call = target.call();
        let body = self.ask_unpaged(&target).await?;
        let rows: Vec<PrivilegeWire> = answer::json(&body.bytes, call)?;
        let privileges = rows.into_iter().map(|row| privilege(row, workspace, call));
        let privileges = privileges.collect::<Result<Vec<_>, Error>>()?;
        Complete::unpaged(privileges).map_err(|unproven| Error::Unproven { call, unproven })
    }
}

fn privilege(
    row: PrivilegeWire,
    workspace: &BitbucketWorkspace,
    call: Call,
) -> Result<GroupPrivilege, Error> {
    let malformed = |why: &str| Error::Malformed { call, count: 1, first: why.to_owned() };
    let group = row.group.ok_or_else(|| malformed("the entry names no group"))?;
    if group.owner.and_then(|owner| owner.uuid).is_some_and(|of| of.parse() != Ok(workspace.uuid)) {
        return Err(Error::WrongWorkspace { call });
    }
    let repository = row.repo.as_deref().and_then(|repo| repo.split_once('/'));
    let (of, repository) = repository.ok_or_else(|| malformed("the entry names no repository"))?;
    if !of.eq_ignore_ascii_case(workspace.slug.as_str()) {
        return Err(Error::WrongWorkspace { call });
    }
    Ok(GroupPrivilege {
        group: group
            .slug
            .and_then(|slug| slug.parse().ok())
            .ok_or_else(|| malformed("the group has no slug"))?,
        repository: repository.parse().map_err(|_| malformed("the repository has no slug"))?,
        permission: level(row.privilege.as_deref()).map_err(malformed)?,
    })
}
