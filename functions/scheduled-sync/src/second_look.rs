//! A grant that a listing lacks is gone only if asking for it by name finds none either. A listing of grants has nothing else that
//! would tell an empty answer from a wrong one.

use std::collections::BTreeMap;

use futures_util::future::join_all;
use rollcall_bitbucket::{BitbucketWorkspace, Error, Grantee, Session};
use rollcall_domain::TeamId;
use rollcall_domain::access::Grants;
use rollcall_domain::bitbucket::{AccountUuid, GroupSlug, Permission, ProjectUuid, RepositoryUuid};
use rollcall_domain::mirror::{Mirror, SeenProject, SeenRepository};

use crate::grants::listed;

type Levels<K> = BTreeMap<K, Permission>;

/// One group that has a grant in the mirror and none in the listing. One is enough: a listing is believed as a whole.
pub(crate) fn missing_group(
    mirror: &Mirror,
    known: Option<&Levels<TeamId>>,
    read: &Levels<GroupSlug>,
) -> Option<Grantee> {
    let teams = known?.keys().filter_map(|team| mirror.teams.get(team));
    let mut slugs = teams.filter(|team| !team.removed).map(|team| &team.slug);
    slugs.find(|slug| !read.contains_key(*slug)).cloned().map(Grantee::Group)
}

/// The same for accounts.
pub(crate) fn missing_account(
    mirror: &Mirror,
    known: Option<&Levels<AccountUuid>>,
    read: &Levels<AccountUuid>,
) -> Option<Grantee> {
    let present = |uuid: &&AccountUuid| mirror.people.get(*uuid).is_some_and(|person| !person.left);
    known?.keys().filter(present).find(|uuid| !read.contains_key(*uuid)).copied().map(Grantee::Account)
}

/// Asks for what the listings of these repositories lack, and returns those that are not to be believed.
pub(crate) async fn of_repositories(
    mirror: &Mirror,
    session: &Session,
    workspace: &BitbucketWorkspace,
    groups: &BTreeMap<RepositoryUuid, Levels<GroupSlug>>,
    users: &BTreeMap<RepositoryUuid, Levels<AccountUuid>>,
) -> BTreeMap<RepositoryUuid, Error> {
    let own = |uuid: &RepositoryUuid| mirror.repositories.get(uuid).map(|repository| &repository.own);
    let of_groups = groups
        .iter()
        .filter_map(|(uuid, read)| Some((*uuid, missing_group(mirror, own(uuid)?.groups.as_ref(), read)?)));
    let of_users = users
        .iter()
        .filter_map(|(uuid, read)| Some((*uuid, missing_account(mirror, own(uuid)?.users.as_ref(), read)?)));
    let asked =
        of_groups.chain(of_users).filter_map(|(uuid, grantee)| Some((listed(mirror, uuid)?, grantee)));
    let answers = asked.map(|(repository, grantee): (SeenRepository, Grantee)| async move {
        (repository.uuid, session.prove_no_repository_grant(workspace, &repository, &grantee).await)
    });
    doubts(join_all(answers).await)
}

/// The same for projects.
pub(crate) async fn of_projects(
    mirror: &Mirror,
    session: &Session,
    workspace: &BitbucketWorkspace,
    projects: &[SeenProject],
    read: &BTreeMap<ProjectUuid, Grants<GroupSlug>>,
) -> BTreeMap<ProjectUuid, Error> {
    let missing = |project: &SeenProject| -> [Option<Grantee>; 2] {
        let known = mirror.projects.get(&project.uuid).and_then(|project| project.grants.as_ref());
        let (Some(known), Some(read)) = (known, read.get(&project.uuid)) else { return [None, None] };
        [
            missing_group(mirror, Some(&known.groups), &read.groups),
            missing_account(mirror, Some(&known.users), &read.users),
        ]
    };
    let asked = projects
        .iter()
        .flat_map(|project| missing(project).into_iter().flatten().map(move |grantee| (project, grantee)));
    let answers = asked.map(|(project, grantee)| async move {
        (project.uuid, session.prove_no_project_grant(workspace, project, &grantee).await)
    });
    doubts(join_all(answers).await)
}

/// What was not proven, and why.
fn doubts<K: Ord>(answers: Vec<(K, Result<(), Error>)>) -> BTreeMap<K, Error> {
    answers.into_iter().filter_map(|(of, answer)| Some((of, answer.err()?))).collect()
}
