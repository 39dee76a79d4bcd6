//! How ids, times and problems are described in the OpenAPI document.
//!
//! The types in here stand for others: `#[schema(value_type = schema::MemberId)]` on a field of type
//! [`rollcall_domain::MemberId`].

use std::borrow::Cow;

use serde::Serialize;
use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, SchemaFormat, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

macro_rules! texts {
    ($($(#[$doc:meta])* $name:ident: $description:literal, $pattern:expr, $example:literal;)+) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy)]
        pub enum $name {}

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                ObjectBuilder::new()
                    .schema_type(Type::String)
                    .description(Some($description))
                    .pattern(Some($pattern))
                    .examples([$example])
                    .into()
            }
        }

        impl ToSchema for $name {
            fn name() -> Cow<'static, str> {
                Cow::Borrowed(stringify!($name))
            }
        }
    )+};
}

/// Texts that callers choose, as [`crate::text`] reads them.
macro_rules! bounded {
    ($($(#[$doc:meta])* $name:ident: $description:literal, $longest:expr, $pattern:expr, $example:literal;)+) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy)]
        pub enum $name {}

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                ObjectBuilder::new()
                    .schema_type(Type::String)
                    .description(Some($description))
                    .max_length($longest)
                    .pattern(Some($pattern))
                    .examples([$example])
                    .into()
            }
        }

        impl ToSchema for $name {
            fn name() -> Cow<'static, str> {
                Cow::Borrowed(stringify!($name))
            }
        }
    )+};
}

/// What is never seen or turns what stands around it, as a part of a class of characters; without the line break.
macro_rules! invisible {
    () => {
        "\\u0000-\\u0009\\u000b-\\u001f\\u007f-\\u009f\\u200b\\u200e\\u200f\\u2028-\\u202e\\u2060-\\u2069\\ufeff"
    };
}
/// Room between letters, as a part of a class of characters.
macro_rules! room {
    () => {
        "\\u0020\\u00a0\\u1680\\u2000-\\u200a\\u202f\\u205f\\u3000"
    };
}
/// A label of a domain name.
macro_rules! label {
    () => {
        "[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
    };
}

bounded! {
    /// [`crate::text::Name`].
    Name: "One line with something to see in it.", Some(crate::text::Name::LONGEST),
        concat!("^[^\\u000a", invisible!(), "]*[^\\u000a", invisible!(), room!(), "][^\\u000a", invisible!(), "]*$"), "Acme GmbH";
    /// [`crate::text::Note`].
    Note: "A few lines with something to see in them.", Some(crate::text::Note::LONGEST),
        concat!("^[^", invisible!(), "]*[^\\u000a", invisible!(), room!(), "][^", invisible!(), "]*$"), "See you on Monday.";
    /// A language tag, as far as it is looked at.
    Language: "A language (RFC 5646).", Some(35), "^[A-Za-z]{2}[A-Za-z0-9]{0,6}(-[A-Za-z0-9]{1,8})*$", "de-AT";
    /// What stands behind the `@` of an address.
    EmailDomain: "An e-mail domain.", Some(252), concat!("^(", label!(), "\\.)+", label!(), "$"), "example.com";
    /// A tenant of Microsoft.
    MicrosoftTenant: "A Microsoft tenant.", Some(36), "^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$",
        "72f988bf-86f1-41af-91ab-2d7cd011db47";
    /// An address of an application, exact to the letter.
    RedirectUri: "An `https:` address, or an `http:` one of the caller's own machine, without a user, a fragment or an asterisk; as a browser writes it.",
        Some(1000), "^(https://[^*#]+|http://(localhost|127\\.|\\[::1\\])[^*#]*)$", "https://app.example.com/callback";
    /// The audience of an application's access tokens.
    Audience: "An audience: visible characters of ASCII.", Some(255), "^[!-~]+$", "https://api.example.com";
    /// Where a list goes on.
    Cursor: "Where a list goes on, as a page before has said.", Some(4096), "^[A-Za-z0-9._-]+$", "1.k.c2VhbGVk";
    /// The value of `If-Match`.
    EntityTags: "`*`, or entity tags with their quotes.", None::<usize>,
        "^(\\*|(W/)?\"[!#-+\\--~]*\"( *, *(W/)?\"[!#-+\\--~]*\"){0,15})$", "\"v7\"";
}

const UUID: &str = "^\\{[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\\}$";

texts! {
    /// A workspace's id.
    WorkspaceId: "A workspace of the application.", "^ws_[0-9a-f]{32}$", "ws_019a2b3c4d5e7f8091a2b3c4d5e6f708";
    /// A member's id.
    MemberId: "A member: the `sub` that the application sees.", "^mem_[0-9a-f]{32}$", "mem_019a2b3c4d5e7f8091a2b3c4d5e6f708";
    /// A team's id.
    TeamId: "A team: one Bitbucket user group through all its renames.", "^team_[0-9a-f]{32}$", "team_019a2b3c4d5e7f8091a2b3c4d5e6f708";
    /// An invite's id.
    InviteId: "An invite.", "^inv_[0-9a-f]{32}$", "inv_019a2b3c4d5e7f8091a2b3c4d5e6f708";
    /// A sync run's id.
    RunId: "A sync run.", "^run_[0-9a-f]{32}$", "run_019a2b3c4d5e7f8091a2b3c4d5e6f708";
    /// An event's id.
    EventId: "An event.", "^evt_[0-9a-f]{32}$", "evt_019a2b3c4d5e7f8091a2b3c4d5e6f708";
    /// An audit entry's id.
    AuditId: "An entry of the audit trail.", "^aud_[0-9a-f]{32}$", "aud_019a2b3c4d5e7f8091a2b3c4d5e6f708";
    /// An admin token's id.
    TokenId: "An admin token, not the token itself.", "^tok_[0-9a-f]{32}$", "tok_019a2b3c4d5e7f8091a2b3c4d5e6f708";
    /// A client's id.
    ClientId: "An application or machine.", "^cli_[0-9a-f]{32}$", "cli_019a2b3c4d5e7f8091a2b3c4d5e6f708";
    /// A UUID as Bitbucket writes it.
    BitbucketUuid: "A UUID as Bitbucket writes it, with braces.", UUID, "{f3f1c2a4-0b0e-4a55-9d7e-2f8f6a1c9b10}";
    /// A plan's hash.
    PlanHash: "The hash of a plan's exact changes.", "^[0-9a-f]{64}$",
        "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
}

macro_rules! choices {
    ($($(#[$doc:meta])* $name:ident: $description:literal, [$($value:literal),+];)+) => {
        $(
            $(#[$doc])*
            #[derive(Debug, Clone, Copy)]
            pub enum $name {}

            impl $name {
                /// What can be written.
                pub const VALUES: &'static [&'static str] = &[$($value),+];
            }

            impl PartialSchema for $name {
                fn schema() -> RefOr<Schema> {
                    ObjectBuilder::new()
                        .schema_type(Type::String)
                        .description(Some($description))
                        .enum_values(Some(Self::VALUES.iter().copied()))
                        .into()
                }
            }

            impl ToSchema for $name {
                fn name() -> Cow<'static, str> {
                    Cow::Borrowed(stringify!($name))
                }
            }
        )+
    };
}

choices! {
    /// [`rollcall_domain::connection::Policy`].
    Policy: "Who of the Bitbucket workspace is let in at sign-in.",
        ["all_repositories", "any_repository", "workspace_member"];
    /// [`rollcall_domain::connection::OffboardOn`].
    OffboardOn: "What ends a membership that stands on Bitbucket.", ["left_workspace", "lost_access"];
    /// [`rollcall_domain::connection::CredentialKind`].
    CredentialKind: "How the sync signs in to Bitbucket.", ["access_token", "oauth_consumer", "api_token"];
    /// [`rollcall_domain::connection::Start`].
    Start: "Whether the first plan is applied, or shown and waits for an approval.", ["apply", "plan"];
    /// [`rollcall_domain::member::Role`].
    Role: "What a member may do. Admins also decide about members, invites and the connection.", ["member", "admin"];
    /// [`rollcall_domain::member::Origin`].
    Origin: "What first let a member in.", ["bitbucket", "invite"];
    /// [`rollcall_domain::member::State`].
    MemberState: "Whether a member is let in.", ["active", "suspended", "disabled"];
    /// [`rollcall_domain::member::SuspensionReason`].
    SuspensionReason: "Why a member is suspended.",
        ["left_workspace", "inactive", "lost_access", "invite_ended", "grant_revoked"];
    /// [`rollcall_domain::identity::Provider`].
    Provider: "Where somebody signs in.", ["bitbucket", "google", "microsoft"];
    /// [`rollcall_domain::bitbucket::Permission`].
    Permission: "What a grant allows on a repository.", ["read", "write", "admin"];
    /// [`rollcall_domain::authority::Access`].
    Access: "What a credential may do within its reach.", ["read", "write"];
    /// [`rollcall_domain::invite::InviteStatus`].
    InviteStatus: "What has become of an invite.", ["pending", "accepted", "expired", "revoked"];
    /// [`rollcall_domain::invite::Delivery`].
    Delivery: "How the mail fared, as far as is known.", ["link_returned", "sent", "failed", "bounced", "complained"];
    /// [`rollcall_domain::plan::Lane`].
    Lane: "What a run reads, and so what it may change.", ["members", "structure", "grants"];
}

/// A time, RFC 3339.
#[derive(Debug, Clone, Copy)]
pub enum Time {}

impl PartialSchema for Time {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
            .description(Some("A time as in RFC 3339. Answers are in UTC; what is sent may have any offset."))
            .examples(["2026-11-23T06:00:00.000Z"])
            .into()
    }
}

impl ToSchema for Time {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("Time")
    }
}

/// What went wrong (RFC 9457).
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Problem {
    /// The kind, for programs: `urn:problem-type:rollcall:` and a slug.
    pub r#type: String,
    /// The kind, for people.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What happened in this case, and what to do about it.
    pub detail: Option<String>,
    /// The request, as it stands in the log.
    pub instance: Option<String>,
    /// Each thing that is wrong with the request.
    pub errors: Option<Vec<ProblemPlace>>,
}

/// One thing that is wrong with a request.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ProblemPlace {
    /// Where in the body, as a JSON Pointer (RFC 6901).
    pub pointer: Option<String>,
    /// Which parameter.
    pub parameter: Option<String>,
    /// What is wrong.
    pub detail: String,
}

#[cfg(test)]
mod tests {
    use serde::de::DeserializeOwned;

    use super::*;

    /// Every value that is described is one that is understood.
    fn understood<T: DeserializeOwned>(values: &[&str]) -> usize {
        values.iter().filter(|value| serde_json::from_value::<T>((**value).into()).is_ok()).count()
    }

    #[test]
    fn what_is_described_is_what_is_understood() {
        use rollcall_domain::{authority, bitbucket, connection, identity, invite, member, plan};
        macro_rules! check {
            ($($described:ident as $type:ty),+ $(,)?) => {$(
                let values = $described::VALUES;
                assert_eq!(understood::<$type>(values), values.len(), stringify!($described));
            )+};
        }
        check!(
            Policy as connection::Policy,
            OffboardOn as connection::OffboardOn,
            CredentialKind as connection::CredentialKind,
            Start as connection::Start,
            Role as member::Role,
            Origin as member::Origin,
            SuspensionReason as member::SuspensionReason,
            Provider as identity::Provider,
            Permission as bitbucket::Permission,
            Access as authority::Access,
            InviteStatus as invite::InviteStatus,
            Delivery as invite::Delivery,
            Lane as plan::Lane,
        );
    }
}
