//! Why a member is in or out, in words and in data.

use rollcall_admin::schema;
use rollcall_domain::connection::{Connection, Health, OffboardOn, Policy};
use rollcall_domain::member::{Member, State, SuspensionReason};
use rollcall_domain::{RunId, Timestamp};
use rollcall_service::rfc3339;
use serde::Serialize;
use utoipa::ToSchema;

use super::view::{CoverageView, EntitlementView, reason};

/// Why a member is in or out.
#[derive(Serialize, ToSchema)]
pub(crate) struct Explanation {
    /// Whether they are let in at this moment.
    let_in: bool,
    /// Why, in words.
    text: String,
    /// What decides: `bitbucket`, `invite`, `bitbucket_and_invite` or `nothing` for what lets them in; `disabled`, or the reason of a
    /// suspension, for what keeps them out.
    rule: &'static str,
    /// The connection's policy at this moment.
    #[schema(value_type = Option<schema::Policy>, required)]
    policy: Option<Policy>,
    /// Their repositories, as far as they are known.
    #[schema(required)]
    coverage: Option<CoverageView>,
    /// The run that suspended them.
    #[schema(value_type = Option<schema::RunId>, required)]
    run: Option<RunId>,
    /// What was found out, one line each, with its time where it is known.
    evidence: Vec<String>,
    /// What an invite gave them.
    #[schema(required)]
    invite: Option<EntitlementView>,
}

/// What is known.
pub(crate) struct Facts<'a> {
    pub(crate) member: &'a Member,
    pub(crate) connection: Option<&'a Connection>,
    /// Whether their account is in the mirrored Bitbucket workspace; `None`: they have none, or nothing was mirrored yet.
    pub(crate) in_bitbucket: Option<bool>,
    pub(crate) coverage: Option<CoverageView>,
    /// When the members lane last ended well.
    pub(crate) members_read_at: Option<Timestamp>,
    pub(crate) now: Timestamp,
}

impl Explanation {
    pub(crate) fn new(facts: Facts<'_>, invite: Option<EntitlementView>) -> Self {
        let member = facts.member;
        let run = match member.state {
            State::Suspended { run, .. } => run,
            State::Active | State::Disabled { .. } => None,
        };
        let mut evidence = evidence(&facts);
        if let Some(run) = run {
            evidence.push(format!("The suspension was made by {run}."));
        }
        Self {
            let_in: member.is_let_in(facts.now),
            text: text(&facts),
            rule: rule(member, facts.now),
            policy: facts.connection.map(|connection| connection.settings.policy),
            coverage: facts.coverage,
            run,
            evidence,
            invite,
        }
    }
}

fn rule(member: &Member, now: Timestamp) -> &'static str {
    match member.state {
        State::Disabled { .. } => "disabled",
        State::Suspended { reason, .. } => match reason {
            SuspensionReason::LeftWorkspace => "left_workspace",
            SuspensionReason::Inactive => "inactive",
            SuspensionReason::LostAccess => "lost_access",
            SuspensionReason::InviteEnded => "invite_ended",
            SuspensionReason::GrantRevoked => "grant_revoked",
        },
        State::Active => match (member.by_bitbucket, member.has_valid_invite(now)) {
            (true, true) => "bitbucket_and_invite",
            (true, false) => "bitbucket",
            (false, true) => "invite",
            (false, false) if member.by_invite.is_some() => "invite_ended",
            (false, false) => "nothing",
        },
    }
}

fn text(facts: &Facts<'_>) -> String {
    let member = facts.member;
    let name = &member.display_name;
    let mut sentences = Vec::new();
    match &member.state {
        State::Active if member.is_let_in(facts.now) => {
            sentences.push(format!("{name} is let in."));
            sentences.extend(grounds(facts));
        }
        State::Active => sentences.push(format!(
            "{name} is not let in: the membership that an invite gave has ended. The next sync marks it as suspended."
        )),
        State::Disabled { at } => sentences.push(format!(
            "{name} is not let in: an admin disabled them on {}. No sign-in and no sync changes that; an admin can enable them.",
            rfc3339::format(*at)
        )),
        State::Suspended { at, .. } => {
            let why = reason(&member.state).map_or("", |reason| suspended(reason, facts.connection));
            sentences.push(format!("{name} is not let in since {}: {why}", rfc3339::format(*at)));
        }
    }
    if let Some(coverage) = &facts.coverage {
        sentences.push(coverage.sentence());
    }
    if let Some(Health::Disconnected { .. }) = facts.connection.map(|connection| &connection.health) {
        sentences.push(
            "The workspace is disconnected from Bitbucket, so nothing about this changes by itself."
                .to_owned(),
        );
    }
    sentences.join(" ")
}

fn grounds(facts: &Facts<'_>) -> Vec<String> {
    let member = facts.member;
    let mut sentences = Vec::new();
    if member.by_bitbucket {
        let rule = match facts.connection.map(|connection| connection.settings.policy) {
            Some(Policy::AllRepositories) => {
                " under the rule that asks for access to all private repositories"
            }
            Some(Policy::AnyRepository) => {
                " under the rule that asks for access to at least one private repository"
            }
            Some(Policy::WorkspaceMember) => {
                " under the rule that lets every member of the Bitbucket workspace in"
            }
            None => "",
        };
        sentences.push(format!("They signed in with Bitbucket{rule}."));
    }
    if let Some(invite) = member.by_invite.as_ref().filter(|invite| invite.is_valid(facts.now)) {
        sentences.push(match invite.until {
            Some(until) => {
                format!("An invite lets them in until {}, whatever Bitbucket says.", rfc3339::format(until))
            }
            None => "An invite lets them in, whatever Bitbucket says; it has no end.".to_owned(),
        });
    }
    sentences
}

fn suspended(reason: SuspensionReason, connection: Option<&Connection>) -> &'static str {
    let strict =
        connection.is_some_and(|connection| connection.settings.offboard_on == OffboardOn::LostAccess);
    match reason {
        SuspensionReason::LeftWorkspace => {
            "they are no longer in the Bitbucket workspace. If they come back there, they can sign in again."
        }
        SuspensionReason::Inactive => "their account at Bitbucket is not in use any more.",
        SuspensionReason::LostAccess if strict => {
            "they no longer have the access to repositories that the rule asks for. When they have it again, they can sign in again."
        }
        SuspensionReason::LostAccess => {
            "they lost the access to repositories that the rule asked for at that time. They can sign in again."
        }
        SuspensionReason::InviteEnded => {
            "the membership that an invite gave has ended. An admin can renew its end date or invite them again."
        }
        SuspensionReason::GrantRevoked => {
            "whoever invited them had no right to it any more, and the grant was revoked. An admin can invite them again."
        }
    }
}

fn evidence(facts: &Facts<'_>) -> Vec<String> {
    let mut lines = Vec::new();
    let read = facts.members_read_at.map(rfc3339::format);
    match (facts.in_bitbucket, read) {
        (Some(true), Some(at)) => lines.push(format!("The members listing of {at} has their account.")),
        (Some(false), Some(at)) => {
            lines.push(format!("The members listing of {at} does not have their account."));
        }
        (None, Some(_)) => lines.push("They have no Bitbucket account among their identities.".to_owned()),
        (_, None) => lines.push("No members listing has been read yet.".to_owned()),
    }
    if let Some(at) = facts.member.signed_in_at {
        lines.push(format!("They last signed in at {}.", rfc3339::format(at)));
    }
    lines
}
