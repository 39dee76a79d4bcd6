//! Starting and stopping.

use std::io;
use std::net::SocketAddr;
use std::ops::Deref;
use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::aws::{Aws, SharedAws};
use crate::{control, mail, protocol};

/// The services could not be started.
#[derive(Debug, Error)]
pub enum StartError {
    /// Nobody can listen there.
    #[error(
        "the stand-in AWS endpoint cannot listen on {address}: {source}; is something else running there?"
    )]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why not.
        source: io::Error,
    },
    /// The system has no address for the socket.
    #[error("the stand-in AWS endpoint cannot tell where it listens: {0}")]
    Address(io::Error),
}

/// Services that are up. Dropping it takes them down.
pub struct Running {
    aws: SharedAws,
    /// Dropped with the rest, which ends the server.
    _stop: oneshot::Sender<()>,
}

impl Running {
    /// A handle that can be handed on.
    pub fn share(&self) -> SharedAws {
        self.aws.clone()
    }
}

impl Deref for Running {
    type Target = Aws;

    fn deref(&self) -> &Aws {
        &self.aws
    }
}

/// Starts the services, empty. Port 0 takes any free port.
pub async fn start(listen: SocketAddr) -> Result<Running, StartError> {
    let listener =
        TcpListener::bind(listen).await.map_err(|source| StartError::Listen { address: listen, source })?;
    start_on(listener)
}

/// Starts the services on a socket that is open already.
pub fn start_on(listener: TcpListener) -> Result<Running, StartError> {
    let address = listener.local_addr().map_err(StartError::Address)?;
    let aws = Arc::new(Aws::new(format!("http://{address}")));
    let router = Router::new()
        .route("/", post(protocol::call_by_target))
        .route("/v2/email/outbound-emails", post(mail::send_email))
        .route("/_outbox", get(mail::page::index))
        .route("/_outbox/{id}", get(mail::page::one))
        .nest("/_control", control::router())
        .with_state(aws.clone());
    let (stop, stopped) = oneshot::channel::<()>();
    tokio::spawn(async move {
        let ended = async {
            let _ = stopped.await;
        };
        axum::serve(listener, router).with_graceful_shutdown(ended).await
    });
    Ok(Running { aws, _stop: stop })
}
