//! Finishing a sign-in: who it is, into which workspace, and whether they are let in.

use std::collections::BTreeSet;

use axum::response::Response;
use futures_util::future::{join, join_all, join3};
use rollcall_bitbucket::Session;
use rollcall_domain::WorkspaceId;
use rollcall_domain::admission::{self, Admission, Ground, Refusal, Sets, Standing, VerifiedSet};
use rollcall_domain::bitbucket::RepositoryUuid;
use rollcall_domain::connection::Connection;
use rollcall_domain::identity::{Provider, Visitor};
use rollcall_domain::member::{Member, State};
use rollcall_domain::run::SyncState;
use rollcall_store::connections::Connected;

use crate::audit::Whom;
use crate::callback::Return;
use crate::enter::{self, Entry};
use crate::evidence::{self, Listing};
use crate::failure::{Failure, Shown};
use crate::login;
use crate::pages::{self, Choice, Reason};
use crate::redeem::{self, unanswered};
use crate::workspace_set;

/// Finishes a login that was started to sign in.
pub async fn finish(back: &Return<'_>) -> Result<Response, Failure> {
    if back.login.provider == Provider::Bitbucket {
        with_bitbucket(back).await
    } else {
        let visitor = redeem::openid(back).await?;
        as_known(back, &visitor).await
    }
}

/// Google and Microsoft let in whom an invite has made a member, and nobody else.
async fn as_known(back: &Return<'_>, visitor: &Visitor) -> Result<Response, Failure> {
    let memberships = back.app.store().memberships_of(&visitor.identity);
    let (counted, memberships) = join(count(back, visitor), memberships).await;
    counted?;
    let memberships = memberships?;
    let chosen = match back.login.workspace {
        Some(workspace) => memberships.iter().find(|membership| membership.workspace == workspace),
        None if memberships.len() > 1 => {
            let workspaces = memberships.iter().map(|membership| membership.workspace).collect();
            return choose(back, workspaces).await;
        }
        None => memberships.first(),
    };
    let Some(membership) = chosen else {
        return refuse(back, back.login.workspace, visitor, Whom::Stranger, Reason::NotInvited).await;
    };
    let member = back.app.store().member(membership.workspace, membership.member).await?;
    let Some(member) = member else {
        return refuse(back, back.login.workspace, visitor, Whom::Stranger, Reason::NotInvited).await;
    };
    enter_known(back, member, visitor).await
}

/// Somebody who is a member already, and whom no rule of Bitbucket has to be asked about: an invite lets them in, or nothing does.
async fn enter_known(back: &Return<'_>, member: Member, visitor: &Visitor) -> Result<Response, Failure> {
    let workspace = Some(member.workspace);
    if matches!(member.state, State::Disabled { .. }) {
        return refuse(back, workspace, visitor, Whom::Known, Reason::Disabled).await;
    }
    if member.has_valid_invite(back.app.now()) && member.state == State::Active {
        return enter::enter(back, visitor, Entry::Known { member }).await;
    }
    // A linked account stands in for the person, but what lets a member in by Bitbucket, Bitbucket has to say at each sign-in.
    refuse(back, workspace, visitor, Whom::Known, Reason::NotInvited).await
}

async fn with_bitbucket(back: &Return<'_>) -> Result<Response, Failure> {
    // What the table knows is read while the code is redeemed.
    let hinted = async {
        match back.login.workspace {
            Some(workspace) => back.app.store().connection(workspace).await,
            None => Ok(None),
        }
    };
    let (session, connected) = join(redeem::bitbucket(back), hinted).await;
    let (session, connected) = (session?, connected?);
    match (back.login.workspace, connected) {
        (Some(_), Some(connected)) if connected.connection.is_connected() => {
            check(back, &session, connected).await
        }
        (Some(workspace), _) => {
            session.foresee(2);
            let (person, emails) = evidence::identify(&session).await.map_err(|error| unanswered(&error))?;
            let visitor = evidence::visitor(&person, &emails, back.app.issuer_of(Provider::Bitbucket));
            without_rule(back, workspace, &visitor).await
        }
        (None, _) => find_workspace(back, session).await,
    }
}

/// Somebody who comes from Bitbucket to a workspace that is not connected, so that no rule can be asked about them.
async fn without_rule(
    back: &Return<'_>,
    workspace: WorkspaceId,
    visitor: &Visitor,
) -> Result<Response, Failure> {
    let member = back.app.store().member_by_identity(workspace, &visitor.identity);
    let (counted, member) = join(count(back, visitor), member).await;
    counted?;
    match member? {
        Some(member) => enter_known(back, member, visitor).await,
        None => refuse(back, Some(workspace), visitor, Whom::Stranger, Reason::NotInvited).await,
    }
}

/// Counts the sign-in of an account, as soon as it is known whose it is.
async fn count(back: &Return<'_>, visitor: &Visitor) -> Result<(), Failure> {
    login::limit_account(back.app, back.derived, &visitor.identity).await
}

/// Nobody said which workspace: it is the connected one among those that the person belongs to, if it is one.
async fn find_workspace(back: &Return<'_>, session: Session) -> Result<Response, Failure> {
    let store = back.app.store();
    session.foresee(3);
    let (identified, own) = join(evidence::identify(&session), session.own_workspaces()).await;
    let (person, emails) = identified.map_err(|error| unanswered(&error))?;
    let visitor = evidence::visitor(&person, &emails, back.app.issuer_of(Provider::Bitbucket));
    let own = own.map_err(|error| unanswered(&error))?;
    let (memberships, connected) = join(
        store.memberships_of(&visitor.identity),
        join_all(own.iter().map(|uuid| store.connected_to(*uuid))),
    )
    .await;
    let mut workspaces: BTreeSet<WorkspaceId> =
        memberships?.into_iter().map(|membership| membership.workspace).collect();
    for workspace in connected {
        workspaces.extend(workspace?);
    }
    let mut found = workspaces.iter();
    match (found.next(), found.next()) {
        (None, _) => {
            count(back, &visitor).await?;
            refuse(back, None, &visitor, Whom::Stranger, Reason::NotInWorkspace).await
        }
        (Some(workspace), None) => match store.connection(*workspace).await? {
            Some(connected) if connected.connection.is_connected() => check(back, &session, connected).await,
            _ => without_rule(back, *workspace, &visitor).await,
        },
        (Some(_), Some(_)) => {
            count(back, &visitor).await?;
            choose(back, workspaces).await
        }
    }
}

/// The second leg: asks Bitbucket everything at once and decides.
async fn check(back: &Return<'_>, session: &Session, connected: Connected) -> Result<Response, Failure> {
    let Connected { connection, .. } = &connected;
    let gathered = evidence::gather(session, connection.bitbucket, connection.settings.policy, true);
    let (evidence, unneeded) = gathered.await.map_err(|error| unanswered(&error))?;
    // On the heap: both are large, and lie in a future that is large already.
    unneeded.beside(Box::pin(conclude(back, session, &connected, &evidence))).await
}

/// Lets somebody in, or refuses them, by what Bitbucket has said of them.
async fn conclude(
    back: &Return<'_>,
    session: &Session,
    connected: &Connected,
    evidence: &evidence::Evidence,
) -> Result<Response, Failure> {
    let Connected { connection, .. } = connected;
    let visitor =
        evidence::visitor(&evidence.person, &evidence.emails, back.app.issuer_of(Provider::Bitbucket));
    let store = back.app.store();
    let member = store.member_by_identity(connection.workspace, &visitor.identity);
    // What the last lap has proved matters only where repositories do.
    let state = async {
        match evidence.listing {
            Listing::NotNeeded => Ok(SyncState::default()),
            Listing::All(_) | Listing::TooLong { .. } => store.sync_state(connection.workspace).await,
        }
    };
    let (counted, member, state) = join3(count(back, &visitor), member, state).await;
    counted?;
    let (member, state) = (member?, state?);
    if member.as_ref().is_some_and(|member| matches!(member.state, State::Disabled { .. })) {
        return refuse(back, Some(connection.workspace), &visitor, Whom::Known, Reason::Disabled).await;
    }
    let decided = decide(back, session, connected, evidence, &state, member.as_ref()).await?;
    let whom = match (evidence.standing, &member) {
        (Standing::Outside, None) => Whom::Stranger,
        _ => Whom::Known,
    };
    match (decided, member) {
        (Decided::Admit(ground), member) => {
            enter::enter(back, &visitor, Entry::ByBitbucket { connection, member, ground }).await
        }
        // Whatever Bitbucket says, an invite that has not ended lets them in.
        (_, Some(member)) if member.is_let_in(back.app.now()) && member.has_valid_invite(back.app.now()) => {
            enter::enter(back, &visitor, Entry::Known { member }).await
        }
        (Decided::Refuse(reason), _) => {
            refuse(back, Some(connection.workspace), &visitor, whom, reason).await
        }
        (Decided::Later, _) => later(back, connection.workspace).await,
    }
}

enum Decided {
    Admit(Ground),
    Refuse(Reason),
    Later,
}

async fn decide(
    back: &Return<'_>,
    session: &Session,
    connected: &Connected,
    evidence: &evidence::Evidence,
    state: &SyncState,
    member: Option<&Member>,
) -> Result<Decided, Failure> {
    let connection = &connected.connection;
    let policy = connection.settings.policy;
    let own = match &evidence.listing {
        Listing::NotNeeded => {
            return Ok(told(admission::decide(policy, evidence.standing, None), &[]));
        }
        Listing::All(own) => own.clone(),
        Listing::TooLong { .. } => {
            if stands_in(back, connection, evidence.standing, state, member).await? {
                return Ok(Decided::Admit(Ground::VerifiedSet));
            }
            match evidence::list(session, connection.bitbucket).await.map_err(|error| unanswered(&error))? {
                Listing::All(own) => own,
                _ => return Ok(Decided::Later),
            }
        }
    };
    // The same set as a lap proved, and as many as there are at this moment: then there is none that they lack. Whatever they can
    // read is the workspace's, so that a new one, or one exchanged for another, would show in one of the two.
    let now = back.app.now();
    let known = state.verified.as_ref().filter(|verified| admission::is_fresh(verified.lap_ended_at, now));
    if !own.is_empty()
        && known.is_some_and(|verified| verified.private_digest == admission::set_digest(&own))
        && workspace_set::count(back, connected).await? == u64::try_from(own.len()).ok()
    {
        return Ok(told(
            admission::decide(policy, evidence.standing, Some(Sets { person: &own, workspace: &own })),
            &[],
        ));
    }
    let workspace = workspace_set::read(back, connected).await?;
    let all: BTreeSet<RepositoryUuid> = workspace.iter().map(|repository| repository.uuid).collect();
    let decision = admission::decide(policy, evidence.standing, Some(Sets { person: &own, workspace: &all }));
    let names: Vec<(RepositoryUuid, String)> = workspace
        .into_iter()
        .map(|repository| (repository.uuid, format!("{}/{}", connection.slug, repository.slug)))
        .collect();
    Ok(told(decision, &names))
}

/// Whether the last full lap may stand for a listing that would take too many calls.
async fn stands_in(
    back: &Return<'_>,
    connection: &Connection,
    standing: Standing,
    state: &SyncState,
    member: Option<&Member>,
) -> Result<bool, Failure> {
    let (Some(verified), Some(member)) = (&state.verified, member) else { return Ok(false) };
    let coverage = back.app.store().coverage(connection.workspace, member.id).await?;
    let set = VerifiedSet {
        lap_ended_at: verified.lap_ended_at,
        covers_all: coverage.is_some_and(|coverage| coverage.covers_all()),
        private_repositories: verified.private_repositories,
        added_since: verified.added_since,
    };
    Ok(admission::by_verified_set(connection.settings.policy, standing, set, back.app.now()).is_some())
}

fn told(decision: Admission, names: &[(RepositoryUuid, String)]) -> Decided {
    match decision {
        Admission::Admit(ground) => Decided::Admit(ground),
        Admission::Refuse(Refusal::NotInWorkspace) => Decided::Refuse(Reason::NotInWorkspace),
        Admission::Refuse(Refusal::NoRepository) => Decided::Refuse(Reason::NoRepository),
        Admission::Refuse(Refusal::MissingRepositories { missing, of }) => {
            let named = names.iter().filter(|(uuid, _)| missing.contains(uuid)).map(|(_, name)| name.clone());
            Decided::Refuse(Reason::missing(named.collect(), of))
        }
        Admission::Undecided(why) => {
            tracing::warn!(?why, "a sign-in could not be decided");
            Decided::Later
        }
    }
}

/// Refuses somebody and tells them why. Of people they know, it is kept for the admins, who can invite them.
async fn refuse(
    back: &Return<'_>,
    workspace: Option<WorkspaceId>,
    visitor: &Visitor,
    whom: Whom,
    reason: Reason,
) -> Result<Response, Failure> {
    let known = match workspace {
        Some(workspace) => back.app.store().workspace(workspace).await?,
        None => None,
    };
    // A workspace that is not there any more.
    if workspace.is_some() && known.is_none() {
        login::count_refused(back.app, back.derived, back.address).await?;
        return Err(Failure::not_found());
    }
    let (kept, counted) = join(
        back.trail.refused(back.app, workspace, visitor, whom, &reason),
        login::count_refused(back.app, back.derived, back.address),
    )
    .await;
    kept?;
    counted?;
    let again = format!("/login?choose=true&{}", again(back));
    let name = known.map_or_else(|| back.app.application().name.clone(), |workspace| workspace.name);
    let page = pages::Refused {
        application: back.app.application(),
        workspace: &name,
        provider: back.login.provider.name(),
        display_name: &visitor.display_name,
        reason,
        again,
    };
    let mut response = pages::answer(&page, &[])?;
    *response.status_mut() = http::StatusCode::FORBIDDEN;
    Ok(response)
}

/// Neither yes nor no.
async fn later(back: &Return<'_>, workspace: WorkspaceId) -> Result<Response, Failure> {
    let known = back.app.store().workspace(workspace).await?;
    let name = known.map_or_else(|| back.app.application().name.clone(), |workspace| workspace.name);
    let page = pages::Later {
        application: back.app.application(),
        workspace: &name,
        provider: back.login.provider.name(),
        request_id: back.request_id.as_str(),
        again: format!("/login/{}?{}", back.login.provider, again(back)),
    };
    back.trail
        .denied(
            back.app,
            &Failure {
                check: "admission.undecided",
                provider: Some(back.login.provider),
                shown: Shown::Later,
            },
        )
        .await;
    let mut response = pages::answer(&page, &[])?;
    *response.status_mut() = http::StatusCode::SERVICE_UNAVAILABLE;
    Ok(response)
}

/// One of several workspaces: the choice starts the login again, now with the workspace named. No token is kept for it.
async fn choose(back: &Return<'_>, workspaces: BTreeSet<WorkspaceId>) -> Result<Response, Failure> {
    let known = join_all(workspaces.iter().map(|workspace| back.app.store().workspace(*workspace))).await;
    let mut choices = Vec::new();
    for workspace in known {
        let Some(workspace) = workspace? else { continue };
        let href = format!(
            "/login/{}?{}",
            back.login.provider,
            query(Some(workspace.id), back.login.return_to.as_str())
        );
        choices.push(Choice { href, name: workspace.name });
    }
    let page = pages::ChooseWorkspace {
        application: back.app.application(),
        provider: back.login.provider.name(),
        workspaces: choices,
    };
    pages::answer(&page, &[])
}

fn again(back: &Return<'_>) -> String {
    query(back.login.workspace, back.login.return_to.as_str())
}

fn query(workspace: Option<WorkspaceId>, return_to: &str) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    if let Some(workspace) = workspace {
        query.append_pair("workspace", &workspace.to_string());
    }
    query.append_pair("return_to", return_to);
    query.finish()
}
