//! The deployment secret, kept and refreshed.

use core::time::Duration;
use std::sync::{Arc, PoisonError, RwLock};

use aws_sdk_secretsmanager::error::{DisplayErrorContext, ProvideErrorMetadata as _};
use futures_util::future::BoxFuture;
use rollcall_domain::{Secret, Timestamp, TokenHash};
use thiserror::Error;
use tokio::sync::Mutex;

use super::document::{Defects, DeploymentSecret};
use crate::clock::Clock;
use crate::config::SecretId;

/// How long a read document is taken for the present one.
const KEEP: Duration = Duration::from_mins(5);
/// The shortest time between two reads that are out of turn, and after a read that failed.
const COOL_DOWN: Duration = Duration::from_secs(30);

/// The document could not be read from Secrets Manager.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum FetchFailed {
    /// There is no such secret in this account and region.
    #[error("there is no such secret in this account and region; check ROLLCALL_SECRET_ID and AWS_REGION")]
    NotFound,
    /// The function's role may not read it.
    #[error(
        "the function's role may not read the secret (secretsmanager:GetSecretValue, and kms:Decrypt if it has its own key)"
    )]
    Denied,
    /// It holds bytes instead of a text.
    #[error("the secret holds binary data; it must be stored as a text")]
    Binary,
    /// Secrets Manager could not be reached, or answered with an error that may pass.
    #[error("Secrets Manager did not answer: {0}")]
    Unavailable(String),
}

/// There is no deployment secret to work with.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SecretsError {
    /// It could not be read.
    #[error("the deployment secret could not be read: {0}")]
    Fetch(#[from] FetchFailed),
    /// It was read and cannot be used.
    #[error("the deployment secret cannot be used: {0}")]
    Document(#[from] Defects),
}

/// Where the document comes from: Secrets Manager, or a test.
pub trait Source: Send + Sync {
    /// Reads the document's text.
    fn fetch(&self) -> BoxFuture<'_, Result<Secret, FetchFailed>>;
}

struct SecretsManager {
    client: aws_sdk_secretsmanager::Client,
    id: SecretId,
}

impl Source for SecretsManager {
    fn fetch(&self) -> BoxFuture<'_, Result<Secret, FetchFailed>> {
        Box::pin(async {
            let answer = self.client.get_secret_value().secret_id(self.id.as_str()).send().await;
            match answer {
                Ok(value) => value.secret_string.map(Secret::new).ok_or(FetchFailed::Binary),
                Err(error) => Err(match error.code() {
                    Some("ResourceNotFoundException") => FetchFailed::NotFound,
                    Some("AccessDeniedException") => FetchFailed::Denied,
                    // An error of the service is its code. Other errors are about the connection, and hold no answer.
                    Some(code) => FetchFailed::Unavailable(code.to_owned()),
                    None => FetchFailed::Unavailable(one_line(&DisplayErrorContext(&error).to_string())),
                }),
            }
        })
    }
}

/// The first line of an SDK error, which ends in a dump of the failed operation.
fn one_line(text: &str) -> String {
    text.split_once(" (")
        .map_or(text, |(first, _)| first)
        .chars()
        .filter(|c| !c.is_control())
        .take(200)
        .collect()
}

/// What is kept between two reads.
#[derive(Clone)]
struct Kept {
    secret: Arc<DeploymentSecret>,
    hash: TokenHash,
    /// When the document was last known to be the present one.
    confirmed_at: Timestamp,
}

/// When the document was last asked for, whatever the outcome.
struct Attempted {
    at: Option<Timestamp>,
}

/// The deployment secret of a warm function.
///
/// [`Secrets::current`] costs nothing while the kept document is young. Only one read runs at a time; while it does, the others go
/// on with the kept document. A read that fails, or a document that cannot be used, leaves the last good one in place.
pub struct Secrets {
    source: Box<dyn Source>,
    clock: Arc<dyn Clock>,
    kept: RwLock<Option<Kept>>,
    reading: Mutex<Attempted>,
}

impl Secrets {
    /// From Secrets Manager.
    pub fn new(client: aws_sdk_secretsmanager::Client, id: SecretId, clock: Arc<dyn Clock>) -> Self {
        Self::from_source(SecretsManager { client, id }, clock)
    }

    /// From anywhere else.
    pub fn from_source(source: impl Source + 'static, clock: Arc<dyn Clock>) -> Self {
        Self {
            source: Box::new(source),
            clock,
            kept: RwLock::new(None),
            reading: Mutex::new(Attempted { at: None }),
        }
    }

    /// The present document. Reads it if the kept one is older than five minutes.
    pub async fn current(&self) -> Result<Arc<DeploymentSecret>, SecretsError> {
        let now = self.clock.now();
        let kept = self.kept();
        if let Some(kept) = &kept
            && now.since(kept.confirmed_at) < KEEP
        {
            return Ok(Arc::clone(&kept.secret));
        }
        let Some(kept) = kept else {
            let mut attempted = self.reading.lock().await;
            // Another request may have read it while this one waited.
            return match self.kept() {
                Some(kept) => Ok(kept.secret),
                None => self.read(&mut attempted).await,
            };
        };
        // Whoever finds another read under way goes on with what there is.
        let Ok(mut attempted) = self.reading.try_lock() else { return Ok(kept.secret) };
        if attempted.at.is_some_and(|at| now.since(at) < COOL_DOWN) {
            return Ok(self.kept().map_or(kept.secret, |kept| kept.secret));
        }
        Ok(self.read(&mut attempted).await.unwrap_or_else(|error| {
            tracing::error!(%error, "the deployment secret could not be refreshed; the last good one stays in use");
            kept.secret
        }))
    }

    /// Reads the document out of turn, because a provider has refused what `used` says (`invalid_client`): the secret was rotated.
    ///
    /// Answers with a document that differs from `used`, with which one more attempt is worth making; or with `None`: then the
    /// provider's refusal stands. Reads at most once per cool-down of 30 seconds, however many requests fail at the same time.
    pub async fn refresh_once(&self, used: &Arc<DeploymentSecret>) -> Option<Arc<DeploymentSecret>> {
        let newer =
            |kept: Option<Kept>| kept.map(|kept| kept.secret).filter(|secret| !Arc::ptr_eq(secret, used));
        let mut attempted = self.reading.lock().await;
        if let Some(secret) = newer(self.kept()) {
            return Some(secret);
        }
        if attempted.at.is_some_and(|at| self.clock.now().since(at) < COOL_DOWN) {
            return None;
        }
        if let Err(error) = self.read(&mut attempted).await {
            tracing::error!(%error, "the deployment secret could not be refreshed; the last good one stays in use");
        }
        newer(self.kept())
    }

    fn kept(&self) -> Option<Kept> {
        self.kept.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Reads the document and keeps it. An unchanged document stays the same `Arc`.
    async fn read(&self, attempted: &mut Attempted) -> Result<Arc<DeploymentSecret>, SecretsError> {
        let now = self.clock.now();
        attempted.at = Some(now);
        let text = self.source.fetch().await?;
        let hash = TokenHash::of(&text);
        let secret = match self.kept() {
            Some(kept) if kept.hash.matches(&hash) => kept.secret,
            before => {
                let secret = Arc::new(DeploymentSecret::parse(text.expose())?);
                if before.is_some() {
                    tracing::info!("the deployment secret has changed and the new one is in use");
                }
                secret
            }
        };
        let kept = Kept { secret: Arc::clone(&secret), hash, confirmed_at: now };
        *self.kept.write().unwrap_or_else(PoisonError::into_inner) = Some(kept);
        Ok(secret)
    }
}
