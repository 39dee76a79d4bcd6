//! The ids that Rollcall gives: typed, prefixed, ordered by the time they were made.

use core::fmt;
use core::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;
use uuid::Uuid;

use crate::Timestamp;

/// The text is not an id of the expected kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("not {article} id: it is written {prefix}_ followed by 32 hexadecimal digits")]
pub struct InvalidId {
    prefix: &'static str,
    article: &'static str,
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident = $prefix:literal, $article:literal;)+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Uuid);

        impl $name {
            /// What the written form begins with.
            pub const PREFIX: &'static str = $prefix;

            /// A new id (UUID version 7, RFC 9562 §5.7) from the time and ten random bytes.
            pub fn new(now: Timestamp, random: [u8; 10]) -> Self {
                let millis = u64::try_from(now.as_millis()).unwrap_or(0);
                Self(uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid())
            }

            /// The bare UUID.
            pub const fn as_uuid(self) -> Uuid {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "_{}"), self.0.as_simple())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                text.strip_prefix(concat!($prefix, "_"))
                    .filter(|digits| digits.len() == 32 && digits.bytes().all(|d| matches!(d, b'0'..=b'9' | b'a'..=b'f')))
                    .and_then(|digits| Uuid::try_parse(digits).ok())
                    .map(Self)
                    .ok_or(InvalidId { prefix: $prefix, article: $article })
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidId;

            fn try_from(text: String) -> Result<Self, InvalidId> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.to_string()
            }
        }
    )+};
}

ids! {
    /// A workspace of the application (the tenant). Never a Bitbucket workspace.
    WorkspaceId = "ws", "a workspace";
    /// A member: an identity that has been let into a workspace. The `sub` that the application sees.
    MemberId = "mem", "a member";
    /// A team: the mirror of one Bitbucket user group, through all its renames.
    TeamId = "team", "a team";
    /// An invite.
    InviteId = "inv", "an invite";
    /// A sync run.
    RunId = "run", "a sync run";
    /// An event, as told to the application.
    EventId = "evt", "an event";
    /// An entry of the audit trail.
    AuditId = "aud", "an audit";
    /// A browser session, as its owner sees it in the list of sessions. Not the cookie's value.
    SessionId = "ses", "a session";
    /// An admin token, as it is listed and revoked. Not the token itself.
    TokenId = "tok", "a token";
    /// An OpenID or machine client.
    ClientId = "cli", "a client";
    /// A family of refresh tokens: all that descend from one authorization.
    GrantId = "gra", "a grant";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_reads_back_as_written_and_no_other_kind_reads_it() {
        let id = MemberId::new(Timestamp::from_seconds(1_800_000_000), [7; 10]);
        assert_eq!(id.to_string().parse(), Ok(id));
        assert!(id.to_string().parse::<TeamId>().is_err());
    }

    #[test]
    fn ids_sort_by_the_time_they_were_made() {
        let early = RunId::new(Timestamp::from_millis(1), [255; 10]);
        let late = RunId::new(Timestamp::from_millis(2), [0; 10]);
        assert!(early < late && early.to_string() < late.to_string());
    }

    #[test]
    fn only_the_canonical_form_is_accepted() {
        let id = WorkspaceId::new(Timestamp::EPOCH, [171; 10]).to_string();
        for bad in
            [id.to_uppercase(), format!("{id}0"), id.replace("ws_", "ws_{"), "ws_".into(), String::new()]
        {
            assert!(bad.parse::<WorkspaceId>().is_err(), "{bad}");
        }
    }
}
