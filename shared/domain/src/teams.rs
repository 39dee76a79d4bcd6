//! Following user groups through time.
//!
//! Bitbucket gives a group no id: it has a slug, which a rename may change and a later group may take over. A team is followed by
//! evidence, and where the evidence leaves a choice, a new team is made: two are never merged.

use std::collections::{BTreeMap, BTreeSet};

use sha2::Digest as _;

use crate::bitbucket::{AccountUuid, GroupSlug};
use crate::mirror::{SeenGroup, Team};
use crate::{TeamId, Timestamp, WorkspaceId};

/// A team with its people, as the mirror has it.
#[derive(Debug, Clone)]
pub struct KnownTeam<'a> {
    /// The team.
    pub team: &'a Team,
    /// Who is in it.
    pub people: BTreeSet<AccountUuid>,
}

/// A group with those of its people that the mirror has or is about to have.
///
/// A group's listing also names bots and accounts that have left. They are never in a team, so they must not count when a group is
/// compared with one.
#[derive(Debug, Clone)]
pub struct SeenTeam<'a> {
    /// The group.
    pub group: &'a SeenGroup,
    /// Who of it counts.
    pub people: BTreeSet<AccountUuid>,
}

/// By what a group is known to be a team. In the order in which it is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sign {
    /// The slug and the name.
    SlugAndName,
    /// The slug and the people.
    SlugAndPeople,
    /// The name and the people.
    NameAndPeople,
    /// The people alone, exactly.
    SamePeople,
}

/// Which team each group is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Followed {
    /// Groups that are a team already known, and by what.
    pub known: BTreeMap<GroupSlug, (TeamId, Sign)>,
    /// Groups that are a new team, with the id it gets.
    pub new: BTreeMap<GroupSlug, TeamId>,
}

impl Followed {
    /// The team of a group.
    pub fn team(&self, slug: &GroupSlug) -> Option<TeamId> {
        self.known.get(slug).map(|(team, _)| team).or_else(|| self.new.get(slug)).copied()
    }
}

/// Finds the team of every group.
///
/// A group is a known team where two of three agree: its slug, its name, and its people. In this order, each team and each group
/// being used once:
/// 1. same slug and same name;
/// 2. same slug and alike in people;
/// 3. same name and alike in people, if that is one group and one team;
/// 4. exactly the same people, two or more of them, if that is one group and one team.
///
/// Alike means that half or more of all who are in either are in both, or that both are empty. One group and one team means: of all
/// there are, whether they are already accounted for or not. Whatever is left is a new team.
///
/// `all` are all teams the mirror ever had, those removed included: they decide the id of a new one, so that the same group gets
/// the same id however often a run is repeated.
pub fn follow(
    workspace: WorkspaceId,
    known: &[KnownTeam<'_>],
    all: &BTreeMap<TeamId, Team>,
    groups: &[SeenTeam<'_>],
) -> Followed {
    let mut pairing = Pairing { known, groups, followed: Followed::default(), paired: BTreeSet::new() };
    pairing.by_slug(Sign::SlugAndName, |known, seen| known.team.name == seen.group.name);
    pairing.by_slug(Sign::SlugAndPeople, |known, seen| alike(&known.people, &seen.people));
    pairing.one_to_one(Sign::NameAndPeople, |known, seen| {
        known.team.name == seen.group.name && alike(&known.people, &seen.people)
    });
    pairing
        .one_to_one(Sign::SamePeople, |known, seen| known.people.len() >= 2 && known.people == seen.people);
    let left: Vec<&GroupSlug> = pairing.left().map(|seen| &seen.group.slug).collect();
    let mut followed = pairing.followed;
    for slug in left {
        followed.new.insert(slug.clone(), new_id(workspace, all, slug));
    }
    followed
}

/// Whether half or more of all who are in either are in both, or nobody is in either.
fn alike(one: &BTreeSet<AccountUuid>, other: &BTreeSet<AccountUuid>) -> bool {
    let both = one.intersection(other).count();
    both * 2 >= one.len() + other.len() - both
}

/// Groups and teams while they are being paired.
struct Pairing<'p, 'a> {
    known: &'p [KnownTeam<'a>],
    groups: &'p [SeenTeam<'a>],
    followed: Followed,
    paired: BTreeSet<TeamId>,
}

impl<'p, 'a> Pairing<'p, 'a> {
    /// Groups without a team so far.
    fn left(&self) -> impl Iterator<Item = &'p SeenTeam<'a>> {
        self.groups.iter().filter(|seen| !self.followed.known.contains_key(&seen.group.slug))
    }

    fn pair(&mut self, pairs: Vec<(&GroupSlug, TeamId)>, sign: Sign) {
        for (slug, team) in pairs {
            self.followed.known.insert(slug.clone(), (team, sign));
            self.paired.insert(team);
        }
    }

    /// Pairs groups with teams of the same slug. Two teams can have one slug while the removal of the older one is held back: then
    /// the one with more people in common is meant, and where that does not tell, the first.
    fn by_slug(&mut self, sign: Sign, agree: impl Fn(&KnownTeam<'_>, &SeenTeam<'_>) -> bool) {
        let mut of_slug: BTreeMap<&GroupSlug, Vec<&KnownTeam<'_>>> = BTreeMap::new();
        for known in self.known.iter().filter(|known| !self.paired.contains(&known.team.id)) {
            of_slug.entry(&known.team.slug).or_default().push(known);
        }
        let best = |seen: &SeenTeam<'_>| {
            let candidates = of_slug.get(&seen.group.slug).into_iter().flatten();
            candidates.filter(|known| agree(known, seen)).map(|known| known.best_for(seen)).min()
        };
        let pairs =
            self.left().filter_map(|seen| best(seen).map(|(_, team)| (&seen.group.slug, team))).collect();
        self.pair(pairs, sign);
    }

    /// Pairs groups with teams where the evidence points from one group to one team and back.
    fn one_to_one(&mut self, sign: Sign, agree: impl Fn(&KnownTeam<'_>, &SeenTeam<'_>) -> bool) {
        let pairs = self.left().filter_map(|seen| {
            let mut candidates = self.known.iter().filter(|known| agree(known, seen));
            let only = candidates.next().filter(|_| candidates.next().is_none())?;
            let mut others = self.groups.iter().filter(|other| agree(only, other));
            let unique = others.next().is_some() && others.next().is_none();
            (unique && !self.paired.contains(&only.team.id)).then_some((&seen.group.slug, only.team.id))
        });
        let pairs = pairs.collect();
        self.pair(pairs, sign);
    }
}

impl KnownTeam<'_> {
    /// Sorts the better candidate first: more people in common, then the smaller id.
    fn best_for(&self, seen: &SeenTeam<'_>) -> (core::cmp::Reverse<usize>, TeamId) {
        (core::cmp::Reverse(self.people.intersection(&seen.people).count()), self.team.id)
    }
}

/// The id of a new team: the first that is free of those that the workspace and the slug decide. It must not depend on what other
/// teams are called: they may be renamed by the very plan that adds this one.
fn new_id(workspace: WorkspaceId, all: &BTreeMap<TeamId, Team>, slug: &GroupSlug) -> TeamId {
    let mut generation = 0_u64;
    loop {
        let hash = sha2::Sha256::digest(format!("team|{workspace}|{slug}|{generation}"));
        let mut random = [0_u8; 10];
        random.iter_mut().zip(hash).for_each(|(byte, from)| *byte = from);
        let id = TeamId::new(Timestamp::EPOCH, random);
        if !all.contains_key(&id) {
            return id;
        }
        generation += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn people(numbers: &[u128]) -> BTreeSet<AccountUuid> {
        numbers.iter().map(|n| AccountUuid::new(Uuid::from_u128(*n))).collect()
    }
    fn group(slug: &str, name: &str, members: &[u128]) -> SeenGroup {
        let members = people(members).into_iter().map(|person| (person, true)).collect();
        SeenGroup { slug: slug.parse().unwrap(), name: name.into(), members }
    }
    fn team(n: u8, slug: &str, name: &str) -> Team {
        Team {
            id: TeamId::new(Timestamp::EPOCH, [n; 10]),
            slug: slug.parse().unwrap(),
            name: name.into(),
            removed: false,
        }
    }
    fn ask(known: &[(&Team, &[u128])], groups: &[SeenGroup]) -> Followed {
        let workspace = WorkspaceId::new(Timestamp::EPOCH, [0; 10]);
        let all = known.iter().map(|(team, _)| (team.id, (*team).clone())).collect();
        let known: Vec<_> =
            known.iter().map(|(team, members)| KnownTeam { team, people: people(members) }).collect();
        let groups: Vec<_> = groups
            .iter()
            .map(|group| SeenTeam { group, people: group.members.keys().copied().collect() })
            .collect();
        follow(workspace, &known, &all, &groups)
    }

    #[test]
    fn a_rename_keeps_the_team_whether_or_not_the_slug_changes() {
        let dev = team(1, "dev", "Developers");
        for renamed in [
            group("dev", "Engineers", &[1, 2]),
            group("developers", "Developers", &[1, 2]),
            group("eng", "Engineers", &[1, 2]),
        ] {
            let followed = ask(&[(&dev, &[1, 2])], std::slice::from_ref(&renamed));
            assert_eq!(followed.team(&renamed.slug), Some(dev.id), "{renamed:?}");
        }
    }

    #[test]
    fn a_slug_taken_over_by_another_group_is_another_team() {
        let dev = team(1, "dev", "Developers");
        let followed = ask(&[(&dev, &[1, 2])], &[group("dev", "Auditors", &[7, 8])]);
        assert!(followed.known.is_empty());
        assert_ne!(followed.team(&"dev".parse().unwrap()), Some(dev.id));
    }

    #[test]
    fn a_slug_taken_over_is_not_a_rename_because_one_admin_is_in_both_or_because_one_is_empty() {
        let dev = team(1, "dev", "Developers");
        let everybody: &[u128] = &[1, 2, 3, 4, 5, 6];
        for (before, after) in [(everybody, &[1_u128, 8][..]), (everybody, &[]), (&[], everybody)] {
            let followed = ask(&[(&dev, before)], &[group("dev", "Auditors", after)]);
            assert!(followed.known.is_empty(), "{before:?} {after:?}");
        }
    }

    #[test]
    fn an_empty_group_is_followed_through_its_rename() {
        let dev = team(1, "dev", "Developers");
        let followed = ask(&[(&dev, &[])], &[group("dev", "Engineers", &[])]);
        assert_eq!(followed.team(&"dev".parse().unwrap()), Some(dev.id));
    }

    #[test]
    fn while_an_older_team_of_the_same_slug_waits_for_its_removal_the_newer_one_is_followed() {
        let (old, new) = (team(1, "dev", "Developers"), team(2, "dev", "Auditors"));
        let known: &[(&Team, &[u128])] = &[(&old, &[1, 2]), (&new, &[7, 8])];
        for later in [group("dev", "Auditors", &[7, 8, 9]), group("dev", "Audit", &[7, 8])] {
            let followed = ask(known, std::slice::from_ref(&later));
            assert_eq!(followed.team(&later.slug), Some(new.id), "{later:?}");
        }
    }

    #[test]
    fn neither_the_order_of_the_listing_nor_that_of_the_teams_matters() {
        let (a, b, c) = (team(1, "a", "A"), team(2, "b", "B"), team(3, "a", "A"));
        let mut known: Vec<(&Team, &[u128])> = vec![(&a, &[1, 2]), (&b, &[3, 4]), (&c, &[1, 2])];
        let mut groups = vec![group("a", "A", &[1, 2]), group("c", "B", &[3, 4]), group("d", "D", &[9])];
        let one = ask(&known, &groups);
        known.reverse();
        groups.reverse();
        assert_eq!(ask(&known, &groups), one);
    }

    #[test]
    fn two_groups_that_swap_their_slugs_keep_their_teams() {
        let (dev, ops) = (team(1, "dev", "Developers"), team(2, "ops", "Operations"));
        let followed = ask(
            &[(&dev, &[1, 2]), (&ops, &[3, 4])],
            &[group("ops", "Developers", &[1, 2]), group("dev", "Operations", &[3, 4])],
        );
        assert_eq!(followed.team(&"ops".parse().unwrap()), Some(dev.id));
        assert_eq!(followed.team(&"dev".parse().unwrap()), Some(ops.id));
    }

    #[test]
    fn where_the_evidence_leaves_a_choice_a_new_team_is_made() {
        let (a, b) = (team(1, "a", "Twins"), team(2, "b", "Twins"));
        let followed = ask(&[(&a, &[1, 2]), (&b, &[1, 2])], &[group("c", "Twins", &[1, 2])]);
        assert!(followed.known.is_empty());
        assert_eq!(followed.new.len(), 1);
    }

    #[test]
    fn no_two_groups_ever_become_one_team() {
        let dev = team(1, "dev", "Developers");
        let followed = ask(
            &[(&dev, &[1, 2])],
            &[group("dev", "Developers", &[1, 2]), group("dev-2", "Developers", &[1, 2])],
        );
        assert_eq!(followed.team(&"dev".parse().unwrap()), Some(dev.id));
        assert_ne!(followed.team(&"dev-2".parse().unwrap()), Some(dev.id));
    }

    #[test]
    fn the_same_new_group_gets_the_same_id_again() {
        let one = ask(&[], &[group("dev", "Developers", &[1])]);
        assert_eq!(one, ask(&[], &[group("dev", "Developers", &[1])]));
    }
}
