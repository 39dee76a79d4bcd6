//! The client and its sessions: who asks, for what, and within which budget.

use core::time::Duration;
use std::collections::BTreeMap;
use std::hash::{BuildHasher as _, Hasher as _};
use std::sync::{Arc, Mutex, PoisonError};

use rollcall_domain::Timestamp;
use rollcall_domain::budget::Purpose;
use tokio::sync::Semaphore;
use url::Url;

use crate::budget::{CallBudget, Pause};
use crate::call::{Call, Target};
use crate::credential::{Credential, CredentialId};
use crate::endpoint::Endpoints;
use crate::error::Error;
use crate::token::TokenKeeper;
use crate::transport::{Body, Bounds, Transport};

/// Tells the time. The client reads no clock of its own.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// The limits that the client keeps to.
#[derive(Debug, Clone)]
pub struct Limits {
    /// How long a call may take, its body included.
    pub deadline: Duration,
    /// How often a call is made that fails in a way that passes quickly: 1 for never again.
    pub attempts: u32,
    /// The pause before the second attempt; doubled for each further one, and spread at random.
    pub retry_pause: Duration,
    /// Calls under way at the same time in a session.
    pub in_flight: usize,
    /// The longest answer, in bytes.
    pub longest_answer: usize,
    /// How long an answer without pages may take, which may be thousands of times as long as a page.
    pub unpaged_deadline: Duration,
    /// The longest answer without pages, in bytes.
    pub longest_unpaged_answer: usize,
    /// The most pages of a listing.
    pub most_pages: usize,
    /// The entries asked for in a page. Bitbucket may give fewer.
    pub page_length: u64,
    /// The entries asked for where that many are refused.
    pub short_page_length: u64,
    /// How long nothing is asked after a 429 that does not say how long.
    pub rate_limit_pause: Duration,
    /// How long no token is asked for after Bitbucket refused one with `unauthorized_client`.
    pub locked_out_pause: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            deadline: Duration::from_secs(20),
            attempts: 3,
            retry_pause: Duration::from_millis(500),
            in_flight: 8,
            longest_answer: 8 * 1024 * 1024,
            unpaged_deadline: Duration::from_mins(1),
            longest_unpaged_answer: 64 * 1024 * 1024,
            most_pages: 1_000,
            page_length: 100,
            short_page_length: 50,
            rate_limit_pause: Duration::from_mins(5),
            locked_out_pause: Duration::from_mins(10),
        }
    }
}

/// As many consumers' tokens are remembered. More are in use at once in no deployment; the rest are fetched again.
const MOST_TOKENS: usize = 512;

struct Shared {
    transport: Transport,
    endpoints: Endpoints,
    clock: Clock,
    limits: Limits,
    tokens: Mutex<BTreeMap<(CredentialId, rollcall_domain::TokenHash), Arc<TokenKeeper>>>,
}

/// The client. Clones share connections and tokens.
#[derive(Clone)]
pub struct Bitbucket(Arc<Shared>);

impl Bitbucket {
    /// From an HTTP client that follows no redirects, the two origins, and a clock.
    pub fn new(http: reqwest::Client, endpoints: Endpoints, clock: Clock, limits: Limits) -> Self {
        let transport = Transport::new(http);
        Self(Arc::new(Shared { transport, endpoints, clock, limits, tokens: Mutex::default() }))
    }

    /// A session: this credential, within this budget, for this purpose.
    pub fn session(&self, credential: &Credential, budget: &CallBudget, purpose: Purpose) -> Session {
        Session {
            bitbucket: self.clone(),
            token: self.keeper(credential),
            budget: budget.clone(),
            purpose,
            in_flight: Arc::new(Semaphore::new(self.limits().in_flight.max(1))),
        }
    }

    /// The keeper of a credential's token. One consumer has one, so that its token is fetched once for all sessions.
    fn keeper(&self, credential: &Credential) -> Arc<TokenKeeper> {
        let Credential::OAuthConsumer { secret, .. } = credential else {
            return Arc::new(TokenKeeper::new(credential));
        };
        let mut tokens = self.0.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        if tokens.len() >= MOST_TOKENS {
            tokens.clear();
        }
        // With the secret in the key: after it was changed, the old secret's token is not used any more.
        let key = (credential.id(), rollcall_domain::TokenHash::of(secret));
        Arc::clone(tokens.entry(key).or_insert_with(|| Arc::new(TokenKeeper::new(credential))))
    }

    pub(crate) fn transport(&self) -> &Transport {
        &self.0.transport
    }

    pub(crate) fn endpoints(&self) -> &Endpoints {
        &self.0.endpoints
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.0.limits
    }

    pub(crate) fn now(&self) -> Timestamp {
        (self.0.clock)()
    }
}

/// Calls with one credential, for one purpose. Clones share the calls under way.
#[derive(Clone)]
pub struct Session {
    bitbucket: Bitbucket,
    token: Arc<TokenKeeper>,
    budget: CallBudget,
    purpose: Purpose,
    in_flight: Arc<Semaphore>,
}

impl Session {
    /// Tells how many calls follow at once. See [`CallBudget::foresee`].
    pub fn foresee(&self, calls: u32) {
        self.budget.foresee(self.purpose, calls);
    }

    /// The budget that the calls are taken from.
    pub fn budget(&self) -> &CallBudget {
        &self.budget
    }

    pub(crate) fn limits(&self) -> &Limits {
        self.bitbucket.limits()
    }

    pub(crate) fn api(&self) -> &Url {
        self.bitbucket.endpoints().api()
    }

    /// Asks and takes only 200 for an answer.
    pub(crate) async fn ask(&self, target: &Target) -> Result<Body, Error> {
        self.fetch(target.url(self.api()), target.call()).await
    }

    /// Asks for something that comes in one piece, however large.
    pub(crate) async fn ask_unpaged(&self, target: &Target) -> Result<Body, Error> {
        let limits = self.limits();
        let bounds = Bounds { longest: limits.longest_unpaged_answer, deadline: limits.unpaged_deadline };
        self.fetch_within(target.url(self.api()), target.call(), bounds).await
    }

    /// Asks an address.
    pub(crate) async fn fetch(&self, url: Url, call: Call) -> Result<Body, Error> {
        let bounds = Bounds { longest: self.limits().longest_answer, deadline: self.limits().deadline };
        self.fetch_within(url, call, bounds).await
    }

    /// Failures that pass quickly are asked again; each attempt takes a call from the budget.
    async fn fetch_within(&self, url: Url, call: Call, bounds: Bounds) -> Result<Body, Error> {
        let mut attempt = 1;
        let mut fresh_token = false;
        loop {
            // On the heap, so that the futures of whole lanes stay small.
            let (generation, answer) = Box::pin(self.attempt(url.clone(), call, bounds)).await;
            match answer {
                Err(Error::Unauthorized { .. }) if !fresh_token && self.token.refused(generation).await => {
                    fresh_token = true;
                }
                Err(error) if error.passes_quickly() && attempt < self.limits().attempts => {
                    tracing::info!(%error, attempt, "asking Bitbucket again");
                    tokio::time::sleep(spread(self.limits().retry_pause, attempt)).await;
                    attempt += 1;
                }
                other => return other,
            }
        }
    }

    async fn attempt(&self, url: Url, call: Call, bounds: Bounds) -> (u64, Result<Body, Error>) {
        let _permit = self.in_flight.acquire().await;
        let (header, generation) = match self.token.authorization(&self.bitbucket, call).await {
            Ok(authorization) => authorization,
            Err(error) => return (0, Err(error)),
        };
        if let Err(error) = self.budget.take(self.purpose, call).await {
            return (generation, Err(error));
        }
        let answer = self.bitbucket.transport().get(url, header, call, bounds).await;
        let answer = match answer {
            Ok(body) if body.status == 429 => Err(self.rate_limited(&body, call).await),
            Ok(body) if body.status == 200 => {
                self.heed(&body).await;
                Ok(body)
            }
            Ok(body) => Err(body.refusal(call)),
            Err(error) => Err(error),
        };
        (generation, answer)
    }

    /// After a 429 nobody calls for some minutes. Bitbucket mostly does not say how long.
    async fn rate_limited(&self, body: &Body, call: Call) -> Error {
        let until = body.pause_until(self.bitbucket.now(), self.limits().rate_limit_pause);
        self.budget.pause(Pause::Everybody(until)).await;
        Error::RateLimited { call, until }
    }

    /// Where Bitbucket says that few calls are left, syncs leave them to sign-ins for a while.
    async fn heed(&self, body: &Body) {
        if body.header("x-ratelimit-nearlimit").is_some_and(|value| value.eq_ignore_ascii_case("true")) {
            let until = self.bitbucket.now().plus(self.limits().rate_limit_pause);
            self.budget.pause(Pause::Syncs(until)).await;
        }
    }
}

/// The pause before an attempt: doubled each time, and between half and all of that, so that clients do not march in step.
fn spread(pause: Duration, attempt: u32) -> Duration {
    let whole = pause.saturating_mul(1_u32.checked_shl(attempt.saturating_sub(1)).unwrap_or(u32::MAX));
    let random = std::collections::hash_map::RandomState::new().build_hasher().finish() % 1_000;
    let thousandths = 500 + u32::try_from(random / 2).unwrap_or(0);
    whole.saturating_mul(thousandths) / 1_000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_and_vary() {
        let pause = Duration::from_millis(100);
        for attempt in 1..5 {
            let whole = pause * 2_u32.pow(attempt - 1);
            let pauses: Vec<_> = (0..50).map(|_| spread(pause, attempt)).collect();
            assert!(pauses.iter().all(|p| *p >= whole / 2 && *p <= whole));
            assert!(pauses.iter().any(|p| *p != pauses[0]));
        }
    }
}
