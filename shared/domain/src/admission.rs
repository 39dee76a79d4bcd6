//! Sign-in with Bitbucket: who gets in.

use core::time::Duration;
use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::bitbucket::RepositoryUuid;
use crate::connection::Policy;

/// How long the last full lap of the sync may stand for a listing at sign-in.
pub const VERIFIED_SET_AGE: Duration = Duration::from_hours(26);

/// Above how many calls a listing at sign-in may be replaced by the last full lap's verified set.
pub const MOST_LISTING_CALLS: usize = 10;

/// What Bitbucket says of the person in the workspace, asked with their own token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// Not in the Bitbucket workspace.
    Outside,
    /// In it.
    Member,
    /// Owns it, which gives access to everything.
    Owner,
}

/// Why somebody is let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "rule", rename_all = "snake_case")]
pub enum Ground {
    /// Owns the Bitbucket workspace.
    Owner,
    /// Can access all private repositories: the two sets are equal.
    AllRepositories {
        /// How many there are.
        of: usize,
    },
    /// Can access at least one private repository.
    AnyRepository,
    /// Is a member of the Bitbucket workspace, and the policy asks for no more.
    WorkspaceMember,
    /// The last full lap of the sync found access to all private repositories, and none has been added since.
    VerifiedSet,
}

/// Why somebody is not let in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "rule", rename_all = "snake_case")]
pub enum Refusal {
    /// Not in the Bitbucket workspace.
    NotInWorkspace,
    /// Cannot access some private repositories.
    MissingRepositories {
        /// Which.
        missing: BTreeSet<RepositoryUuid>,
        /// Of how many.
        of: usize,
    },
    /// Can access none of the workspace's private repositories.
    NoRepository,
}

/// Why nothing can be said now. Neither yes nor no.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Undecided {
    /// The workspace's listing of private repositories is empty: it proves nothing.
    WorkspaceSetEmpty,
    /// The person's listing is empty: it proves nothing.
    PersonSetEmpty,
    /// A listing that is needed has not been read.
    NotRead,
}

/// The decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Admission {
    /// Let in.
    Admit(Ground),
    /// Not let in, for a reason that can be told.
    Refuse(Refusal),
    /// Try again later.
    Undecided(Undecided),
}

/// The repositories that have to be compared.
#[derive(Debug, Clone, Copy)]
pub struct Sets<'a> {
    /// Private repositories the person can access: a complete listing with their own token.
    pub person: &'a BTreeSet<RepositoryUuid>,
    /// Private repositories of the workspace: a complete listing with the connection's credential.
    pub workspace: &'a BTreeSet<RepositoryUuid>,
}

/// Whether the standing alone decides, so that no repository has to be listed.
pub fn by_standing(policy: Policy, standing: Standing) -> Option<Admission> {
    match (standing, policy) {
        (Standing::Outside, _) => Some(Admission::Refuse(Refusal::NotInWorkspace)),
        (Standing::Owner, _) => Some(Admission::Admit(Ground::Owner)),
        (Standing::Member, Policy::WorkspaceMember) => Some(Admission::Admit(Ground::WorkspaceMember)),
        (Standing::Member, Policy::AllRepositories | Policy::AnyRepository) => None,
    }
}

/// Tells one set of repositories from every other: SHA-256 of their UUIDs in order, in hexadecimal digits.
pub fn set_digest<'a>(repositories: impl IntoIterator<Item = &'a RepositoryUuid>) -> String {
    use sha2::Digest as _;
    let sorted: BTreeSet<&RepositoryUuid> = repositories.into_iter().collect();
    let mut hasher = sha2::Sha256::new();
    for uuid in sorted {
        hasher.update(uuid.as_uuid().as_bytes());
    }
    crate::secret::hexadecimal(&hasher.finalize())
}

/// Decides about a sign-in. `sets` is `None` while a listing it needs has not been read completely.
pub fn decide(policy: Policy, standing: Standing, sets: Option<Sets<'_>>) -> Admission {
    if let Some(decided) = by_standing(policy, standing) {
        return decided;
    }
    let Some(Sets { person, workspace }) = sets else { return Admission::Undecided(Undecided::NotRead) };
    if workspace.is_empty() {
        return Admission::Undecided(Undecided::WorkspaceSetEmpty);
    }
    if person.is_empty() {
        return Admission::Undecided(Undecided::PersonSetEmpty);
    }
    let missing: BTreeSet<_> = workspace.difference(person).copied().collect();
    match policy {
        Policy::AllRepositories if missing.is_empty() => {
            Admission::Admit(Ground::AllRepositories { of: workspace.len() })
        }
        Policy::AllRepositories => {
            Admission::Refuse(Refusal::MissingRepositories { missing, of: workspace.len() })
        }
        Policy::AnyRepository if missing.len() < workspace.len() => Admission::Admit(Ground::AnyRepository),
        Policy::AnyRepository => Admission::Refuse(Refusal::NoRepository),
        Policy::WorkspaceMember => Admission::Admit(Ground::WorkspaceMember),
    }
}

/// What the last full lap of the sync knows of a person, to stand for a listing that would cost too many calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VerifiedSet {
    /// When the lap ended.
    pub lap_ended_at: Timestamp,
    /// Whether the lap found access to all private repositories.
    pub covers_all: bool,
    /// How many private repositories the workspace had at the lap, and how many have been added since.
    pub private_repositories: usize,
    /// Private repositories that are newer than the lap.
    pub added_since: usize,
}

/// Whether a lap is young enough for what it proved to be of use to sign-ins.
pub fn is_fresh(lap_ended_at: Timestamp, now: Timestamp) -> bool {
    now.since(lap_ended_at) < VERIFIED_SET_AGE
}

/// Whether the verified set lets a member of the workspace in without a listing.
///
/// Only where the listing would take more than [`MOST_LISTING_CALLS`] calls of 100 entries, and only ever to admit.
pub fn by_verified_set(
    policy: Policy,
    standing: Standing,
    set: VerifiedSet,
    now: Timestamp,
) -> Option<Admission> {
    let calls = set.private_repositories.div_ceil(100);
    let young = is_fresh(set.lap_ended_at, now);
    let stands = policy == Policy::AllRepositories
        && standing == Standing::Member
        && set.covers_all
        && set.added_since == 0
        && young
        && calls > MOST_LISTING_CALLS;
    stands.then_some(Admission::Admit(Ground::VerifiedSet))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use uuid::Uuid;

    fn set(numbers: impl IntoIterator<Item = u128>) -> BTreeSet<RepositoryUuid> {
        numbers.into_iter().map(|n| RepositoryUuid::new(Uuid::from_u128(n))).collect()
    }

    #[test]
    fn the_table_of_decisions() {
        use Admission::{Admit, Refuse, Undecided as Later};
        use Policy::{AllRepositories as All, AnyRepository as Any, WorkspaceMember as Ws};
        let (none, one, two, other) = (set([]), set([1]), set([1, 2]), set([8, 9]));
        let sets = |person, workspace| Some(Sets { person, workspace });
        for (policy, standing, listed, expected) in [
            (All, Standing::Outside, sets(&two, &two), Refuse(Refusal::NotInWorkspace)),
            (Ws, Standing::Outside, None, Refuse(Refusal::NotInWorkspace)),
            (All, Standing::Owner, None, Admit(Ground::Owner)),
            (Ws, Standing::Member, None, Admit(Ground::WorkspaceMember)),
            (All, Standing::Member, None, Later(Undecided::NotRead)),
            (All, Standing::Member, sets(&two, &two), Admit(Ground::AllRepositories { of: 2 })),
            (All, Standing::Member, sets(&two, &one), Admit(Ground::AllRepositories { of: 1 })),
            (
                All,
                Standing::Member,
                sets(&one, &two),
                Refuse(Refusal::MissingRepositories { missing: set([2]), of: 2 }),
            ),
            (
                All,
                Standing::Member,
                sets(&other, &two),
                Refuse(Refusal::MissingRepositories { missing: set([1, 2]), of: 2 }),
            ),
            (All, Standing::Member, sets(&none, &two), Later(Undecided::PersonSetEmpty)),
            (All, Standing::Member, sets(&two, &none), Later(Undecided::WorkspaceSetEmpty)),
            (All, Standing::Member, sets(&none, &none), Later(Undecided::WorkspaceSetEmpty)),
            (Any, Standing::Member, sets(&one, &two), Admit(Ground::AnyRepository)),
            (Any, Standing::Member, sets(&other, &two), Refuse(Refusal::NoRepository)),
            (Any, Standing::Member, sets(&none, &two), Later(Undecided::PersonSetEmpty)),
        ] {
            assert_eq!(decide(policy, standing, listed), expected, "{policy:?} {standing:?} {listed:?}");
        }
    }

    proptest! {
        #[test]
        fn equal_sizes_alone_admit_nobody(workspace in prop::collection::btree_set(0_u128..40, 1..20),
                                          person in prop::collection::btree_set(0_u128..40, 1..20)) {
            let (workspace, person) = (set(workspace), set(person));
            let decision = decide(Policy::AllRepositories, Standing::Member, Some(Sets { person: &person, workspace: &workspace }));
            prop_assert_eq!(matches!(decision, Admission::Admit(_)), workspace.is_subset(&person));
        }
    }

    #[test]
    fn a_digest_is_of_the_set_and_of_nothing_else() {
        assert_eq!(set_digest(&set([2, 1])), set_digest(&set([1, 2])));
        assert_ne!(set_digest(&set([1])), set_digest(&set([1, 2])));
        assert_ne!(set_digest(&set([])), set_digest(&set([0])));
    }

    #[test]
    fn the_verified_set_stands_only_while_it_is_young_complete_and_worth_it() {
        let now = Timestamp::from_seconds(1_000_000);
        let good = VerifiedSet {
            lap_ended_at: now.minus(Duration::from_hours(1)),
            covers_all: true,
            private_repositories: 1001,
            added_since: 0,
        };
        let ask = |set| by_verified_set(Policy::AllRepositories, Standing::Member, set, now);
        assert_eq!(ask(good), Some(Admission::Admit(Ground::VerifiedSet)));
        for bad in [
            VerifiedSet { lap_ended_at: now.minus(VERIFIED_SET_AGE), ..good },
            VerifiedSet { covers_all: false, ..good },
            VerifiedSet { added_since: 1, ..good },
            VerifiedSet { private_repositories: 1000, ..good },
        ] {
            assert_eq!(ask(bad), None, "{bad:?}");
        }
    }
}
