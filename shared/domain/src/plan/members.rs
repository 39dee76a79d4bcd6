//! Planning the members lane: people, teams, who is in which, and who is no longer let in.

use std::collections::{BTreeMap, BTreeSet};

use super::grants::access_map;
use super::{Change, Kept, Lane, Plan};
use crate::bitbucket::{AccountUuid, RepositoryUuid};
use crate::connection::{Policy, Settings};
use crate::member::SuspensionReason;
use crate::mirror::{MemberStanding, MembersSnapshot, Mirror, Person, Read, SeenGroup, SeenPerson, Team};
use crate::teams::{KnownTeam, follow};
use crate::{TeamId, Timestamp, WorkspaceId};

/// Sorts before every repository.
const FIRST_REPOSITORY: RepositoryUuid = RepositoryUuid::new(uuid::Uuid::nil());

/// Plans the members lane.
///
/// The order is: who is shut out, first; then what appeared or changed; then what is gone.
pub fn plan(
    workspace: WorkspaceId,
    mirror: &Mirror,
    snapshot: &MembersSnapshot,
    settings: &Settings,
    now: Timestamp,
) -> Plan {
    let people = People::new(mirror, snapshot, settings);
    let mut kept = people.kept();
    let mut added = Vec::new();
    let mut removed = Vec::new();

    people.plan(mirror, &mut added, &mut removed);
    match &snapshot.groups {
        Some(groups) => plan_teams(workspace, mirror, groups, &people, &mut added, &mut removed, &mut kept),
        None => kept
            .push(Kept::new("teams", "the groups could not be read completely; the teams stay as they are")),
    }
    let mut changes = suspensions(mirror, &people, settings, now);
    changes.append(&mut added);
    changes.extend(restorations(mirror, &people, settings, &changes));
    changes.append(&mut removed);
    Plan { lane: Lane::Members, changes, kept }
}

/// The snapshot's people, put in order.
struct People<'a> {
    read: &'a Read<SeenPerson>,
    present: BTreeMap<AccountUuid, &'a SeenPerson>,
    named: BTreeSet<AccountUuid>,
    owners: Option<&'a BTreeSet<AccountUuid>>,
    inactive: BTreeSet<AccountUuid>,
    ignored: &'a BTreeSet<AccountUuid>,
}

impl<'a> People<'a> {
    fn new(mirror: &Mirror, snapshot: &'a MembersSnapshot, settings: &'a Settings) -> Self {
        let read = &snapshot.people;
        let named = read.seen.entries().iter().map(|person| person.uuid).collect();
        let present = read
            .seen
            .entries()
            .iter()
            .filter(|person| person.human)
            .map(|person| (person.uuid, person))
            .collect();
        let of_groups =
            snapshot.groups.iter().flat_map(|groups| groups.seen.entries()).flat_map(|group| &group.members);
        let mut inactive = BTreeSet::new();
        let mut in_use = BTreeSet::new();
        for (person, used) in of_groups.chain(&snapshot.asked) {
            if *used {
                in_use.insert(*person)
            } else {
                inactive.insert(*person)
            };
        }
        // Who was not in use stays so until something says otherwise.
        let said_nothing = |uuid: &AccountUuid| !in_use.contains(uuid);
        inactive
            .extend(mirror.people.values().filter(|p| p.inactive && said_nothing(&p.uuid)).map(|p| p.uuid));
        Self { read, present, named, owners: snapshot.owners.as_ref(), inactive, ignored: &settings.ignored }
    }

    fn kept(&self) -> Vec<Kept> {
        let mut kept: Vec<_> = self
            .read
            .kept
            .iter()
            .map(|uuid| {
                Kept::new(
                    format!("person {uuid}"),
                    "Bitbucket's entry could not be understood; kept as it was",
                )
            })
            .collect();
        if !self.read.absence_proven {
            let why = "an entry without a readable id came, so nobody's absence is proven; nobody is removed";
            kept.push(Kept::new("people", why));
        }
        if self.owners.is_none() {
            kept.push(Kept::new("owners", "the owners could not be read completely; they stay as they are"));
        }
        kept
    }

    fn is_gone(&self, uuid: &AccountUuid) -> bool {
        self.read.proves_gone(uuid, &self.named)
    }

    fn is_inactive(&self, uuid: &AccountUuid) -> bool {
        self.inactive.contains(uuid)
    }

    /// In the workspace and in use, as far as this snapshot positively says.
    fn is_here(&self, uuid: &AccountUuid) -> bool {
        self.present.contains_key(uuid) && !self.is_inactive(uuid)
    }

    fn plan(&self, mirror: &Mirror, added: &mut Vec<Change>, removed: &mut Vec<Change>) {
        for (uuid, seen) in &self.present {
            let before = mirror.people.get(uuid);
            let after = Person {
                uuid: *uuid,
                account_id: seen.account_id.clone(),
                display_name: seen.display_name.clone(),
                nickname: seen.nickname.clone(),
                owner: self.owners.map_or_else(
                    || before.is_some_and(|person| person.owner),
                    |owners| owners.contains(uuid),
                ),
                inactive: self.is_inactive(uuid),
                teams: before.map(|person| person.teams.clone()).unwrap_or_default(),
                left: false,
            };
            match before {
                Some(before) if *before == after => {}
                Some(before) if !before.left => {
                    added.push(Change::UpdatePerson {
                        before: Box::new(before.clone()),
                        after: Box::new(after),
                    });
                }
                _ => added.push(Change::AddPerson { person: Box::new(after) }),
            }
        }
        for person in mirror.people.values().filter(|person| !person.left && self.is_gone(&person.uuid)) {
            if !self.ignored.contains(&person.uuid) {
                removed.push(Change::RemovePerson { person: Box::new(person.clone()) });
            }
        }
    }
}

fn plan_teams(
    workspace: WorkspaceId,
    mirror: &Mirror,
    groups: &Read<SeenGroup>,
    people: &People<'_>,
    added: &mut Vec<Change>,
    removed: &mut Vec<Change>,
    kept: &mut Vec<Kept>,
) {
    let mut known: BTreeMap<TeamId, KnownTeam<'_>> = mirror
        .teams
        .values()
        .filter(|team| !team.removed)
        .map(|team| (team.id, KnownTeam { team, people: BTreeSet::new() }))
        .collect();
    for person in mirror.people.values() {
        for team in &person.teams {
            if let Some(team) = known.get_mut(team) {
                team.people.insert(person.uuid);
            }
        }
    }
    for slug in &groups.kept {
        kept.push(Kept::new(
            format!("team {slug}"),
            "Bitbucket's entry could not be understood; kept as it was",
        ));
    }
    if !groups.absence_proven {
        kept.push(Kept::new(
            "teams",
            "a group without a readable slug came, so no team's absence is proven; none is removed",
        ));
    }
    let followable: Vec<KnownTeam<'_>> =
        known.values().filter(|known| !groups.kept.contains(&known.team.slug)).cloned().collect();
    let seen: Vec<&SeenGroup> = groups.seen.entries().iter().collect();
    let followed = follow(workspace, &followable, &mirror.teams, &seen);

    let mut joined = Vec::new();
    for group in &seen {
        let Some(id) = followed.team(&group.slug) else { continue };
        let after = Team { id, slug: group.slug.clone(), name: group.name.clone(), removed: false };
        let before = known.get(&id);
        match before {
            Some(before) if *before.team == after => {}
            Some(before) => added.push(Change::UpdateTeam { before: before.team.clone(), after }),
            None => added.push(Change::AddTeam { team: after }),
        }
        let nobody = BTreeSet::new();
        let were = before.map_or(&nobody, |before| &before.people);
        // Only people of the workspace are mirrored: a group can still name somebody who is just leaving, or a bot.
        let are = group.members.keys().filter(|uuid| people.present.contains_key(uuid));
        joined.extend(
            are.filter(|uuid| !were.contains(uuid))
                .map(|person| Change::AddTeamMember { team: id, person: *person }),
        );
        let left = were.iter().filter(|uuid| !group.members.contains_key(uuid) && !people.is_gone(uuid));
        removed.extend(left.map(|person| Change::RemoveTeamMember {
            team: id,
            person: *person,
            follows: false,
        }));
    }
    added.append(&mut joined);
    let still: BTreeSet<TeamId> = followed.known.values().copied().collect();
    for known in known.values().filter(|known| !still.contains(&known.team.id)) {
        if groups.absence_proven && !groups.kept.contains(&known.team.slug) {
            let team = known.team.id;
            removed.extend(known.people.iter().map(|person| Change::RemoveTeamMember {
                team,
                person: *person,
                follows: true,
            }));
            let responsible = mirror
                .responsibilities
                .range((team, FIRST_REPOSITORY)..)
                .take_while(|((of, _), _)| *of == team);
            removed.extend(responsible.map(|((_, repository), before)| Change::SetResponsibility {
                team,
                repository: *repository,
                before: Some(*before),
                after: None,
                follows: true,
            }));
            removed.push(Change::RemoveTeam { team: known.team.clone() });
        }
    }
}

/// Who is no longer let in: those who left or are not in use, unless an invite still lets them in; and those whose invited
/// membership has ended.
fn suspensions(mirror: &Mirror, people: &People<'_>, settings: &Settings, now: Timestamp) -> Vec<Change> {
    let mut changes = Vec::new();
    for member in mirror.members.values().filter(|member| member.standing == MemberStanding::Active) {
        let invited = member.by_invite.is_some_and(|end| end.is_none_or(|end| !end.has_passed(now)));
        if invited {
            continue;
        }
        let reason = match member.account.filter(|_| member.by_bitbucket) {
            None => Some(SuspensionReason::InviteEnded),
            Some(account) if settings.ignored.contains(&account) => None,
            Some(account) if people.is_gone(&account) => Some(SuspensionReason::LeftWorkspace),
            Some(account) if people.is_inactive(&account) => Some(SuspensionReason::Inactive),
            Some(_) => None,
        };
        if let Some(reason) = reason {
            changes.push(Change::SuspendMember { member: member.id, account: member.account, reason });
        }
    }
    changes
}

/// Who came back: suspended, in the workspace again and in use, and with the access that the policy asks for as far as the mirror
/// knows. Where it does not know, they come back at their next sign-in, which asks Bitbucket.
fn restorations(
    mirror: &Mirror,
    people: &People<'_>,
    settings: &Settings,
    planned: &[Change],
) -> Vec<Change> {
    let back: Vec<_> = mirror
        .members
        .values()
        .filter(|member| member.standing == MemberStanding::Suspended && member.by_bitbucket)
        .filter_map(|member| member.account.map(|account| (member, account)))
        .filter(|(_, account)| people.is_here(account) && !settings.ignored.contains(account))
        .collect();
    if back.is_empty() {
        return Vec::new();
    }
    let mut then = mirror.clone();
    planned.iter().for_each(|change| change.apply(&mut then));
    // What was once granted to them by name may have gone with them: only ownership and groups speak for them here.
    let access = access_map(&then);
    back.into_iter()
        .filter(|(_, account)| match settings.policy {
            Policy::WorkspaceMember => true,
            Policy::AllRepositories => access.coverage_by_groups(*account).all() == Some(true),
            Policy::AnyRepository => access.coverage_by_groups(*account).any() == Some(true),
        })
        .map(|(member, account)| Change::RestoreMember { member: member.id, account: Some(account) })
        .collect()
}
