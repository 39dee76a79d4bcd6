//! Starting and stopping, and connections that break.

use std::io;
use std::net::SocketAddr;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use http::Uri;
use http::uri::Authority;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioIo};
use thiserror::Error;
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::control::Control;
use crate::proxy::Proxy;

/// The proxy could not be started.
#[derive(Debug, Error)]
pub enum StartError {
    /// Nobody can listen there.
    #[error("the fault proxy cannot listen on {address}: {source}; is something else running there?")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why not.
        source: io::Error,
    },
    /// The system has no address for the socket.
    #[error("the fault proxy cannot tell where it listens: {0}")]
    Address(io::Error),
    /// The service is not named as it should be.
    #[error("the fault proxy needs the service's origin, for example http://127.0.0.1:8000, not {0:?}")]
    Upstream(String),
}

/// A proxy that is up. Dropping it takes it down.
pub struct Running {
    control: Control,
    /// Dropped with the rest, which ends the server and its connections.
    _stop: watch::Sender<()>,
}

impl Running {
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

/// Starts a proxy before the service at an origin (`http://127.0.0.1:8000`). Port 0 takes any free port.
pub async fn start(upstream: &str, listen: SocketAddr) -> Result<Running, StartError> {
    let listener =
        TcpListener::bind(listen).await.map_err(|source| StartError::Listen { address: listen, source })?;
    start_on(upstream, listener)
}

/// Starts a proxy on a socket that is open already.
pub fn start_on(upstream: &str, listener: TcpListener) -> Result<Running, StartError> {
    let proxy = Proxy {
        control: Control::new(format!("http://{}", listener.local_addr().map_err(StartError::Address)?)),
        client: Client::builder(TokioExecutor::new()).build_http(),
        upstream: authority(upstream).ok_or_else(|| StartError::Upstream(upstream.to_owned()))?,
    };
    let control = proxy.control.clone();
    let (stop, stopped) = watch::channel(());
    tokio::spawn(accept(listener, proxy, stopped));
    Ok(Running { control, _stop: stop })
}

fn authority(upstream: &str) -> Option<Authority> {
    let uri: Uri = upstream.parse().ok()?;
    let bare = uri.scheme_str() == Some("http") && uri.path() == "/" && uri.query().is_none();
    if bare { uri.authority().cloned() } else { None }
}

async fn accept(listener: TcpListener, proxy: Proxy, mut stopped: watch::Receiver<()>) {
    loop {
        tokio::select! {
            // The sender sends nothing: it ends.
            _ = stopped.changed() => return,
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else { continue };
                tokio::spawn(serve(stream, proxy.clone(), stopped.clone()));
            }
        }
    }
}

async fn serve(stream: TcpStream, proxy: Proxy, mut stopped: watch::Receiver<()>) {
    // Small answers must not wait for the acknowledgement of others.
    let _ = stream.set_nodelay(true);
    let broken = Arc::new(AtomicBool::new(false));
    let service = {
        let broken = broken.clone();
        service_fn(move |request| {
            let (proxy, broken) = (proxy.clone(), broken.clone());
            // Boxed, because the connection gives its socket back only where nothing in it is pinned.
            Box::pin(async move {
                proxy.handle(request).await.inspect_err(|_| broken.store(true, Ordering::Relaxed))
            })
        })
    };
    let mut connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    tokio::select! {
        _ = stopped.changed() => return,
        _ = std::future::poll_fn(|context| connection.poll_without_shutdown(context)) => {}
    }
    let mut stream = connection.into_parts().io.into_inner();
    if broken.load(Ordering::Relaxed) {
        // With nothing to linger for, closing is a reset: the caller sees a connection that broke, not one that ended.
        let _ = stream.set_zero_linger();
    } else {
        let _ = stream.shutdown().await;
    }
}
