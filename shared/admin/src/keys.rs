//! What is made of the deployment secret, made once for each version of it.

use std::sync::{Arc, PoisonError, RwLock};

use rollcall_domain::{Secret, TokenHash};
use rollcall_identity::provider::{SigningKeys, TokenIssuer};
use rollcall_service::rate::RateKeys;
use rollcall_service::seal::SealingKeys;
use rollcall_service::secrets::{DeploymentSecret, KeyState, Secrets, SecretsError, SigningKey};
use rollcall_service::web::{Cursors, Problem};
use thiserror::Error;

/// The keys cannot be had.
#[derive(Debug, Error)]
pub enum KeysError {
    /// The deployment secret cannot be read or understood.
    #[error(transparent)]
    Secret(#[from] SecretsError),
    /// A signing key in it cannot be used.
    #[error("a signing key of the deployment secret cannot be used: {0}")]
    Signing(#[from] rollcall_identity::provider::InvalidSigningKey),
}

impl From<KeysError> for Problem {
    fn from(error: KeysError) -> Self {
        tracing::error!(%error, "no keys");
        Self::unavailable("The deployment's keys cannot be read at the moment.")
    }
}

/// The keys of one version of the deployment secret.
pub struct Keys {
    /// Seals and opens credentials and kept answers.
    pub sealing: SealingKeys,
    /// Seals and opens paging cursors.
    pub cursors: Cursors,
    /// Makes the keys of counts.
    pub rates: RateKeys,
    /// Checks access tokens.
    pub issuer: TokenIssuer,
    /// The hash of the bootstrap token.
    pub bootstrap: Option<TokenHash>,
    /// What the application is called in mails.
    pub application: String,
}

impl Keys {
    fn new(secret: &DeploymentSecret, public_url: &str) -> Result<Self, KeysError> {
        let of = |state| {
            secret
                .signing_keys()
                .iter()
                .filter(move |key| key.state() == state)
                .map(pkcs8)
                .collect::<Vec<_>>()
        };
        let current = of(KeyState::Current);
        let next = of(KeyState::Next);
        // The document's grammar has exactly one current key; without it loading says what is missing.
        let nothing = Secret::new("");
        let signing =
            SigningKeys::load(current.first().unwrap_or(&nothing), next.first(), &of(KeyState::Previous))?;
        Ok(Self {
            sealing: secret.sealing_keys.clone(),
            cursors: Cursors::new(&secret.sealing_keys),
            rates: RateKeys::new(&secret.sealing_keys),
            issuer: TokenIssuer::new(public_url, signing),
            bootstrap: secret.bootstrap_admin_token,
            application: secret.application.name.clone(),
        })
    }
}

fn pkcs8(key: &SigningKey) -> Secret {
    use base64::Engine as _;
    Secret::new(base64::engine::general_purpose::STANDARD.encode(key.expose_pkcs8()))
}

/// The present keys.
pub struct Keyring {
    secrets: Arc<Secrets>,
    public_url: String,
    kept: RwLock<Option<(Arc<DeploymentSecret>, Arc<Keys>)>>,
}

impl Keyring {
    /// Keys of this secret, for tokens that this public URL issues.
    pub fn new(secrets: Arc<Secrets>, public_url: impl Into<String>) -> Self {
        Self { secrets, public_url: public_url.into(), kept: RwLock::new(None) }
    }

    /// The keys of the secret as it is now.
    pub async fn current(&self) -> Result<Arc<Keys>, KeysError> {
        let secret = self.secrets.current().await?;
        if let Some((of, keys)) = &*self.kept.read().unwrap_or_else(PoisonError::into_inner)
            && Arc::ptr_eq(of, &secret)
        {
            return Ok(Arc::clone(keys));
        }
        let keys = Arc::new(Keys::new(&secret, &self.public_url)?);
        *self.kept.write().unwrap_or_else(PoisonError::into_inner) = Some((secret, Arc::clone(&keys)));
        Ok(keys)
    }
}
