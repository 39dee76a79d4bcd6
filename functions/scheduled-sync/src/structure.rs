//! The structure lane: repositories, projects, what projects grant.

use std::collections::BTreeMap;

use rollcall_bitbucket::{BitbucketWorkspace, Error, Session, StructureListing, WorkspaceRef};
use rollcall_domain::access::Grants;
use rollcall_domain::bitbucket::{GroupSlug, ProjectUuid};
use rollcall_domain::mirror::{SeenProject, SeenRepository, StructureSnapshot};
use rollcall_domain::plan::{self, Lane};
use rollcall_domain::run::StructureLap;
use rollcall_store::StoreError;
use serde_json::json;

use crate::carry_out::{Carried, Witness};
use crate::run::{LaneEnd, Run, passes_by_itself};
use crate::second_look;

/// Projects whose grants are read at once, so that the deadline and the budget are looked at in between. Two calls each.
const AT_ONCE: usize = 20;

pub(crate) async fn lane(run: &mut Run<'_>, session: &Session) -> Result<LaneEnd, StoreError> {
    // An approval is for a whole plan: then everything is read, and nothing is gone on with.
    match run.state.structure_lap.clone().filter(|_| run.approved().is_none() && !run.only_shows()) {
        Some(lap) => go_on(run, session, lap).await,
        None => begin(run, session).await,
    }
}

/// Lists everything, and reads as many projects' grants as the run has calls and time for.
async fn begin(run: &mut Run<'_>, session: &Session) -> Result<LaneEnd, StoreError> {
    let listing = match session.read_structure_lane(run.connection().bitbucket, |_| false).await {
        Ok(listing) => listing,
        Err(error) => return Ok(LaneEnd::Failed(error)),
    };
    run.note_names(&listing.workspace);
    run.record.evidence.push(json!({
        "listing": "structure",
        "repositories": listing.repositories.seen().len(),
        "projects": listing.projects.seen().len(),
        "not_understood": listing.repositories.malformed().len() + listing.projects.malformed().len(),
        "complete": true,
    }));
    note_changed(run, &listing);
    let workspace = listing.workspace.clone();
    let asked: Vec<SeenProject> = listing.projects.seen().entries().to_vec();
    let read = read_grants(run, session, &workspace, asked).await;
    if let Some(removed) = read.removed_endpoint() {
        return Ok(removed);
    }
    let snapshot = StructureSnapshot {
        repositories: seen(listing.repositories.into_read()),
        projects: listing.projects.into_read(),
        grants: read.grants,
    };
    let added = plan::structure::private_added(&run.mirror, &snapshot);
    let plan = plan::structure::plan(&run.mirror, &snapshot, &run.connection().settings, run.now);
    if run.only_shows() {
        run.record.plan_hash.get_or_insert_with(|| plan.hash());
        run.show(&plan).await?;
        return Ok(read.ended.unwrap_or(LaneEnd::Done(read.trouble)));
    }
    if let Some(verified) = &mut run.state.verified {
        verified.added_since += added;
    }
    let witness = Witness { session, workspace: &workspace, member: None };
    let whole = read.left.is_empty();
    if run.carry_out(plan, &witness, whole).await? == Carried::Partly {
        // Nothing of the listing is kept: it is read again.
        return Ok(LaneEnd::Later("the time of this run was used up".to_owned()));
    }
    run.state.structure_lap =
        (!whole).then(|| StructureLap { listed_at: run.now, projects: read.left.into_iter().collect() });
    Ok(read.ended.unwrap_or(LaneEnd::Done(read.trouble)))
}

/// Reads the grants that an earlier run had no calls or time for.
async fn go_on(run: &mut Run<'_>, session: &Session, lap: StructureLap) -> Result<LaneEnd, StoreError> {
    let workspace = match session.workspace(&WorkspaceRef::Uuid(run.connection().bitbucket)).await {
        Ok(workspace) => workspace,
        Err(error) => return Ok(LaneEnd::Failed(error)),
    };
    let projects = lap.projects.iter().filter_map(|uuid| run.mirror.projects.get(uuid));
    let asked = projects.filter(|project| !project.removed).map(|project| SeenProject {
        uuid: project.uuid,
        key: project.key.clone(),
        name: project.name.clone(),
    });
    let asked = asked.collect();
    let read = read_grants(run, session, &workspace, asked).await;
    if let Some(removed) = read.removed_endpoint() {
        return Ok(removed);
    }
    let plan = plan::structure::plan_grants(&run.mirror, &read.grants, &run.connection().settings, run.now);
    let witness = Witness { session, workspace: &workspace, member: None };
    if run.carry_out(plan, &witness, false).await? == Carried::Partly {
        return Ok(LaneEnd::Later("the time of this run was used up".to_owned()));
    }
    let left = StructureLap { projects: read.left.into_iter().collect(), ..lap };
    run.state.structure_lap = (!left.projects.is_empty()).then_some(left);
    Ok(read.ended.unwrap_or(LaneEnd::Done(read.trouble)))
}

/// What was read of projects' grants.
struct GrantsRead {
    grants: BTreeMap<ProjectUuid, Grants<GroupSlug>>,
    /// Projects that nobody came to ask about.
    left: Vec<ProjectUuid>,
    /// Why not all were asked for, if so.
    ended: Option<LaneEnd>,
    /// Why some could not be read, if so.
    trouble: Option<String>,
}

impl GrantsRead {
    /// A removed endpoint: then nothing of what was read is acted on.
    fn removed_endpoint(&self) -> Option<LaneEnd> {
        match &self.ended {
            Some(LaneEnd::Failed(error @ Error::Gone { .. })) => Some(LaneEnd::Failed(error.clone())),
            _ => None,
        }
    }
}

async fn read_grants(
    run: &mut Run<'_>,
    session: &Session,
    workspace: &BitbucketWorkspace,
    projects: Vec<SeenProject>,
) -> GrantsRead {
    let mut read = GrantsRead { grants: BTreeMap::new(), left: Vec::new(), ended: None, trouble: None };
    let mut chunks = projects.chunks(AT_ONCE);
    for chunk in chunks.by_ref() {
        if let Some(why) = run.is_used_up(session) {
            read.ended = Some(LaneEnd::Later(why));
            read.left.extend(chunk.iter().map(|project| project.uuid));
            break;
        }
        let names: BTreeMap<ProjectUuid, String> =
            chunk.iter().map(|project| (project.uuid, project.key.to_string())).collect();
        let (mut granted, mut failed) = (BTreeMap::new(), BTreeMap::new());
        for (uuid, answer) in session.grants_of_projects(workspace, chunk.iter().cloned()).await {
            match answer {
                Ok(grants) => _ = granted.insert(uuid, grants),
                Err(error) => _ = failed.insert(uuid, error),
            }
        }
        failed.extend(second_look::of_projects(&run.mirror, session, workspace, chunk, &granted).await);
        granted.retain(|uuid, _| !failed.contains_key(uuid));
        read.grants.extend(granted);
        for (uuid, error) in failed {
            match error {
                error if passes_by_itself(&error) || matches!(error, Error::Gone { .. }) => {
                    read.left.push(uuid);
                    read.ended.get_or_insert(LaneEnd::Failed(error));
                }
                error => {
                    let project = names.get(&uuid).map_or("", String::as_str);
                    let why = format!(
                        "its grants could not be read and stay as they are: {error}. {}",
                        error.advice()
                    );
                    read.trouble.get_or_insert(format!("project {project}: {why}"));
                    run.keep(format!("project {project}"), why);
                }
            }
        }
        if read.ended.is_some() {
            break;
        }
    }
    read.left.extend(chunks.flatten().map(|project| project.uuid));
    read
}

fn seen(
    read: rollcall_domain::mirror::Read<rollcall_bitbucket::Repository>,
) -> rollcall_domain::mirror::Read<SeenRepository> {
    rollcall_domain::mirror::Read {
        seen: read.seen.map(|repository| repository.seen),
        kept: read.kept,
        absence_proven: read.absence_proven,
    }
}

/// Repositories that have changed since they were last listed have their grants read first.
fn note_changed(run: &mut Run<'_>, listing: &StructureListing) {
    let Some(last) = run.state.lane(Lane::Structure).succeeded_at else { return };
    let changed = listing.repositories.seen().entries().iter();
    let changed = changed.filter(|repository| repository.updated_on.is_some_and(|at| at > last));
    run.urgent = changed.map(|repository| repository.seen.uuid).collect();
}
