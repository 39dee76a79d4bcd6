//! Who signs people in with Google and Microsoft: the stand-ins that are started here, or others.

use std::net::SocketAddr;

use rollcall_domain::Secret;
use rollcall_domain::identity::Provider;
use rollcall_service::config::Origin;
use rollcall_service::random::{Random as _, SystemRandom};
use serde_json::{Map, Value, json};
use standin_openid::{Client, Flavour, people};
use thiserror::Error;

use crate::settings::Played;

/// A provider cannot be played.
#[derive(Debug, Error)]
pub enum ProviderError {
    /// The stand-in does not start.
    #[error(transparent)]
    StandIn(#[from] standin_openid::StartError),
    /// What the file says about a provider's client.
    #[error("--config: providers.{0} must have client_id and client_secret, both texts")]
    Client(Provider),
}

/// One of the two OpenID providers.
pub struct OpenIdProvider {
    /// Its issuer.
    pub issuer: String,
    /// Its stand-in, if it is one.
    pub stand_in: Option<standin_openid::Running>,
}

impl OpenIdProvider {
    /// Starts the stand-in, or takes over who plays it instead. Its client is added to `clients`, which the deployment secret is made of.
    pub async fn start(
        provider: Provider,
        played: &Played,
        listen: SocketAddr,
        public_url: &Origin,
        clients: &mut Map<String, Value>,
    ) -> Result<Self, ProviderError> {
        if let Played::ByOther(issuer) = played {
            return Ok(Self { issuer: issuer.clone(), stand_in: None });
        }
        let (id, secret) = client(clients, provider).ok_or(ProviderError::Client(provider))?;
        let client = Client::new(id, secret, public_url.join(&format!("/callback/{provider}")));
        let (flavour, people) = match provider {
            Provider::Microsoft => {
                (Flavour::Microsoft { tenant: "organizations".to_owned() }, people::at_microsoft())
            }
            Provider::Google | Provider::Bitbucket => (Flavour::Google, people::at_google()),
        };
        let running = standin_openid::start(flavour, vec![client], people, listen).await?;
        Ok(Self { issuer: running.issuer(), stand_in: Some(running) })
    }
}

/// The client at a provider that is played by a stand-in: the given one, or one of our own with a random secret.
pub fn client(clients: &mut Map<String, Value>, provider: Provider) -> Option<(String, String)> {
    let our_own = || client_json(provider, "rollcall-sign-in", &SystemRandom.token_128());
    let client = clients.entry(provider.as_str()).or_insert_with(our_own);
    let text = |name: &str| client.get(name).and_then(Value::as_str).map(str::to_owned);
    Some((text("client_id")?, text("client_secret")?))
}

/// A client as the deployment secret has it. At Microsoft, people of every tenant may sign in.
pub fn client_json(provider: Provider, id: &str, secret: &Secret) -> Value {
    match provider {
        Provider::Microsoft => {
            json!({ "client_id": id, "client_secret": secret.expose(), "allowed_tenants": "any" })
        }
        Provider::Bitbucket | Provider::Google => {
            json!({ "client_id": id, "client_secret": secret.expose() })
        }
    }
}
