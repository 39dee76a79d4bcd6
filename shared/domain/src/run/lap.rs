//! Laps: going round something that is too large for one run, without asking for anything twice.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::bitbucket::{ProjectUuid, RepositoryUuid};
use crate::plan::grants::ToRead;

/// As many repositories may be read ahead of their turn, because nothing has ever been read of them.
const MOST_AHEAD: usize = 500;

/// The grants lane on its way round the repositories, in the order of their UUIDs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lap {
    /// When it began.
    pub started_at: Timestamp,
    /// The last repository whose turn has passed.
    after: Option<RepositoryUuid>,
    /// Repositories further on that were read ahead of their turn.
    ahead: BTreeSet<RepositoryUuid>,
    /// Repositories that could not be read, and whose turn has passed: the lap is not a full one.
    missed: usize,
}

impl Lap {
    /// A lap at its beginning.
    pub fn begin(now: Timestamp) -> Self {
        Self { started_at: now, after: None, ahead: BTreeSet::new(), missed: 0 }
    }

    /// What is to be read in the rest of the lap, `urgent` repositories and those of which nothing was ever read first. `to_read`
    /// is in the order of UUIDs.
    pub fn rest(&self, to_read: &[ToRead], urgent: &BTreeSet<RepositoryUuid>) -> Vec<ToRead> {
        let is_behind = |uuid: &RepositoryUuid| Some(*uuid) <= self.after;
        let is_first = |to_read: &ToRead| to_read.unread || urgent.contains(&to_read.repository);
        let due = |to_read: &&ToRead| {
            if is_behind(&to_read.repository) {
                to_read.unread
            } else {
                !self.ahead.contains(&to_read.repository)
            }
        };
        // A workspace that is read for the first time is read in order: everything is unread there.
        let room = MOST_AHEAD.saturating_sub(self.ahead.len());
        let (first, turn): (Vec<ToRead>, Vec<ToRead>) =
            to_read.iter().filter(due).partition(|read| is_first(read));
        let (mut rest, mut later): (Vec<ToRead>, Vec<ToRead>) = (Vec::new(), turn);
        for read in first {
            if is_behind(&read.repository) || (rest.len() < room && !later.is_empty()) {
                rest.push(read);
            } else {
                later.push(read);
            }
        }
        later.sort_by_key(|read| read.repository);
        rest.append(&mut later);
        rest
    }

    /// Notes that repositories were read, or could not be. Turns pass in order: `to_read` is what [`Lap::rest`] gave, and `read`
    /// tells of each, as far as the run came, whether it was read.
    pub fn pass(&mut self, read: impl IntoIterator<Item = (RepositoryUuid, bool)>, to_read: &[ToRead]) {
        let mut reached = BTreeSet::new();
        for (uuid, was_read) in read {
            self.missed += usize::from(!was_read);
            reached.insert(uuid);
        }
        // The turn has passed for everything before the first one that is still to be read.
        let mut waiting: Vec<RepositoryUuid> =
            to_read.iter().map(|read| read.repository).filter(|uuid| !reached.contains(uuid)).collect();
        waiting.retain(|uuid| Some(*uuid) > self.after);
        waiting.sort_unstable();
        let next = waiting.first().copied();
        self.ahead.extend(reached.into_iter().filter(|uuid| Some(*uuid) > self.after));
        let passed = match next {
            Some(next) => self.ahead.range(..next).next_back().copied(),
            None => self.ahead.last().copied(),
        };
        if let Some(passed) = passed {
            self.after = Some(passed);
            self.ahead = self.ahead.split_off(&passed);
            self.ahead.remove(&passed);
        }
    }

    /// Whether something could not be read on the way.
    pub fn has_gaps(&self) -> bool {
        self.missed > 0
    }
}

impl Lap {
    /// Whether there is nothing left to read.
    pub fn is_over(&self, to_read: &[ToRead]) -> bool {
        self.rest(to_read, &BTreeSet::new()).is_empty()
    }
}

/// The structure lane on its way round the projects, after the repositories and projects themselves were listed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StructureLap {
    /// When the listings were read.
    pub listed_at: Timestamp,
    /// The projects whose grants are still to be read.
    pub projects: BTreeSet<ProjectUuid>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use uuid::Uuid;

    fn repository(n: u16) -> RepositoryUuid {
        RepositoryUuid::new(Uuid::from_u128(u128::from(n)))
    }

    proptest! {
        #[test]
        fn a_lap_reads_every_repository_once_however_small_the_steps_and_whatever_appears_meanwhile(
            known in prop::collection::btree_set(0_u16..300, 0..60),
            new in prop::collection::btree_set(0_u16..300, 0..20),
            urgent in prop::collection::btree_set(0_u16..300, 0..10),
            steps in prop::collection::vec((1_usize..9, any::<bool>()), 1..60),
        ) {
            let mut unread: BTreeSet<u16> = new.difference(&known).copied().collect();
            let urgent: BTreeSet<_> = urgent.into_iter().map(repository).collect();
            let mut present = known.clone();
            let mut lap = Lap::begin(Timestamp::EPOCH);
            let mut count = std::collections::BTreeMap::<RepositoryUuid, usize>::new();
            for (at, (step, appear)) in steps.into_iter().chain(std::iter::repeat_n((50, true), 9)).enumerate() {
                if appear && at > 0 { present.extend(new.iter().copied()); }
                let to_read: Vec<ToRead> = present.iter().map(|n| ToRead {
                    repository: repository(*n), groups: true, users: true, unread: unread.contains(n),
                }).collect();
                // What is read goes through the store, as a run would load it again.
                lap = serde_json::from_str(&serde_json::to_string(&lap).unwrap()).unwrap();
                let rest = lap.rest(&to_read, &urgent);
                let read: Vec<_> = rest.iter().take(step).map(|read| (read.repository, true)).collect();
                for (uuid, _) in &read { *count.entry(*uuid).or_default() += 1; }
                unread.retain(|n| !read.contains(&(repository(*n), true)));
                lap.pass(read, &rest);
            }
            let expected: std::collections::BTreeMap<_, _> = present.iter().map(|n| (repository(*n), 1)).collect();
            prop_assert_eq!(count, expected);
        }
    }

    #[test]
    fn what_was_never_read_comes_first_in_a_later_lap() {
        let to_read: Vec<ToRead> = (0..4)
            .map(|n| ToRead { repository: repository(n), groups: true, users: false, unread: n == 3 })
            .collect();
        let lap = Lap::begin(Timestamp::EPOCH);
        let order: Vec<_> = lap.rest(&to_read, &BTreeSet::new()).iter().map(|read| read.repository).collect();
        assert_eq!(order, [3, 0, 1, 2].map(repository));
    }
}
