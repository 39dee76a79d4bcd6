//! The connection: one workspace of the application, one Bitbucket workspace, and the rules between them.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::bitbucket::{AccountUuid, BitbucketWorkspaceUuid, WorkspaceSlug};
use crate::plan::Caps;
use crate::{Timestamp, WorkspaceId};

/// Who of the Bitbucket workspace is let in at sign-in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Policy {
    /// Who can access all private repositories.
    #[default]
    AllRepositories,
    /// Who can access at least one private repository.
    AnyRepository,
    /// Every member of the Bitbucket workspace.
    WorkspaceMember,
}

/// What ends a membership that stands on Bitbucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OffboardOn {
    /// Leaving the Bitbucket workspace, or being deactivated there.
    #[default]
    LeftWorkspace,
    /// That, or no longer having the access that the policy asks for.
    LostAccess,
}

/// How Rollcall itself signs in to Bitbucket for the sync.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CredentialKind {
    /// A workspace access token (Bitbucket Premium).
    AccessToken,
    /// A private OAuth consumer, by `client_credentials`.
    OauthConsumer,
    /// An API token of an administrator.
    ApiToken,
}

/// Whether the first plan is applied or shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Start {
    /// Mirror at once.
    #[default]
    Apply,
    /// Show the first plan and wait for its approval.
    Plan,
}

/// What an admin decides about a connection.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Who is let in at sign-in.
    pub policy: Policy,
    /// What ends a membership that stands on Bitbucket.
    pub offboard_on: OffboardOn,
    /// Turns every removal off: the sync then only adds and changes.
    pub removals_off: bool,
    /// How many removals of a kind a run may make by itself.
    pub caps: Caps,
    /// Accounts that the sync leaves alone: never suspended, restored or shown as leavers.
    pub ignored: BTreeSet<AccountUuid>,
    /// Whether the first plan is applied or shown.
    pub start: Start,
    /// The account that becomes an admin when it first signs in.
    pub first_admin: Option<AccountUuid>,
}

/// Whether the connection works, as the last run found it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Health {
    /// No run has ended yet.
    New,
    /// The last run ended well.
    Healthy,
    /// The last run could not read what it needs.
    Broken {
        /// Since when.
        since: Timestamp,
        /// What is wrong and what to do, for an admin to read.
        why: String,
    },
    /// A run holds removals back until somebody approves them.
    Frozen {
        /// Since when.
        since: Timestamp,
        /// What is held back, in a line.
        why: String,
    },
    /// Disconnected by an admin: the mirror stays readable, nothing is synced and nobody is suspended.
    Disconnected {
        /// Since when.
        since: Timestamp,
    },
}

/// One workspace ↔ one Bitbucket workspace. The credential is kept beside it, sealed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Connection {
    /// The application's side.
    pub workspace: WorkspaceId,
    /// Bitbucket's side.
    pub bitbucket: BitbucketWorkspaceUuid,
    /// Its slug when it was last read; for display and for endpoints that take no UUID.
    pub slug: WorkspaceSlug,
    /// Its name when it was last read.
    pub name: String,
    /// How the sync signs in.
    pub credential: CredentialKind,
    /// What an admin decided.
    pub settings: Settings,
    /// Whether it works.
    pub health: Health,
    /// Since when it stands.
    pub created_at: Timestamp,
    /// Counts the changes of the row, for conditional writes.
    pub version: u64,
}

impl Connection {
    /// Whether anything is to be read from Bitbucket for it.
    pub fn is_connected(&self) -> bool {
        !matches!(self.health, Health::Disconnected { .. })
    }
}
