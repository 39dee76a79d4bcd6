//! The world that the stand-in shows: accounts, workspaces with everything in them, and the credentials that may look.
//!
//! What changes a world is a method of [`World`]. Each acts on the current workspace ([`World::enter`]), names things as people do
//! (usernames, slugs, keys) and fails on a name that nothing has. The methods that begin with `with_` are for setting a world up:
//! they take and give the world, and panic where the others fail.

mod access;
mod change;
mod credentials;
mod example;
mod file;
mod generated;
mod people;
mod setup;
mod workspace;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use thiserror::Error;
use uuid::Uuid;

pub use access::Level;
pub(crate) use access::Reach;
pub(crate) use credentials::imply;
pub use credentials::{AccessToken, ApiToken, Consumer};
pub use example::{ACCESS_TOKEN, API_TOKEN, LOGIN_KEY, LOGIN_SECRET, SYNC_KEY, SYNC_SECRET, example};
pub use file::WorldFile;
pub use people::{Account, Email, Kind, Person};
pub use workspace::{Grants, Group, Member, On, Project, Repository, Role, To, Workspace};

/// A change that cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Refused {
    /// Nothing has this name.
    #[error("there is no {what} {name:?}")]
    Unknown {
        /// What was looked for, as in "person".
        what: &'static str,
        /// Under which name.
        name: String,
    },
    /// Something else has this name already.
    #[error("there is a {what} {name:?} already")]
    Taken {
        /// What was to be made, as in "person".
        what: &'static str,
        /// Under which name.
        name: String,
    },
    /// It would leave the world in a state that Bitbucket does not know.
    #[error("{0}")]
    Impossible(&'static str),
}

/// Everything there is.
#[derive(Debug, Clone)]
pub struct World {
    /// Grows with every id that is made, so that the same steps make the same world.
    made: u64,
    seed: u64,
    accounts: BTreeMap<Uuid, Account>,
    usernames: BTreeMap<String, Uuid>,
    workspaces: Vec<Workspace>,
    current: usize,
    pub(crate) consumers: BTreeMap<String, Consumer>,
    pub(crate) access_tokens: BTreeMap<String, AccessToken>,
    pub(crate) api_tokens: BTreeMap<String, ApiToken>,
    /// How this Bitbucket behaves, where that is not settled or has changed.
    pub behaviour: Behaviour,
}

/// How this Bitbucket behaves, where nobody outside knows for sure, or where it has changed over time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Behaviour {
    /// Calls in an hour for each credential.
    pub hourly_limit: u64,
    /// Calls in an hour to `/2.0/repositories/…` for each access token: the scaled limit of big workspaces.
    pub scaled_limit: u64,
    /// Whether 429 comes as JSON instead of text.
    pub json_429: bool,
    /// Whether the `app_user` of a private consumer ranks as a workspace admin.
    pub app_user_is_admin: bool,
    /// Whether a workspace access token ranks as a workspace admin.
    pub access_token_is_admin: bool,
    /// Whether a token answer names its scopes `scopes`, as it did before May 2026, instead of `scope`.
    pub old_scopes_key: bool,
    /// The length of access and refresh tokens. Below 200 they are opaque, as old consumers get them; else they look like JWTs.
    pub token_length: usize,
    /// How long an access token lives, in seconds.
    pub token_lifetime: i64,
    /// How long a used refresh token still works, in seconds.
    pub refresh_grace: i64,
    /// How long a consumer's tokens fail after a rotated-away refresh token was used, in seconds.
    pub refresh_lockout: i64,
    /// Whether `/1.0/groups` still answers. If not: 410.
    pub groups_v1: Liveness,
    /// Whether `/1.0/group-privileges` still answers.
    pub group_privileges_v1: Liveness,
    /// Whether `/2.0/workspaces/{ws}/permissions` takes a UUID.
    pub permissions_by_uuid: bool,
    /// Whether members carry `added_on` and `last_accessed`. They do not where users are managed at admin.atlassian.com.
    pub membership_dates: bool,
    /// Listings (templates, as in `/2.0/workspaces/{workspace}/members`) whose `next` has an opaque token instead of a number.
    pub opaque_next: BTreeSet<String>,
    /// Listings that do not tell their `size`.
    pub without_size: BTreeSet<String>,
    /// Unheard-of things in every answer.
    pub weird: Weird,
    /// How much later every answer comes, in milliseconds.
    pub latency_ms: u64,
}

/// Whether an old endpoint still answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Liveness {
    /// It does.
    Alive,
    /// 404.
    NotFound,
    /// 410.
    Gone,
}

/// Unheard-of things, as an API grows them without notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Weird {
    /// Every object has fields that nobody knows.
    pub fields: bool,
    /// What takes one of a few values has another one where that decides nothing: fork policies, a member's role.
    pub values: bool,
    /// Grants of `read` are called something else.
    pub levels: bool,
    /// People are of a kind that nobody knows.
    pub kinds: bool,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self {
            hourly_limit: 1_000,
            scaled_limit: 10_000,
            json_429: false,
            app_user_is_admin: true,
            access_token_is_admin: true,
            old_scopes_key: false,
            token_length: 2_500,
            token_lifetime: 7_200,
            refresh_grace: 0,
            refresh_lockout: 0,
            groups_v1: Liveness::Alive,
            group_privileges_v1: Liveness::Alive,
            permissions_by_uuid: false,
            membership_dates: true,
            opaque_next: BTreeSet::new(),
            without_size: BTreeSet::new(),
            weird: Weird::default(),
            latency_ms: 0,
        }
    }
}

impl World {
    /// A world with one workspace, in which nobody is yet.
    pub fn new(slug: &str) -> Self {
        Self::seeded(slug, 1)
    }

    /// The same, with other ids.
    pub fn seeded(slug: &str, seed: u64) -> Self {
        let mut world = Self {
            made: 0,
            seed,
            accounts: BTreeMap::new(),
            usernames: BTreeMap::new(),
            workspaces: Vec::new(),
            current: 0,
            consumers: BTreeMap::new(),
            access_tokens: BTreeMap::new(),
            api_tokens: BTreeMap::new(),
            behaviour: Behaviour::default(),
        };
        world.add_workspace(slug).expect("the first workspace");
        world
    }

    /// Adds a workspace and enters it.
    pub fn add_workspace(&mut self, slug: &str) -> Result<Uuid, Refused> {
        if self.find_workspace(slug).is_some() {
            return Err(Refused::Taken { what: "workspace", name: slug.to_owned() });
        }
        let uuid = self.next_uuid();
        let created = self.next_moment();
        self.workspaces.push(Workspace::new(uuid, slug, created));
        self.current = self.workspaces.len() - 1;
        Ok(uuid)
    }

    /// Makes a workspace the one that the following changes act on. Every change that comes through
    /// [`Control`](crate::Control) begins in the first one.
    pub fn enter(&mut self, slug_or_uuid: &str) -> Result<&mut Self, Refused> {
        let found = self.workspaces.iter().position(|workspace| workspace.is(slug_or_uuid));
        self.current =
            found.ok_or_else(|| Refused::Unknown { what: "workspace", name: slug_or_uuid.to_owned() })?;
        Ok(self)
    }

    pub(crate) fn enter_first(&mut self) {
        self.current = 0;
    }

    /// The current workspace.
    pub fn workspace(&self) -> &Workspace {
        &self.workspaces[self.current]
    }

    pub(crate) fn workspace_mut(&mut self) -> &mut Workspace {
        &mut self.workspaces[self.current]
    }

    /// A workspace by its slug, in any case, or its UUID in braces.
    pub fn find_workspace(&self, slug_or_uuid: &str) -> Option<&Workspace> {
        self.workspaces.iter().find(|workspace| workspace.is(slug_or_uuid))
    }

    /// All workspaces.
    pub fn workspaces(&self) -> &[Workspace] {
        &self.workspaces
    }

    /// Everybody who has an account, in any workspace or in none.
    pub fn accounts(&self) -> impl Iterator<Item = &Account> {
        self.accounts.values()
    }

    /// An account by its UUID.
    pub fn account(&self, uuid: Uuid) -> Option<&Account> {
        self.accounts.get(&uuid)
    }

    /// An account by its username.
    pub fn person(&self, username: &str) -> Option<&Account> {
        self.usernames.get(username).and_then(|uuid| self.accounts.get(uuid))
    }

    /// An account by its UUID in braces or its account id.
    pub(crate) fn account_by_id(&self, id: &str) -> Option<&Account> {
        match braced(id) {
            Some(uuid) => self.account(uuid),
            None => self.accounts.values().find(|account| account.account_id == id),
        }
    }

    pub(crate) fn person_uuid(&self, username: &str) -> Result<Uuid, Refused> {
        let unknown = || Refused::Unknown { what: "person", name: username.to_owned() };
        self.usernames.get(username).copied().ok_or_else(unknown)
    }

    pub(crate) fn next_uuid(&mut self) -> Uuid {
        let (high, low) = (self.next_number(), self.next_number());
        uuid::Builder::from_random_bytes(((u128::from(high) << 64) | u128::from(low)).to_be_bytes())
            .into_uuid()
    }

    /// A moment of the past: each is some hours after the one before.
    pub(crate) fn next_moment(&mut self) -> i64 {
        const BEGINNING_OF_2021: i64 = 1_609_459_200_000;
        let step = i64::try_from(self.made).unwrap_or(i64::MAX).saturating_mul(7_919_000);
        BEGINNING_OF_2021 + step % (5 * 365 * 86_400_000)
    }

    /// Splitmix64 over the seed and a count: the same steps give the same numbers.
    pub(crate) fn next_number(&mut self) -> u64 {
        self.made += 1;
        let mut mixed =
            self.seed.wrapping_mul(0xA076_1D64_78BD_642F) ^ self.made.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }
}

/// `{01234567-89ab-cdef-0123-456789abcdef}`, and only that.
pub(crate) fn braced(text: &str) -> Option<Uuid> {
    let bare = text.strip_prefix('{')?.strip_suffix('}')?;
    (bare.len() == 36).then(|| Uuid::try_parse(bare).ok()).flatten()
}

/// What Bitbucket makes of a name: lower case, digits and dashes.
pub(crate) fn slug_of(name: &str) -> String {
    let mut slug = String::with_capacity(name.len());
    for character in name.chars() {
        match character.to_ascii_lowercase() {
            known @ ('a'..='z' | '0'..='9' | '_' | '.') => slug.push(known),
            _ if slug.ends_with('-') || slug.is_empty() => {}
            _ => slug.push('-'),
        }
    }
    slug.trim_end_matches('-').to_owned()
}
