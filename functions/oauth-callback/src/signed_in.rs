//! The page of somebody who is signed in, when no application is waiting for them.

use axum::response::Response;
use futures_util::future::join3;
use rollcall_domain::identity::{Identity, Provider};
use rollcall_domain::member::{Member, Role};
use rollcall_identity::session::SessionRecord;
use rollcall_service::rfc3339;

use crate::app::App;
use crate::failure::Failure;
use crate::pages::{self, AccountLine, Choice, SessionLine};
use crate::session::Current;

/// Who they are, why they are let in, their sessions, and what they can link.
pub(crate) async fn page(app: &App, current: &Current) -> Result<Response, Failure> {
    let member = &current.member;
    let (workspace, teams, sessions) = join3(
        app.store().workspace(member.workspace),
        app.store().teams_of(member),
        app.store().sessions_of::<SessionRecord>(member.workspace, member.id),
    )
    .await;
    let workspace = workspace?.ok_or_else(Failure::not_found)?;
    let (now, limits) = (app.now(), app.session_limits());
    let alive = sessions?
        .into_iter()
        .map(|(_, session)| session)
        .filter(|session| session.check(member.epoch, limits, now).is_ok());
    let lines = alive.map(|session| SessionLine {
        since: rfc3339::format(session.created_at).replace('T', " ").chars().take(16).collect(),
        current: session.id == current.record.id,
        id: session.id.to_string(),
    });
    let derived = app.derived().await?;
    let linked = |provider: Provider| member.identities.iter().any(|identity| identity.provider == provider);
    let link = derived.offered().filter(|provider| !linked(*provider)).map(|provider| Choice {
        href: format!("/login/{provider}?link=true"),
        name: provider.name().to_owned(),
    });
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
        accounts: member.identities.iter().map(account).collect(),
        link: link.collect(),
    };
    pages::answer(&page, &[])
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
