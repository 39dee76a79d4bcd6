//! Bitbucket Cloud's own ids and names, parsed once, so that nothing else can stand in a path or a comparison.

use core::fmt;
use core::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;
use uuid::Uuid;

/// A text from Bitbucket, or meant for it, that is not what it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum InvalidName {
    /// Not a UUID, with or without braces.
    #[error("not a UUID of Bitbucket: expected {{xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx}}")]
    Uuid,
    /// Not a slug of a workspace, repository or group.
    #[error("not a {0}: expected 1 to {1} letters, digits, '.', '_' or '-', and not only dots")]
    Slug(&'static str, usize),
    /// Not a project key.
    #[error("not a project key: expected a letter followed by letters, digits or '_'")]
    ProjectKey,
    /// Not an Atlassian account id.
    #[error("not an Atlassian account id: expected 1 to 128 letters, digits, ':' or '-'")]
    AccountId,
}

macro_rules! uuids {
    ($($(#[$doc:meta])* $name:ident;)+) => {$(
        $(#[$doc])*
        ///
        /// Written with braces, as Bitbucket writes it: `{01234567-89ab-cdef-0123-456789abcdef}`.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Uuid);

        impl $name {
            /// From a bare UUID.
            pub const fn new(uuid: Uuid) -> Self {
                Self(uuid)
            }

            /// The bare UUID.
            pub const fn as_uuid(self) -> Uuid {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{{{}}}", self.0.as_hyphenated())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = InvalidName;

            fn from_str(text: &str) -> Result<Self, InvalidName> {
                let bare = match text.strip_prefix('{') {
                    Some(rest) => rest.strip_suffix('}').ok_or(InvalidName::Uuid)?,
                    None => text,
                };
                if bare.len() != 36 {
                    return Err(InvalidName::Uuid);
                }
                Uuid::try_parse(bare).map(Self).map_err(|_| InvalidName::Uuid)
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidName;

            fn try_from(text: String) -> Result<Self, InvalidName> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(uuid: $name) -> Self {
                uuid.to_string()
            }
        }
    )+};
}

uuids! {
    /// The UUID of a Bitbucket account: the key of a person on that side.
    AccountUuid;
    /// The UUID of a Bitbucket workspace. Its slug and name can change, this cannot.
    BitbucketWorkspaceUuid;
    /// The UUID of a repository, through rename and move.
    RepositoryUuid;
    /// The UUID of a project, through rename and change of key.
    ProjectUuid;
}

macro_rules! names {
    ($($(#[$doc:meta])* $name:ident: $check:expr, $error:expr;)+) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = InvalidName;

            fn from_str(text: &str) -> Result<Self, InvalidName> {
                let check: fn(&str) -> bool = $check;
                if check(text) { Ok(Self(text.to_owned())) } else { Err($error) }
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidName;

            fn try_from(text: String) -> Result<Self, InvalidName> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }
    )+};
}

fn is_slug(text: &str, longest: usize) -> bool {
    (1..=longest).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
        && !text.bytes().all(|b| b == b'.')
}

names! {
    /// The slug of a Bitbucket workspace: what stands in its URLs. Case-insensitive there, changeable, not a key.
    WorkspaceSlug: |text| is_slug(text, 62), InvalidName::Slug("workspace slug", 62);
    /// The slug of a repository within its workspace. Changes with a rename.
    RepositorySlug: |text| is_slug(text, 128), InvalidName::Slug("repository slug", 128);
    /// The slug of a user group within its workspace: the only name that grants know it by. May change with a rename.
    GroupSlug: |text| is_slug(text, 255), InvalidName::Slug("group slug", 255);
    /// The key of a project within its workspace (`MOB`), as paths want it.
    ProjectKey: |text| text.len() <= 128
        && text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_'), InvalidName::ProjectKey;
    /// The Atlassian account id of a person, which joins Bitbucket to Jira and the organisation's directory.
    AccountId: |text| (1..=128).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b':' | b'-')), InvalidName::AccountId;
}

/// What a grant allows on a repository. Ordered: each level includes those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Permission {
    /// Clone and read.
    Read,
    /// Push.
    Write,
    /// Change settings and grants.
    Admin,
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Admin => "admin",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uuid_is_read_with_and_without_braces_and_written_with_them() {
        let text = "{f3f1c2a4-0b0e-4a55-9d7e-2f8f6a1c9b10}";
        let uuid: AccountUuid = text.parse().unwrap();
        assert_eq!(uuid.to_string(), text);
        assert_eq!(text.trim_matches(['{', '}']).parse(), Ok(uuid));
        for bad in ["", "{}", "{f3f1c2a4-0b0e-4a55-9d7e-2f8f6a1c9b10", "f3f1c2a40b0e4a559d7e2f8f6a1c9b10"] {
            assert_eq!(bad.parse::<AccountUuid>(), Err(InvalidName::Uuid), "{bad}");
        }
    }

    #[test]
    fn nothing_that_could_leave_its_path_segment_is_a_slug() {
        for bad in ["", ".", "..", "a/b", "a%2fb", "a?b", "a#b", "a b", "ä", "a\n", &"a".repeat(63)] {
            assert!(bad.parse::<WorkspaceSlug>().is_err(), "{bad:?}");
        }
        for good in ["acme", "acme-inc_2.0", "A"] {
            assert!(good.parse::<WorkspaceSlug>().is_ok(), "{good}");
        }
    }

    #[test]
    fn levels_include_the_lower_ones() {
        assert!(Permission::Read < Permission::Write && Permission::Write < Permission::Admin);
    }
}
