//! `GET`, `POST /logout`: signing out, at an application's wish (OpenID Connect RP-Initiated Logout 1.0) or one's own.

use core::net::IpAddr;

use axum::body::Bytes;
use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, HeaderValue};
use rollcall_delivery::logout::Courier;
use rollcall_domain::audit::Actor;
use rollcall_domain::member::Member;
use rollcall_domain::{GrantId, SessionId, TokenHash};
use rollcall_identity::FailedCheck as _;
use rollcall_identity::parameters::Parameters;
use rollcall_identity::provider::{Client, LogoutRefused, LogoutRequest, LogoutTarget, RefreshLimits};
use rollcall_identity::session::{CookieName, SessionRecord, remove_cookie};
use rollcall_service::web::{ClientAddress, Problem, same_site, see_other};
use rollcall_store::{EndedSession, Record};
use serde_json::json;

use super::authorize;
use super::client::declares_form;
use crate::app::{App, Derived};
use crate::audit::{Trail, What};
use crate::cookies;
use crate::failure::Failure;
use crate::pages;
use crate::session::{self, Current};
use rollcall_identity::provider::GrantRow;

/// What an application can send along.
const PARAMETERS: [&str; 4] = ["id_token_hint", "client_id", "post_logout_redirect_uri", "state"];

/// `GET /logout`: an application sends the browser here. Signs out at once if the request proves, by an ID token of this very
/// session, that it is not a stranger's; otherwise the person is asked.
pub async fn asked(
    State(app): State<App>,
    ClientAddress(address): ClientAddress,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, Failure> {
    let parameters = match Parameters::from_query(query.as_deref().unwrap_or_default()) {
        Ok(parameters) => parameters,
        Err(refused) => return refuse(&app, address, Failure::denied(None, &refused)).await,
    };
    sign_out(&app, &Trail::new(&app, address), &headers, &parameters, false).await
}

/// `POST /logout`: the forms of our own pages, and applications that prefer a form.
pub async fn posted(
    State(app): State<App>,
    ClientAddress(address): ClientAddress,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Failure> {
    if !declares_form(&headers) {
        return refuse(&app, address, Failure::check(None, "logout.content_type")).await;
    }
    let parameters = match Parameters::from_form(&body) {
        Ok(parameters) => parameters,
        Err(refused) => return refuse(&app, address, Failure::denied(None, &refused)).await,
    };
    let own_session = parameters.text("session");
    let everywhere = parameters.text("everywhere").is_some();
    if own_session.is_none() && !everywhere && parameters.text("confirm").is_none() {
        // Browsers send our cookie with a navigation from another site, not with a form from there.
        return Ok(as_navigation(&parameters));
    }
    if let Err(cross) = same_site(&headers, &app.config().public_url) {
        tracing::warn!(check = "logout.same_site", reason = %cross, "a logout was refused");
        return Ok(Problem::from(cross).into_response());
    }
    let trail = Trail::new(&app, address);
    match own_session {
        _ if everywhere => end_all(&app, &trail, &headers).await,
        None => sign_out(&app, &trail, &headers, &parameters, true).await,
        Some(id) => {
            let id = id.parse().map_err(|_| Failure::check(None, "logout.session"))?;
            end_own(&app, &trail, &headers, id).await
        }
    }
}

async fn refuse(app: &App, address: Option<IpAddr>, failure: Failure) -> Result<Response, Failure> {
    let derived = app.derived().await?;
    authorize::page(app, &derived, address, failure).await
}

fn as_navigation(parameters: &Parameters) -> Response {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    for name in PARAMETERS {
        if let Some(value) = parameters.text(name) {
            query.append_pair(name, value);
        }
    }
    see_other(&format!("/logout?{}", query.finish()))
}

async fn sign_out(
    app: &App,
    trail: &Trail,
    headers: &HeaderMap,
    parameters: &Parameters,
    confirmed: bool,
) -> Result<Response, Failure> {
    let derived = app.derived().await?;
    let current = session::current(app, headers).await?;
    let checked = check(app, &derived, parameters, current.as_ref()).await?;
    let sound = checked.is_ok();
    let LogoutTarget { ask_first, location } = checked.unwrap_or_else(|refused| {
        tracing::warn!(check = refused.check(), "a logout request is refused; the person is asked");
        LogoutTarget { ask_first: true, location: None }
    });
    if let Some(current) = &current {
        if ask_first && !confirmed {
            let known = |name| Some((name, parameters.text(name)?.to_owned()));
            let page = pages::SignOut {
                application: app.application(),
                display_name: &current.member.display_name,
                fields: if sound { PARAMETERS.into_iter().filter_map(known).collect() } else { Vec::new() },
            };
            return pages::answer(&page, location.as_slice());
        }
        end(app, &derived, trail, current, Some(current.hash), current.record.id).await?;
    }
    let mut response = match location {
        Some(location) => see_other(location.as_str()),
        None => pages::answer(&pages::SignedOut { application: app.application() }, &[])?,
    };
    forget(&mut response);
    Ok(response)
}

async fn check(
    app: &App,
    derived: &Derived,
    parameters: &Parameters,
    current: Option<&Current>,
) -> Result<Result<LogoutTarget, LogoutRefused>, Failure> {
    let request = match LogoutRequest::parse(parameters, &derived.issuer) {
        Ok(request) => request,
        Err(refused) => return Ok(Err(refused)),
    };
    let client = match request.client {
        Some(client) => app.store().openid_client::<Client>(client).await?,
        None => None,
    };
    let session = current.map(|current| (current.member.id, current.record.id));
    Ok(request.check(client.as_ref(), session))
}

/// Ends one of one's own sessions, by the id that the page shows. An id that is not there is one that has ended already.
async fn end_own(app: &App, trail: &Trail, headers: &HeaderMap, id: SessionId) -> Result<Response, Failure> {
    let Some(current) = session::current(app, headers).await? else {
        return Ok(see_other("/login"));
    };
    let derived = app.derived().await?;
    if id == current.record.id {
        end(app, &derived, trail, &current, Some(current.hash), id).await?;
        let mut response = pages::answer(&pages::SignedOut { application: app.application() }, &[])?;
        forget(&mut response);
        return Ok(response);
    }
    let member = &current.member;
    let sessions = app.store().sessions_of::<SessionRecord>(member.workspace, member.id).await?;
    let found = sessions.into_iter().find(|(_, session)| session.id == id).map(|(hash, _)| hash);
    // What applications keep of a session that has run out, or was replaced, is its owner's to end as well.
    if found.is_some() || !grants_of(app, &current, id).await?.is_empty() {
        end(app, &derived, trail, &current, found, id).await?;
    }
    Ok(see_other("/login"))
}

/// Ends all of one's own sessions, and all that applications were given in any of them, however old.
async fn end_all(app: &App, trail: &Trail, headers: &HeaderMap) -> Result<Response, Failure> {
    let Some(current) = session::current(app, headers).await? else {
        return Ok(see_other("/login"));
    };
    let derived = app.derived().await?;
    let before = current.member;
    let member = Member { epoch: before.epoch + 1, ..before.clone() };
    let entry = trail.entry(
        app,
        What {
            workspace: Some(member.workspace),
            actor: Actor::Member { id: member.id },
            action: "session.all_ended",
            target: Some(member.id.to_string()),
            why: "signed out everywhere",
            detail: json!({ "session": current.record.id }),
        },
    );
    let record = Record { audit: vec![entry], events: Vec::new() };
    app.store().sign_out_everywhere(&member, &before, record).await.map_err(|error| {
        if error.is_conflict() { Failure::check(None, "member.raced") } else { error.into() }
    })?;
    let delivery = courier(app, &derived).deliver(member.workspace, member.id).await?;
    app.metrics().record().count("LogoutTokensNotTaken", delivery.not_told as u64).write();
    let mut response = pages::answer(&pages::SignedOut { application: app.application() }, &[])?;
    forget(&mut response);
    Ok(response)
}

/// Ends a session, revokes what applications were given in it, and tells them.
///
/// Refresh tokens for use without the person (`offline_access`) are revoked as well: whoever ends a session, perhaps on a device
/// that was lost, means all that came from it.
async fn end(
    app: &App,
    derived: &Derived,
    trail: &Trail,
    by: &Current,
    hash: Option<TokenHash>,
    id: SessionId,
) -> Result<(), Failure> {
    let member = &by.member;
    let given = grants_of(app, by, id).await?;
    let ids: Vec<GrantId> = given.iter().map(|row| row.family.grant.id).collect();
    let entry = trail.entry(
        app,
        What {
            workspace: Some(member.workspace),
            actor: Actor::Member { id: member.id },
            action: "session.ended",
            target: Some(member.id.to_string()),
            why: "signed out",
            detail: json!({ "session": id, "grants": ids }),
        },
    );
    let record = Record { audit: vec![entry], events: Vec::new() };
    let until = trail.at.plus(RefreshLimits::default().absolute);
    app.store().end_session_and_grants(EndedSession { id, hash, until }, &ids, record).await?;
    // Codes can be redeemed only while the session is there: what was given since the list was read is given now.
    let late = grants_of(app, by, id).await?;
    for row in &late {
        app.store().revoke_family(row.family.grant.id).await?;
    }
    let whom = given.iter().chain(&late).map(|row| (row.family.grant.client, Some(id)));
    let delivery = courier(app, derived).tell(member.id, whom).await;
    app.metrics().record().count("LogoutTokensNotTaken", delivery.not_told as u64).write();
    Ok(())
}

/// What tells applications that somebody is signed out.
pub(crate) fn courier<'a>(app: &'a App, derived: &'a Derived) -> Courier<'a> {
    Courier {
        store: app.store(),
        issuer: &derived.issuer,
        clock: app.clock(),
        random: app.random(),
        caller: app.caller(),
    }
}

async fn grants_of(app: &App, by: &Current, session: SessionId) -> Result<Vec<GrantRow>, Failure> {
    let mut rows: Vec<GrantRow> = app.store().families_of(by.member.workspace, by.member.id).await?;
    rows.retain(|row| row.family.grant.session == session);
    Ok(rows)
}

pub(crate) fn forget(response: &mut Response) {
    if let Ok(cookie) = HeaderValue::from_str(&remove_cookie(CookieName::Session)) {
        cookies::set(response.headers_mut(), cookie);
    }
}
