//! The guard: how much may be removed without anybody having looked at it.

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{Change, Plan, Removal};
use crate::member::{Role, SuspensionReason};
use crate::mirror::{Mirror, MirroredMember};
use crate::{MemberId, RunId, Timestamp};

/// For how long removals count towards the caps. Runs follow one another within minutes, so that a cap for each run alone would
/// let a quarter go again and again.
pub const WINDOW: Duration = Duration::from_hours(24);

/// How many removals of a kind may be made within [`WINDOW`]: at most the larger of a number and a share of what there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Caps {
    /// Up to this many are always allowed, though never all.
    pub least: usize,
    /// Up to this share of what there is, in percent.
    pub percent: usize,
}

impl Default for Caps {
    fn default() -> Self {
        Self { least: 3, percent: 25 }
    }
}

impl Caps {
    /// How many of `present` may go.
    pub fn allowed(self, present: usize) -> usize {
        self.least.max(present.saturating_mul(self.percent) / 100)
    }
}

/// The removals made within the last [`WINDOW`] that nobody approved.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Recent(Vec<(Timestamp, Removal, usize)>);

impl Recent {
    /// Notes what a run removed by itself, and forgets what is too long ago.
    pub fn note<'c>(&mut self, done: impl IntoIterator<Item = &'c Change>, now: Timestamp) {
        self.0.retain(|(at, ..)| now.since(*at) < WINDOW);
        self.0.extend(counted(done).into_iter().filter(|(_, n)| *n > 0).map(|(kind, n)| (now, kind, n)));
    }

    fn of(&self, kind: Removal, now: Timestamp) -> usize {
        let within = self.0.iter().filter(|(at, of, _)| *of == kind && now.since(*at) < WINDOW);
        within.map(|(.., n)| n).sum()
    }
}

/// Why removals are held back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "reason", rename_all = "snake_case")]
pub enum Held {
    /// More than the cap of a kind.
    OverCap {
        /// Of what.
        kind: Removal,
        /// How many the plan removes.
        removals: usize,
        /// How many were removed within the last day without approval.
        recent: usize,
        /// How many there are.
        present: usize,
        /// How many may go within a day without approval.
        allowed: usize,
    },
    /// All there are of a kind.
    All {
        /// Of what.
        kind: Removal,
        /// How many.
        removals: usize,
    },
    /// No admin would be left who is let in.
    LastAdmin {
        /// Who.
        member: MemberId,
    },
    /// Removals are turned off for the connection.
    TurnedOff,
    /// An admin has undone a run: what is removed after that, they want to see first.
    Undone,
    /// The connection's first plan is to be seen before anything is done.
    First,
}

impl core::fmt::Display for Held {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::OverCap { kind, removals, recent: 0, present, allowed } => {
                write!(
                    f,
                    "{removals} of {present} {kind} would be removed, and at most {allowed} may go without approval"
                )
            }
            Self::OverCap { kind, removals, recent, present, allowed } => {
                write!(
                    f,
                    "{removals} of {present} {kind} would be removed after {recent} within the last day, and at most \
                     {allowed} may go in a day without approval"
                )
            }
            Self::All { kind, removals } => write!(f, "all {removals} {kind} would be removed"),
            Self::LastAdmin { member } => write!(f, "{member} is the last admin who is let in"),
            Self::TurnedOff => write!(f, "removals are turned off for this connection"),
            Self::First => write!(f, "the first plan waits for approval"),
            Self::Undone => write!(f, "a run was undone; what is removed after that waits for approval"),
        }
    }
}

/// What the guard says of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing is over its cap.
    Free,
    /// The removals wait: for an approval, or for being turned on.
    Hold(Vec<Held>),
}

/// What the guard goes by.
#[derive(Debug, Clone, Copy)]
pub struct Limits<'a> {
    /// How much may go.
    pub caps: Caps,
    /// Whether nothing may.
    pub removals_off: bool,
    /// What went within the last day.
    pub recent: &'a Recent,
    /// Whether a run was undone and nothing has been approved since.
    pub undone: bool,
    /// The present time.
    pub now: Timestamp,
}

/// Judges a plan's removals against what the mirror has.
pub fn judge(mirror: &Mirror, plan: &Plan, limits: &Limits<'_>) -> Verdict {
    let counted = counted(&plan.changes);
    if counted.is_empty() {
        return Verdict::Free;
    }
    let mut held = Vec::new();
    if limits.removals_off {
        held.push(Held::TurnedOff);
    }
    if limits.undone {
        held.push(Held::Undone);
    }
    for (kind, removals) in counted.into_iter().filter(|(_, removals)| *removals > 0) {
        let present = present(mirror, kind, limits.now);
        let recent = limits.recent.of(kind, limits.now);
        let allowed = limits.caps.allowed(present.saturating_add(recent));
        if removals.saturating_add(recent) > allowed {
            held.push(Held::OverCap { kind, removals, recent, present, allowed });
        } else if removals >= present {
            held.push(Held::All { kind, removals });
        }
    }
    held.extend(last_admin(mirror, plan, limits.now).map(|member| Held::LastAdmin { member }));
    if held.is_empty() { Verdict::Free } else { Verdict::Hold(held) }
}

/// The admin without whom there would be none who is let in, if the plan shuts out the last one.
fn last_admin(mirror: &Mirror, plan: &Plan, now: Timestamp) -> Option<MemberId> {
    let is_admin = |member: &MirroredMember| {
        member.role == Role::Admin && (member.stands_on_bitbucket(now) || is_invited(member, now))
    };
    let suspended: BTreeSet<MemberId> = plan
        .changes
        .iter()
        .filter_map(|change| match change {
            Change::SuspendMember { member, .. } => Some(*member),
            _ => None,
        })
        .collect();
    let mut admins = mirror.members.values().filter(|member| is_admin(member)).peekable();
    admins.peek()?;
    if admins.any(|admin| !suspended.contains(&admin.id)) {
        return None;
    }
    plan.changes.iter().find_map(|change| match change {
        Change::SuspendMember {
            reason: SuspensionReason::InviteEnded | SuspensionReason::GrantRevoked,
            ..
        } => None,
        Change::SuspendMember { member, .. } => {
            mirror.members.get(member).filter(|m| is_admin(m)).map(|m| m.id)
        }
        _ => None,
    })
}

fn is_invited(member: &MirroredMember, now: Timestamp) -> bool {
    member.standing == crate::mirror::MemberStanding::Active && member.has_valid_invite(now)
}

/// The removals of a plan that the mirror shows to be done: what a run that broke off had come to.
pub fn done<'p>(mirror: &'p Mirror, run: RunId, plan: &'p Plan) -> impl Iterator<Item = &'p Change> {
    plan.changes.iter().filter(move |change| match change {
        Change::SuspendMember { member, .. } => {
            mirror.members.get(member).is_some_and(|member| member.suspended_by == Some(run))
        }
        Change::RemovePerson { person } => mirror.people.get(&person.uuid).is_some_and(|person| person.left),
        Change::RemoveTeam { team } => mirror.teams.get(&team.id).is_some_and(|team| team.removed),
        Change::RemoveTeamMember { team, person, .. } => {
            mirror.people.get(person).is_none_or(|person| !person.teams.contains(team))
        }
        Change::SetProject { after, .. } => {
            after.removed && mirror.projects.get(&after.uuid).is_some_and(|project| project.removed)
        }
        Change::RemoveRepository { repository } => {
            mirror.repositories.get(&repository.uuid).is_some_and(|repository| repository.removed)
        }
        Change::SetResponsibility { team, repository, after: None, .. } => {
            !mirror.responsibilities.contains_key(&(*team, *repository))
        }
        _ => false,
    })
}

/// The removals of each kind. Kinds of which only such go that follow from other removals have a zero.
fn counted<'c>(changes: impl IntoIterator<Item = &'c Change>) -> BTreeMap<Removal, usize> {
    let mut counted = BTreeMap::new();
    for change in changes {
        if let Some(kind) = change.removal() {
            *counted.entry(kind).or_default() += usize::from(change.counts());
        }
    }
    counted
}

/// How many there are of a kind. Of the members, those whom the sync may shut out: others must not make room for their removal.
fn present(mirror: &Mirror, kind: Removal, now: Timestamp) -> usize {
    let people = || mirror.people.values().filter(|person| !person.left);
    match kind {
        Removal::Members => mirror.members.values().filter(|member| member.stands_on_bitbucket(now)).count(),
        Removal::People => people().count(),
        Removal::TeamMembers => people().map(|person| person.teams.len()).sum(),
        Removal::Teams => mirror.teams.values().filter(|team| !team.removed).count(),
        Removal::Projects => mirror.projects.values().filter(|project| !project.removed).count(),
        Removal::Repositories => {
            mirror.repositories.values().filter(|repository| !repository.removed).count()
        }
        Removal::Responsibilities => mirror.responsibilities.len(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cap_is_the_larger_of_three_and_a_quarter() {
        let caps = Caps::default();
        let allowed: Vec<_> = [0, 1, 4, 12, 13, 16, 100].map(|present| caps.allowed(present)).into();
        assert_eq!(allowed, [3, 3, 3, 3, 3, 4, 25]);
    }
}
