//! Planning the members lane: people, teams, who is in which, and who is no longer let in.

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

use super::grants::access_map;
use super::team::{TeamChanges, plan_teams};
use super::{Change, Kept, Lane, Plan};
use crate::bitbucket::AccountUuid;
use crate::connection::{Policy, Settings};
use crate::member::SuspensionReason;
use crate::mirror::{MemberStanding, MembersSnapshot, Mirror, MirroredMember, Person, Read, SeenPerson};
use crate::{MemberId, TeamId, Timestamp, WorkspaceId};

/// Plans the members lane.
///
/// The order is: who is shut out, first; then what appeared or changed; then who is let in again; then what is gone.
pub fn plan(
    workspace: WorkspaceId,
    mirror: &Mirror,
    snapshot: &MembersSnapshot,
    settings: &Settings,
    now: Timestamp,
) -> Plan {
    let people = People::new(mirror, snapshot, settings);
    let mut kept = people.kept();
    let mut changes = people.suspensions(mirror, now);
    let (mut added, mut removed) = people.plan(mirror);
    let mut proven_teams = BTreeSet::new();
    match &snapshot.groups {
        Some(groups) => {
            let teams = plan_teams(workspace, mirror, groups, &people);
            let TeamChanges { added: teams_added, removed: teams_removed, kept: teams_kept, proven } = teams;
            added.extend(teams_added);
            removed.extend(teams_removed);
            kept.extend(teams_kept);
            proven_teams = proven;
        }
        None => kept
            .push(Kept::new("teams", "the groups could not be read completely; the teams stay as they are")),
    }
    let restored = people.restorations(mirror, added.iter().chain(&removed), &proven_teams);
    changes.append(&mut added);
    changes.extend(restored);
    changes.append(&mut removed);
    Plan { lane: Lane::Members, changes, kept }
}

/// Plans what needs nothing from Bitbucket: the end of invited memberships. For when Bitbucket cannot be read.
pub fn plan_ended_invites(mirror: &Mirror, settings: &Settings, now: Timestamp) -> Plan {
    let ended = mirror.members.values().filter(|member| {
        let is_ignored = member.account.is_some_and(|account| settings.ignored.contains(&account));
        member.standing == MemberStanding::Active && member.invite_has_ended(now) && !is_ignored
    });
    let changes = ended.map(|member| Change::SuspendMember {
        member: member.id,
        account: member.account,
        reason: SuspensionReason::InviteEnded,
    });
    Plan { changes: changes.collect(), ..Plan::empty(Lane::Members) }
}

/// How long before the end of an invited membership the person is warned.
pub const WARN_BEFORE: Duration = Duration::from_hours(7 * 24);

/// Whose invited membership ends soon, who have not been warned, and when it ends. Who also stands on Bitbucket loses nothing by it.
pub fn to_warn(mirror: &Mirror, now: Timestamp) -> Vec<(MemberId, Timestamp)> {
    let soon = mirror.members.values().filter_map(|member| {
        let end = member.by_invite.flatten().filter(|end| !end.has_passed(now))?;
        let is_near = end.minus(WARN_BEFORE).has_passed(now);
        (member.standing == MemberStanding::Active && !member.by_bitbucket && !member.warned && is_near)
            .then_some((member.id, end))
    });
    soon.collect()
}

/// The snapshot's people, put in order.
pub(super) struct People<'a> {
    settings: &'a Settings,
    read: &'a Read<SeenPerson>,
    /// Human beings of the workspace.
    present: BTreeMap<AccountUuid, &'a SeenPerson>,
    /// Everybody that the listing names, bots included.
    named: BTreeSet<AccountUuid>,
    owners: Option<&'a BTreeSet<AccountUuid>>,
    /// Of whom this snapshot positively says that the account is not in use, and of whom that it is.
    in_use: BTreeMap<AccountUuid, bool>,
    /// Whom the mirror has, with whom it says are in the workspace.
    known: BTreeSet<AccountUuid>,
}

impl<'a> People<'a> {
    fn new(mirror: &Mirror, snapshot: &'a MembersSnapshot, settings: &'a Settings) -> Self {
        let read = &snapshot.people;
        let entries = read.seen.entries();
        Self {
            settings,
            read,
            present: entries.iter().filter(|person| person.human).map(|p| (p.uuid, p)).collect(),
            named: entries.iter().map(|person| person.uuid).collect(),
            owners: snapshot.owners.as_ref(),
            in_use: in_use(snapshot),
            known: mirror.people.values().filter(|person| !person.left).map(|person| person.uuid).collect(),
        }
    }

    fn kept(&self) -> Vec<Kept> {
        let why = "Bitbucket's entry could not be understood; kept as it was";
        let mut kept: Vec<_> =
            self.read.kept.iter().map(|uuid| Kept::new(format!("person {uuid}"), why)).collect();
        if !self.read.absence_proven {
            let why = "an entry without a readable id came, so nobody's absence is proven; nobody is removed";
            kept.push(Kept::new("people", why));
        }
        if self.owners.is_none() {
            kept.push(Kept::new("owners", "the owners could not be read completely; they stay as they are"));
        }
        kept
    }

    /// Whether the listing proves that somebody is not in the workspace.
    pub(super) fn is_gone(&self, uuid: &AccountUuid) -> bool {
        self.read.proves_gone(uuid, &self.named)
    }

    /// Whether somebody of a group belongs into its team: whoever is in the workspace, or is kept as they were; no bots, nobody
    /// who is just leaving.
    pub(super) fn may_be_in_teams(&self, uuid: &AccountUuid) -> bool {
        self.present.contains_key(uuid) || (self.known.contains(uuid) && self.read.kept.contains(uuid))
    }

    fn is_ignored(&self, uuid: &AccountUuid) -> bool {
        self.settings.ignored.contains(uuid)
    }

    /// What appeared or changed, and what is gone.
    fn plan(&self, mirror: &Mirror) -> (Vec<Change>, Vec<Change>) {
        let mut added = Vec::new();
        for (uuid, seen) in &self.present {
            let before = mirror.people.get(uuid).filter(|person| !person.left);
            let said = self.owners.map(|owners| owners.contains(uuid));
            let after = Person {
                uuid: *uuid,
                account_id: seen.account_id.clone(),
                display_name: seen.display_name.clone(),
                nickname: seen.nickname.clone(),
                owner: said.unwrap_or_else(|| before.is_some_and(|person| person.owner)),
                inactive: self.is_inactive(mirror, uuid),
                teams: before.map(|person| person.teams.clone()).unwrap_or_default(),
                left: false,
            };
            match before {
                Some(before) if *before == after => {}
                Some(before) => added
                    .push(Change::UpdatePerson { before: Box::new(before.clone()), after: Box::new(after) }),
                None => added.push(Change::AddPerson { person: Box::new(after) }),
            }
        }
        let gone = mirror.people.values().filter(|person| !person.left && self.is_gone(&person.uuid));
        let removed = gone
            .filter(|person| !self.is_ignored(&person.uuid))
            .map(|person| Change::RemovePerson { person: Box::new(person.clone()) });
        (added, removed.collect())
    }

    /// Whether an account is not in use: what this snapshot says, or else what was last said.
    fn is_inactive(&self, mirror: &Mirror, uuid: &AccountUuid) -> bool {
        let before = || mirror.people.get(uuid).is_some_and(|person| person.inactive);
        self.in_use.get(uuid).map_or_else(before, |in_use| !in_use)
    }

    /// Who is no longer let in: those who left or are not in use, unless an invite still lets them in; and those whose invited
    /// membership has ended. Only what this snapshot says counts against anybody, never what an earlier one said.
    fn suspensions(&self, mirror: &Mirror, now: Timestamp) -> Vec<Change> {
        let active = mirror.members.values().filter(|member| member.standing == MemberStanding::Active);
        let suspended = active.filter(|member| !member.has_valid_invite(now)).filter_map(|member| {
            let reason = match member.account {
                Some(account) if self.is_ignored(&account) => None,
                Some(account) if member.by_bitbucket => self.reason(&account),
                _ => member.invite_has_ended(now).then_some(SuspensionReason::InviteEnded),
            };
            Some(Change::SuspendMember { member: member.id, account: member.account, reason: reason? })
        });
        suspended.collect()
    }

    fn reason(&self, account: &AccountUuid) -> Option<SuspensionReason> {
        let is_bot = self.named.contains(account) && !self.present.contains_key(account);
        match self.in_use.get(account) {
            _ if is_bot => None,
            _ if self.is_gone(account) => Some(SuspensionReason::LeftWorkspace),
            Some(false) => Some(SuspensionReason::Inactive),
            _ => None,
        }
    }

    /// Who came back: suspended, in the workspace again and in use, and with the access that the policy asks for as far as the
    /// mirror knows. Where it does not know, they come back at their next sign-in, which asks Bitbucket.
    ///
    /// Only ownership and teams that this snapshot shows speak for somebody: what was once granted to them by name may have gone
    /// with them, and what could not be read now may have changed.
    fn restorations<'c>(
        &self,
        mirror: &Mirror,
        planned: impl Iterator<Item = &'c Change>,
        proven_teams: &BTreeSet<TeamId>,
    ) -> Vec<Change> {
        let back: Vec<(&MirroredMember, AccountUuid)> = mirror
            .members
            .values()
            .filter(|member| member.standing == MemberStanding::Suspended && member.by_bitbucket)
            .filter_map(|member| member.account.map(|account| (member, account)))
            .filter(|(_, account)| self.present.contains_key(account) && !self.is_ignored(account))
            .filter(|(_, account)| !self.is_inactive(mirror, account))
            .collect();
        let restore = |(member, account): (&MirroredMember, AccountUuid)| Change::RestoreMember {
            member: member.id,
            account: Some(account),
        };
        if back.is_empty() || self.settings.policy == Policy::WorkspaceMember {
            return back.into_iter().map(restore).collect();
        }
        let mut then = mirror.clone();
        planned.for_each(|change| change.apply(&mut then));
        for (_, account) in &back {
            if let Some(person) = then.people.get_mut(account) {
                person.teams.retain(|team| proven_teams.contains(team));
                person.owner &= self.owners.is_some();
            }
        }
        let access = access_map(&then);
        let has_access = |account: AccountUuid| match self.settings.policy {
            Policy::WorkspaceMember => Some(true),
            Policy::AllRepositories => access.coverage_by_groups(account).all(),
            Policy::AnyRepository => access.coverage_by_groups(account).any(),
        };
        back.into_iter().filter(|(_, account)| has_access(*account) == Some(true)).map(restore).collect()
    }
}

/// What the snapshot positively says about accounts being in use. Who was asked for by name is believed before any group, and
/// where groups contradict one another, nothing is said.
fn in_use(snapshot: &MembersSnapshot) -> BTreeMap<AccountUuid, bool> {
    let mut said: BTreeMap<AccountUuid, Option<bool>> = BTreeMap::new();
    for group in snapshot.groups.iter().flat_map(|groups| groups.seen.entries()) {
        for (person, in_use) in &group.members {
            said.entry(*person)
                .and_modify(|said| *said = said.filter(|said| said == in_use))
                .or_insert(Some(*in_use));
        }
    }
    let mut said: BTreeMap<_, _> =
        said.into_iter().filter_map(|(person, said)| Some((person, said?))).collect();
    said.extend(&snapshot.asked);
    said
}
