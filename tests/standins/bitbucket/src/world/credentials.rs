//! What may look at the world: consumers, access tokens, API tokens, and what their scopes allow.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// An OAuth consumer of a workspace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Consumer {
    /// The key, also called client id.
    pub key: String,
    /// The secret.
    pub secret: String,
    /// The name, shown on the consent page.
    #[serde(default)]
    pub name: String,
    /// The callback URL; without one there is no web flow.
    #[serde(default)]
    pub callback: Option<String>,
    /// Whether it is a private consumer, which may act for itself.
    #[serde(default)]
    pub private: bool,
    /// The scopes.
    pub scopes: BTreeSet<String>,
    /// The workspace that it belongs to; set when it is added.
    #[serde(skip)]
    pub(crate) workspace: Uuid,
    /// As whom it acts for itself; set when it is added.
    #[serde(skip)]
    pub(crate) app_user: Uuid,
}

/// A workspace access token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessToken {
    /// The workspace.
    pub(crate) workspace: Uuid,
    /// The scopes.
    pub scopes: BTreeSet<String>,
}

/// An API token of a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiToken {
    /// Whose.
    pub(crate) account: Uuid,
    /// The address that goes with it.
    pub email: String,
    /// The granular scopes, as in `read:repository:bitbucket`.
    pub scopes: BTreeSet<String>,
}

impl Consumer {
    /// A consumer for signing people in.
    pub fn for_people(key: &str, secret: &str, callback: &str) -> Self {
        Self {
            key: key.to_owned(),
            secret: secret.to_owned(),
            name: key.to_owned(),
            callback: Some(callback.to_owned()),
            private: false,
            scopes: scopes("account email repository"),
            workspace: Uuid::nil(),
            app_user: Uuid::nil(),
        }
    }

    /// A private consumer, which acts for itself, with the scopes that a sync needs.
    pub fn for_itself(key: &str, secret: &str) -> Self {
        Self {
            callback: None,
            private: true,
            scopes: scopes("account email repository project project:admin repository:admin"),
            ..Self::for_people(key, secret, "")
        }
    }

    /// The same with other scopes, parted by spaces.
    #[must_use]
    pub fn with_scopes(mut self, names: &str) -> Self {
        self.scopes = scopes(names);
        self
    }
}

/// Scopes parted by spaces.
pub(crate) fn scopes(names: &str) -> BTreeSet<String> {
    names.split_whitespace().map(str::to_owned).collect()
}

/// Whether a scope comes with another one
/// (<https://developer.atlassian.com/cloud/bitbucket/rest/intro/#authentication>). The `admin` scopes imply nothing, and neither do
/// the granular scopes of API tokens.
pub(crate) fn imply(granted: &BTreeSet<String>, wanted: &str) -> bool {
    if granted.contains(wanted) {
        return true;
    }
    let by: &[&str] = match wanted {
        "account" => &["account:write"],
        "repository" => &["repository:write", "project", "pullrequest", "pullrequest:write"],
        "pullrequest" => &["pullrequest:write"],
        "team" => &["team:write"],
        _ => &[],
    };
    by.iter().any(|scope| granted.contains(*scope))
}
