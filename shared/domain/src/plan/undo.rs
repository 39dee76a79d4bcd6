//! Undoing a run: bringing back what it removed, as far as that has not been changed since.

use super::{Change, Kept, Plan};
use crate::mirror::{MemberStanding, Mirror};

/// The plan that brings back what `done` removed, against the mirror as it is now.
///
/// Only removals are undone: what a run added, Bitbucket has, and the next run would add it again. What has changed since the run
/// is kept as it is and named.
pub fn plan(mirror: &Mirror, done: &Plan) -> Plan {
    let mut undo = Plan::empty(done.lane);
    for change in done.changes.iter().rev().filter(|change| change.removal().is_some()) {
        match back(mirror, change) {
            Ok(change) => undo.changes.push(change),
            Err(why) => undo.kept.push(Kept::new(change.to_string(), why)),
        }
    }
    undo
}

fn back(mirror: &Mirror, change: &Change) -> Result<Change, &'static str> {
    const CHANGED: &str = "it has been changed since the run";
    match change {
        Change::SuspendMember { member, account, .. } => {
            match mirror.members.get(member).map(|member| member.standing) {
                Some(MemberStanding::Suspended) => {
                    Ok(Change::RestoreMember { member: *member, account: *account })
                }
                Some(MemberStanding::Disabled) => Err("an admin has disabled the member since the run"),
                _ => Err(CHANGED),
            }
        }
        Change::RemovePerson { person } => match mirror.people.get(&person.uuid) {
            Some(now) if now.left => Ok(Change::AddPerson { person: person.clone() }),
            _ => Err(CHANGED),
        },
        Change::RemoveTeam { team } => match mirror.teams.get(&team.id) {
            Some(now) if now.removed => Ok(Change::AddTeam { team: team.clone() }),
            _ => Err(CHANGED),
        },
        Change::RemoveTeamMember { team, person, .. } => match mirror.people.get(person) {
            Some(now) if !now.left && !now.teams.contains(team) => {
                Ok(Change::AddTeamMember { team: *team, person: *person })
            }
            _ => Err(CHANGED),
        },
        Change::RemoveRepository { repository } => match mirror.repositories.get(&repository.uuid) {
            Some(now) if now.removed => Ok(Change::AddRepository { repository: repository.clone() }),
            _ => Err(CHANGED),
        },
        Change::SetResponsibility { team, repository, before, after: None, .. } => {
            match mirror.responsibilities.get(&(*team, *repository)) {
                None => Ok(Change::SetResponsibility {
                    team: *team,
                    repository: *repository,
                    before: None,
                    after: *before,
                    follows: false,
                }),
                Some(_) => Err(CHANGED),
            }
        }
        _ => Err("it removed nothing"),
    }
}
