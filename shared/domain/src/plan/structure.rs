//! Planning the structure lane: repositories, projects, and what projects grant.

use std::collections::{BTreeMap, BTreeSet};

use super::grants::{SlugTable, lost_access, responsibilities};
use super::{Change, Kept, Lane, Plan};
use crate::Timestamp;
use crate::access::Grants;
use crate::bitbucket::{GroupSlug, ProjectUuid};
use crate::connection::Settings;
use crate::mirror::{Mirror, OwnGrants, Project, Repository, StructureSnapshot};

/// Plans the structure lane. A project whose grants are not in the snapshot keeps those it has.
pub fn plan(mirror: &Mirror, snapshot: &StructureSnapshot, settings: &Settings, now: Timestamp) -> Plan {
    let mut kept = Vec::new();
    let (mut repositories, mut changes, mut removed) = (Vec::new(), Vec::new(), Vec::new());
    plan_repositories(mirror, snapshot, &mut repositories, &mut removed, &mut kept);
    let mut then = mirror.clone();
    repositories.iter().chain(&removed).for_each(|change| change.apply(&mut then));
    plan_projects(mirror, &then, snapshot, &mut changes, &mut removed, &mut kept);
    // Projects appear before what belongs to them, and go after it.
    changes.append(&mut repositories);
    changes.append(&mut removed);
    changes.iter().for_each(|change| change.apply(&mut then));
    follow_up(&then, &snapshot.grants, settings, now, &mut changes);
    Plan { lane: Lane::Structure, changes, kept }
}

/// Plans what some projects grant, where their listing was planned before.
pub fn plan_grants(
    mirror: &Mirror,
    grants: &BTreeMap<ProjectUuid, Grants<GroupSlug>>,
    settings: &Settings,
    now: Timestamp,
) -> Plan {
    let teams = SlugTable::new(mirror);
    let mut kept = Vec::new();
    let mut changes = Vec::new();
    for (uuid, read) in grants {
        let known = mirror.projects.get(uuid).filter(|project| !project.removed);
        let Some(before) = known else { continue };
        let after = Project { grants: granted(&teams, read, Some(before), &mut kept), ..before.clone() };
        if *before != after {
            changes.push(set_project(Some(before), after));
        }
    }
    let mut then = mirror.clone();
    changes.iter().for_each(|change| change.apply(&mut then));
    follow_up(&then, grants, settings, now, &mut changes);
    Plan { lane: Lane::Structure, changes, kept }
}

/// What follows from the grants as they are after the changes: responsibilities, and who has lost the access that is asked for.
fn follow_up(
    then: &Mirror,
    read: &BTreeMap<ProjectUuid, Grants<GroupSlug>>,
    settings: &Settings,
    now: Timestamp,
    changes: &mut Vec<Change>,
) {
    changes.extend(responsibilities(then));
    let of_read_projects =
        then.repositories.values().filter(|repository| read.contains_key(&repository.project));
    let just_read = of_read_projects.map(|repository| repository.uuid).collect();
    changes.extend(lost_access(then, &just_read, settings, now));
}

fn plan_projects(
    mirror: &Mirror,
    then: &Mirror,
    snapshot: &StructureSnapshot,
    changes: &mut Vec<Change>,
    removed: &mut Vec<Change>,
    kept: &mut Vec<Kept>,
) {
    let teams = SlugTable::new(mirror);
    let mut seen: Vec<_> = snapshot.projects.seen.entries().iter().collect();
    seen.sort_by_key(|project| project.uuid);
    let named: BTreeSet<ProjectUuid> = seen.iter().map(|project| project.uuid).collect();
    for seen in seen {
        let before = mirror.projects.get(&seen.uuid);
        // What a project granted before it was gone proves nothing when it is back.
        let known = before.filter(|project| !project.removed);
        let grants = match snapshot.grants.get(&seen.uuid) {
            Some(read) => granted(&teams, read, known, kept),
            None => known.and_then(|project| project.grants.clone()),
        };
        let (key, name) = (seen.key.clone(), seen.name.clone());
        let after = Project { uuid: seen.uuid, key, name, grants, removed: false };
        if before != Some(&after) {
            changes.push(set_project(before, after));
        }
    }
    let in_use: BTreeSet<ProjectUuid> = then
        .repositories
        .values()
        .filter(|repository| !repository.removed)
        .map(|repository| repository.project)
        .collect();
    for project in mirror.projects.values().filter(|project| !project.removed) {
        if !snapshot.projects.proves_gone(&project.uuid, &named) {
            continue;
        }
        if in_use.contains(&project.uuid) {
            let why = "it is not listed any more, and a repository still belongs to it; kept as it was";
            kept.push(Kept::new(format!("project {}", project.key), why));
        } else {
            removed.push(set_project(Some(project), Project { removed: true, ..project.clone() }));
        }
    }
    note_kept("project", &snapshot.projects.kept, snapshot.projects.absence_proven, kept);
}

fn set_project(before: Option<&Project>, after: Project) -> Change {
    Change::SetProject { before: before.cloned().map(Box::new), after: Box::new(after) }
}

/// What a project grants, by team. Where a group is not known to be a team, the project keeps what it had.
fn granted(
    teams: &SlugTable<'_>,
    read: &Grants<GroupSlug>,
    before: Option<&Project>,
    kept: &mut Vec<Kept>,
) -> Option<Grants<crate::TeamId>> {
    match teams.translate(read) {
        Ok(grants) => Some(grants),
        Err(unknown) => {
            let what =
                before.map_or_else(|| "a new project".to_owned(), |before| format!("project {}", before.key));
            kept.push(Kept::new(what, unknown.to_string()));
            before.and_then(|project| project.grants.clone())
        }
    }
}

fn plan_repositories(
    mirror: &Mirror,
    snapshot: &StructureSnapshot,
    changes: &mut Vec<Change>,
    removed: &mut Vec<Change>,
    kept: &mut Vec<Kept>,
) {
    // Listed by the time of their last change, which is no order that a plan may depend on.
    let mut seen: Vec<_> = snapshot.repositories.seen.entries().iter().collect();
    seen.sort_by_key(|repository| repository.uuid);
    let named = seen.iter().map(|repository| repository.uuid).collect();
    for seen in seen {
        let before = mirror.repositories.get(&seen.uuid);
        let after = Repository {
            uuid: seen.uuid,
            slug: seen.slug.clone(),
            name: seen.name.clone(),
            project: seen.project,
            private: seen.private,
            // What a repository granted before it was gone proves nothing when it is back.
            own: before
                .filter(|repository| !repository.removed)
                .map_or_else(OwnGrants::default, |repository| repository.own.clone()),
            removed: false,
        };
        match before {
            Some(before) if *before == after => {}
            Some(before) if !before.removed => {
                changes.push(Change::UpdateRepository {
                    before: Box::new(before.clone()),
                    after: Box::new(after),
                });
            }
            _ => changes.push(Change::AddRepository { repository: Box::new(after) }),
        }
    }
    for repository in mirror.repositories.values().filter(|repository| !repository.removed) {
        if snapshot.repositories.proves_gone(&repository.uuid, &named) {
            removed.push(Change::RemoveRepository { repository: Box::new(repository.clone()) });
        }
    }
    note_kept("repository", &snapshot.repositories.kept, snapshot.repositories.absence_proven, kept);
}

fn note_kept<K: core::fmt::Display>(
    what: &str,
    keys: &BTreeSet<K>,
    absence_proven: bool,
    kept: &mut Vec<Kept>,
) {
    for key in keys {
        kept.push(Kept::new(
            format!("{what} {key}"),
            "Bitbucket's entry could not be understood; kept as it was",
        ));
    }
    if !absence_proven {
        let why = "an entry without a readable id came, so no absence is proven; none is removed";
        kept.push(Kept::new(format!("every {what}"), why));
    }
}

/// How many private repositories the snapshot has that the mirror did not: the verified set of the last lap no longer stands.
pub fn private_added(mirror: &Mirror, snapshot: &StructureSnapshot) -> usize {
    let known: BTreeMap<_, _> = mirror.repositories.iter().filter(|(_, r)| !r.removed && r.private).collect();
    snapshot
        .repositories
        .seen
        .entries()
        .iter()
        .filter(|seen| seen.private && !known.contains_key(&seen.uuid))
        .count()
}
