//! How a member looks from outside.

use std::collections::BTreeMap;

use rollcall_admin::schema;
use rollcall_domain::bitbucket::RepositoryUuid;
use rollcall_domain::identity::Provider;
use rollcall_domain::member::{InviteEntitlement, Member, Origin, Role, State, SuspensionReason};
use rollcall_domain::{InviteId, MemberId, TeamId, Timestamp};
use rollcall_service::rfc3339;
use rollcall_store::CoverageRow;
use serde::Serialize;
use utoipa::ToSchema;

/// As many missing repositories are named with one member. The number beside them is always exact.
pub(crate) const MOST_NAMED: usize = 20;
/// As many in a list of members.
pub(crate) const MOST_NAMED_IN_LISTS: usize = 5;

/// Something that signs in as a member.
#[derive(Serialize, ToSchema)]
pub(crate) struct IdentityView {
    /// Where.
    #[schema(value_type = schema::Provider)]
    provider: Provider,
    /// Who vouches for it.
    issuer: String,
    /// The immutable id there.
    subject: String,
}

/// A team, named.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct TeamName {
    /// Its id.
    #[schema(value_type = schema::TeamId)]
    pub(crate) id: TeamId,
    /// Its present name.
    pub(crate) name: String,
}

/// The private repositories that a member can access, against all of them.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CoverageView {
    /// Private repositories of the Bitbucket workspace.
    of: usize,
    /// How many of them the member certainly cannot access.
    missing: usize,
    /// Of how many it is not known yet.
    unread: usize,
    /// Missing ones by name: at most 20, and at most 5 in a list of members.
    #[schema(max_items = 20)]
    missing_repositories: Vec<String>,
}

impl CoverageView {
    /// With at most `most` repositories by name, as far as the names are known.
    pub(crate) fn new(coverage: &CoverageRow, slugs: &BTreeMap<RepositoryUuid, String>, most: usize) -> Self {
        let name = |uuid: &RepositoryUuid| slugs.get(uuid).cloned().unwrap_or_else(|| uuid.to_string());
        Self {
            of: coverage.of,
            missing: coverage.missing,
            unread: coverage.unread,
            missing_repositories: coverage.named.iter().take(most).map(name).collect(),
        }
    }

    /// In words.
    pub(crate) fn sentence(&self) -> String {
        let Self { of, missing, unread, .. } = self;
        match (missing, unread) {
            (0, 0) => format!("They can access all {of} private repositories."),
            (0, unread) => format!(
                "Of {unread} of {of} private repositories it is not known yet whether they can access them."
            ),
            (missing, 0) => format!("They cannot access {missing} of {of} private repositories."),
            (missing, unread) => format!(
                "They cannot access {missing} of {of} private repositories, and of {unread} more it is not known yet."
            ),
        }
    }
}

/// What an invite gave.
#[derive(Serialize, ToSchema)]
pub(crate) struct EntitlementView {
    /// Which invite.
    #[schema(value_type = schema::InviteId)]
    id: InviteId,
    /// When the membership ends; `null`: it has no end.
    #[serde(with = "rfc3339::serde::option")]
    #[schema(value_type = Option<schema::Time>, required)]
    membership_until: Option<Timestamp>,
    /// Whether it still lets the member in.
    valid: bool,
}

impl EntitlementView {
    pub(crate) fn new(entitlement: &InviteEntitlement, now: Timestamp) -> Self {
        Self { id: entitlement.invite, membership_until: entitlement.until, valid: entitlement.is_valid(now) }
    }
}

/// An identity that has been let into the workspace.
#[derive(Serialize, ToSchema)]
#[schema(as = Member)]
pub(crate) struct MemberView {
    /// The `sub` that the application sees.
    #[schema(value_type = schema::MemberId)]
    id: MemberId,
    /// What they call themselves.
    display_name: String,
    /// A verified address.
    #[schema(required)]
    email: Option<String>,
    /// What they may do.
    #[schema(value_type = schema::Role)]
    role: Role,
    /// Whether they are let in.
    #[schema(value_type = schema::MemberState)]
    state: &'static str,
    /// Why they are suspended.
    #[schema(value_type = Option<schema::SuspensionReason>, required)]
    reason: Option<SuspensionReason>,
    /// What first let them in.
    #[schema(value_type = schema::Origin)]
    origin: Origin,
    /// What signs in as them.
    identities: Vec<IdentityView>,
    /// Their teams.
    teams: Vec<TeamName>,
    /// Their repositories, where they have a Bitbucket account in the workspace.
    #[schema(required)]
    coverage: Option<CoverageView>,
    /// What an invite gave them.
    #[schema(required)]
    invite: Option<EntitlementView>,
    /// Where the person comes from: `bitbucket`, for a member with a Bitbucket account.
    #[schema(required)]
    external_source: Option<&'static str>,
    /// The Bitbucket account.
    #[schema(value_type = Option<schema::BitbucketUuid>, required)]
    external_source_id: Option<String>,
    /// When they were first let in.
    #[serde(with = "rfc3339::serde")]
    #[schema(value_type = schema::Time)]
    created_at: Timestamp,
    /// When they last signed in.
    #[serde(with = "rfc3339::serde::option")]
    #[schema(value_type = Option<schema::Time>, required)]
    signed_in_at: Option<Timestamp>,
}

impl MemberView {
    pub(crate) fn new(
        member: &Member,
        teams: Vec<TeamName>,
        coverage: Option<CoverageView>,
        now: Timestamp,
    ) -> Self {
        let account = member.account();
        Self {
            id: member.id,
            display_name: member.display_name.clone(),
            email: member.email.as_ref().map(ToString::to_string),
            role: member.role,
            state: member.state.as_str(),
            reason: reason(&member.state),
            origin: member.origin,
            identities: member
                .identities
                .iter()
                .map(|identity| IdentityView {
                    provider: identity.provider,
                    issuer: identity.issuer.clone(),
                    subject: identity.subject.clone(),
                })
                .collect(),
            teams,
            coverage,
            invite: member.by_invite.as_ref().map(|invite| EntitlementView::new(invite, now)),
            external_source: account.map(|_| "bitbucket"),
            external_source_id: account.map(|account| account.to_string()),
            created_at: member.created_at,
            signed_in_at: member.signed_in_at,
        }
    }
}

pub(crate) fn reason(state: &State) -> Option<SuspensionReason> {
    match state {
        State::Suspended { reason, .. } => Some(*reason),
        State::Active | State::Disabled { .. } => None,
    }
}
