//! The changes a plan is made of, and what each does to the mirror.

use core::fmt;

use serde::{Deserialize, Serialize};

use crate::bitbucket::{AccountUuid, Permission, RepositoryUuid};
use crate::member::SuspensionReason;
use crate::mirror::{MemberStanding, Mirror, OwnGrants, Person, Project, Repository, Team};
use crate::{MemberId, TeamId};

/// A kind of removal that the guard counts by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Removal {
    /// Members suspended.
    Members,
    /// People gone from the Bitbucket workspace.
    People,
    /// People taken out of teams.
    TeamMembers,
    /// Teams gone.
    Teams,
    /// Projects gone.
    Projects,
    /// Repositories gone.
    Repositories,
    /// Responsibilities gone.
    Responsibilities,
}

impl Removal {
    /// All kinds.
    pub const ALL: [Self; 7] = [
        Self::Members,
        Self::People,
        Self::TeamMembers,
        Self::Teams,
        Self::Projects,
        Self::Repositories,
        Self::Responsibilities,
    ];

    /// As people read it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Members => "members",
            Self::People => "people",
            Self::TeamMembers => "team members",
            Self::Teams => "teams",
            Self::Projects => "projects",
            Self::Repositories => "repositories",
            Self::Responsibilities => "responsibilities",
        }
    }
}

impl fmt::Display for Removal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One change. Each carries what it needs to be undone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "change", rename_all = "snake_case")]
pub enum Change {
    /// A member is no longer let in.
    SuspendMember {
        /// Who.
        member: MemberId,
        /// Their account at Bitbucket, if they have one.
        account: Option<AccountUuid>,
        /// Why.
        reason: SuspensionReason,
    },
    /// A member is let in again.
    RestoreMember {
        /// Who.
        member: MemberId,
        /// Their account at Bitbucket.
        account: Option<AccountUuid>,
    },
    /// An account appeared in the Bitbucket workspace, or came back.
    AddPerson {
        /// The account.
        person: Box<Person>,
    },
    /// An account's names, ownership or use changed. The teams of both sides are those before.
    UpdatePerson {
        /// As it was.
        before: Box<Person>,
        /// As it is.
        after: Box<Person>,
    },
    /// An account left the Bitbucket workspace.
    RemovePerson {
        /// As it was, teams included.
        person: Box<Person>,
    },
    /// A group appeared.
    AddTeam {
        /// The team.
        team: Team,
    },
    /// A group was renamed.
    UpdateTeam {
        /// As it was.
        before: Team,
        /// As it is.
        after: Team,
    },
    /// A group is gone.
    RemoveTeam {
        /// As it was.
        team: Team,
    },
    /// Somebody joined a group.
    AddTeamMember {
        /// Which team.
        team: TeamId,
        /// Who.
        person: AccountUuid,
    },
    /// Somebody left a group.
    RemoveTeamMember {
        /// Which team.
        team: TeamId,
        /// Who.
        person: AccountUuid,
        /// Whether this only follows from the team being removed, and so is not counted again.
        follows: bool,
    },
    /// A project appeared, changed or is gone.
    SetProject {
        /// As it was, if it was.
        before: Option<Box<Project>>,
        /// As it is; one that is gone stays as a removed one.
        after: Box<Project>,
    },
    /// A repository appeared.
    AddRepository {
        /// The repository.
        repository: Box<Repository>,
    },
    /// A repository was renamed, moved, or changed its privacy.
    UpdateRepository {
        /// As it was.
        before: Box<Repository>,
        /// As it is.
        after: Box<Repository>,
    },
    /// A repository is gone.
    RemoveRepository {
        /// As it was.
        repository: Box<Repository>,
    },
    /// What a repository grants by itself was read and differs.
    SetRepositoryGrants {
        /// Which repository.
        repository: RepositoryUuid,
        /// As it was.
        before: OwnGrants,
        /// As it is.
        after: OwnGrants,
    },
    /// A team became responsible for a repository, with another permission, or no longer is.
    SetResponsibility {
        /// Which team.
        team: TeamId,
        /// Which repository.
        repository: RepositoryUuid,
        /// As it was.
        before: Option<Permission>,
        /// As it is.
        after: Option<Permission>,
        /// Whether this only follows from a team or repository that is itself removed, and so is not counted again.
        follows: bool,
    },
}

impl Change {
    /// What kind of removal this is, if it is one the guard counts.
    pub fn removal(&self) -> Option<Removal> {
        match self {
            Self::SuspendMember {
                reason: SuspensionReason::InviteEnded | SuspensionReason::GrantRevoked,
                ..
            } => None,
            Self::SuspendMember { .. } => Some(Removal::Members),
            Self::RemovePerson { .. } => Some(Removal::People),
            Self::RemoveTeam { .. } => Some(Removal::Teams),
            Self::RemoveTeamMember { .. } => Some(Removal::TeamMembers),
            Self::SetProject { after, .. } if after.removed => Some(Removal::Projects),
            Self::RemoveRepository { .. } => Some(Removal::Repositories),
            Self::SetResponsibility { after: None, .. } => Some(Removal::Responsibilities),
            _ => None,
        }
    }

    /// What happens to what, as in `+ person`: for counting what a run did.
    pub fn label(&self) -> &'static str {
        match self {
            Self::SuspendMember { .. } => "- member",
            Self::RestoreMember { .. } => "+ member",
            Self::AddPerson { .. } => "+ person",
            Self::UpdatePerson { .. } => "~ person",
            Self::RemovePerson { .. } => "- person",
            Self::AddTeam { .. } => "+ team",
            Self::UpdateTeam { .. } => "~ team",
            Self::RemoveTeam { .. } => "- team",
            Self::AddTeamMember { .. } => "+ team member",
            Self::RemoveTeamMember { .. } => "- team member",
            Self::SetProject { after, .. } if after.removed => "- project",
            Self::SetProject { before, .. } if before.as_ref().is_some_and(|p| !p.removed) => "~ project",
            Self::SetProject { .. } => "+ project",
            Self::AddRepository { .. } => "+ repository",
            Self::UpdateRepository { .. } | Self::SetRepositoryGrants { .. } => "~ repository",
            Self::RemoveRepository { .. } => "- repository",
            Self::SetResponsibility { after: None, .. } => "- responsibility",
            Self::SetResponsibility { before: None, .. } => "+ responsibility",
            Self::SetResponsibility { .. } => "~ responsibility",
        }
    }

    /// Whether it counts towards the cap of its kind.
    pub fn counts(&self) -> bool {
        !matches!(
            self,
            Self::SetResponsibility { follows: true, .. } | Self::RemoveTeamMember { follows: true, .. }
        )
    }

    /// What it makes of the mirror. Which run a suspension is due to, the edge that carries it out knows.
    pub fn apply(&self, mirror: &mut Mirror) {
        match self {
            Self::SuspendMember { member, .. } => set_standing(mirror, *member, MemberStanding::Suspended),
            Self::RestoreMember { member, .. } => set_standing(mirror, *member, MemberStanding::Active),
            Self::AddPerson { person } => {
                mirror.people.insert(person.uuid, (**person).clone());
            }
            Self::UpdatePerson { after, .. } => {
                if let Some(person) = mirror.people.get_mut(&after.uuid) {
                    let teams = core::mem::take(&mut person.teams);
                    *person = Person { teams, ..(**after).clone() };
                }
            }
            Self::RemovePerson { person } => {
                if let Some(person) = mirror.people.get_mut(&person.uuid) {
                    person.left = true;
                    person.owner = false;
                    person.teams.clear();
                }
            }
            Self::AddTeam { team } | Self::UpdateTeam { after: team, .. } => {
                mirror.teams.insert(team.id, team.clone());
            }
            Self::RemoveTeam { team } => {
                if let Some(team) = mirror.teams.get_mut(&team.id) {
                    team.removed = true;
                }
            }
            Self::AddTeamMember { team, person } => {
                if let Some(person) = mirror.people.get_mut(person) {
                    person.teams.insert(*team);
                }
            }
            Self::RemoveTeamMember { team, person, .. } => {
                if let Some(person) = mirror.people.get_mut(person) {
                    person.teams.remove(team);
                }
            }
            Self::SetProject { after, .. } => {
                mirror.projects.insert(after.uuid, (**after).clone());
            }
            Self::AddRepository { repository } | Self::UpdateRepository { after: repository, .. } => {
                mirror.repositories.insert(repository.uuid, (**repository).clone());
            }
            Self::RemoveRepository { repository } => {
                if let Some(repository) = mirror.repositories.get_mut(&repository.uuid) {
                    repository.removed = true;
                }
            }
            Self::SetRepositoryGrants { repository, after, .. } => {
                if let Some(repository) = mirror.repositories.get_mut(repository) {
                    repository.own = after.clone();
                }
            }
            Self::SetResponsibility { team, repository, after, .. } => match after {
                Some(permission) => {
                    mirror.responsibilities.insert((*team, *repository), *permission);
                }
                None => {
                    mirror.responsibilities.remove(&(*team, *repository));
                }
            },
        }
    }
}

fn set_standing(mirror: &mut Mirror, member: MemberId, standing: MemberStanding) {
    if let Some(member) =
        mirror.members.get_mut(&member).filter(|member| member.standing != MemberStanding::Disabled)
    {
        member.standing = standing;
        member.suspended_by = None;
    }
}
