//! Telling applications that somebody is signed out (OpenID Connect Back-Channel Logout 1.0).
//!
//! The removal itself is done before, and stands whatever an application answers: its tokens are refused here already. An
//! application that does not answer is tried a few times and then left to notice at its next refresh.

use std::collections::BTreeMap;

use futures_util::future::join_all;
use rollcall_domain::{ClientId, MemberId, SessionId, WorkspaceId};
use rollcall_identity::provider::{Client, TokenIssuer};
use rollcall_service::clock::Clock;
use rollcall_service::random::{Random, bytes};
use rollcall_store::{Store, StoreError};
use url::Url;

use crate::call::{Caller, NotTold};

/// Applications read at once.
const PAGE: usize = 100;

/// How many applications were told, and how many were not.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Delivery {
    /// Applications that took the logout token.
    pub told: usize,
    /// Applications that did not, after all attempts. The log says why.
    pub not_told: usize,
}

/// What telling takes.
pub struct Courier<'a> {
    /// The table.
    pub store: &'a Store,
    /// Signs the logout tokens.
    pub issuer: &'a TokenIssuer,
    /// The clock.
    pub clock: &'a dyn Clock,
    /// The source of randomness.
    pub random: &'a dyn Random,
    /// Calls the applications.
    pub caller: &'a Caller,
}

impl Courier<'_> {
    /// Tells every application through which the workspace's members sign in that a member is signed out of all sessions: after they
    /// were suspended or disabled, which has to be written before. What an application was given may long have ended here while its
    /// own session lives on. Fails only if the table does not say which applications there are.
    pub async fn deliver(&self, workspace: WorkspaceId, member: MemberId) -> Result<Delivery, StoreError> {
        let mut whom = Vec::new();
        let mut after = None;
        loop {
            let page = self.store.openid_clients::<Client>(after.as_ref(), PAGE).await?;
            let theirs = |client: &&Client| client.workspace.is_none_or(|only| only == workspace);
            whom.extend(page.items.iter().filter(theirs).map(|client| (client.id, None)));
            after = page.next;
            if after.is_none() {
                return Ok(self.tell(member, whom.into_iter()).await);
            }
        }
    }

    /// Tells these applications that a member's session, or all of them, have ended. Each once, all at the same time.
    pub async fn tell(
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
        // The same token in all attempts: an application that has seen its id knows that it is a repetition.
        let token = self.issuer.logout_token(client, member, session, self.clock.now(), bytes(self.random));
        let token = token.map_err(|_| NotTold::Ours)?;
        let with_token = |request: reqwest::RequestBuilder| request.form(&[("logout_token", token.expose())]);
        self.caller.post(&url, self.random, with_token).await
    }
}
