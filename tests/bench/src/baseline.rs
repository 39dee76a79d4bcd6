//! What things cost when somebody last looked: `--check` fails where one of them costs 5 % more, `--bless` writes what it costs now.
//!
//! Calls are the same on every machine. Instructions are compared only where the compiler is the one that they were counted with.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::counts::AtSize;
use crate::plans::Instructions;

/// What is allowed on top, in hundredths.
const MOST_MORE: u64 = 5;

/// Counts that depend on no machine.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Baseline {
    /// The compiler with which the instructions were counted.
    pub(crate) rustc: String,
    /// Instructions of each plan.
    pub(crate) instructions: Instructions,
    /// By what was done, the calls of each kind.
    pub(crate) calls: BTreeMap<String, BTreeMap<String, u64>>,
}

fn path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("baseline.json")
}

impl Baseline {
    pub(crate) fn new(rustc: &str, sizes: &[AtSize], instructions: Option<&Instructions>) -> Self {
        let mut calls = BTreeMap::new();
        for at in sizes {
            for counted in &at.counted {
                let counts = counted.cost.counts().map(|(name, count)| (name.to_owned(), count));
                calls.insert(format!("{}: {}", at.size.name, counted.what), counts.into());
            }
        }
        Self { rustc: rustc.to_owned(), instructions: instructions.cloned().unwrap_or_default(), calls }
    }

    /// The committed one.
    pub(crate) fn read() -> Self {
        let text = fs::read_to_string(path()).unwrap();
        serde_json::from_str(&text).unwrap()
    }

    /// Puts it in place of the committed one. What could not be counted here stays as it was.
    pub(crate) fn write(mut self) {
        if self.instructions.is_empty()
            && let Some(before) = path().is_file().then(Self::read)
        {
            (self.rustc, self.instructions) = (before.rustc, before.instructions);
        }
        fs::write(path(), serde_json::to_string_pretty(&self).unwrap() + "\n").unwrap();
    }

    /// Of each count the one of both that `choose` takes. A sign-in asks for the repositories before it knows whether it needs them, and drops
    /// the answer: whether one call more was made by then is a race, which one count may lose and another win.
    pub(crate) fn together_with(mut self, other: &Self, choose: fn(u64, u64) -> u64) -> Self {
        for (what, counts) in &mut self.calls {
            for (name, count) in counts {
                let there = other.calls.get(what).and_then(|counts| counts.get(name));
                *count = there.map_or(*count, |there| choose(*count, *there));
            }
        }
        self
    }

    /// How many figures there are to compare.
    pub(crate) fn compared_with(&self, now: &Self) -> usize {
        let instructions = if now.instructions.is_empty() { 0 } else { self.instructions.len() };
        instructions + self.calls.values().map(BTreeMap::len).sum::<usize>()
    }

    /// A line for everything that costs more than this allows.
    pub(crate) fn exceeded_by(&self, now: &Self) -> Vec<String> {
        let mut lines = Vec::new();
        for (what, before) in &self.calls {
            let Some(counts) = now.calls.get(what) else {
                lines.push(format!("{what} was not counted any more"));
                continue;
            };
            for (name, before) in before {
                let count = counts.get(name).copied().unwrap_or_default();
                lines.extend(exceeded(&format!("{what}: {name}"), *before, count));
            }
        }
        if !now.instructions.is_empty() {
            for (what, before) in &self.instructions {
                let count = now.instructions.get(what).copied().unwrap_or_default();
                lines.extend(exceeded(&format!("plan, {what}: instructions"), *before, count));
            }
        }
        lines
    }
}

fn exceeded(what: &str, before: u64, now: u64) -> Option<String> {
    let most = before + before * MOST_MORE / 100;
    (now > most).then(|| format!("{what}: {now}, and {most} at most (it was {before})"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_in_a_hundred_more_is_allowed_and_no_more() {
        assert_eq!(exceeded("x", 100, 105), None);
        assert!(exceeded("x", 100, 106).is_some());
        assert!(exceeded("x", 4, 5).is_some(), "a single call more is one too many where there are few");
        assert_eq!(exceeded("x", 4, 3), None);
    }

    #[test]
    fn of_two_counts_the_higher_is_kept_and_the_lower_is_compared() {
        let counted = |calls| {
            let counts = BTreeMap::from([("reads".to_owned(), calls)]);
            Baseline {
                calls: BTreeMap::from([("small: a sign-in".to_owned(), counts)]),
                ..Baseline::default()
            }
        };
        let baseline = counted(3).together_with(&counted(4), u64::max);
        let now = counted(5).together_with(&counted(4), u64::min);
        assert_eq!(baseline.exceeded_by(&now), Vec::<String>::new());
        assert_eq!(baseline.exceeded_by(&counted(5)).len(), 1);
    }

    #[test]
    fn what_is_not_counted_any_more_is_noticed() {
        let calls =
            BTreeMap::from([("small: an invite".to_owned(), BTreeMap::from([("reads".to_owned(), 1)]))]);
        let before = Baseline { calls, ..Baseline::default() };
        assert_eq!(before.exceeded_by(&Baseline::default()).len(), 1);
        assert_eq!(before.exceeded_by(&before), Vec::<String>::new());
    }
}
