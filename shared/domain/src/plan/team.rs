//! The teams' part of the members lane: which group is which team, and who is in it.

use std::collections::{BTreeMap, BTreeSet};

use super::members::People;
use super::{Change, Kept};
use crate::bitbucket::RepositoryUuid;
use crate::mirror::{Mirror, Read, SeenGroup, Team};
use crate::teams::{KnownTeam, SeenTeam, Sign, follow};
use crate::{TeamId, WorkspaceId};

/// Sorts before every repository.
const FIRST_REPOSITORY: RepositoryUuid = RepositoryUuid::new(uuid::Uuid::nil());

/// What is to be done about the teams.
pub(super) struct TeamChanges {
    pub(super) added: Vec<Change>,
    pub(super) removed: Vec<Change>,
    pub(super) kept: Vec<Kept>,
    /// The teams whose people this snapshot shows.
    pub(super) proven: BTreeSet<TeamId>,
}

pub(super) fn plan_teams(
    workspace: WorkspaceId,
    mirror: &Mirror,
    groups: &Read<SeenGroup>,
    people: &People<'_>,
) -> TeamChanges {
    let known = known_teams(mirror);
    let mut groups_seen: Vec<SeenTeam<'_>> = groups
        .seen
        .entries()
        .iter()
        .map(|group| {
            let belongs = group.members.keys().filter(|uuid| people.may_be_in_teams(uuid));
            SeenTeam { group, people: belongs.copied().collect() }
        })
        .collect();
    // The listing has no order of its own, and the plan must not depend on the one it came in.
    groups_seen.sort_by(|one, other| one.group.slug.cmp(&other.group.slug));
    let followable: Vec<KnownTeam<'_>> =
        known.values().filter(|known| !groups.kept.contains(&known.team.slug)).cloned().collect();
    let followed = follow(workspace, &followable, &mirror.teams, &groups_seen);

    let (mut added, mut renamed, mut joined, mut removed) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut proven = BTreeSet::new();
    for seen in &groups_seen {
        let group = seen.group;
        let Some(team) = followed.team(&group.slug) else { continue };
        proven.insert(team);
        let after = Team { id: team, slug: group.slug.clone(), name: group.name.clone(), removed: false };
        let before = known.get(&team);
        match before {
            Some(before) if *before.team == after => {}
            Some(before) => {
                let sign = followed.known.get(&group.slug).map(|(_, sign)| *sign);
                renamed.push((sign, Change::UpdateTeam { before: before.team.clone(), after }));
            }
            None => added.push(Change::AddTeam { team: after }),
        }
        let nobody = BTreeSet::new();
        let were = before.map_or(&nobody, |before| &before.people);
        joined.extend(seen.people.difference(were).map(|person| (*person, team)));
        // Who leaves the workspace leaves the teams with it, and whom nothing is proven of stays.
        let left = were.iter().filter(|uuid| !group.members.contains_key(uuid) && !people.is_gone(uuid));
        removed.extend(left.map(|person| Change::RemoveTeamMember { team, person: *person, follows: false }));
    }
    in_safe_order(&mut added, renamed);
    // One person after the other, not one team after the other: their teams are in their row, which is then written once for all.
    joined.sort_by_key(|(person, _)| *person);
    added.extend(joined.into_iter().map(|(person, team)| Change::AddTeamMember { team, person }));
    let kept = note_kept(groups, &known);
    // An entry that could not be understood and is not a known team's may be any team's, under a new slug.
    let absence_proven = groups.absence_proven
        && groups.kept.iter().all(|slug| known.values().any(|known| known.team.slug == *slug));
    for known in known.values().filter(|known| !proven.contains(&known.team.id)) {
        if absence_proven && !groups.kept.contains(&known.team.slug) {
            remove(mirror, known, &mut removed);
        }
    }
    TeamChanges { added, removed, kept, proven }
}

/// Puts new teams and renames in such an order that a run that breaks off between them and is repeated finds the same team for every
/// group: what would make a choice of what was certain, or the other way round, comes after that.
fn in_safe_order(added: &mut Vec<Change>, mut renamed: Vec<(Option<Sign>, Change)>) {
    renamed.sort_by_key(|(sign, _)| match sign {
        Some(Sign::NameAndPeople) => 0,
        Some(Sign::SamePeople) => 1,
        _ => 2,
    });
    let first = renamed.iter().take_while(|(sign, _)| *sign == Some(Sign::NameAndPeople)).count();
    let later = renamed.split_off(first);
    added.splice(0..0, renamed.into_iter().map(|(_, change)| change));
    added.extend(later.into_iter().map(|(_, change)| change));
}

fn known_teams(mirror: &Mirror) -> BTreeMap<TeamId, KnownTeam<'_>> {
    let present = mirror.teams.values().filter(|team| !team.removed);
    let mut known: BTreeMap<TeamId, KnownTeam<'_>> =
        present.map(|team| (team.id, KnownTeam { team, people: BTreeSet::new() })).collect();
    for person in mirror.people.values() {
        for team in &person.teams {
            if let Some(team) = known.get_mut(team) {
                team.people.insert(person.uuid);
            }
        }
    }
    known
}

/// Takes everybody and every responsibility out of a team, and then removes it.
fn remove(mirror: &Mirror, known: &KnownTeam<'_>, removed: &mut Vec<Change>) {
    let team = known.team.id;
    let members = known.people.iter();
    removed.extend(members.map(|person| Change::RemoveTeamMember { team, person: *person, follows: true }));
    let of_team =
        mirror.responsibilities.range((team, FIRST_REPOSITORY)..).take_while(|((of, _), _)| *of == team);
    removed.extend(of_team.map(|((_, repository), before)| Change::SetResponsibility {
        team,
        repository: *repository,
        before: Some(*before),
        after: None,
        follows: true,
    }));
    removed.push(Change::RemoveTeam { team: known.team.clone() });
}

fn note_kept(groups: &Read<SeenGroup>, known: &BTreeMap<TeamId, KnownTeam<'_>>) -> Vec<Kept> {
    let mut kept = Vec::new();
    for slug in &groups.kept {
        let why = if known.values().any(|known| known.team.slug == *slug) {
            "Bitbucket's entry could not be understood; kept as it was"
        } else {
            "Bitbucket's entry could not be understood and may be any team's; no team is removed"
        };
        kept.push(Kept::new(format!("team {slug}"), why));
    }
    if !groups.absence_proven {
        let why = "a group without a readable slug came, so no team's absence is proven; none is removed";
        kept.push(Kept::new("teams", why));
    }
    kept
}
