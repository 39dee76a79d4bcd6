//! The page of somebody who is signed in, when no application is waiting for them.

use std::collections::{BTreeMap, BTreeSet};

use axum::response::Response;
use futures_util::future::{join4, try_join_all};
use rollcall_domain::identity::{Identity, Provider};
use rollcall_domain::member::{Member, Role};
use rollcall_domain::{ClientId, SessionId, Timestamp};
use rollcall_identity::provider::{Client, GrantRow, RefreshLimits};
use rollcall_identity::session::SessionRecord;
use rollcall_service::rfc3339;
use rollcall_store::StoreError;

use crate::app::App;
use crate::failure::Failure;
use crate::invite::provider_origins;
use crate::pages::{self, AccountLine, KeptLine, SessionLine};
use crate::session::Current;

/// Who they are, why they are let in, their sessions, and what they can link.
pub(crate) async fn page(app: &App, current: &Current) -> Result<Response, Failure> {
    let member = &current.member;
    let (workspace, teams, sessions, grants) = join4(
        app.store().workspace(member.workspace),
        app.store().teams_of(member),
        app.store().sessions_of::<SessionRecord>(member.workspace, member.id),
        app.store().families_of::<GrantRow>(member.workspace, member.id),
    )
    .await;
    let workspace = workspace?.ok_or_else(Failure::not_found)?;
    let (now, limits) = (app.now(), app.session_limits());
    let alive: Vec<SessionRecord> = sessions?
        .into_iter()
        .map(|(_, session)| session)
        .filter(|session| session.check(member.epoch, limits, now).is_ok())
        .collect();
    let lines = alive.iter().map(|session| SessionLine {
        since: minute(session.created_at),
        current: session.id == current.record.id,
        id: session.id.to_string(),
    });
    let is_kept = |row: &&GrantRow| {
        let grant = &row.family.grant;
        let ends = row.family.ends_at(RefreshLimits::default());
        row.is_offline()
            && grant.epoch == member.epoch
            && !ends.has_passed(now)
            && alive.iter().all(|session| session.id != grant.session)
    };
    let grants = grants?;
    let kept = kept_by_applications(app, grants.iter().filter(is_kept)).await?;
    let derived = app.derived().await?;
    let linked = |provider: Provider| member.identities.iter().any(|identity| identity.provider == provider);
    let link = derived.offered().filter(|provider| !linked(*provider));
    let account =
        |identity: &Identity| AccountLine { provider: identity.provider, subject: identity.subject.clone() };
    let page = pages::SignedIn {
        application: app.application(),
        display_name: &member.display_name,
        workspace: &workspace.name,
        role: if member.role == Role::Admin { "admin" } else { "member" },
        teams: teams?.into_iter().map(|team| team.name).collect(),
        why: why(member),
        sessions: lines.collect(),
        kept,
        accounts: member.identities.iter().map(account).collect(),
        link: link.collect(),
    };
    pages::answer(&page, &provider_origins(app))
}

/// What applications keep of sessions that are over, by session: the names of applications, and since when.
async fn kept_by_applications(
    app: &App,
    rows: impl Iterator<Item = &GrantRow>,
) -> Result<Vec<KeptLine>, Failure> {
    let mut by_session: BTreeMap<SessionId, (Timestamp, BTreeSet<ClientId>)> = BTreeMap::new();
    for row in rows {
        let grant = &row.family.grant;
        let (since, clients) =
            by_session.entry(grant.session).or_insert((row.family.created_at, BTreeSet::new()));
        *since = row.family.created_at.min(*since);
        clients.insert(grant.client);
    }
    let clients: BTreeSet<ClientId> = by_session.values().flat_map(|(_, clients)| clients).copied().collect();
    let read = try_join_all(clients.into_iter().map(async |id| {
        let client = app.store().openid_client::<Client>(id).await?;
        Ok::<_, StoreError>((
            id,
            client.map_or_else(|| "an application that is gone".to_owned(), |client| client.name),
        ))
    }));
    let names: BTreeMap<ClientId, String> = read.await?.into_iter().collect();
    let lines = by_session.into_iter().map(|(id, (since, clients))| KeptLine {
        since: minute(since),
        applications: clients.iter().filter_map(|client| names.get(client).cloned()).collect(),
        id: id.to_string(),
    });
    Ok(lines.collect())
}

/// A moment, to the minute.
fn minute(at: Timestamp) -> String {
    rfc3339::format(at).replace('T', " ").chars().take(16).collect()
}

fn why(member: &Member) -> String {
    match (member.by_bitbucket, &member.by_invite) {
        (true, None) => "Bitbucket lets you in.".to_owned(),
        (true, Some(_)) => "Bitbucket lets you in, and so does an invite.".to_owned(),
        (false, Some(invite)) => match invite.until {
            Some(until) => {
                let day: String = rfc3339::format(until).chars().take(10).collect();
                format!("An invite lets you in until {day}.")
            }
            None => "An invite lets you in.".to_owned(),
        },
        (false, None) => "Nothing lets you in any more.".to_owned(),
    }
}
