//! Starting and stopping.

use std::io;
use std::net::SocketAddr;
use std::ops::Deref;
use std::sync::Arc;

use thiserror::Error;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::client::Client;
use crate::control::Control;
use crate::flavour::Flavour;
use crate::keys::{Keys, SigningKey};
use crate::people::Person;
use crate::provider::Provider;
use crate::routes;

/// The provider could not be started.
#[derive(Debug, Error)]
pub enum StartError {
    /// Nobody can listen there.
    #[error(
        "the stand-in OpenID provider cannot listen on {address}: {source}; is something else running there?"
    )]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why not.
        source: io::Error,
    },
    /// The system has no address for the socket.
    #[error("the stand-in OpenID provider cannot tell where it listens: {0}")]
    Address(io::Error),
}

/// A provider that is up. Dropping it takes it down.
pub struct Running {
    control: Control,
    address: SocketAddr,
    /// Dropped with the rest, which ends the server.
    _stop: oneshot::Sender<()>,
}

impl Running {
    /// The issuer to configure a relying party with.
    pub fn issuer(&self) -> String {
        let provider = self.control.provider();
        provider.flavour.configured_issuer(&provider.origin)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// A handle that can be handed on.
    pub fn control(&self) -> Control {
        self.control.clone()
    }
}

impl Deref for Running {
    type Target = Control;

    fn deref(&self) -> &Control {
        &self.control
    }
}

/// Starts a provider. Port 0 takes any free port. The issuer names the address as it is given (`http://127.0.0.1:PORT…`).
pub async fn start(
    flavour: Flavour,
    clients: Vec<Client>,
    people: Vec<Person>,
    listen: SocketAddr,
) -> Result<Running, StartError> {
    let listener =
        TcpListener::bind(listen).await.map_err(|source| StartError::Listen { address: listen, source })?;
    let address = listener.local_addr().map_err(StartError::Address)?;
    start_on(flavour, clients, people, listener, format!("http://{address}")).await
}

/// Starts a provider on a socket that is open already, under an origin of one's choice (`http://localhost:9001`).
pub async fn start_on(
    flavour: Flavour,
    clients: Vec<Client>,
    people: Vec<Person>,
    listener: TcpListener,
    origin: String,
) -> Result<Running, StartError> {
    let address = listener.local_addr().map_err(StartError::Address)?;
    let key = tokio::task::spawn_blocking(SigningKey::generate).await.expect("making a key does not panic");
    let provider = Arc::new(Provider::new(flavour, origin, clients, people, Keys::new(key)));
    let router = routes::router(&provider);
    let (stop, stopped) = oneshot::channel::<()>();
    tokio::spawn(async move {
        let ended = async {
            let _ = stopped.await;
        };
        axum::serve(listener, router).with_graceful_shutdown(ended).await
    });
    Ok(Running { control: Control::new(provider), address, _stop: stop })
}
