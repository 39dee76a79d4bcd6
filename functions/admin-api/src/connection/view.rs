//! How a connection and a probe's report look from outside.

use std::collections::BTreeSet;

use rollcall_admin::schema;
use rollcall_bitbucket::{Error, Need, Outcome, ProbeReport};
use rollcall_domain::bitbucket::{AccountUuid, BitbucketWorkspaceUuid};
use rollcall_domain::connection::{Connection, CredentialKind, Health, OffboardOn, Policy, Start};
use rollcall_domain::{Timestamp, WorkspaceId};
use rollcall_service::rfc3339;
use serde::Serialize;
use utoipa::ToSchema;

/// The Bitbucket workspace as it was last read.
#[derive(Serialize, ToSchema)]
pub(crate) struct BitbucketWorkspace {
    /// Its UUID, which stays.
    #[schema(value_type = schema::BitbucketUuid)]
    uuid: BitbucketWorkspaceUuid,
    /// Its slug, which can change.
    slug: String,
    /// Its name, which can change.
    name: String,
}

/// What is known of the credential. It is sealed, and shown to nobody.
#[derive(Serialize, ToSchema)]
pub(crate) struct CredentialView {
    /// Which kind.
    #[schema(value_type = schema::CredentialKind)]
    kind: CredentialKind,
}

/// How much may be removed within a day without approval.
#[derive(Serialize, ToSchema)]
pub(crate) struct CapsView {
    /// Up to this many are always allowed, though never all.
    least: usize,
    /// Up to this share of what there is, in percent.
    percent: usize,
}

/// Whether the connection works, as the last run found it.
#[derive(Serialize, ToSchema)]
pub(crate) struct HealthView {
    /// `new`, `healthy`, `broken`, `frozen` (removals wait for an approval) or `disconnected`.
    #[schema(pattern = "^(new|healthy|broken|frozen|disconnected)$")]
    state: &'static str,
    /// Since when.
    #[serde(with = "rfc3339::serde::option")]
    #[schema(value_type = Option<schema::Time>, required)]
    since: Option<Timestamp>,
    /// What is wrong and what to do.
    #[schema(required)]
    why: Option<String>,
}

impl From<&Health> for HealthView {
    fn from(health: &Health) -> Self {
        let (state, since, why) = match health {
            Health::New => ("new", None, None),
            Health::Healthy => ("healthy", None, None),
            Health::Broken { since, why } => ("broken", Some(*since), Some(why.clone())),
            Health::Frozen { since, why } => ("frozen", Some(*since), Some(why.clone())),
            Health::Disconnected { since } => (
                "disconnected",
                Some(*since),
                Some(
                    "Disconnected by an admin. What was mirrored stays readable, nothing is synced, and nobody is suspended."
                        .to_owned(),
                ),
            ),
        };
        Self { state, since, why }
    }
}

/// One workspace and its one Bitbucket workspace.
#[derive(Serialize, ToSchema)]
#[schema(as = Connection)]
pub(crate) struct ConnectionView {
    /// The application's side.
    #[schema(value_type = schema::WorkspaceId)]
    workspace: WorkspaceId,
    /// Bitbucket's side.
    bitbucket: BitbucketWorkspace,
    /// How the sync signs in.
    credential: CredentialView,
    /// Who is let in at sign-in.
    #[schema(value_type = schema::Policy)]
    policy: Policy,
    /// What ends a membership that stands on Bitbucket.
    #[schema(value_type = schema::OffboardOn)]
    offboard_on: OffboardOn,
    /// Whether the sync only adds and changes.
    removals_off: bool,
    /// How much may be removed without approval.
    caps: CapsView,
    /// Bitbucket accounts that the sync leaves alone.
    #[schema(value_type = Vec<schema::BitbucketUuid>)]
    ignored: BTreeSet<AccountUuid>,
    /// Whether the first plan is applied or shown.
    #[schema(value_type = schema::Start)]
    start: Start,
    /// The account that becomes an admin when it first signs in.
    #[schema(value_type = Option<schema::BitbucketUuid>, required)]
    first_admin: Option<AccountUuid>,
    /// Whether it works.
    health: HealthView,
    /// Since when it stands.
    #[serde(with = "rfc3339::serde")]
    #[schema(value_type = schema::Time)]
    created_at: Timestamp,
}

impl From<&Connection> for ConnectionView {
    fn from(connection: &Connection) -> Self {
        let settings = &connection.settings;
        Self {
            workspace: connection.workspace,
            bitbucket: BitbucketWorkspace {
                uuid: connection.bitbucket,
                slug: connection.slug.to_string(),
                name: connection.name.clone(),
            },
            credential: CredentialView { kind: connection.credential },
            policy: settings.policy,
            offboard_on: settings.offboard_on,
            removals_off: settings.removals_off,
            caps: CapsView { least: settings.caps.least, percent: settings.caps.percent },
            ignored: settings.ignored.clone(),
            start: settings.start,
            first_admin: settings.first_admin,
            health: HealthView::from(&connection.health),
            created_at: connection.created_at,
        }
    }
}

/// What a credential can and cannot do.
#[derive(Serialize, ToSchema)]
pub(crate) struct Probe {
    /// Whether everything that is required works.
    usable: bool,
    /// Whether everything works that is worth having.
    complete: bool,
    /// The kind of credential, as Bitbucket calls it, where it says so.
    #[schema(required)]
    credential_type: Option<String>,
    /// The scopes of the credential, where Bitbucket says so.
    scopes: Vec<String>,
    /// Call by call.
    lines: Vec<ProbeLine>,
}

/// One thing that was tried.
#[derive(Serialize, ToSchema)]
pub(crate) struct ProbeLine {
    /// What the credential is to do, as in "read the members".
    what: String,
    /// How much depends on it: `required`, `wanted` or `optional`.
    #[schema(pattern = "^(required|wanted|optional)$")]
    need: &'static str,
    /// Whether it works; `null`: it was not tried.
    #[schema(required)]
    works: Option<bool>,
    /// What does not work without it.
    without: String,
    /// Who may do it.
    takes: String,
    /// What is to know about it: why it does not work, and how to mend it.
    #[schema(required)]
    detail: Option<String>,
    /// The kind of failure, for programs.
    #[schema(required)]
    code: Option<&'static str>,
    /// The scopes that the credential lacks for it, where Bitbucket says so.
    missing_scopes: Vec<String>,
}

impl From<&ProbeReport> for Probe {
    fn from(report: &ProbeReport) -> Self {
        let line = |line: &rollcall_bitbucket::ProbeLine| {
            let (works, detail, code) = match &line.outcome {
                Outcome::Works => (Some(true), None, None),
                Outcome::WorksBut(note) => (Some(true), Some(note.clone()), None),
                Outcome::NotTried(why) => (None, Some((*why).to_owned()), None),
                Outcome::Fails(error) => {
                    // What Bitbucket says ends with a full stop, or does not.
                    let why = error.to_string();
                    let detail = format!("{}. {}", why.trim_end_matches('.'), error.advice());
                    (Some(false), Some(detail), Some(error.code()))
                }
            };
            let missing_scopes = match &line.outcome {
                Outcome::Fails(Error::Forbidden { missing, .. }) => missing.clone(),
                _ => Vec::new(),
            };
            ProbeLine {
                what: line.what.to_owned(),
                need: match line.need {
                    Need::Required => "required",
                    Need::Wanted => "wanted",
                    Need::Optional => "optional",
                },
                works,
                without: line.without.to_owned(),
                takes: line.takes.to_owned(),
                detail,
                code,
                missing_scopes,
            }
        };
        Self {
            usable: report.usable(),
            complete: report.complete(),
            credential_type: report.credential_type.clone(),
            scopes: report.scopes.clone(),
            lines: report.lines.iter().map(line).collect(),
        }
    }
}
