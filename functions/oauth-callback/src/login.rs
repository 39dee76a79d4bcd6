//! Starting a sign-in: choosing a provider, and being sent there.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::HeaderMap;
use rollcall_bitbucket::OAuthClient;
use rollcall_domain::WorkspaceId;
use rollcall_domain::identity::{Identity, Provider};
use rollcall_identity::relying_party::{
    AuthorizeHints, LoginStart, LoginTransaction, Prompt, Purpose, ReturnTarget, bitbucket_authorize_url,
};
use rollcall_service::rate::{Attempt, RateKey, is_allowed};
use rollcall_service::web::{ClientAddress, Path, Problem, Query, see_other};
use serde::Deserialize;

use crate::app::{App, Derived};
use crate::audit::Trail;
use crate::failure::{Failure, Shown};
use crate::pages::{self, Choice};
use crate::session;
use crate::{cookies, signed_in};

/// Where a sign-in may return to, to the letter.
pub const RETURN_PATHS: [&str; 2] = ["/authorize", "/login"];

/// The parameters of the pages that start a sign-in.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Start {
    /// The workspace that is meant.
    pub workspace: Option<WorkspaceId>,
    /// Where to go afterwards, on our own origin.
    pub return_to: Option<String>,
    /// Whether the provider should show the choice of accounts, even if only one is signed in there.
    #[serde(default)]
    pub choose: bool,
    /// Whether the provider should ask who they are even if it knows.
    #[serde(default)]
    pub fresh: bool,
}

impl Start {
    fn query(&self) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        if let Some(workspace) = self.workspace {
            query.append_pair("workspace", &workspace.to_string());
        }
        if let Some(return_to) = &self.return_to {
            query.append_pair("return_to", return_to);
        }
        for (name, set) in [("choose", self.choose), ("fresh", self.fresh)] {
            if set {
                query.append_pair(name, "true");
            }
        }
        let query = query.finish();
        if query.is_empty() { query } else { format!("?{query}") }
    }
}

/// `GET /login`: who is signed in, or the choice of providers.
pub async fn page(
    State(app): State<App>,
    headers: HeaderMap,
    Query(start): Query<Start>,
) -> Result<Response, Failure> {
    let is_plain = start.return_to.is_none() && start.workspace.is_none() && !start.choose;
    if is_plain && let Some(current) = session::current(&app, &headers).await? {
        return signed_in::page(&app, &current).await;
    }
    let derived = app.derived().await?;
    let workspace = match start.workspace {
        Some(workspace) => Some(app.store().workspace(workspace).await?.ok_or_else(Failure::not_found)?.name),
        None => None,
    };
    let query = start.query();
    let choice = |provider: Provider| Choice {
        href: format!("/login/{provider}{query}"),
        name: provider.name().to_owned(),
    };
    let providers = derived.offered().map(choice).collect();
    pages::answer(&pages::ChooseProvider { application: app.application(), workspace, providers }, &[])
}

/// `GET /login/{provider}`: sends the browser to the provider.
pub async fn start(
    State(app): State<App>,
    ClientAddress(address): ClientAddress,
    headers: HeaderMap,
    Path(provider): Path<String>,
    start: Result<Query<Start>, Problem>,
) -> Result<Response, Failure> {
    let provider: Provider = provider.parse().map_err(|_| Failure::not_found())?;
    let derived = app.derived().await?;
    limit(&app, &derived, Attempt::SignIn, address).await?;
    let outcome = match start {
        Ok(Query(start)) => begin(&app, &derived, &headers, provider, start).await,
        Err(_) => Err(Failure::check(Some(provider), "login.parameters")),
    };
    Trail::new(&app, address).settle(&app, outcome).await
}

async fn begin(
    app: &App,
    derived: &Derived,
    headers: &HeaderMap,
    provider: Provider,
    start: Start,
) -> Result<Response, Failure> {
    // A workspace that does not exist is nowhere to sign in to: nothing is begun, and later nothing is written of it.
    if let Some(workspace) = start.workspace
        && app.store().workspace(workspace).await?.is_none()
    {
        return Err(Failure::not_found());
    }
    let return_to = start.return_to.as_deref().unwrap_or("/login");
    let return_to = ReturnTarget::parse(return_to, &RETURN_PATHS)
        .map_err(|_| Failure::check(Some(provider), "login.return_to"))?;
    let hints = AuthorizeHints {
        prompt: match (start.fresh, start.choose) {
            (true, _) => Some(Prompt::Login),
            (false, true) => Some(Prompt::SelectAccount),
            (false, false) => None,
        },
        login_hint: None,
    };
    let begin = LoginStart {
        provider,
        issuer: app.issuer_of(provider).to_owned(),
        purpose: Purpose::SignIn,
        return_to,
        workspace: start.workspace,
        max_age: None,
    };
    send(app, derived, headers, begin, &hints).await
}

/// Begins a login and sends the browser to the provider.
pub async fn send(
    app: &App,
    derived: &Derived,
    headers: &HeaderMap,
    start: LoginStart,
    hints: &AuthorizeHints,
) -> Result<Response, Failure> {
    let now = app.now();
    let provider = start.provider;
    let login = LoginTransaction::begin(start, now, [app.bytes(), app.bytes(), app.bytes()]);
    let location = match provider {
        Provider::Bitbucket => {
            let OAuthClient { key, .. } = derived.consumer().ok_or_else(Failure::not_found)?;
            bitbucket_authorize_url(
                app.config().bitbucket_url.as_url(),
                &key,
                &app.callback(provider),
                &login,
            )
        }
        Provider::Google | Provider::Microsoft => {
            let openid = derived.openid(provider).ok_or_else(Failure::not_found)?;
            openid.authorize_url(&login, hints, now).await.map_err(|failed| Failure {
                shown: if failed.is_temporary() { Shown::Later } else { Shown::StartAgain },
                ..Failure::denied(Some(provider), &failed)
            })?
        }
    };
    let mut pending = cookies::pending(app, derived, headers)?;
    pending.add(login, now);
    let mut response = see_other(location.as_str()).into_response();
    cookies::set(response.headers_mut(), cookies::keep_pending(derived, &pending)?);
    Ok(response)
}

/// Counts an attempt of an address, and refuses it where there were too many.
pub async fn limit(
    app: &App,
    derived: &Derived,
    attempt: Attempt,
    address: Option<core::net::IpAddr>,
) -> Result<(), Failure> {
    count(app, &derived.rates.of_address(attempt, address, app.now()), "rate.address").await
}

/// Refused sign-ins that an address may have in an hour: people of an office share one, and each refused sign-in has cost four calls
/// to Bitbucket, of which all sign-ins together have 960 an hour.
const REFUSED_PER_HOUR: u64 = 40;

/// Refuses an address from which too many sign-ins were refused within the hour, before it costs another call to Bitbucket.
pub async fn limit_refused(
    app: &App,
    derived: &Derived,
    address: Option<core::net::IpAddr>,
) -> Result<(), Failure> {
    let key = derived.rates.of_address_by_hour(Attempt::Refused, address, app.now());
    if app.store().attempts(&key.to_string()).await? < REFUSED_PER_HOUR {
        return Ok(());
    }
    tracing::warn!(check = "rate.refused", "there were too many refused sign-ins");
    let shown = Shown::TooMany(key.retry_after(app.now()).as_secs());
    Err(Failure { check: "rate.refused", provider: None, shown })
}

/// Counts a refused sign-in.
pub async fn count_refused(
    app: &App,
    derived: &Derived,
    address: Option<core::net::IpAddr>,
) -> Result<(), Failure> {
    let key = derived.rates.of_address_by_hour(Attempt::Refused, address, app.now());
    app.store().count_attempt(&key.to_string(), key.expires_at()).await?;
    Ok(())
}

/// Counts a sign-in with an account, whatever addresses it comes from, and refuses it where there were too many.
pub async fn limit_account(app: &App, derived: &Derived, identity: &Identity) -> Result<(), Failure> {
    let Identity { provider, issuer, subject } = identity;
    let account = format!("{provider}|{issuer}|{subject}");
    count(app, &derived.rates.of_account(Attempt::SignIn, &account, app.now()), "rate.account").await
}

async fn count(app: &App, key: &RateKey, check: &'static str) -> Result<(), Failure> {
    let count = app.store().count_attempt(&key.to_string(), key.expires_at()).await?;
    if is_allowed(count, app.config().sign_in_rate) {
        return Ok(());
    }
    // Not in the audit trail: whoever is over the limit is not to fill the table.
    tracing::warn!(check, "there were too many attempts");
    Err(Failure { check, provider: None, shown: Shown::TooMany(key.retry_after(app.now()).as_secs()) })
}
