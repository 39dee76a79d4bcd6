//! What signs for this deployment.

use base64::Engine as _;
use rollcall_domain::Secret;
use rollcall_identity::provider::{InvalidSigningKey, SigningKeys, TokenIssuer};
use rollcall_service::secrets::{DeploymentSecret, KeyState};
use thiserror::Error;

/// The deployment secret's signing keys cannot be used.
#[derive(Debug, Error)]
pub enum InvalidKeys {
    /// None of them is the current one.
    #[error("the secret has no current signing key")]
    NoCurrent,
    /// One of them is none.
    #[error(transparent)]
    Key(#[from] InvalidSigningKey),
}

/// The issuer of the deployment with this public URL, with the keys of its secret.
pub fn issuer(public_url: &str, secret: &DeploymentSecret) -> Result<TokenIssuer, InvalidKeys> {
    let der = |state: KeyState| {
        let keys = secret.signing_keys().iter().filter(move |key| key.state() == state);
        keys.map(|key| Secret::new(base64::engine::general_purpose::STANDARD.encode(key.expose_pkcs8())))
    };
    let current = der(KeyState::Current).next().ok_or(InvalidKeys::NoCurrent)?;
    let previous: Vec<Secret> = der(KeyState::Previous).collect();
    let keys = SigningKeys::load(&current, der(KeyState::Next).next().as_ref(), &previous)?;
    Ok(TokenIssuer::new(public_url, keys))
}
