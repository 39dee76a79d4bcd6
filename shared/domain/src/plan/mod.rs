//! The plan: the exact changes a run would make, in the order it would make them.
//!
//! Pure: the same mirror, snapshot, settings and time give the same plan, byte for byte. What the plan removes can be held back
//! by the [`guard`]; what it adds is never in the way of that.

mod change;
pub mod confirm;
pub mod grants;
pub mod guard;
pub mod members;
pub mod structure;
mod team;
mod text;
pub mod undo;

use core::fmt;

use serde::{Deserialize, Serialize};
use sha2::Digest as _;

pub use change::{Change, Removal};
pub use guard::{Caps, Verdict};
pub use text::Readable;

/// What a run reads, and so what it may change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Lane {
    /// Members, owners, groups with their members. Every 15 minutes; it offboards.
    Members,
    /// Repositories, projects, what projects grant. Daily.
    Structure,
    /// What repositories grant by themselves. Rolling.
    Grants,
}

impl Lane {
    /// As it is written in answers and the table.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Members => "members",
            Self::Structure => "structure",
            Self::Grants => "grants",
        }
    }
}

/// Something that was kept as it was, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// What: a person, a team, a listing.
    pub what: String,
    /// Why, for an admin to read.
    pub why: String,
}

impl Kept {
    /// Notes that something was kept.
    pub fn new(what: impl Into<String>, why: impl Into<String>) -> Self {
        Self { what: what.into(), why: why.into() }
    }
}

/// The hash by which a plan is approved.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PlanHash(String);

impl PlanHash {
    /// The hash's text: 64 hexadecimal digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Takes a hash that somebody wrote. Anything that is not one simply equals none.
    pub fn claimed(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for PlanHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The exact changes of a run, in order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// The lane it comes from.
    pub lane: Lane,
    /// The changes, in the order in which they are made. Any beginning of them leaves a valid state.
    pub changes: Vec<Change>,
    /// What was kept back while planning.
    pub kept: Vec<Kept>,
}

impl Plan {
    /// A plan that changes nothing.
    pub fn empty(lane: Lane) -> Self {
        Self { lane, changes: Vec::new(), kept: Vec::new() }
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// The hash that an approval names: of the lane and the changes, and nothing else.
    pub fn hash(&self) -> PlanHash {
        let mut hasher = sha2::Sha256::new();
        hasher.update(self.lane.as_str());
        for change in &self.changes {
            hasher.update(b"\n");
            // A change is made of texts, numbers and maps with text keys, which always serialise.
            hasher.update(serde_json::to_vec(change).unwrap_or_default());
        }
        PlanHash(crate::secret::hexadecimal(&hasher.finalize()))
    }

    /// Parts the removals from the rest: (what may be done at once, what the guard may hold back).
    pub fn part_removals(self) -> (Self, Self) {
        let (removals, rest) = self.changes.into_iter().partition(|change| change.removal().is_some());
        let held = Self { lane: self.lane, changes: removals, kept: Vec::new() };
        (Self { lane: self.lane, changes: rest, kept: self.kept }, held)
    }
}
