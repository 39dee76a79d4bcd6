//! Whether what a plan removes may be done: what the guard holds back waits for an approval of exactly that.

use serde::{Deserialize, Serialize};

use crate::plan::guard::{Held, Verdict};
use crate::plan::{Plan, PlanHash};
use crate::{RunId, Timestamp};

/// Removals that wait for an approval.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Frozen {
    /// The hash an approval has to name: of exactly these removals.
    pub hash: PlanHash,
    /// The run that has shown them last.
    pub run: RunId,
    /// Since when exactly these wait.
    pub since: Timestamp,
    /// How many.
    pub removals: usize,
    /// Why.
    pub why: Vec<Held>,
}

impl Frozen {
    /// What is held back and why, in a line.
    pub fn line(&self) -> String {
        let why: Vec<String> = self.why.iter().map(ToString::to_string).collect();
        format!("{} removals wait for approval: {}", self.removals, why.join("; "))
    }
}

/// What may be done with the removals of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Release {
    /// Nothing is held back.
    Free,
    /// Held back by the guard, and approved by an admin who has seen exactly this.
    Approved,
    /// Held back.
    Hold {
        /// Why.
        why: Vec<Held>,
        /// Whether an approval was given for something else than this, and is void.
        approval_void: bool,
    },
}

/// Decides about the removals of a plan, parted from the rest. An approval is for one hash: a plan that has changed since it was
/// shown needs another one. The switch that turns removals off is not overridden by any approval.
pub fn release(verdict: Verdict, removals: &Plan, approved: Option<&PlanHash>) -> Release {
    let Verdict::Hold(why) = verdict else { return Release::Free };
    match approved {
        Some(hash) if *hash == removals.hash() && !why.contains(&Held::TurnedOff) => Release::Approved,
        approved => Release::Hold { why, approval_void: approved.is_some() },
    }
}
