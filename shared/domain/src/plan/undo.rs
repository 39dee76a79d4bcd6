//! Undoing a run: bringing back what it removed, as far as that has not been changed since.

use super::{Change, Kept, Plan, Removal};
use crate::RunId;
use crate::mirror::{MemberStanding, Mirror, Person};

/// What is brought back first: that which the others need.
const ORDER: [Removal; 7] = [
    Removal::Teams,
    Removal::People,
    Removal::TeamMembers,
    Removal::Projects,
    Removal::Repositories,
    Removal::Responsibilities,
    Removal::Members,
];

/// The plan that brings back what `done`, applied by `run`, removed, against the mirror as it is now.
///
/// Only removals are undone: what a run added, Bitbucket has, and the next run would add it again. What has changed since the run
/// is kept as it is and named.
pub fn plan(mirror: &Mirror, run: RunId, done: &Plan) -> Plan {
    let mut undo = Plan::empty(done.lane);
    let mut then = mirror.clone();
    for kind in ORDER {
        for change in done.changes.iter().filter(|change| change.removal() == Some(kind)) {
            match back(&then, run, change) {
                Back::By(back) => {
                    back.apply(&mut then);
                    undo.changes.push(back);
                }
                Back::Already => {}
                Back::Not(why) => undo.kept.push(Kept::new(change.to_string(), why)),
            }
        }
    }
    undo
}

enum Back {
    By(Change),
    /// Something brought back before includes it.
    Already,
    Not(&'static str),
}

const CHANGED: Back = Back::Not("it has been changed since the run");

fn back(mirror: &Mirror, run: RunId, change: &Change) -> Back {
    let is_team = |team| mirror.teams.get(team).is_some_and(|team| !team.removed);
    match change {
        Change::SuspendMember { member, account, .. } => {
            match mirror.members.get(member).map(|member| (member.standing, member.suspended_by)) {
                Some((MemberStanding::Suspended, by)) if by == Some(run) => {
                    Back::By(Change::RestoreMember { member: *member, account: *account })
                }
                Some((MemberStanding::Disabled, _)) => {
                    Back::Not("an admin has disabled the member since the run")
                }
                _ => CHANGED,
            }
        }
        Change::RemovePerson { person } => match mirror.people.get(&person.uuid) {
            Some(now) if now.left => {
                let teams = person.teams.iter().filter(|team| is_team(team)).copied().collect();
                Back::By(Change::AddPerson { person: Box::new(Person { teams, ..(**person).clone() }) })
            }
            _ => CHANGED,
        },
        Change::RemoveTeam { team } => match mirror.teams.get(&team.id) {
            Some(now) if now.removed => Back::By(Change::AddTeam { team: team.clone() }),
            _ => CHANGED,
        },
        Change::RemoveTeamMember { team, person, .. } => match mirror.people.get(person) {
            Some(now) if !now.left && now.teams.contains(team) => Back::Already,
            Some(now) if !now.left && is_team(team) => {
                Back::By(Change::AddTeamMember { team: *team, person: *person })
            }
            _ => CHANGED,
        },
        Change::SetProject { before: Some(before), after } if after.removed => {
            match mirror.projects.get(&after.uuid) {
                Some(now) if now.removed => Back::By(Change::SetProject {
                    before: Some(Box::new(now.clone())),
                    after: before.clone(),
                }),
                _ => CHANGED,
            }
        }
        Change::RemoveRepository { repository } => match mirror.repositories.get(&repository.uuid) {
            Some(now) if now.removed => Back::By(Change::AddRepository { repository: repository.clone() }),
            _ => CHANGED,
        },
        Change::SetResponsibility { team, repository, before, after: None, .. } => {
            let there = mirror.repositories.get(repository).is_some_and(|repository| !repository.removed);
            match mirror.responsibilities.get(&(*team, *repository)) {
                None if there && is_team(team) => Back::By(Change::SetResponsibility {
                    team: *team,
                    repository: *repository,
                    before: None,
                    after: *before,
                    follows: false,
                }),
                _ => CHANGED,
            }
        }
        _ => Back::Already,
    }
}
