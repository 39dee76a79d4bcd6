//! Calling an address that somebody has registered.

use core::time::Duration;
use std::sync::{Arc, OnceLock};

use reqwest::RequestBuilder;
use rollcall_service::http::builder;
use rollcall_service::random::{Random, bytes};
use thiserror::Error;
use url::Url;

use crate::public_address::{PublicOnly, names_private_address};

/// How often an application is tried at once.
const ATTEMPTS: u32 = 3;
/// How long one attempt may take. Somebody may be waiting for the page that says they are signed out.
const DEADLINE: Duration = Duration::from_secs(2);
/// How long to wait before the second attempt; twice as long before the third.
const PAUSE: Duration = Duration::from_millis(250);

/// Why an application was not told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(crate) enum NotTold {
    /// The registered address leads to where this function must not call.
    #[error("the registered address is not one of the public internet")]
    Address,
    /// The application refuses what it is told, or answers something else that no repetition changes.
    #[error("the application answered with status {0}")]
    Refused(u16),
    /// The application fails.
    #[error("the application answered with status {0}")]
    Fails(u16),
    /// The application does not answer.
    #[error("the application did not answer")]
    Silent,
    /// What it is to be told could not be signed, or there is no HTTP client.
    #[error("it could not be signed or sent")]
    Ours,
}

impl NotTold {
    const fn may_pass(self) -> bool {
        matches!(self, Self::Fails(_) | Self::Silent)
    }
}

/// Calls registered addresses: those of the public internet over TLS, and those of this machine only where the deployment itself is
/// on it.
#[derive(Clone)]
pub struct Caller {
    local: Option<reqwest::Client>,
}

impl Caller {
    /// With the client for applications on this very machine, for local use.
    pub const fn new(local: Option<reqwest::Client>) -> Self {
        Self { local }
    }

    /// The client for an address.
    fn client_for(&self, url: &Url) -> Result<&reqwest::Client, NotTold> {
        match (url.scheme(), &self.local) {
            // Only loopback hosts can be registered with http.
            ("http", Some(local)) => Ok(local),
            ("https", _) if !names_private_address(url) => guarded().ok_or(NotTold::Ours),
            _ => Err(NotTold::Address),
        }
    }

    /// Posts until the application takes it, a few times at most. What is posted is the same each time.
    pub(crate) async fn post(
        &self,
        url: &Url,
        random: &dyn Random,
        request: impl Fn(RequestBuilder) -> RequestBuilder,
    ) -> Result<(), NotTold> {
        let http = self.client_for(url)?;
        let mut attempt = 1;
        loop {
            match once(request(http.post(url.clone()).timeout(DEADLINE))).await {
                Err(error) if error.may_pass() && attempt < ATTEMPTS => {
                    tracing::info!(%error, attempt, "an application is told once more");
                    let [jitter] = bytes::<1>(random);
                    tokio::time::sleep(PAUSE * attempt + Duration::from_millis(jitter.into())).await;
                    attempt += 1;
                }
                outcome => return outcome,
            }
        }
    }
}

async fn once(request: RequestBuilder) -> Result<(), NotTold> {
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
    let make = || builder().dns_resolver(Arc::new(PublicOnly)).build().ok();
    GUARDED.get_or_init(make).as_ref()
}
