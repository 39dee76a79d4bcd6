//! Writing a plan into the mirror: in order, in small transactions, each under the run's lease.
//!
//! A transaction has the final rows of everything its changes touch, the audit entries and the events. Any beginning of them is a
//! valid state, and a run that is repeated finds what is left to do.

use std::collections::{BTreeMap, BTreeSet};

use rollcall_domain::audit::{Actor, AuditEntry};
use rollcall_domain::bitbucket::{AccountUuid, ProjectUuid, RepositoryUuid};
use rollcall_domain::event::{Event, EventKind, about_member};
use rollcall_domain::member::{Member, State, SuspensionReason};
use rollcall_domain::mirror::{Mirror, MirroredMember, OwnGrants, Person};
use rollcall_domain::plan::Change;
use rollcall_domain::{AuditId, EventId, MemberId, RunId, TeamId, Timestamp, WorkspaceId};
use serde_json::{Value, json};

use crate::error::StoreError;
use crate::lease::Lease;
use crate::members::{put_member, void_invites};
use crate::mirror::{Responsibility, TeamPerson};
use crate::transaction::{MOST_ITEMS, Numbering, Record, Transaction, When};
use crate::{Store, keys};

/// What every write of a run carries.
pub struct Context<'a> {
    /// The workspace.
    pub workspace: WorkspaceId,
    /// The run.
    pub run: RunId,
    /// Who asked for it.
    pub actor: Actor,
    /// When.
    pub now: Timestamp,
    /// What time it is: writing many members takes its time, and each one's invites are void up to the moment of their own turn.
    pub clock: &'a (dyn Fn() -> Timestamp + Send + Sync),
    /// Makes ids: ten random bytes at a time.
    pub random: &'a (dyn Fn() -> [u8; 10] + Send + Sync),
    /// What proves a member's suspension, for the audit trail.
    pub evidence: &'a BTreeMap<MemberId, Value>,
}

/// Whether to stop before the next transaction: the deadline is near.
pub type Stop<'a> = &'a mut (dyn FnMut() -> bool + Send);

/// How far a plan was carried out.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Applied {
    /// How many of its changes, from the first on, were carried out or found to be done.
    pub changes: usize,
    /// How many items were written.
    pub written: usize,
    /// How many transactions it took.
    pub transactions: usize,
    /// Changes that were left out, because somebody has changed the member since the mirror was read; and why.
    pub passed_over: Vec<(MemberId, &'static str)>,
}

/// Rows that the changes of one transaction touch.
#[derive(Default)]
struct Touched {
    people: BTreeSet<AccountUuid>,
    teams: BTreeSet<TeamId>,
    projects: BTreeSet<ProjectUuid>,
    repositories: BTreeSet<RepositoryUuid>,
    responsibilities: BTreeSet<(TeamId, RepositoryUuid)>,
    places: BTreeSet<(TeamId, AccountUuid)>,
    record: Record,
    bytes: usize,
}

impl Touched {
    fn len(&self) -> usize {
        self.people.len()
            + self.teams.len()
            + self.projects.len()
            + self.repositories.len()
            // Each is written twice: in the order of teams, and in that of repositories.
            + 2 * self.responsibilities.len()
            + self.places.len()
            + self.record.audit.len()
            + self.record.events.len()
    }

    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// What a transaction has room for beside the lease and the event sequence.
const ROOM: usize = MOST_ITEMS - 2;

/// As many rows a change takes at most beside places in teams: itself, an audit entry, an event, and what else it touches.
const OTHER_ROWS: usize = 4;

/// As many bytes of what rows can grow by go into one transaction, which takes 4 MB with everything.
const MOST_BYTES: usize = 2_000_000;

/// The places in teams that a change takes or gives up. `mirror` is as it was before the change.
fn places(mirror: &Mirror, change: &Change) -> Vec<(TeamId, AccountUuid)> {
    let of = |person: &Person| person.teams.iter().map(|team| (*team, person.uuid)).collect();
    match change {
        // Somebody who is brought back takes the places that the row names.
        Change::AddPerson { person } if mirror.people.get(&person.uuid).is_none_or(|had| had.left) => {
            of(person)
        }
        Change::RemovePerson { person } => mirror.people.get(&person.uuid).map(of).unwrap_or_default(),
        Change::AddTeamMember { team, person } | Change::RemoveTeamMember { team, person, .. } => {
            vec![(*team, *person)]
        }
        _ => Vec::new(),
    }
}

/// About how many bytes a change's row has beyond the usual: what is granted makes a row grow.
fn grown_bytes(change: &Change) -> usize {
    const A_GRANT: usize = 64;
    let own = |own: &OwnGrants| {
        own.groups.as_ref().map_or(0, BTreeMap::len) + own.users.as_ref().map_or(0, BTreeMap::len)
    };
    let grants = match change {
        Change::SetProject { after, .. } => {
            after.grants.as_ref().map_or(0, |grants| grants.groups.len() + grants.users.len())
        }
        Change::AddRepository { repository }
        | Change::UpdateRepository { after: repository, .. }
        | Change::RemoveRepository { repository } => own(&repository.own),
        Change::SetRepositoryGrants { after, .. } => own(after),
        _ => 0,
    };
    grants * A_GRANT
}

impl Store {
    /// Carries out changes in order, and keeps `mirror` equal to what is written.
    pub async fn apply(
        &self,
        mirror: &mut Mirror,
        changes: &[Change],
        lease: &Lease,
        context: &Context<'_>,
        stop: Stop<'_>,
    ) -> Result<Applied, StoreError> {
        let mut applied = Applied::default();
        let mut touched = Touched::default();
        // Each transaction has events: their numbers are read once, not once for each.
        let mut numbering = Numbering::default();
        let mut waiting = 0;
        for change in changes {
            if let Change::SuspendMember { member, .. } | Change::RestoreMember { member, .. } = change {
                self.flush(mirror, &mut touched, lease, context, &mut applied, &mut numbering).await?;
                applied.changes += std::mem::take(&mut waiting);
                if stop() {
                    return Ok(applied);
                }
                match self.write_member(mirror, *member, change, lease, context, &mut numbering).await? {
                    None => applied.transactions += 1,
                    Some(why) => applied.passed_over.push((*member, why)),
                }
                applied.changes += 1;
                continue;
            }
            let places = places(mirror, change);
            let (rows, bytes) = (OTHER_ROWS + places.len(), grown_bytes(change));
            if touched.len() + rows > ROOM || touched.bytes + bytes > MOST_BYTES {
                self.flush(mirror, &mut touched, lease, context, &mut applied, &mut numbering).await?;
                applied.changes += std::mem::take(&mut waiting);
                if stop() {
                    return Ok(applied);
                }
            }
            if rows > ROOM {
                // More places than a transaction takes go ahead of the person: a run that breaks off in between finds the person as
                // they were, and does it again.
                let is_in = !matches!(change, Change::RemovePerson { .. });
                self.write_places(&places, is_in, lease, context, &mut applied).await?;
            } else {
                touched.places.extend(places);
            }
            touched.bytes += bytes;
            touch(&mut touched, mirror, change, context);
            change.apply(mirror);
            waiting += 1;
        }
        self.flush(mirror, &mut touched, lease, context, &mut applied, &mut numbering).await?;
        applied.changes += waiting;
        Ok(applied)
    }

    async fn flush(
        &self,
        mirror: &Mirror,
        touched: &mut Touched,
        lease: &Lease,
        context: &Context<'_>,
        applied: &mut Applied,
        numbering: &mut Numbering,
    ) -> Result<(), StoreError> {
        if touched.is_empty() {
            return Ok(());
        }
        let Touched { people, teams, projects, repositories, responsibilities, places, record, bytes: _ } =
            std::mem::take(touched);
        let workspace = context.workspace;
        let mut transaction = self.transaction();
        lease.check(&mut transaction)?;
        for person in people.iter().filter_map(|uuid| mirror.people.get(uuid)) {
            transaction.put("person", &keys::person(workspace, person.uuid), person, None, When::Always)?;
        }
        for team in teams.iter().filter_map(|id| mirror.teams.get(id)) {
            transaction.put("team", &keys::team(workspace, team.id), team, None, When::Always)?;
        }
        for project in projects.iter().filter_map(|uuid| mirror.projects.get(uuid)) {
            transaction.put(
                "project",
                &keys::project(workspace, project.uuid),
                project,
                None,
                When::Always,
            )?;
        }
        for repository in repositories.iter().filter_map(|uuid| mirror.repositories.get(uuid)) {
            let key = keys::repository(workspace, repository.uuid);
            transaction.put("repository", &key, repository, None, When::Always)?;
        }
        for (team, repository) in responsibilities {
            let permission = mirror.responsibilities.get(&(team, repository)).copied();
            let row = permission.map(|permission| Responsibility { team, repository, permission });
            for key in [
                keys::responsibility(workspace, team, repository),
                keys::responsible_team(workspace, repository, team),
            ] {
                match &row {
                    Some(row) => transaction.put("responsibility", &key, row, None, When::Always)?,
                    None => transaction.delete("responsibility", &key, When::Always)?,
                }
            }
        }
        for (team, person) in places {
            let is_in = mirror.people.get(&person).is_some_and(|person| person.teams.contains(&team));
            put_place(&mut transaction, workspace, (team, person), is_in)?;
        }
        transaction.record(record)?;
        applied.written += transaction.len() - 1;
        transaction.commit_after(numbering).await?;
        applied.transactions += 1;
        Ok(())
    }

    /// Writes places in teams by themselves.
    async fn write_places(
        &self,
        places: &[(TeamId, AccountUuid)],
        is_in: bool,
        lease: &Lease,
        context: &Context<'_>,
        applied: &mut Applied,
    ) -> Result<(), StoreError> {
        for chunk in places.chunks(ROOM) {
            let mut transaction = self.transaction();
            lease.check(&mut transaction)?;
            for place in chunk {
                put_place(&mut transaction, context.workspace, *place, is_in)?;
            }
            transaction.commit().await?;
            applied.written += chunk.len();
            applied.transactions += 1;
        }
        Ok(())
    }

    /// Suspends or restores a member: their row, what voids their invites, the audit entry and the event. `Some`: left out, and why.
    async fn write_member(
        &self,
        mirror: &mut Mirror,
        id: MemberId,
        change: &Change,
        lease: &Lease,
        context: &Context<'_>,
        numbering: &mut Numbering,
    ) -> Result<Option<&'static str>, StoreError> {
        const CHANGED: &str =
            "somebody has changed the member since the run read it; it is looked at again at the next run";
        let Some(known) = mirror.members.get(&id) else { return Ok(Some("there is no such member")) };
        let Some(before) = self.member(context.workspace, id).await? else {
            return Ok(Some("there is no such member"));
        };
        if before.version != known.version {
            return Ok(Some(CHANGED));
        }
        let mut member: Member = before.clone();
        let (kind, why) = match change {
            Change::SuspendMember { reason, .. } => {
                if !member.suspend(*reason, Some(context.run), context.now) {
                    return Ok(Some("the member is not active any more"));
                }
                (EventKind::MemberSuspended, told(*reason))
            }
            _ => match member.restore() {
                Ok(true) => (EventKind::MemberRestored, "back in the Bitbucket workspace"),
                Ok(false) | Err(_) => return Ok(Some("the member is not suspended any more")),
            },
        };
        let mut transaction = self.transaction();
        lease.check(&mut transaction)?;
        put_member(&mut transaction, &member, Some(&before))?;
        if member.state != State::Active {
            void_invites(&mut transaction, &member, Some((context.clock)()))?;
        }
        let found = json!({ "run": context.run, "evidence": context.evidence.get(&id) });
        let data = about_member(&member, found);
        let audit = vec![entry(context, kind.as_str(), id.to_string(), why, data.clone())];
        transaction.record(Record { audit, events: vec![event(context, kind, id.to_string(), data)] })?;
        match transaction.commit_after(numbering).await {
            Ok(()) => {}
            Err(StoreError::Conflict { what: "member" }) => return Ok(Some(CHANGED)),
            Err(error) => return Err(error),
        }
        member.version += 1;
        mirror.members.insert(id, MirroredMember::from(&member));
        Ok(None)
    }
}

fn put_place(
    transaction: &mut Transaction<'_>,
    workspace: WorkspaceId,
    (team, person): (TeamId, AccountUuid),
    is_in: bool,
) -> Result<(), StoreError> {
    let key = keys::team_person(workspace, team, person);
    if is_in {
        transaction.put("place in a team", &key, &TeamPerson { person }, None, When::Always)
    } else {
        transaction.delete("place in a team", &key, When::Always)
    }
}

const fn told(reason: SuspensionReason) -> &'static str {
    match reason {
        SuspensionReason::LeftWorkspace => "left the Bitbucket workspace",
        SuspensionReason::Inactive => "deactivated at Bitbucket",
        SuspensionReason::LostAccess => "no longer has the access that the policy asks for",
        SuspensionReason::InviteEnded => "the invited membership has ended",
        SuspensionReason::GrantRevoked => "the inviter may no longer grant it",
    }
}

fn entry(context: &Context<'_>, action: &str, target: String, why: &str, detail: Value) -> AuditEntry {
    AuditEntry {
        id: AuditId::new(context.now, (context.random)()),
        workspace: Some(context.workspace),
        at: context.now,
        actor: context.actor.clone(),
        action: action.to_owned(),
        target: Some(target),
        why: why.to_owned(),
        from: None,
        detail,
    }
}

fn event(context: &Context<'_>, kind: EventKind, subject: String, data: Value) -> Event {
    Event {
        id: EventId::new(context.now, (context.random)()),
        workspace: context.workspace,
        kind,
        at: context.now,
        subject,
        data,
    }
}

/// Notes what a change touches, and what is told of it. `mirror` is as it was before the change.
fn touch(touched: &mut Touched, mirror: &Mirror, change: &Change, context: &Context<'_>) {
    let mut tell = |kind: EventKind, subject: String, why: &str, data: Value| {
        touched.record.audit.push(entry(context, kind.as_str(), subject.clone(), why, data.clone()));
        touched.record.events.push(event(context, kind, subject, data));
    };
    match change {
        Change::SuspendMember { .. } | Change::RestoreMember { .. } => {}
        Change::AddPerson { person }
        | Change::UpdatePerson { after: person, .. }
        | Change::RemovePerson { person } => {
            touched.people.insert(person.uuid);
        }
        Change::AddTeam { team } => {
            tell(
                EventKind::TeamCreated,
                team.id.to_string(),
                "the group appeared at Bitbucket",
                json!({ "name": team.name, "slug": team.slug }),
            );
            touched.teams.insert(team.id);
        }
        Change::UpdateTeam { before, after } => {
            let data = json!({ "name": after.name, "slug": after.slug, "former_name": before.name, "former_slug": before.slug });
            tell(EventKind::TeamUpdated, after.id.to_string(), "the group was renamed at Bitbucket", data);
            touched.teams.insert(after.id);
        }
        Change::RemoveTeam { team } => {
            tell(
                EventKind::TeamRemoved,
                team.id.to_string(),
                "the group is gone at Bitbucket",
                json!({ "name": team.name, "slug": team.slug }),
            );
            touched.teams.insert(team.id);
        }
        Change::AddTeamMember { team, person } | Change::RemoveTeamMember { team, person, .. } => {
            let joined = matches!(change, Change::AddTeamMember { .. });
            // The application is shown members, not everybody in the Bitbucket workspace.
            for member in mirror.members.values().filter(|member| member.account == Some(*person)) {
                let (kind, why) = if joined {
                    (EventKind::TeamMemberAdded, "joined the group at Bitbucket")
                } else {
                    (EventKind::TeamMemberRemoved, "left the group at Bitbucket")
                };
                tell(kind, team.to_string(), why, json!({ "team": team, "member": member.id }));
            }
            touched.people.insert(*person);
        }
        Change::SetProject { after, .. } => {
            touched.projects.insert(after.uuid);
        }
        Change::AddRepository { repository }
        | Change::UpdateRepository { after: repository, .. }
        | Change::RemoveRepository { repository } => {
            touched.repositories.insert(repository.uuid);
        }
        Change::SetRepositoryGrants { repository, .. } => {
            touched.repositories.insert(*repository);
        }
        Change::SetResponsibility { team, repository, .. } => {
            touched.responsibilities.insert((*team, *repository));
        }
    }
}
