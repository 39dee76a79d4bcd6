//! The way back from a provider: whose login it is, whether it may be finished, and what it was started for.

use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse, Response};
use futures_util::future::join;
use http::HeaderMap;
use rollcall_domain::identity::Provider;
use rollcall_identity::FailedCheck as _;
use rollcall_identity::relying_party::{Answer, Callback, LoginTransaction, ProviderRefusal, Purpose};
use rollcall_service::rate::Attempt;
use rollcall_service::web::{ClientAddress, Path, RequestId};

use crate::app::{App, Derived};
use crate::audit::Trail;
use crate::failure::{Failure, Shown};
use crate::{cookies, invite, link, login, sign_in};

/// A login that has come back, is ours, and has been marked as used.
pub struct Return<'a> {
    /// The app.
    pub app: &'a App,
    /// What follows from the deployment secret.
    pub derived: &'a Derived,
    /// The login as it was started.
    pub login: &'a LoginTransaction,
    /// What the provider answered.
    pub callback: &'a Callback,
    /// What the audit trail has to know of the request.
    pub trail: &'a Trail,
    /// Where the request comes from.
    pub address: Option<core::net::IpAddr>,
    /// The request's id, for pages that tell it.
    pub request_id: &'a RequestId,
    /// The request's headers.
    pub headers: &'a HeaderMap,
}

/// `GET /callback/{provider}`.
pub async fn callback(
    State(app): State<App>,
    ClientAddress(address): ClientAddress,
    request_id: RequestId,
    headers: HeaderMap,
    Path(provider): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, Failure> {
    let provider: Provider = provider.parse().map_err(|_| Failure::not_found())?;
    let trail = Trail::new(&app, address);
    let derived = app.derived().await?;
    let (counted, refused) = join(
        login::limit(&app, &derived, Attempt::SignIn, address),
        login::limit_refused(&app, &derived, address),
    )
    .await;
    counted.and(refused)?;

    let query = query.as_deref().unwrap_or_default();
    let mut pending = match cookies::pending(&app, &derived, &headers) {
        Ok(pending) => pending,
        Err(failure) => return trail.settle(&app, Err(failure)).await,
    };
    let found = Callback::parse(query)
        .and_then(|callback| pending.take(&callback, provider, app.now()).map(|login| (callback, login)));
    let outcome = match found {
        Ok((callback, login)) => {
            let back = Return {
                app: &app,
                derived: &derived,
                login: &login,
                callback: &callback,
                trail: &trail,
                address,
                request_id: &request_id,
                headers: &headers,
            };
            finish(&back).await
        }
        Err(refused) => {
            pending.spend(query);
            spend(&app, &derived, &headers, query).await.and(Err(Failure::denied(Some(provider), &refused)))
        }
    };
    let mut response = match outcome {
        Ok(response) => response,
        Err(failure) => {
            let failure = Failure { provider: Some(provider), ..failure };
            trail.denied(&app, &failure).await;
            failure.into_response()
        }
    };
    // Whatever came of it, the login is used up in this browser.
    cookies::set(response.headers_mut(), cookies::keep_pending(&derived, &pending)?);
    Ok(response)
}

async fn finish(back: &Return<'_>) -> Result<Response, Failure> {
    let Return { login, callback, .. } = back;
    let provider = login.provider;
    if let Answer::Refused(refusal) = &callback.answer {
        use_up(back).await?;
        let temporary = *refusal == ProviderRefusal::TemporarilyUnavailable;
        let shown = if temporary { Shown::Later } else { Shown::StartAgain };
        return Err(Failure { check: refusal.check(), provider: Some(provider), shown });
    }
    match &login.purpose {
        Purpose::SignIn => sign_in::finish(back).await,
        Purpose::AcceptInvite { token } => invite::finish(back, *token).await,
        Purpose::LinkIdentity { session } => link::finish(back, *session).await,
    }
}

/// Marks every login of this browser that a refused answer speaks of as used: the same answer, mended, is refused as well, even with
/// the cookie as it was before.
async fn spend(app: &App, derived: &Derived, headers: &HeaderMap, query: &str) -> Result<(), Failure> {
    for login in cookies::pending(app, derived, headers)?.spend(query) {
        app.store().use_login_state(login.marker(), login.expires_at()).await?;
    }
    Ok(())
}

/// Marks the login as used, whatever comes of it: a second use is refused even from the same browser, with the same cookie.
pub async fn use_up(back: &Return<'_>) -> Result<(), Failure> {
    let first = back.app.store().use_login_state(back.login.marker(), back.login.expires_at()).await?;
    if first { Ok(()) } else { Err(Failure::check(Some(back.login.provider), "callback.state.used")) }
}
