//! The grants lane: what repositories grant by themselves, a lap round all of them in as many runs as it takes.

use std::collections::{BTreeMap, BTreeSet};

use rollcall_bitbucket::{BitbucketWorkspace, Error, Session, WorkspaceRef};
use rollcall_domain::bitbucket::RepositoryUuid;
use rollcall_domain::mirror::{GrantsSnapshot, Mirror, SeenRepository};
use rollcall_domain::plan::grants::{ToRead, to_read};
use rollcall_domain::plan::{self, Lane};
use rollcall_domain::run::Lap;
use rollcall_store::StoreError;

use crate::carry_out::{Carried, Witness};
use crate::run::{LaneEnd, Run, passes_by_itself};
use crate::second_look;

/// Repositories read at once, so that the deadline and the budget are looked at in between. Two calls each at most.
const AT_ONCE: usize = 24;

/// A plan that is only shown reads no more repositories than this.
const MOST_SHOWN: usize = 200;

pub(crate) async fn lane(run: &mut Run<'_>, session: &Session) -> Result<LaneEnd, StoreError> {
    let mut lap = run.state.lap.clone().unwrap_or_else(|| Lap::begin(run.now));
    let all = to_read(&run.mirror, false);
    let rest = lap.rest(&all, &run.urgent);
    if run.only_shows() && rest.len() > MOST_SHOWN {
        let why = format!(
            "{} repositories are read over several runs; what they grant is not in this plan",
            rest.len()
        );
        run.keep("grants", why);
        return Ok(LaneEnd::Done(None));
    }
    let mut read = GrantsRead::default();
    if !rest.is_empty() {
        let workspace = match session.workspace(&WorkspaceRef::Uuid(run.connection().bitbucket)).await {
            Ok(workspace) => workspace,
            Err(error) => return Ok(LaneEnd::Failed(error)),
        };
        read = read_grants(run, session, &workspace, &rest).await;
    }
    // A removed endpoint: then nothing of what was read is acted on.
    if let Some(LaneEnd::Failed(error @ Error::Gone { .. })) = &read.ended {
        return Ok(LaneEnd::Failed(error.clone()));
    }
    let just_read = read.reached.keys().copied().collect();
    // While removals wait for approval, they are planned anew from everything that is known, so that they stay the same.
    let just_read: BTreeSet<RepositoryUuid> = if run.state.frozen.contains_key(&Lane::Grants) {
        run.mirror.repositories.keys().copied().collect()
    } else {
        just_read
    };
    let plan =
        plan::grants::plan(&run.mirror, &read.snapshot, &just_read, &run.connection().settings, run.now);
    if run.only_shows() {
        run.record.plan_hash.get_or_insert_with(|| plan.hash());
        run.show(&plan).await?;
        return Ok(read.ended.unwrap_or(LaneEnd::Done(read.trouble)));
    }
    let workspace = BitbucketWorkspace {
        uuid: run.connection().bitbucket,
        slug: run.connection().slug.clone(),
        name: run.connection().name.clone(),
    };
    let witness = Witness { session, workspace: &workspace, member: None };
    if run.carry_out(plan, &witness, true).await? == Carried::Partly {
        return Ok(LaneEnd::Later("the time of this run was used up".to_owned()));
    }
    lap.pass(read.reached, &rest);
    run.state.lap_started_at = Some(lap.started_at);
    if lap.is_over(&to_read(&run.mirror, false)) {
        run.end_lap(&lap);
        run.state.lap = None;
    } else {
        run.state.lap = Some(lap);
    }
    Ok(read.ended.unwrap_or(LaneEnd::Done(read.trouble)))
}

#[derive(Default)]
struct GrantsRead {
    snapshot: GrantsSnapshot,
    /// The repositories that were come to, and whether they could be read.
    reached: BTreeMap<RepositoryUuid, bool>,
    ended: Option<LaneEnd>,
    trouble: Option<String>,
}

pub(crate) fn listed(mirror: &Mirror, uuid: RepositoryUuid) -> Option<SeenRepository> {
    let repository = mirror.repositories.get(&uuid)?;
    Some(SeenRepository {
        uuid,
        slug: repository.slug.clone(),
        name: repository.name.clone(),
        project: repository.project,
        private: repository.private,
    })
}

async fn read_grants(
    run: &mut Run<'_>,
    session: &Session,
    workspace: &BitbucketWorkspace,
    rest: &[ToRead],
) -> GrantsRead {
    let mut read = GrantsRead::default();
    for chunk in rest.chunks(AT_ONCE) {
        if let Some(why) = run.is_used_up(session) {
            read.ended = Some(LaneEnd::Later(why));
            break;
        }
        let of = |wanted: fn(&ToRead) -> bool| -> Vec<SeenRepository> {
            let chunk = chunk.iter().filter(|read| wanted(read));
            chunk.filter_map(|read| listed(&run.mirror, read.repository)).collect()
        };
        let groups = session.group_grants_of_repositories(workspace, of(|read| read.groups)).await;
        let users = session.user_grants_of_repositories(workspace, of(|read| read.users)).await;
        let mut failed: BTreeMap<RepositoryUuid, Error> = BTreeMap::new();
        let mut reached: BTreeSet<RepositoryUuid> = chunk.iter().map(|read| read.repository).collect();
        let (mut of_groups, mut of_users) = (BTreeMap::new(), BTreeMap::new());
        for (uuid, answer) in groups {
            match answer {
                Ok(grants) => _ = of_groups.insert(uuid, grants),
                Err(error) => _ = failed.insert(uuid, error),
            }
        }
        for (uuid, answer) in users {
            match answer {
                Ok(grants) => _ = of_users.insert(uuid, grants),
                Err(error) => _ = failed.insert(uuid, error),
            }
        }
        let doubts =
            second_look::of_repositories(&run.mirror, session, workspace, &of_groups, &of_users).await;
        failed.extend(doubts);
        for (uuid, error) in &failed {
            if passes_by_itself(error) || matches!(error, Error::Gone { .. }) {
                // Its turn has not come.
                reached.remove(uuid);
                read.ended.get_or_insert(LaneEnd::Failed(error.clone()));
            } else {
                read.note_unreadable(run, *uuid, error);
            }
        }
        // A repository counts as read only if all of it was: half of its grants would read as the loss of the other half.
        let whole = |uuid: &RepositoryUuid| !failed.contains_key(uuid);
        read.snapshot.groups.extend(of_groups.into_iter().filter(|(uuid, _)| whole(uuid)));
        read.snapshot.users.extend(of_users.into_iter().filter(|(uuid, _)| whole(uuid)));
        read.reached.extend(reached.into_iter().map(|uuid| (uuid, whole(&uuid))));
        if read.ended.is_some() {
            break;
        }
    }
    read
}

impl GrantsRead {
    fn note_unreadable(&mut self, run: &mut Run<'_>, uuid: RepositoryUuid, error: &Error) {
        let slug =
            run.mirror.repositories.get(&uuid).map_or_else(|| uuid.to_string(), |r| r.slug.to_string());
        let what = format!("repository {slug}");
        if let Error::NotFound { .. } = error {
            let why = "it is not there any more, or hidden from the credential; the next listing of repositories tells";
            run.keep(what, why);
        } else {
            let why =
                format!("its grants could not be read and stay as they are: {error}. {}", error.advice());
            self.trouble.get_or_insert_with(|| format!("{what}: {why}"));
            run.keep(what, why);
        }
    }
}
