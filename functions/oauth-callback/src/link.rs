//! Linking a second identity: both logins are shown, the session's and the new one, and nothing is merged by e-mail.

use axum::extract::State;
use axum::response::Response;
use futures_util::future::join;
use http::HeaderMap;
use rollcall_domain::SessionId;
use rollcall_domain::audit::Actor;
use rollcall_domain::identity::Provider;
use rollcall_identity::relying_party::{AuthorizeHints, LoginStart, Prompt, Purpose, ReturnTarget};
use rollcall_service::rate::Attempt;
use rollcall_service::web::{ClientAddress, Form, Problem, same_site};
use serde::Deserialize;
use serde_json::json;

use crate::app::{App, Derived};
use crate::audit::{Trail, What};
use crate::callback::Return;
use crate::failure::Failure;
use crate::{enter, login, redeem, session};

/// With which provider.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Link {
    provider: Provider,
}

/// `POST /login/link`: sends the signed-in member to a provider, to link their account there. By a form of our own page only: a link on
/// another site would have the browser sign in with whatever account it happens to have there.
pub async fn start(
    State(app): State<App>,
    ClientAddress(address): ClientAddress,
    headers: HeaderMap,
    form: Result<Form<Link>, Problem>,
) -> Result<Response, Failure> {
    let derived = app.derived().await?;
    login::limit(&app, &derived, Attempt::SignIn, address).await?;
    let outcome = match form {
        Ok(Form(Link { provider })) => begin(&app, &derived, &headers, provider).await,
        Err(_) => Err(Failure::check(None, "link.parameters")),
    };
    Trail::new(&app, address).settle(&app, outcome).await
}

async fn begin(
    app: &App,
    derived: &Derived,
    headers: &HeaderMap,
    provider: Provider,
) -> Result<Response, Failure> {
    let refused = |check| Failure::check(Some(provider), check);
    same_site(headers, &app.config().public_url).map_err(|_| refused("link.cross_site"))?;
    let current = session::current(app, headers).await?.ok_or_else(|| refused("link.session"))?;
    if !current.is_fresh(app.now()) {
        return Ok(session::sign_in_anew());
    }
    let start = LoginStart {
        provider,
        issuer: app.issuer_of(provider).to_owned(),
        purpose: Purpose::LinkIdentity { session: current.record.id },
        return_to: ReturnTarget::parse("/login", &login::RETURN_PATHS)
            .map_err(|_| refused("link.return_to"))?,
        workspace: None,
        max_age: None,
    };
    let hints = AuthorizeHints { prompt: Some(Prompt::SelectAccount), login_hint: None };
    login::send(app, derived, headers, start, &hints).await
}

/// Finishes a login that was started to link an account to the member who is signed in with this session.
pub async fn finish(back: &Return<'_>, started_with: SessionId) -> Result<Response, Failure> {
    let provider = Some(back.login.provider);
    let current = session::current(back.app, back.headers).await?;
    let current = current
        .filter(|current| current.record.id == started_with)
        .ok_or(Failure::check(provider, "link.session"))?;
    let visitor = redeem::visitor(back).await?;
    let store = back.app.store();
    let before = current.member;
    let counted = login::limit_account(back.app, back.derived, &visitor.identity);
    let (counted, linked) =
        join(counted, store.member_by_identity(before.workspace, &visitor.identity)).await;
    counted?;
    match linked? {
        Some(other) if other.id != before.id => return Err(Failure::check(provider, "link.taken")),
        _ => {}
    }
    let mut member = before.clone();
    member.link(visitor.identity.clone());
    let audit = back.trail.entry(
        back.app,
        What {
            workspace: Some(member.workspace),
            actor: Actor::Member { id: member.id },
            action: "member.identity_linked",
            target: Some(member.id.to_string()),
            why: "signed in with both accounts",
            detail: json!({ "identity": visitor.identity }),
        },
    );
    enter::session(back, &visitor, member, Some(before), audit, Vec::new()).await
}
