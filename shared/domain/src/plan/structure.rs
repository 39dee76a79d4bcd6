//! Planning the structure lane: repositories, projects, and what projects grant.

use std::collections::{BTreeMap, BTreeSet};

use super::grants::{SlugTable, lost_access, responsibilities};
use super::{Change, Kept, Lane, Plan};
use crate::Timestamp;
use crate::connection::Settings;
use crate::mirror::{Mirror, OwnGrants, Project, Repository, StructureSnapshot};

/// Plans the structure lane.
pub fn plan(mirror: &Mirror, snapshot: &StructureSnapshot, settings: &Settings, now: Timestamp) -> Plan {
    let mut kept = Vec::new();
    let mut changes = Vec::new();
    plan_projects(mirror, snapshot, &mut changes, &mut kept);
    plan_repositories(mirror, snapshot, &mut changes, &mut kept);

    let mut then = mirror.clone();
    changes.iter().for_each(|change| change.apply(&mut then));
    changes.extend(responsibilities(&then));
    changes.extend(lost_access(&then, settings, now));
    Plan { lane: Lane::Structure, changes, kept }
}

fn plan_projects(
    mirror: &Mirror,
    snapshot: &StructureSnapshot,
    changes: &mut Vec<Change>,
    kept: &mut Vec<Kept>,
) {
    let teams = SlugTable::new(mirror);
    let mut named = BTreeSet::new();
    for seen in snapshot.projects.seen.entries() {
        named.insert(seen.uuid);
        let before = mirror.projects.get(&seen.uuid);
        let known = before.and_then(|project| project.grants.clone());
        let grants = match snapshot.grants.get(&seen.uuid).map(|grants| teams.translate(grants)) {
            Some(Ok(grants)) => Some(grants),
            Some(Err(slug)) => {
                let why = format!(
                    "it grants something to group {slug}, which no team is known for yet; its grants stay as they are"
                );
                kept.push(Kept::new(format!("project {}", seen.key), why));
                known
            }
            None => {
                kept.push(Kept::new(
                    format!("project {}", seen.key),
                    "its grants could not be read; they stay as they are",
                ));
                known
            }
        };
        let after = Project {
            uuid: seen.uuid,
            key: seen.key.clone(),
            name: seen.name.clone(),
            grants,
            removed: false,
        };
        if before != Some(&after) {
            changes
                .push(Change::SetProject { before: before.cloned().map(Box::new), after: Box::new(after) });
        }
    }
    for project in mirror.projects.values().filter(|project| !project.removed) {
        if snapshot.projects.proves_gone(&project.uuid, &named) {
            let after = Project { removed: true, ..project.clone() };
            changes
                .push(Change::SetProject { before: Some(Box::new(project.clone())), after: Box::new(after) });
        }
    }
    note_kept("project", &snapshot.projects.kept, snapshot.projects.absence_proven, kept);
}

fn plan_repositories(
    mirror: &Mirror,
    snapshot: &StructureSnapshot,
    changes: &mut Vec<Change>,
    kept: &mut Vec<Kept>,
) {
    let mut named = BTreeSet::new();
    for seen in snapshot.repositories.seen.entries() {
        named.insert(seen.uuid);
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
            changes.push(Change::RemoveRepository { repository: Box::new(repository.clone()) });
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
