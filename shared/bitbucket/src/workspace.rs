//! The workspace and its people.

use std::collections::BTreeMap;
use std::str::FromStr;

use rollcall_domain::bitbucket::{
    AccountId, AccountUuid, BitbucketWorkspaceUuid, InvalidName, WorkspaceSlug,
};
use rollcall_domain::identity::EmailAddress;
use rollcall_domain::listing::{Complete, Keyed};
use rollcall_domain::mirror::SeenPerson;
use serde::Deserialize;

use crate::call::Target;
use crate::error::{Error, line};
use crate::listing::Reading;
use crate::row::{FromRow, Listed};
use crate::session::Session;
use crate::transport::Body;

const WORKSPACE: &str = "/2.0/workspaces/{workspace}";
const MEMBERS: &str = "/2.0/workspaces/{workspace}/members";
const MEMBER: &str = "/2.0/workspaces/{workspace}/members/{member}";
const PERMISSIONS: &str = "/2.0/workspaces/{workspace}/permissions";
const USER: &str = "/2.0/users/{selected_user}";

/// The fields of a membership row that are read, and of the page around it.
const MEMBER_FIELDS: &str = "next,page,pagelen,size,values.user.uuid,values.user.account_id,values.user.display_name,\
                             values.user.nickname,values.user.type,values.workspace.uuid";

/// The most addresses that a look-up takes
/// (<https://developer.atlassian.com/cloud/bitbucket/rest/api-group-workspaces/>).
const MOST_ADDRESSES: usize = 90;

/// A Bitbucket workspace as it was last read: its UUID stays, slug and name may change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BitbucketWorkspace {
    /// The UUID.
    pub uuid: BitbucketWorkspaceUuid,
    /// The slug, by which listings are asked for: some of them take no UUID.
    pub slug: WorkspaceSlug,
    /// The name.
    pub name: String,
}

/// How a workspace is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WorkspaceRef {
    /// By its UUID: always the same workspace.
    Uuid(BitbucketWorkspaceUuid),
    /// By its slug: whoever has it now.
    Slug(WorkspaceSlug),
}

impl FromStr for WorkspaceRef {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        text.parse().map(Self::Uuid).or_else(|_| text.parse().map(Self::Slug))
    }
}

/// Somebody who owns the workspace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owner {
    /// The account.
    pub uuid: AccountUuid,
}

/// Whether somebody is a member, as asked for by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Presence {
    /// They are.
    Member(SeenPerson),
    /// Bitbucket says that there is no such member.
    Gone,
}

/// Whether an account is in use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccountStatus {
    /// In use.
    Active,
    /// Positively not in use: deactivated or closed.
    Inactive,
    /// Bitbucket says something else, or nothing. That proves nothing.
    Unclear(String),
}

#[derive(Deserialize)]
struct WorkspaceWire {
    uuid: Option<String>,
    slug: Option<String>,
    name: Option<String>,
}

#[derive(Deserialize)]
pub(crate) struct PlaceWire {
    pub(crate) uuid: Option<String>,
}

/// An account as every endpoint shows it.
#[derive(Deserialize)]
pub(crate) struct AccountWire {
    uuid: Option<String>,
    account_id: Option<String>,
    display_name: Option<String>,
    nickname: Option<String>,
    r#type: Option<String>,
    account_status: Option<String>,
    email: Option<String>,
}

#[derive(Deserialize)]
pub(crate) struct MembershipWire {
    user: Option<AccountWire>,
    workspace: Option<PlaceWire>,
    permission: Option<String>,
}

impl AccountWire {
    pub(crate) fn uuid(&self) -> Result<AccountUuid, &'static str> {
        self.uuid.as_deref().and_then(|uuid| uuid.parse().ok()).ok_or("the account has no UUID")
    }

    /// The person, or what is wrong. An account of an unknown kind is not guessed at: a new name for people must not make them
    /// all disappear.
    pub(crate) fn person(self) -> Result<SeenPerson, &'static str> {
        let human = match self.r#type.as_deref() {
            None | Some("user") => true,
            Some("app_user" | "team") => false,
            Some(_) => return Err("the account is of an unknown kind"),
        };
        Ok(SeenPerson {
            uuid: self.uuid()?,
            account_id: self.account_id.and_then(|id| id.parse::<AccountId>().ok()),
            display_name: self.display_name.unwrap_or_default(),
            nickname: self.nickname.unwrap_or_default(),
            human,
        })
    }
}

impl FromRow for SeenPerson {
    type Wire = MembershipWire;
    const KEY: &'static str = "/user/uuid";

    fn from_row(row: MembershipWire) -> Result<Self, &'static str> {
        row.user.ok_or("the entry names no account")?.person()
    }

    fn workspace(row: &MembershipWire) -> Option<&str> {
        row.workspace.as_ref()?.uuid.as_deref()
    }
}

impl Keyed for Owner {
    type Key = AccountUuid;

    fn key(&self) -> AccountUuid {
        self.uuid
    }
}

impl FromRow for Owner {
    type Wire = MembershipWire;
    const KEY: &'static str = "/user/uuid";

    fn from_row(row: MembershipWire) -> Result<Self, &'static str> {
        // If the filter were ignored, everybody would come back, and everybody would have everything.
        if row.permission.as_deref() != Some("owner") {
            return Err("the entry is not an owner's, and only owners were asked for");
        }
        Ok(Self { uuid: row.user.ok_or("the entry names no account")?.uuid()? })
    }

    fn workspace(row: &MembershipWire) -> Option<&str> {
        SeenPerson::workspace(row)
    }
}

/// A member found by one of the addresses asked for.
struct Addressed {
    uuid: AccountUuid,
    email: EmailAddress,
}

impl Keyed for Addressed {
    type Key = AccountUuid;

    fn key(&self) -> AccountUuid {
        self.uuid
    }
}

impl FromRow for Addressed {
    type Wire = MembershipWire;
    const KEY: &'static str = "/user/uuid";

    fn from_row(row: MembershipWire) -> Result<Self, &'static str> {
        let user = row.user.ok_or("the entry names no account")?;
        let email = user.email.as_deref().and_then(|email| email.parse().ok());
        Ok(Self { uuid: user.uuid()?, email: email.ok_or("the entry names no e-mail address")? })
    }

    fn workspace(row: &MembershipWire) -> Option<&str> {
        SeenPerson::workspace(row)
    }
}

impl Session {
    /// The workspace, with its present slug and name. One call; needs no scope.
    pub async fn workspace(&self, which: &WorkspaceRef) -> Result<BitbucketWorkspace, Error> {
        self.workspace_with_headers(which).await.map(|(workspace, _)| workspace)
    }

    /// The same, with the answer itself: its headers tell what the credential is.
    pub(crate) async fn workspace_with_headers(
        &self,
        which: &WorkspaceRef,
    ) -> Result<(BitbucketWorkspace, Body), Error> {
        let target = match which {
            WorkspaceRef::Uuid(uuid) => Target::new(WORKSPACE, &[uuid]),
            WorkspaceRef::Slug(slug) => Target::new(WORKSPACE, &[slug]),
        };
        let target = target.query("fields", "uuid,slug,name");
        let call = target.call();
        let body = self.ask(&target).await?;
        let wire: WorkspaceWire = body.json(call)?;
        let unexpected = |why: &str| Error::Unexpected { call, why: why.to_owned() };
        let uuid = wire.uuid.and_then(|uuid| uuid.parse().ok());
        let slug = wire.slug.and_then(|slug| slug.parse().ok());
        let uuid = uuid.ok_or_else(|| unexpected("the workspace has no UUID"))?;
        let slug: WorkspaceSlug = slug.ok_or_else(|| unexpected("the workspace has no slug"))?;
        let as_asked = match which {
            WorkspaceRef::Uuid(asked) => *asked == uuid,
            WorkspaceRef::Slug(asked) => asked.as_str().eq_ignore_ascii_case(slug.as_str()),
        };
        if !as_asked {
            return Err(Error::WrongWorkspace { call });
        }
        Ok((BitbucketWorkspace { uuid, slug, name: wire.name.unwrap_or_default() }, body))
    }

    /// Whether the workspace still is what it was when it was read: the same under the same slug. One call.
    pub async fn unchanged(&self, workspace: &BitbucketWorkspace) -> Result<(), Error> {
        let now = self.workspace(&WorkspaceRef::Uuid(workspace.uuid)).await?;
        if now.slug == workspace.slug {
            return Ok(());
        }
        Err(Error::WrongWorkspace { call: Target::new(WORKSPACE, &[&workspace.uuid]).call() })
    }

    /// All members. Also lists accounts that are not in use any more. Needs `account`.
    ///
    /// `ceil(M/100)` calls: every row names its workspace. Should none do, one more asks whether the workspace is unchanged.
    pub async fn members(&self, workspace: &BitbucketWorkspace) -> Result<Listed<SeenPerson>, Error> {
        let target = Target::new(MEMBERS, &[&workspace.slug]).query("fields", MEMBER_FIELDS);
        let reading: Reading<SeenPerson> = self.list(&target, Some(workspace.uuid)).await?;
        // Whoever asks is in the workspace, or acts for it: an empty answer is a wrong one.
        if reading.is_empty() {
            return Err(Error::Implausible { call: target.call(), why: "no workspace is without members" });
        }
        self.placed(workspace, reading).await
    }

    /// Somebody who is a member. One call.
    pub(crate) async fn first_member(&self, workspace: &BitbucketWorkspace) -> Result<SeenPerson, Error> {
        let target = Target::new(MEMBERS, &[&workspace.slug]).query("fields", MEMBER_FIELDS);
        let first = self.first(&target, Some(workspace.uuid)).await?;
        first.ok_or(Error::Implausible { call: target.call(), why: "no workspace is without members" })
    }

    /// One member, asked for by name: `None` only if Bitbucket says that there is no such member in a workspace that is there.
    ///
    /// One call, and one more where the answer is no.
    pub async fn member(
        &self,
        workspace: &BitbucketWorkspace,
        account: AccountUuid,
    ) -> Result<Option<SeenPerson>, Error> {
        match self.member_unchecked(workspace, account).await? {
            Some(person) => Ok(Some(person)),
            None => self.unchanged(workspace).await.map(|()| None),
        }
    }

    /// Whether each of these accounts is a member, each asked for by name.
    ///
    /// `witness`, somebody who is known to be a member, is asked for after them: unless the same credential still finds the
    /// witness, not finding the others proves nothing, and the whole is an error. One call each, and one for the witness if
    /// somebody is gone.
    pub async fn presence(
        &self,
        workspace: &BitbucketWorkspace,
        accounts: impl IntoIterator<Item = AccountUuid>,
        witness: AccountUuid,
    ) -> Result<BTreeMap<AccountUuid, Result<Presence, Error>>, Error> {
        let ask = |account| async move {
            let found = self.member_unchecked(workspace, account).await?;
            Ok(found.map_or(Presence::Gone, Presence::Member))
        };
        let asked = self.each(accounts, |account| *account, ask).await;
        let any_gone = asked.values().any(|found| *found == Ok(Presence::Gone));
        if any_gone && self.member_unchecked(workspace, witness).await?.is_none() {
            let call = Target::new(MEMBER, &[&workspace.slug, &witness]).call();
            return Err(Error::Implausible { call, why: "a member who must be there is not found either" });
        }
        Ok(asked)
    }

    async fn member_unchecked(
        &self,
        workspace: &BitbucketWorkspace,
        account: AccountUuid,
    ) -> Result<Option<SeenPerson>, Error> {
        let fields = "user.uuid,user.account_id,user.display_name,user.nickname,user.type,workspace.uuid";
        let target = Target::new(MEMBER, &[&workspace.slug, &account]).query("fields", fields);
        let call = target.call();
        let body = match self.ask(&target).await {
            Ok(body) => body,
            Err(Error::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
        let row: MembershipWire = body.json(call)?;
        if SeenPerson::workspace(&row).is_some_and(|of| of.parse() != Ok(workspace.uuid)) {
            return Err(Error::WrongWorkspace { call });
        }
        let unexpected = |why: &str| Error::Unexpected { call, why: why.to_owned() };
        let person = SeenPerson::from_row(row).map_err(unexpected)?;
        if person.uuid != account {
            return Err(unexpected("the answer is about another account"));
        }
        Ok(Some(person))
    }

    /// The owners. One call for up to 100. Needs `account`.
    pub async fn owners(&self, workspace: &BitbucketWorkspace) -> Result<Complete<Owner>, Error> {
        let fields = "next,page,pagelen,size,values.permission,values.user.uuid,values.workspace.uuid";
        let target = Target::new(PERMISSIONS, &[&workspace.slug])
            .query("q", "permission=\"owner\"")
            .query("fields", fields);
        let reading: Reading<Owner> = self.list(&target, Some(workspace.uuid)).await?;
        if reading.is_empty() {
            return Err(Error::Implausible { call: target.call(), why: "no workspace is without owners" });
        }
        self.placed(workspace, reading).await?.whole()
    }

    /// Which members have which of these addresses. Answered to workspace admins and workspace access tokens only; needs
    /// `account`. One call for each 90 addresses.
    pub async fn members_by_email(
        &self,
        workspace: &BitbucketWorkspace,
        addresses: &[EmailAddress],
    ) -> Result<BTreeMap<EmailAddress, AccountUuid>, Error> {
        let mut found = BTreeMap::new();
        for asked in addresses.chunks(MOST_ADDRESSES) {
            // An address has neither quotes nor backslashes: its type sees to that.
            let quoted: Vec<String> = asked.iter().map(|address| format!("\"{address}\"")).collect();
            let fields = "next,page,pagelen,size,values.user.uuid,values.user.email,values.workspace.uuid";
            let target = Target::new(MEMBERS, &[&workspace.slug])
                .query("q", &format!("user.email IN ({})", quoted.join(",")))
                .query("fields", fields);
            let reading: Reading<Addressed> = self.list(&target, Some(workspace.uuid)).await?;
            for entry in reading.listed.whole()?.into_entries() {
                if !asked.contains(&entry.email) {
                    let why = "somebody came whose address was not asked for".to_owned();
                    return Err(Error::Unexpected { call: target.call(), why });
                }
                found.insert(entry.email, entry.uuid);
            }
        }
        Ok(found)
    }

    /// Whether an account is in use. One call; needs no scope.
    pub async fn account_status(&self, account: AccountUuid) -> Result<AccountStatus, Error> {
        let target = Target::new(USER, &[&account]).query("fields", "uuid,account_status");
        let call = target.call();
        let wire: AccountWire = self.ask(&target).await?.json(call)?;
        if wire.uuid() != Ok(account) {
            let why = "the answer is about another account".to_owned();
            return Err(Error::Unexpected { call, why });
        }
        Ok(match wire.account_status.as_deref() {
            Some("active") => AccountStatus::Active,
            Some("inactive" | "closed") => AccountStatus::Inactive,
            other => AccountStatus::Unclear(line(other.unwrap_or_default())),
        })
    }

    /// A listing whose rows name the workspace is of that workspace. If none does, the workspace is asked.
    pub(crate) async fn placed<T: FromRow>(
        &self,
        workspace: &BitbucketWorkspace,
        reading: Reading<T>,
    ) -> Result<Listed<T>, Error> {
        if !reading.placed {
            self.unchanged(workspace).await?;
        }
        Ok(reading.listed)
    }
}
