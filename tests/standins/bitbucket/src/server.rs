//! Starting and stopping.

use std::io;
use std::net::SocketAddr;
use std::ops::Deref;

use axum::Router;
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::control::Control;
use crate::world::World;
use crate::{control_http, pipeline};

/// The stand-in could not be started.
#[derive(Debug, Error)]
pub enum StartError {
    /// Nobody can listen there.
    #[error("the stand-in Bitbucket cannot listen on {address}: {source}; is something else running there?")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why not.
        source: io::Error,
    },
    /// The system has no address for the socket.
    #[error("the stand-in Bitbucket cannot tell where it listens: {0}")]
    Address(io::Error),
}

/// A stand-in that is up. Dropping it takes it down.
pub struct Running {
    control: Control,
    address: SocketAddr,
    /// Dropped with the rest, which ends the server.
    _stop: oneshot::Sender<()>,
}

impl Running {
    /// The origin, which is both the web origin and the API's: `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
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

/// Everything that the stand-in answers, and the handle on it.
pub fn router(world: World) -> (Router, Control) {
    let control = Control::new(world);
    let router = Router::new()
        .nest("/_control", control_http::router())
        .fallback(pipeline::serve)
        .with_state(control.clone());
    (router, control)
}

/// Starts a stand-in. Port 0 takes any free port.
pub async fn start(world: World, listen: SocketAddr) -> Result<Running, StartError> {
    let listener =
        TcpListener::bind(listen).await.map_err(|source| StartError::Listen { address: listen, source })?;
    start_on(world, listener)
}

/// Starts a stand-in on a socket that is open already.
pub fn start_on(world: World, listener: TcpListener) -> Result<Running, StartError> {
    let address = listener.local_addr().map_err(StartError::Address)?;
    let (router, control) = router(world);
    let (stop, stopped) = oneshot::channel::<()>();
    tokio::spawn(async move {
        // Dropped, not shut down gracefully: an answer that never comes must not keep it up.
        tokio::select! {
            _ = stopped => {}
            _ = axum::serve(axum::serve::ListenerExt::tap_io(listener, |stream| {
                // Small answers must not wait for the acknowledgement of others.
                let _ = stream.set_nodelay(true);
            }), router) => {}
        }
    });
    Ok(Running { control, address, _stop: stop })
}
