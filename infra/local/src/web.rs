//! One port for all functions: their routers, merged, on a socket.

use core::time::Duration;
use std::io;
use std::net::{IpAddr, SocketAddr};

use axum::Router;
use axum::extract::{ConnectInfo, Request};
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use rollcall_service::web::ClientAddress;
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// How long requests that are under way may take at the end.
const LAST_REQUESTS: Duration = Duration::from_secs(3);

/// Nobody can listen there.
#[derive(Debug, Error)]
pub enum ListenError {
    /// Somebody else does.
    #[error("port {port} of {ip} is taken: end what listens there, or choose another with --listen")]
    Taken {
        /// The address.
        ip: IpAddr,
        /// The port.
        port: u16,
    },
    /// Something else is in the way.
    #[error("nobody can listen on {address}: {source}")]
    Other {
        /// Where.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
}

/// Opens a socket.
pub async fn listen(address: SocketAddr) -> Result<(TcpListener, SocketAddr), ListenError> {
    let failed = |source: io::Error| match source.kind() {
        io::ErrorKind::AddrInUse => ListenError::Taken { ip: address.ip(), port: address.port() },
        _ => ListenError::Other { address, source },
    };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    Ok((listener, address))
}

/// A server that is up.
pub struct Server {
    stop: Option<oneshot::Sender<()>>,
    server: JoinHandle<()>,
}

impl Server {
    /// Serves a finished router.
    pub fn start(listener: TcpListener, finished: Router) -> Self {
        let (stop, stopped) = oneshot::channel::<()>();
        let service =
            finished.layer(from_fn(with_address)).into_make_service_with_connect_info::<SocketAddr>();
        let server = tokio::spawn(async move {
            let ended = async {
                let _ = stopped.await;
            };
            if let Err(error) = axum::serve(listener, service).with_graceful_shutdown(ended).await {
                tracing::error!(%error, "the server has ended");
            }
        });
        Self { stop: Some(stop), server }
    }

    /// Lets the requests that are under way come to an end, and ends.
    pub async fn stop(mut self) {
        drop(self.stop.take());
        let _ = tokio::time::timeout(LAST_REQUESTS, &mut self.server).await;
        self.server.abort();
    }
}

/// The address of whoever is connected, as API Gateway tells it to Lambda.
async fn with_address(mut request: Request, next: Next) -> Response {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| peer.ip());
    request.extensions_mut().insert(ClientAddress(peer));
    next.run(request).await
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use axum::routing::get;

    use super::*;

    #[tokio::test]
    async fn a_taken_port_is_named() {
        let (_kept, address) = listen(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await.unwrap();
        let line = listen(address).await.unwrap_err().to_string();
        assert!(line.contains(&format!("port {} of 127.0.0.1 is taken", address.port())), "{line}");
    }

    #[tokio::test]
    async fn handlers_see_the_address_of_the_socket() {
        let (listener, address) = listen(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await.unwrap();
        let router = Router::new().route("/", get(async |address: ClientAddress| format!("{:?}", address.0)));
        let server = Server::start(listener, router);
        let http = rollcall_service::http::client().unwrap();
        let answer = http.get(format!("http://{address}/")).header("x-forwarded-for", "203.0.113.1").send();
        assert_eq!(answer.await.unwrap().text().await.unwrap(), "Some(127.0.0.1)");
        server.stop().await;
    }
}
