//! Plans as people read them: one line a change, as in a diff: `+` added, `-` removed, `~` changed, `=` kept.

use core::fmt;
use std::collections::BTreeMap;

use super::{Change, Plan};
use crate::bitbucket::{AccountUuid, RepositorySlug, RepositoryUuid};
use crate::member::SuspensionReason;
use crate::mirror::{Mirror, Team};
use crate::{MemberId, TeamId};

/// A plan with the names of those it is about, as the mirror and the plan itself have them.
pub struct Readable<'a> {
    plan: &'a Plan,
    names: Names<'a>,
}

impl<'a> Readable<'a> {
    /// Looks the names up.
    pub fn new(plan: &'a Plan, mirror: &'a Mirror) -> Self {
        let mut names = Names {
            members: mirror.members.values().map(|member| (member.id, member.name.as_str())).collect(),
            people: mirror
                .people
                .values()
                .map(|person| (person.uuid, person.display_name.as_str()))
                .collect(),
            teams: mirror.teams.values().map(|team| (team.id, team)).collect(),
            repositories: mirror
                .repositories
                .values()
                .map(|repository| (repository.uuid, &repository.slug))
                .collect(),
        };
        for change in &plan.changes {
            match change {
                Change::AddPerson { person } => {
                    names.people.insert(person.uuid, &person.display_name);
                }
                Change::AddTeam { team } | Change::UpdateTeam { after: team, .. } => {
                    names.teams.insert(team.id, team);
                }
                Change::AddRepository { repository } | Change::UpdateRepository { after: repository, .. } => {
                    names.repositories.insert(repository.uuid, &repository.slug);
                }
                _ => {}
            }
        }
        Self { plan, names }
    }

    /// Each change in a line of its own.
    pub fn lines(&self) -> impl Iterator<Item = String> + '_ {
        let changes = self.plan.changes.iter().map(|change| Line(change, &self.names).to_string());
        changes.chain(self.plan.kept.iter().map(|kept| format!("= kept {}: {}", kept.what, kept.why)))
    }
}

impl fmt::Display for Readable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.lines().try_for_each(|line| writeln!(f, "{line}"))
    }
}

/// One line a change, with ids where [`Readable`] has names.
impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Readable { plan: self, names: Names::default() }.fmt(f)
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Line(self, &Names::default()).fmt(f)
    }
}

#[derive(Default)]
struct Names<'a> {
    members: BTreeMap<MemberId, &'a str>,
    people: BTreeMap<AccountUuid, &'a str>,
    teams: BTreeMap<TeamId, &'a Team>,
    repositories: BTreeMap<RepositoryUuid, &'a RepositorySlug>,
}

/// A name and an id, or the id alone.
struct Named<'a, I>(Option<&'a str>, I);

impl<I: fmt::Display> fmt::Display for Named<'_, I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(name) if !name.is_empty() => write!(f, "{} ({})", Plain(name), self.1),
            _ => write!(f, "{}", self.1),
        }
    }
}

impl<'a> Names<'a> {
    fn member(&self, id: MemberId) -> Named<'a, MemberId> {
        Named(self.members.get(&id).copied(), id)
    }
    fn person(&self, uuid: AccountUuid) -> Named<'a, AccountUuid> {
        Named(self.people.get(&uuid).copied(), uuid)
    }
    fn team(&self, id: TeamId) -> String {
        self.teams.get(&id).map_or_else(|| id.to_string(), |team| Plain(&team.name).to_string())
    }
    fn repository(&self, uuid: RepositoryUuid) -> String {
        self.repositories.get(&uuid).map_or_else(|| uuid.to_string(), ToString::to_string)
    }
}

/// A text from outside, made harmless for a line of output: control characters and those that reorder what follows are replaced.
struct Plain<'a>(&'a str);

impl fmt::Display for Plain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_harmful = |c: char| {
            c.is_control()
                || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
        };
        self.0.chars().try_for_each(|c| write!(f, "{}", if is_harmful(c) { '\u{fffd}' } else { c }))
    }
}

fn reason(reason: SuspensionReason) -> &'static str {
    match reason {
        SuspensionReason::LeftWorkspace => "left the Bitbucket workspace",
        SuspensionReason::Inactive => "deactivated at Bitbucket",
        SuspensionReason::LostAccess => "lost the access that the policy asks for",
        SuspensionReason::InviteEnded => "the invited membership has ended",
        SuspensionReason::GrantRevoked => "the invite was revoked with its inviter",
    }
}

struct Line<'a>(&'a Change, &'a Names<'a>);

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(change, names) = self;
        match change {
            Change::SuspendMember { member, reason: why, .. } => {
                write!(f, "- member {}: {}", names.member(*member), reason(*why))
            }
            Change::RestoreMember { member, .. } => {
                write!(f, "+ member {}: let in again", names.member(*member))
            }
            Change::AddPerson { person } => {
                write!(f, "+ person {}", Named(Some(&person.display_name), person.uuid))
            }
            Change::UpdatePerson { before, after } => {
                write!(f, "~ person {}", Named(Some(&after.display_name), after.uuid))?;
                let said = [
                    (before.display_name != after.display_name, "renamed"),
                    (!before.owner && after.owner, "now an owner"),
                    (before.owner && !after.owner, "no longer an owner"),
                    (!before.inactive && after.inactive, "deactivated"),
                    (before.inactive && !after.inactive, "in use again"),
                ];
                let said: Vec<&str> = said.into_iter().filter_map(|(is, what)| is.then_some(what)).collect();
                if said.is_empty() { Ok(()) } else { write!(f, ": {}", said.join(", ")) }
            }
            Change::RemovePerson { person } => {
                write!(f, "- person {}", Named(Some(&person.display_name), person.uuid))
            }
            Change::AddTeam { team } => write!(f, "+ team {} ({})", Plain(&team.name), team.slug),
            Change::UpdateTeam { before, after } => write!(
                f,
                "~ team {} ({}) renamed to {} ({})",
                Plain(&before.name),
                before.slug,
                Plain(&after.name),
                after.slug
            ),
            Change::RemoveTeam { team } => write!(f, "- team {} ({})", Plain(&team.name), team.slug),
            Change::AddTeamMember { team, person } => {
                write!(f, "+ team member {} in {}", names.person(*person), names.team(*team))
            }
            Change::RemoveTeamMember { team, person, .. } => {
                write!(f, "- team member {} in {}", names.person(*person), names.team(*team))
            }
            Change::SetProject { before, after } => {
                let sign = match (before.as_ref().is_some_and(|project| !project.removed), after.removed) {
                    (_, true) => '-',
                    (false, false) => '+',
                    (true, false) => '~',
                };
                write!(f, "{sign} project {} ({})", Plain(&after.name), after.key)?;
                let before = before.as_ref().filter(|_| sign == '~');
                if before.is_some_and(|before| before.grants != after.grants) {
                    write!(f, ": grants")
                } else {
                    Ok(())
                }
            }
            Change::AddRepository { repository } => write!(f, "+ repository {}", repository.slug),
            Change::UpdateRepository { before, after } => {
                if before.slug == after.slug {
                    write!(f, "~ repository {}", after.slug)?;
                } else {
                    write!(f, "~ repository {} renamed to {}", before.slug, after.slug)?;
                }
                let said = [
                    (before.project != after.project, "moved to another project"),
                    (before.private && !after.private, "now public"),
                    (!before.private && after.private, "now private"),
                ];
                let said: Vec<&str> = said.into_iter().filter_map(|(is, what)| is.then_some(what)).collect();
                if said.is_empty() { Ok(()) } else { write!(f, ": {}", said.join(", ")) }
            }
            Change::RemoveRepository { repository } => write!(f, "- repository {}", repository.slug),
            Change::SetRepositoryGrants { repository, .. } => {
                write!(f, "~ repository {}: grants", names.repository(*repository))
            }
            Change::SetResponsibility { team, repository, before, after, .. } => {
                let (team, repository) = (names.team(*team), names.repository(*repository));
                match (before, after) {
                    (None, Some(now)) => write!(f, "+ responsibility of {team} for {repository}: {now}"),
                    (Some(was), Some(now)) => {
                        write!(f, "~ responsibility of {team} for {repository}: {was} to {now}")
                    }
                    (_, None) => write!(f, "- responsibility of {team} for {repository}"),
                }
            }
        }
    }
}
