//! Accounts, and how a test describes somebody.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::workspace::Role;

/// What an account is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A person.
    #[default]
    User,
    /// An app: a consumer acting for itself, a bot.
    AppUser,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::AppUser => "app_user",
        }
    }
}

/// An e-mail address of an account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Email {
    /// The address.
    pub address: String,
    /// Whether it is the account's first one.
    #[serde(default)]
    pub primary: bool,
    /// Whether its owner has answered a mail sent to it.
    #[serde(default)]
    pub confirmed: bool,
}

/// An account at Bitbucket, in any workspace or in none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// The UUID.
    pub uuid: Uuid,
    /// The Atlassian account id.
    pub account_id: String,
    /// By which tests and the control interface know it. Bitbucket shows it to the person alone.
    pub username: String,
    /// What others see beside the name.
    pub nickname: String,
    /// The name.
    pub display_name: String,
    /// What it is.
    pub kind: Kind,
    /// Whether it is in use; otherwise it has been deactivated.
    pub active: bool,
    /// The addresses.
    pub emails: Vec<Email>,
    /// Who this is in the story: shown on the consent page.
    pub note: String,
    pub(crate) created_ms: i64,
}

/// Somebody to be added to a world.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Person {
    /// The username.
    pub username: String,
    /// The name; the nickname is its first word.
    #[serde(default)]
    pub name: String,
    /// The addresses. Left out: `USERNAME@example.com`, confirmed.
    #[serde(default)]
    pub emails: Vec<Email>,
    /// The role in the workspace. Left out: an account that is not in it.
    #[serde(default)]
    pub role: Option<Role>,
    /// What it is.
    #[serde(default)]
    pub kind: Kind,
    /// Whether the account has been deactivated. It is still listed among the members.
    #[serde(default)]
    pub deactivated: bool,
    /// Who this is in the story.
    #[serde(default)]
    pub note: String,
}

impl Person {
    /// A member of the workspace.
    pub fn member(username: &str, name: &str) -> Self {
        Self { role: Some(Role::Member), ..Self::outsider(username, name) }
    }

    /// An owner of the workspace: its admin.
    pub fn owner(username: &str, name: &str) -> Self {
        Self { role: Some(Role::Owner), ..Self::outsider(username, name) }
    }

    /// Somebody with an account who is not in the workspace.
    pub fn outsider(username: &str, name: &str) -> Self {
        Self {
            username: username.to_owned(),
            name: name.to_owned(),
            emails: Vec::new(),
            role: None,
            kind: Kind::User,
            deactivated: false,
            note: String::new(),
        }
    }

    /// An app among the members.
    pub fn app(username: &str, name: &str) -> Self {
        Self { kind: Kind::AppUser, ..Self::member(username, name) }
    }

    /// With this confirmed address, the first of them as the primary one.
    #[must_use]
    pub fn email(mut self, address: &str) -> Self {
        let primary = self.emails.is_empty();
        self.emails.push(Email { address: address.to_owned(), primary, confirmed: true });
        self
    }

    /// With this address that nobody has confirmed.
    #[must_use]
    pub fn unconfirmed_email(mut self, address: &str) -> Self {
        self.emails.push(Email { address: address.to_owned(), primary: false, confirmed: false });
        self
    }

    /// With this remark on the consent page.
    #[must_use]
    pub fn note(mut self, note: &str) -> Self {
        note.clone_into(&mut self.note);
        self
    }

    /// Whose account has been deactivated.
    #[must_use]
    pub fn deactivated(mut self) -> Self {
        self.deactivated = true;
        self
    }
}
