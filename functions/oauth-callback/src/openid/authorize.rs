//! `GET /authorize`: an application wants to know who somebody is (OpenID Connect Core 1.0 §3.1.2).

use core::net::IpAddr;

use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse as _, Response};
use futures_util::future::join;
use http::HeaderMap;
use rollcall_domain::{GrantId, MemberId, WorkspaceId};
use rollcall_identity::FailedCheck as _;
use rollcall_identity::provider::{
    AuthorizationCode, AuthorizeError, AuthorizeParameters, AuthorizeRefused, AuthorizeRequest, Client,
    CodeRecord, CurrentSession, Grant, LoginHint, Step,
};
use rollcall_service::random::new_id;
use rollcall_service::rate::Attempt;
use rollcall_service::web::{ClientAddress, see_other};

use super::limits;
use crate::app::{App, Derived};
use crate::audit::Trail;
use crate::failure::{Failure, Shown};
use crate::login;
use crate::session::{self, Current};
use rollcall_identity::provider::CodeRow;

/// What a request comes to.
enum Outcome {
    /// The browser is sent on.
    Sent(Response),
    /// The application is told, by way of the browser.
    Told(AuthorizeError, &'static str),
}

/// Serves a request: a code at once where somebody fitting is signed in, otherwise a sign-in first.
pub async fn authorize(
    State(app): State<App>,
    ClientAddress(address): ClientAddress,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, Failure> {
    let derived = app.derived().await?;
    let query = query.as_deref().unwrap_or_default();
    let (found, current) = join(read(&app, query), session::current(&app, &headers)).await;
    let (request, client) = match found? {
        Ok(found) => found,
        Err(AuthorizeRefused::Redirect { error, location, .. }) => {
            tracing::info!(check = error.check(), "an authorization request is refused");
            return Ok(see_other(location.as_str()));
        }
        Err(refused) => return page(&app, &derived, address, Failure::denied(None, &refused)).await,
    };
    let issuer = derived.issuer.issuer();
    // From here on the application can be told whatever happens.
    let outcome = match current {
        Ok(current) => serve(&app, &derived, &request, &client, current.as_ref()).await,
        Err(failure) => Err(failure),
    };
    let (error, description) = match outcome {
        Ok(Outcome::Sent(response)) => return Ok(response),
        Ok(Outcome::Told(error, description)) => (error, description),
        Err(Failure { check, shown: Shown::TooMany(_) | Shown::Later, .. }) => {
            tracing::warn!(check, "an authorization request could not be served");
            (AuthorizeError::TemporarilyUnavailable, "try again in a moment")
        }
        Err(failure) => return page(&app, &derived, address, failure).await,
    };
    tracing::info!(check = error.check(), client = %client.id, "an authorization request is refused");
    let location =
        request.failure(error, description, issuer).map_err(|refused| Failure::denied(None, &refused))?;
    Ok(see_other(location.as_str()))
}

async fn read(
    app: &App,
    query: &str,
) -> Result<Result<(AuthorizeRequest, Client), AuthorizeRefused>, Failure> {
    let parameters = match AuthorizeParameters::parse(query) {
        Ok(parameters) => parameters,
        Err(refused) => return Ok(Err(refused)),
    };
    let client = app.store().openid_client::<Client>(parameters.client()).await?;
    let request = parameters.check(client.as_ref(), app.public_url());
    Ok(match (request, client) {
        (Ok(request), Some(client)) => Ok((request, client)),
        (Ok(_), None) => Err(AuthorizeRefused::Client),
        (Err(refused), _) => Err(refused),
    })
}

/// There is no application that could be told, or it is none of its business: the person in front of the browser sees one page for all
/// such requests.
pub(super) async fn page(
    app: &App,
    derived: &Derived,
    address: Option<IpAddr>,
    failure: Failure,
) -> Result<Response, Failure> {
    // Each of them is written down, and so counts.
    login::limit(app, derived, Attempt::SignIn, address).await?;
    Trail::new(app, address).denied(app, &failure).await;
    Ok(failure.into_response())
}

async fn serve(
    app: &App,
    derived: &Derived,
    request: &AuthorizeRequest,
    client: &Client,
    current: Option<&Current>,
) -> Result<Outcome, Failure> {
    let now = app.now();
    let expected = match &request.id_token_hint {
        None => None,
        Some(token) => match derived.issuer.hint(token) {
            Ok(hint) if hint.client == client.id => Some(hint.member),
            // Who is expected cannot be known. Without a page nobody can be asked; with one, the person decides.
            _ if request.prompts.none => {
                return Ok(Outcome::Told(
                    AuthorizeError::LoginRequired,
                    "the id_token_hint is none that this client was given",
                ));
            }
            _ => None,
        },
    };
    let session = current.map(|current| CurrentSession {
        member: current.member.id,
        workspace: current.member.workspace,
        auth_time: current.record.created_at,
    });
    match (request.next_step(client, session.as_ref(), expected, now), current) {
        (Step::GiveCode, Some(current)) => give_code(app, derived, request, current).await,
        (Step::GiveCode, None) => Err(Failure::defect("a code without a session")),
        (Step::SignIn { fresh, choose }, _) => Ok(Outcome::Sent(sign_in(request, client, fresh, choose))),
        (Step::Tell(error), _) => {
            Ok(Outcome::Told(error, "nobody fitting is signed in, and no page may be shown"))
        }
    }
}

/// Sends the browser to sign in, and back here afterwards.
fn sign_in(request: &AuthorizeRequest, client: &Client, fresh: bool, choose: bool) -> Response {
    let hinted: Option<WorkspaceId> = match request.login_hint {
        Some(LoginHint::Workspace(workspace)) => Some(workspace),
        _ => None,
    };
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    if let Some(workspace) = client.workspace.or(hinted) {
        query.append_pair("workspace", &workspace.to_string());
    }
    query.append_pair("return_to", &format!("/authorize?{}", request.query_after_sign_in()));
    for (name, set) in [("choose", choose), ("fresh", fresh)] {
        if set {
            query.append_pair(name, "true");
        }
    }
    see_other(&format!("/login?{}", query.finish()))
}

async fn give_code(
    app: &App,
    derived: &Derived,
    request: &AuthorizeRequest,
    current: &Current,
) -> Result<Outcome, Failure> {
    let member: MemberId = current.member.id;
    limits::member(app, derived, member).await?;
    let now = app.now();
    let grant = Grant {
        id: new_id::<GrantId>(app.clock(), app.random()),
        client: request.client,
        member,
        workspace: current.member.workspace,
        epoch: current.member.epoch,
        session: current.record.id,
        provider: current.record.provider,
        auth_time: current.record.created_at,
        nonce: request.nonce.clone(),
        scopes: request.scopes,
    };
    tracing::info!(client = %grant.client, %member, grant = %grant.id, "an application gets a code");
    let code = AuthorizationCode::new(app.bytes());
    let record = CodeRecord::new(grant, request.redirect_uri.clone(), request.challenge.clone(), now);
    let ends = record.expires_at;
    let row = CodeRow { record, session_hash: current.hash };
    app.store().put_code(code.hash(), &row, ends).await?;
    let location = request.success(&code, derived.issuer.issuer());
    let location = location.map_err(|refused| Failure::denied(None, &refused))?;
    Ok(Outcome::Sent(see_other(location.as_str())))
}
