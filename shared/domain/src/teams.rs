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

/// Which team each group is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Followed {
    /// Groups that are a team already known.
    pub known: BTreeMap<GroupSlug, TeamId>,
    /// Groups that are a new team, with the id it gets.
    pub new: BTreeMap<GroupSlug, TeamId>,
}

impl Followed {
    /// The team of a group.
    pub fn team(&self, slug: &GroupSlug) -> Option<TeamId> {
        self.known.get(slug).or_else(|| self.new.get(slug)).copied()
    }
}

/// Finds the team of every group.
///
/// In this order, each team and group being used once:
/// 1. same slug, and not plainly another group: that is, the same name, or somebody in common, or one of the two empty;
/// 2. same name, if that is one group and one team;
/// 3. the same people, two or more of them, if that is one group and one team.
///
/// `all` are all teams the mirror ever had, those removed included: they decide the id of a new one, so that the same group gets
/// the same id however often a run is repeated.
pub fn follow(
    workspace: WorkspaceId,
    known: &[KnownTeam<'_>],
    all: &BTreeMap<TeamId, Team>,
    groups: &[&SeenGroup],
) -> Followed {
    let mut followed = Followed::default();
    let mut teams: Vec<&KnownTeam<'_>> = known.iter().collect();
    let mut left: Vec<&SeenGroup> = Vec::new();

    for group in groups {
        let same_slug =
            teams.iter().position(|known| known.team.slug == group.slug && !is_another(known, group));
        match same_slug {
            Some(at) => {
                let team = teams.swap_remove(at);
                followed.known.insert(group.slug.clone(), team.team.id);
            }
            None => left.push(group),
        }
    }
    left = pair_once(&mut followed, &mut teams, &left, |known, group| known.team.name == group.name);
    left = pair_once(&mut followed, &mut teams, &left, |known, group| {
        known.people.len() >= 2
            && known.people.len() == group.members.len()
            && known.people.iter().all(|p| group.members.contains_key(p))
    });
    for group in left {
        followed.new.insert(group.slug.clone(), new_id(workspace, all, &group.slug));
    }
    followed
}

/// Whether a group with a team's slug is plainly another one: another name, and nobody in common where both have somebody.
fn is_another(known: &KnownTeam<'_>, group: &SeenGroup) -> bool {
    known.team.name != group.name
        && !known.people.is_empty()
        && !group.members.is_empty()
        && !known.people.iter().any(|person| group.members.contains_key(person))
}

/// Pairs groups with teams where the evidence points from one group to one team and back.
fn pair_once<'g>(
    followed: &mut Followed,
    teams: &mut Vec<&KnownTeam<'_>>,
    groups: &[&'g SeenGroup],
    matches: impl Fn(&KnownTeam<'_>, &SeenGroup) -> bool,
) -> Vec<&'g SeenGroup> {
    let mut left = Vec::new();
    let mut paired = Vec::new();
    for group in groups {
        let mut candidates = teams.iter().filter(|known| matches(known, group));
        match (candidates.next(), candidates.next()) {
            (Some(known), None) if groups.iter().filter(|other| matches(known, other)).count() == 1 => {
                followed.known.insert(group.slug.clone(), known.team.id);
                paired.push(known.team.id);
            }
            _ => left.push(*group),
        }
    }
    teams.retain(|known| !paired.contains(&known.team.id));
    left
}

/// The id of a new team: decided by the workspace, the slug, and how many teams have had that slug before.
fn new_id(workspace: WorkspaceId, all: &BTreeMap<TeamId, Team>, slug: &GroupSlug) -> TeamId {
    let mut generation = all.values().filter(|team| team.slug == *slug).count();
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
        follow(workspace, &known, &all, &groups.iter().collect::<Vec<_>>())
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
            assert_eq!(followed.known.get(&renamed.slug), Some(&dev.id), "{renamed:?}");
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
