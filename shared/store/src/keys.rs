//! All keys, in one place. `pk` is what is read together, `sk` what is found in it.

use std::collections::HashMap;
use std::fmt;

use aws_sdk_dynamodb::types::AttributeValue;
use rollcall_domain::bitbucket::{AccountUuid, BitbucketWorkspaceUuid, ProjectUuid, RepositoryUuid};
use rollcall_domain::identity::{EmailAddress, Identity};
use rollcall_domain::plan::Lane;
use rollcall_domain::{
    AuditId, ClientId, GrantId, InviteId, MemberId, RunId, SessionId, TeamId, TokenHash, TokenId, WorkspaceId,
};

/// The key of an item.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// The partition.
    pub pk: String,
    /// The place in it.
    pub sk: String,
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} / {}", self.pk, self.sk)
    }
}

impl Key {
    /// From its two parts.
    pub fn new(pk: impl Into<String>, sk: impl Into<String>) -> Self {
        Self { pk: pk.into(), sk: sk.into() }
    }

    pub(crate) fn attributes(&self) -> HashMap<String, AttributeValue> {
        HashMap::from([
            ("pk".to_owned(), AttributeValue::S(self.pk.clone())),
            ("sk".to_owned(), AttributeValue::S(self.sk.clone())),
        ])
    }
}

/// The partitions of a workspace.
pub(crate) fn of(workspace: WorkspaceId, what: &str) -> String {
    format!("{workspace}#{what}")
}

/// All workspaces, for listing them.
pub(crate) const WORKSPACES: &str = "workspaces";
/// All connections, for the schedule.
pub(crate) const CONNECTIONS: &str = "connections";
/// All admin tokens, for listing them.
pub(crate) const ADMIN_TOKENS: &str = "admin-tokens";
/// All clients.
pub(crate) const CLIENTS: &str = "clients";

pub(crate) fn workspace(id: WorkspaceId) -> Key {
    Key::new(WORKSPACES, id.to_string())
}

pub(crate) fn connection(id: WorkspaceId) -> Key {
    Key::new(CONNECTIONS, id.to_string())
}

pub(crate) fn claim(bitbucket: BitbucketWorkspaceUuid) -> Key {
    Key::new(format!("bitbucket#{bitbucket}"), "claim")
}

pub(crate) fn lease(workspace: WorkspaceId) -> Key {
    Key::new(of(workspace, "sync"), "lease")
}

pub(crate) fn sync_state(workspace: WorkspaceId) -> Key {
    Key::new(of(workspace, "sync"), "state")
}

pub(crate) fn webhook(workspace: WorkspaceId) -> Key {
    Key::new(of(workspace, "delivery"), "webhook")
}

pub(crate) fn delivery(workspace: WorkspaceId) -> Key {
    Key::new(of(workspace, "delivery"), "progress")
}

pub(crate) fn sequence(workspace: WorkspaceId) -> Key {
    Key::new(of(workspace, "sequence"), "events")
}

pub(crate) fn person(workspace: WorkspaceId, person: AccountUuid) -> Key {
    Key::new(of(workspace, "people"), person.to_string())
}

pub(crate) fn team(workspace: WorkspaceId, team: TeamId) -> Key {
    Key::new(of(workspace, "teams"), team.to_string())
}

pub(crate) fn team_people(workspace: WorkspaceId, team: TeamId) -> String {
    of(workspace, &format!("team#{team}"))
}

pub(crate) fn team_person(workspace: WorkspaceId, team: TeamId, person: AccountUuid) -> Key {
    Key::new(team_people(workspace, team), person.to_string())
}

pub(crate) fn project(workspace: WorkspaceId, project: ProjectUuid) -> Key {
    Key::new(of(workspace, "projects"), project.to_string())
}

pub(crate) fn repository(workspace: WorkspaceId, repository: RepositoryUuid) -> Key {
    Key::new(of(workspace, "repositories"), repository.to_string())
}

pub(crate) fn responsibility(workspace: WorkspaceId, team: TeamId, repository: RepositoryUuid) -> Key {
    Key::new(of(workspace, "responsibilities"), format!("{team}#{repository}"))
}

/// The same once more, in the order of repositories: for a page of them, one range.
pub(crate) fn responsible_team(workspace: WorkspaceId, repository: RepositoryUuid, team: TeamId) -> Key {
    Key::new(of(workspace, "responsible-teams"), format!("{repository}#{team}"))
}

pub(crate) fn member(workspace: WorkspaceId, member: MemberId) -> Key {
    Key::new(of(workspace, "members"), member.to_string())
}

pub(crate) fn coverage(workspace: WorkspaceId, member: MemberId) -> Key {
    Key::new(of(workspace, "coverage"), member.to_string())
}

pub(crate) fn identity_partition(identity: &Identity) -> String {
    format!("identity#{}|{}|{}", identity.provider, identity.issuer, identity.subject)
}

pub(crate) fn identity(workspace: WorkspaceId, identity: &Identity) -> Key {
    Key::new(identity_partition(identity), workspace.to_string())
}

pub(crate) fn run(workspace: WorkspaceId, run: RunId) -> Key {
    Key::new(of(workspace, "runs"), run.to_string())
}

pub(crate) fn run_rest(workspace: WorkspaceId, run: RunId) -> String {
    of(workspace, &format!("run#{run}"))
}

pub(crate) fn plan(workspace: WorkspaceId, run: RunId, lane: Lane) -> Key {
    Key::new(of(workspace, &format!("plan#{run}")), lane.as_str())
}

pub(crate) fn plan_part(workspace: WorkspaceId, run: RunId, lane: Lane, content: &str, number: usize) -> Key {
    let lane = lane.as_str();
    Key::new(of(workspace, &format!("plan#{run}")), format!("{lane}#{content}#{number:06}"))
}

pub(crate) fn audit_partition(workspace: Option<WorkspaceId>) -> String {
    workspace.map_or_else(|| "audit".to_owned(), |workspace| of(workspace, "audit"))
}

pub(crate) fn audit(workspace: Option<WorkspaceId>, id: AuditId) -> Key {
    Key::new(audit_partition(workspace), id.to_string())
}

pub(crate) fn event(workspace: WorkspaceId, sequence: u64) -> Key {
    Key::new(of(workspace, "events"), format!("{sequence:020}"))
}

pub(crate) fn invite(workspace: WorkspaceId, invite: InviteId) -> Key {
    Key::new(of(workspace, "invites"), invite.to_string())
}

pub(crate) fn invite_token(token: TokenHash) -> Key {
    Key::new(format!("invite-token#{token}"), "invite")
}

pub(crate) fn pending_invite(workspace: WorkspaceId, email: &EmailAddress) -> Key {
    Key::new(of(workspace, "invitees"), email.to_string())
}

/// What says that invites which were written together are issued.
pub(crate) fn issued_together(workspace: WorkspaceId, first: InviteId) -> Key {
    Key::new(of(workspace, "issued-together"), first.to_string())
}

/// What voids the invites that were issued, before it, to or by whom it names. Machines issue in any workspace: what voids theirs lies in
/// none.
pub(crate) fn barrier(workspace: WorkspaceId, who: &str) -> Key {
    if who.starts_with(MACHINE) { machine_barrier(who) } else { Key::new(of(workspace, "barriers"), who) }
}

pub(crate) fn machine_barrier(who: &str) -> Key {
    Key::new("barriers", who)
}

const MACHINE: &str = "machine#";

/// An admin token or a client that issues invites, among those whom a barrier names.
pub(crate) fn machine(id: impl fmt::Display) -> String {
    format!("{MACHINE}{id}")
}

/// The issuer of invites, among those whom a barrier names.
pub(crate) fn issuer(member: MemberId) -> String {
    format!("issuer#{member}")
}

pub(crate) fn session(hash: TokenHash) -> Key {
    Key::new(format!("session#{hash}"), "session")
}

/// What says that a browser session was ended, and all that was given in it.
pub(crate) fn session_ended(id: SessionId) -> Key {
    Key::new(format!("session-ended#{id}"), "ended")
}

pub(crate) fn member_sessions(workspace: WorkspaceId, member: MemberId) -> String {
    of(workspace, &format!("sessions#{member}"))
}

pub(crate) fn code(hash: TokenHash) -> Key {
    Key::new(format!("code#{hash}"), "code")
}

pub(crate) fn grant(id: GrantId) -> Key {
    Key::new(format!("grant#{id}"), "grant")
}

pub(crate) fn member_grants(workspace: WorkspaceId, member: MemberId) -> String {
    of(workspace, &format!("grants#{member}"))
}

pub(crate) fn login_state(marker: TokenHash) -> Key {
    Key::new(format!("login#{marker}"), "used")
}

pub(crate) fn rate(key: &str) -> Key {
    Key::new(format!("rate#{key}"), "count")
}

pub(crate) fn admin_token(hash: TokenHash) -> Key {
    Key::new(format!("admin-token#{hash}"), "token")
}

pub(crate) fn admin_token_entry(id: TokenId) -> Key {
    Key::new(ADMIN_TOKENS, id.to_string())
}

pub(crate) fn client(id: ClientId) -> Key {
    Key::new(CLIENTS, id.to_string())
}

pub(crate) fn idempotency(scope: &str, key: &str) -> Key {
    Key::new(format!("idempotency#{scope}"), key)
}

pub(crate) fn refusal(workspace: WorkspaceId, identity: &Identity) -> Key {
    Key::new(of(workspace, "refused"), identity_partition(identity))
}
