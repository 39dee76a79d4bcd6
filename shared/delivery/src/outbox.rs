//! Telling the events of a workspace, in order, from where the last telling stopped.

use core::time::Duration;
use std::sync::Arc;

use rollcall_admin::cloud_event::CloudEvent;
use rollcall_domain::event::{Event, EventKind};
use rollcall_domain::{MemberId, Timestamp, WorkspaceId};
use rollcall_service::clock::Clock;
use rollcall_service::random::Random;
use rollcall_service::secrets::{DeploymentSecret, Secrets};
use rollcall_service::telemetry::Metrics;
use rollcall_store::deliveries::{Progress, Webhook};
use rollcall_store::events::StoredEvent;
use rollcall_store::{Store, StoreError};
use thiserror::Error;
use url::Url;

use crate::call::Caller;
use crate::issuer::{InvalidKeys, issuer};
use crate::logout::Courier;
use crate::webhook::{Signer, failed};

/// Events read at once.
const PAGE: usize = 100;
/// For how long the telling is claimed. Whoever has not come to the end by then stops.
const CLAIM: Duration = Duration::from_mins(2);
/// How much of the claim is left for the last event and the last write.
const STOP_BEFORE: Duration = Duration::from_secs(15);

/// What telling takes.
pub struct Ports {
    /// The table.
    pub store: Store,
    /// The deployment secret: signing and sealing keys.
    pub secrets: Arc<Secrets>,
    /// The deployment's public URL: who tells.
    pub public_url: String,
    /// Calls the applications.
    pub caller: Caller,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// The source of randomness.
    pub random: Arc<dyn Random>,
    /// Measures.
    pub metrics: Metrics,
}

/// Nothing could be told. What is not told now is told at the next occasion.
#[derive(Debug, Error)]
pub enum Untold {
    /// The table.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The deployment secret cannot be read.
    #[error("the deployment secret cannot be read: {0}")]
    Secret(String),
    /// Its signing keys cannot be used.
    #[error(transparent)]
    Keys(#[from] InvalidKeys),
}

/// How a telling ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivered {
    /// Everything was told, or waits for its next attempt.
    All,
    /// There is more than one claim is long enough for, or somebody else is at it: to be asked for again.
    Again,
}

/// Tells events.
pub struct Outbox(Ports);

impl Outbox {
    /// With these parts.
    pub const fn new(ports: Ports) -> Self {
        Self(ports)
    }

    /// Tells what is not told yet. Where nothing is, it takes three reads and no write.
    pub async fn deliver(&self, workspace: WorkspaceId) -> Result<Delivered, Untold> {
        let Ports { store, clock, .. } = &self.0;
        let now = clock.now();
        let (progress, webhook) =
            futures_util::future::try_join(store.progress(workspace), store.webhook(workspace)).await?;
        let webhook = webhook.filter(|_| is_due(&progress, now));
        if store.events_after(workspace, next(&progress, webhook.as_ref()), 1).await?.items.is_empty() {
            return Ok(Delivered::All);
        }
        let secret = self.0.secrets.current().await.map_err(|error| Untold::Secret(error.to_string()))?;
        let Some(progress) = store.claim_delivery(workspace, &progress, CLAIM, now).await? else {
            return Ok(Delivered::Again);
        };
        let until = progress.claimed_until.minus(STOP_BEFORE);
        let mut telling = Telling { ports: &self.0, workspace, progress, webhook, secret, until };
        let ended = telling.tell_all().await;
        // Whatever happened, what was told is told, and the next may begin at once.
        let progress = Progress { claimed_until: Timestamp::EPOCH, ..telling.progress };
        match store.put_progress(workspace, progress).await {
            Ok(_) => ended,
            Err(error) if error.is_conflict() => Ok(Delivered::Again),
            Err(error) => ended.and(Err(error.into())),
        }
    }
}

/// Whether a webhook may be tried now.
fn is_due(progress: &Progress, now: Timestamp) -> bool {
    progress.failing.as_ref().is_none_or(|failing| failing.again_at.has_passed(now))
}

/// The number after which there may be something to tell.
fn next(progress: &Progress, webhook: Option<&Webhook>) -> u64 {
    webhook.map_or(progress.logout, |_| progress.logout.min(progress.webhook))
}

struct Telling<'p> {
    ports: &'p Ports,
    workspace: WorkspaceId,
    progress: Progress,
    webhook: Option<Webhook>,
    secret: Arc<DeploymentSecret>,
    until: Timestamp,
}

impl Telling<'_> {
    /// Ends of access first, all of them: they do not wait for anybody's webhook.
    async fn tell_all(&mut self) -> Result<Delivered, Untold> {
        while let Some(events) = self.page(self.progress.logout).await? {
            for stored in events {
                if self.is_over() {
                    return Ok(Delivered::Again);
                }
                self.tell_of_an_end(&stored.event).await?;
                self.progress.logout = stored.sequence;
            }
        }
        while self.webhook.is_some()
            && let Some(events) = self.page(self.progress.webhook).await?
        {
            for stored in events {
                if self.is_over() {
                    return Ok(Delivered::Again);
                }
                self.tell_webhook(stored.sequence, &stored.event).await;
            }
        }
        Ok(Delivered::All)
    }

    async fn page(&self, after: u64) -> Result<Option<Vec<StoredEvent>>, Untold> {
        let page = self.ports.store.events_after(self.workspace, after, PAGE).await?;
        Ok(Some(page.items).filter(|events| !events.is_empty()))
    }

    fn is_over(&self) -> bool {
        self.until.has_passed(self.ports.clock.now())
    }

    /// Tells the applications that a member's access has ended. They are tried a few times, and not again: what
    /// they hold is refused already.
    async fn tell_of_an_end(&self, event: &Event) -> Result<(), Untold> {
        if !matches!(event.kind, EventKind::MemberSuspended | EventKind::MemberDisabled) {
            return Ok(());
        }
        let Ok(member) = event.subject.parse::<MemberId>() else { return Ok(()) };
        let Ports { store, clock, random, caller, metrics, public_url, .. } = self.ports;
        let issuer = issuer(public_url, &self.secret)?;
        let courier = Courier { store, issuer: &issuer, clock: &**clock, random: &**random, caller };
        let delivery = courier.deliver(self.workspace, member).await?;
        metrics.record().count("LogoutTokensNotTaken", delivery.not_told as u64).write();
        Ok(())
    }

    /// Tells the webhook. One that does not take an event gets no later one before it: it is left alone until its next attempt.
    async fn tell_webhook(&mut self, sequence: u64, event: &Event) {
        let Some(webhook) = &self.webhook else { return };
        match self.post(webhook, event).await {
            Ok(()) => {
                self.progress.webhook = sequence;
                self.progress.failing = None;
            }
            Err(why) => {
                tracing::warn!(why, workspace = %self.workspace, "the webhook did not take an event");
                self.ports.metrics.record().count("WebhookDeliveriesFailed", 1).write();
                let now = self.ports.clock.now();
                self.progress.failing = Some(failed(self.progress.failing.as_ref(), why, now));
                self.webhook = None;
            }
        }
    }

    async fn post(&self, webhook: &Webhook, event: &Event) -> Result<(), String> {
        let Ports { clock, random, caller, public_url, .. } = self.ports;
        let url = Url::parse(&webhook.url).map_err(|error| error.to_string())?;
        let now = clock.now();
        let signer =
            Signer::of(webhook, &self.secret.sealing_keys, now).map_err(|error| error.to_string())?;
        let body =
            serde_json::to_string(&CloudEvent::new(event, public_url)).map_err(|error| error.to_string())?;
        let headers = signer.headers(&event.id.to_string(), now, &body);
        let signed = |request: reqwest::RequestBuilder| {
            let request = request.header("content-type", "application/cloudevents+json").body(body.clone());
            headers.iter().fold(request, |request, (name, value)| request.header(*name, value))
        };
        caller.post(&url, &**random, signed).await.map_err(|error| error.to_string())
    }
}
