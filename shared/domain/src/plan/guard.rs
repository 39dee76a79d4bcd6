//! The guard: how much a run may remove by itself.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Change, Plan, Removal};
use crate::MemberId;
use crate::member::Role;
use crate::mirror::{MemberStanding, Mirror};

/// How many removals of a kind a run may make by itself: at most the larger of a number and a share of what there is.
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
        /// How many there are.
        present: usize,
        /// How many may go without approval.
        allowed: usize,
    },
    /// All there are of a kind.
    All {
        /// Of what.
        kind: Removal,
        /// How many.
        removals: usize,
    },
    /// No active admin would be left.
    LastAdmin {
        /// Who.
        member: MemberId,
    },
    /// Removals are turned off for the connection.
    TurnedOff,
}

impl core::fmt::Display for Held {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::OverCap { kind, removals, present, allowed } => {
                write!(
                    f,
                    "{removals} of {present} {} would be removed, and at most {allowed} may go without approval",
                    kind.as_str()
                )
            }
            Self::All { kind, removals } => write!(f, "all {removals} {} would be removed", kind.as_str()),
            Self::LastAdmin { member } => write!(f, "{member} is the last active admin"),
            Self::TurnedOff => write!(f, "removals are turned off for this connection"),
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

/// Judges a plan's removals against what the mirror has.
pub fn judge(mirror: &Mirror, plan: &Plan, caps: Caps, removals_off: bool) -> Verdict {
    let mut counted: BTreeMap<Removal, usize> = BTreeMap::new();
    let removals = plan.changes.iter().filter_map(|change| change.removal().map(|kind| (kind, change)));
    let mut any = false;
    for (kind, change) in removals {
        any = true;
        *counted.entry(kind).or_default() += usize::from(change.counts());
    }
    let mut held = Vec::new();
    if any && removals_off {
        held.push(Held::TurnedOff);
    }
    for (kind, removals) in counted {
        let present = present(mirror, kind);
        let allowed = caps.allowed(present);
        if removals > allowed {
            held.push(Held::OverCap { kind, removals, present, allowed });
        } else if removals > 0 && removals >= present {
            held.push(Held::All { kind, removals });
        }
    }
    held.extend(last_admin(mirror, plan));
    if held.is_empty() { Verdict::Free } else { Verdict::Hold(held) }
}

fn present(mirror: &Mirror, kind: Removal) -> usize {
    let people = || mirror.people.values().filter(|person| !person.left);
    match kind {
        Removal::Members => {
            mirror.members.values().filter(|member| member.standing == MemberStanding::Active).count()
        }
        Removal::People => people().count(),
        Removal::TeamMembers => people().map(|person| person.teams.len()).sum(),
        Removal::Teams => mirror.teams.values().filter(|team| !team.removed).count(),
        Removal::Repositories => {
            mirror.repositories.values().filter(|repository| !repository.removed).count()
        }
        Removal::Responsibilities => mirror.responsibilities.len(),
    }
}

/// The admin without whom there would be none, if the plan suspends the last one.
fn last_admin(mirror: &Mirror, plan: &Plan) -> Option<Held> {
    let is_admin = |id: &MemberId| {
        mirror
            .members
            .get(id)
            .is_some_and(|member| member.role == Role::Admin && member.standing == MemberStanding::Active)
    };
    let suspended: Vec<MemberId> = plan
        .changes
        .iter()
        .filter_map(|change| match change {
            Change::SuspendMember { member, .. } if is_admin(member) => Some(*member),
            _ => None,
        })
        .collect();
    let admins = mirror.members.keys().filter(|id| is_admin(id)).count();
    suspended.last().filter(|_| suspended.len() == admins).map(|member| Held::LastAdmin { member: *member })
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
