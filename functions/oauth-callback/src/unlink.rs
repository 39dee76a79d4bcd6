//! Taking a linked account away again. One always stays, and not the one that lets its owner in.

use axum::extract::State;
use axum::response::Response;
use http::HeaderMap;
use rollcall_domain::EventId;
use rollcall_domain::audit::Actor;
use rollcall_domain::event::{Event, EventKind, about_member};
use rollcall_domain::identity::Provider;
use rollcall_service::random::new_id;
use rollcall_service::rate::Attempt;
use rollcall_service::web::{ClientAddress, Form, Problem, same_site};
use rollcall_store::Record;
use serde::Deserialize;
use serde_json::json;

use crate::app::{App, Derived};
use crate::audit::{Trail, What};
use crate::failure::Failure;
use crate::openid::logout;
use crate::{login, pages, session};

/// Which of one's own accounts.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Unlink {
    provider: Provider,
    subject: String,
}

/// `POST /login/unlink`: takes one of the signed-in member's accounts away. All their sessions end, because any of them may have been
/// opened with it.
pub async fn unlink(
    State(app): State<App>,
    ClientAddress(address): ClientAddress,
    headers: HeaderMap,
    form: Result<Form<Unlink>, Problem>,
) -> Result<Response, Failure> {
    let derived = app.derived().await?;
    login::limit(&app, &derived, Attempt::SignIn, address).await?;
    let trail = Trail::new(&app, address);
    let outcome = match form {
        Ok(Form(form)) => take_away(&app, &derived, &trail, &headers, &form).await,
        Err(_) => Err(Failure::check(None, "unlink.parameters")),
    };
    trail.settle(&app, outcome).await
}

async fn take_away(
    app: &App,
    derived: &Derived,
    trail: &Trail,
    headers: &HeaderMap,
    form: &Unlink,
) -> Result<Response, Failure> {
    let refused = |check| Failure::check(Some(form.provider), check);
    same_site(headers, &app.config().public_url).map_err(|_| refused("unlink.cross_site"))?;
    let current = session::current(app, headers).await?.ok_or_else(|| refused("unlink.session"))?;
    if !current.is_fresh(trail.at) {
        return Ok(session::sign_in_anew());
    }
    let before = current.member;
    let identity = before
        .identities
        .iter()
        .find(|identity| identity.provider == form.provider && identity.subject == form.subject)
        .cloned()
        .ok_or_else(|| refused("unlink.identity"))?;
    let mut member = before.clone();
    member.unlink(&identity).map_err(|_| refused("unlink.last"))?;
    // Whoever shuts themselves out by mistake could not undo it, and the last admin must not be able to.
    if !member.is_let_in(trail.at) {
        return Err(refused("unlink.ground"));
    }
    let audit = trail.entry(
        app,
        What {
            workspace: Some(member.workspace),
            actor: Actor::Member { id: member.id },
            action: "member.identity_unlinked",
            target: Some(member.id.to_string()),
            why: "took the account away",
            detail: json!({ "identity": identity, "session": current.record.id }),
        },
    );
    let event = Event {
        id: new_id::<EventId>(app.clock(), app.random()),
        workspace: member.workspace,
        kind: EventKind::MemberUpdated,
        at: trail.at,
        subject: member.id.to_string(),
        data: about_member(&member, json!({})),
    };
    let record = Record { audit: vec![audit], events: vec![event] };
    app.store()
        .update_member(&member, &before, None, record)
        .await
        .map_err(|error| if error.is_conflict() { refused("member.raced") } else { error.into() })?;
    let delivery = logout::courier(app, derived).deliver(member.workspace, member.id).await?;
    app.metrics().record().count("LogoutTokensNotTaken", delivery.not_told as u64).write();
    let mut response = pages::answer(&pages::SignedOut { application: app.application() }, &[])?;
    logout::forget(&mut response);
    Ok(response)
}
