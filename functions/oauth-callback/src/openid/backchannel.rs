//! Telling applications that somebody is signed out (OpenID Connect Back-Channel Logout 1.0).
//!
//! The removal itself is done before, and stands whatever an application answers: its tokens are refused here already. An
//! application that does not answer is tried a few times and then left to notice at its next refresh.

use core::time::Duration;
use std::collections::BTreeMap;
use std::sync::OnceLock;

use futures_util::future::join_all;
use rollcall_domain::member::Member;
use rollcall_domain::{ClientId, MemberId, Secret, SessionId};
use rollcall_identity::provider::{Client, TokenIssuer};
use rollcall_identity::session::SessionLimits;
use rollcall_service::clock::Clock;
use rollcall_service::http::builder;
use rollcall_service::random::{Random, bytes};
use rollcall_store::{Store, StoreError};
use thiserror::Error;
use url::Url;

use super::public_address::{PublicOnly, names_private_address};
use super::records::GrantRow;
use crate::app::{App, Derived};
use crate::failure::Failure;

/// How often an application is tried.
const ATTEMPTS: u32 = 3;
/// How long one attempt may take. Somebody may be waiting for the page that says they are signed out.
const DEADLINE: Duration = Duration::from_secs(2);
/// How long to wait before the second attempt; twice as long before the third.
const PAUSE: Duration = Duration::from_millis(250);

/// Why an application was not told.
#[derive(Debug, Error)]
enum NotTold {
    /// The registered address leads to where this function must not call.
    #[error("the registered address is not one of the public internet")]
    Address,
    /// The application refuses the logout token, or answers something else that no repetition changes.
    #[error("the application answered with status {0}")]
    Refused(u16),
    /// The application fails.
    #[error("the application answered with status {0}")]
    Fails(u16),
    /// The application does not answer.
    #[error("the application did not answer")]
    Silent,
    /// The logout token could not be signed, or there is no HTTP client.
    #[error("the logout token could not be made or sent")]
    Ours,
}

impl NotTold {
    fn may_pass(&self) -> bool {
        matches!(self, Self::Fails(_) | Self::Silent)
    }
}

/// How many applications were told, and how many were not.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Delivery {
    /// Applications that took the logout token.
    pub told: usize,
    /// Applications that did not, after all attempts. The log says why.
    pub not_told: usize,
}

/// What delivering takes. Functions other than this one can make their own.
pub struct Courier<'a> {
    /// The table.
    pub store: &'a Store,
    /// Signs the logout tokens.
    pub issuer: &'a TokenIssuer,
    /// The clock.
    pub clock: &'a dyn Clock,
    /// The source of randomness.
    pub random: &'a dyn Random,
    /// The client for applications on this very machine, where the deployment itself is on it: for local use.
    pub local: Option<&'a reqwest::Client>,
}

/// Tells every application that a member is signed in to that they are signed out of all sessions: after they were suspended or
/// disabled, which has to be written before.
pub async fn deliver(app: &App, member: &Member) -> Result<Delivery, Failure> {
    let derived = app.derived().await?;
    Ok(courier(app, &derived).deliver(member, app.session_limits()).await?)
}

/// The courier of this function.
pub(super) fn courier<'a>(app: &'a App, derived: &'a Derived) -> Courier<'a> {
    Courier {
        store: app.store(),
        issuer: &derived.issuer,
        clock: app.clock(),
        random: app.random(),
        local: (!app.config().public_url.is_https()).then_some(app.http()),
    }
}

impl Courier<'_> {
    /// Tells every application that holds something of a member's. Fails only if the table does not say which these are.
    pub async fn deliver(&self, member: &Member, limits: SessionLimits) -> Result<Delivery, StoreError> {
        let now = self.clock.now();
        let mut rows: Vec<GrantRow> = self.store.families_of(member.workspace, member.id).await?;
        rows.retain(|row| row.family.revoked_at.is_none() && !row.ends_at(limits).has_passed(now));
        Ok(self.tell(member.id, rows.iter().map(|row| (row.family.grant.client, None))).await)
    }

    /// Tells these applications that a member's session, or all of them, have ended. Each once, all at the same time.
    pub(super) async fn tell(
        &self,
        member: MemberId,
        whom: impl Iterator<Item = (ClientId, Option<SessionId>)>,
    ) -> Delivery {
        let whom: BTreeMap<ClientId, Option<SessionId>> = whom.collect();
        let told = join_all(whom.into_iter().map(|(client, session)| self.tell_one(client, member, session)));
        told.await.into_iter().flatten().fold(Delivery::default(), |mut delivery, told| {
            if told {
                delivery.told += 1;
            } else {
                delivery.not_told += 1;
            }
            delivery
        })
    }

    /// `None`: the application is gone, or has not asked to be told.
    async fn tell_one(&self, id: ClientId, member: MemberId, session: Option<SessionId>) -> Option<bool> {
        let client = match self.store.openid_client::<Client>(id).await {
            Ok(client) => client?,
            Err(error) => {
                tracing::error!(%error, client = %id, "an application could not be told of a logout");
                return Some(false);
            }
        };
        let uri = client.backchannel_logout_uri.as_ref()?;
        match self.send(id, uri.as_str(), member, session).await {
            Ok(()) => Some(true),
            Err(error) => {
                tracing::error!(%error, client = %id, %member, "an application could not be told of a logout");
                Some(false)
            }
        }
    }

    async fn send(
        &self,
        client: ClientId,
        uri: &str,
        member: MemberId,
        session: Option<SessionId>,
    ) -> Result<(), NotTold> {
        let url = Url::parse(uri).map_err(|_| NotTold::Address)?;
        let http = self.client_for(&url)?;
        // The same token in all attempts: an application that has seen its id knows that it is a repetition.
        let token = self.issuer.logout_token(client, member, session, self.clock.now(), bytes(self.random));
        let token = token.map_err(|_| NotTold::Ours)?;
        let mut attempt = 1;
        loop {
            match post(http, &url, &token).await {
                Err(error) if error.may_pass() && attempt < ATTEMPTS => {
                    tracing::info!(%error, %client, attempt, "an application is told of a logout once more");
                    let [jitter] = bytes::<1>(self.random);
                    tokio::time::sleep(PAUSE * attempt + Duration::from_millis(jitter.into())).await;
                    attempt += 1;
                }
                outcome => return outcome,
            }
        }
    }

    fn client_for(&self, url: &Url) -> Result<&reqwest::Client, NotTold> {
        match (url.scheme(), self.local) {
            // Only loopback hosts can be registered with http.
            ("http", Some(local)) => Ok(local),
            ("https", _) if !names_private_address(url) => guarded().ok_or(NotTold::Ours),
            _ => Err(NotTold::Address),
        }
    }
}

async fn post(http: &reqwest::Client, url: &Url, token: &Secret) -> Result<(), NotTold> {
    let request = http.post(url.clone()).form(&[("logout_token", token.expose())]).timeout(DEADLINE);
    let status = request.send().await.map_err(|_| NotTold::Silent)?.status().as_u16();
    match status {
        200..=299 => Ok(()),
        408 | 429 | 500.. => Err(NotTold::Fails(status)),
        _ => Err(NotTold::Refused(status)),
    }
}

/// The client that reaches public addresses only. Made when it is first needed: most requests never do.
fn guarded() -> Option<&'static reqwest::Client> {
    static GUARDED: OnceLock<Option<reqwest::Client>> = OnceLock::new();
    let make = || builder().dns_resolver(std::sync::Arc::new(PublicOnly)).build().ok();
    GUARDED.get_or_init(make).as_ref()
}
