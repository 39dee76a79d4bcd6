//! The token behind a session: fixed, or fetched and renewed once for all who wait for it.

use core::time::Duration;

use reqwest::header::HeaderValue;
use rollcall_domain::Timestamp;
use tokio::sync::Mutex;

use crate::call::Call;
use crate::credential::Credential;
use crate::error::Error;
use crate::oauth::{OAuthClient, header};
use crate::session::Bitbucket;

/// How long before its end a token is renewed, unless it lives so briefly that a fifth of its life is less.
const RENEW_BEFORE_END: Duration = Duration::from_mins(5);

/// For how long a failed renewal is the answer to everybody who asks, so that waiting tasks do not repeat it one by one.
const FAILURE_COUNTS_FOR: Duration = Duration::from_secs(5);

/// Hands out the `Authorization` header.
pub(crate) enum TokenKeeper {
    /// A credential that is its own token.
    Fixed(HeaderValue),
    /// A credential that cannot be sent at all.
    Unusable,
    /// A consumer whose tokens run out. The lock is held during a renewal: that is what makes it one.
    Renewed { client: OAuthClient, state: Box<Mutex<State>> },
}

#[derive(Default)]
pub(crate) struct State {
    current: Option<Current>,
    failed: Option<(Timestamp, Error)>,
    /// Counts the tokens, so that a token is thrown away only by those who were refused with it.
    generation: u64,
}

struct Current {
    header: HeaderValue,
    renew_at: Timestamp,
}

impl TokenKeeper {
    pub(crate) fn new(credential: &Credential) -> Self {
        match (credential, credential.header()) {
            (_, Some(Ok(header))) => Self::Fixed(header),
            (Credential::OAuthConsumer { key, secret }, _) => Self::Renewed {
                client: OAuthClient { key: key.clone(), secret: secret.clone() },
                state: Box::default(),
            },
            _ => Self::Unusable,
        }
    }

    /// The header to send now, and which token it is.
    pub(crate) async fn authorization(
        &self,
        bitbucket: &Bitbucket,
        call: Call,
    ) -> Result<(HeaderValue, u64), Error> {
        match self {
            Self::Fixed(header) => Ok((header.clone(), 0)),
            Self::Unusable => {
                let why = "the credential contains characters that cannot be sent".to_owned();
                Err(Error::Unauthorized { call, why })
            }
            Self::Renewed { client, state } => {
                let mut state = state.lock().await;
                state.header(bitbucket, client).await
            }
        }
    }

    /// Throws a refused token away, if it is still the current one. Says whether a fresh one can be had.
    pub(crate) async fn refused(&self, generation: u64) -> bool {
        let Self::Renewed { state, .. } = self else { return false };
        let mut state = state.lock().await;
        if state.generation == generation {
            state.current = None;
        }
        true
    }
}

impl State {
    async fn header(
        &mut self,
        bitbucket: &Bitbucket,
        client: &OAuthClient,
    ) -> Result<(HeaderValue, u64), Error> {
        let now = bitbucket.now();
        if let Some(current) = self.current.as_ref().filter(|current| !current.renew_at.has_passed(now)) {
            return Ok((current.header.clone(), self.generation));
        }
        if let Some((until, error)) = self.failed.as_ref().filter(|(until, _)| !until.has_passed(now)) {
            tracing::debug!(%until, "no token is asked for: the last attempt failed");
            return Err(error.clone());
        }
        let fresh = match bitbucket.client_credentials(client).await {
            Ok(granted) => header(&granted).map(|header| (header, granted.lives)),
            Err(error) => Err(error),
        };
        match fresh {
            Ok((header, lives)) => {
                let renew_at = bitbucket.now().plus(lives.saturating_sub(RENEW_BEFORE_END.min(lives / 5)));
                self.generation += 1;
                self.failed = None;
                self.current = Some(Current { header: header.clone(), renew_at });
                Ok((header, self.generation))
            }
            Err(error) => {
                let until = error.wait_until().unwrap_or_else(|| bitbucket.now().plus(FAILURE_COUNTS_FOR));
                self.failed = Some((until, error.clone()));
                Err(error)
            }
        }
    }
}
