//! The one HTTP client, for everything that is not AWS.

use core::time::Duration;

use bytes::{Bytes, BytesMut};
use thiserror::Error;

/// How long a connection may take to come up, TLS included.
pub const CONNECT_DEADLINE: Duration = Duration::from_secs(3);
/// How long the other side may stay silent within an answer.
pub const READ_DEADLINE: Duration = Duration::from_secs(8);
/// How long a whole call may take, unless the request sets its own. Well below an HTTP API's 30 seconds.
pub const TOTAL_DEADLINE: Duration = Duration::from_secs(12);
/// The largest answer that is read unless the caller names another limit: 4 MiB.
pub const BODY_LIMIT: usize = 4 * 1024 * 1024;

/// The HTTP client could not be built, because no certificate authorities were found.
#[derive(Debug, Error)]
#[error("the HTTP client could not be started; are certificate authorities (ca-certificates) installed?")]
pub struct NoClient;

/// The client's settings, for the one caller that has to add to them. Everybody else takes [`client`].
///
/// Redirects are off: a redirect would carry a code, a token or a signed request to a host that was never checked. Proxies from
/// the environment are off for the same reason. There is no cookie store and no decompression.
pub fn builder() -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .user_agent(concat!("Rollcall/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .no_proxy()
        .referer(false)
        .connect_timeout(CONNECT_DEADLINE)
        .read_timeout(READ_DEADLINE)
        .timeout(TOTAL_DEADLINE)
        // A frozen Lambda comes back to connections that the other side has long closed.
        .pool_idle_timeout(Duration::from_secs(50))
        .pool_max_idle_per_host(16)
        .tcp_nodelay(true)
}

/// Builds the client. Once, at start: it holds the connections.
pub fn client() -> Result<reqwest::Client, NoClient> {
    builder().build().map_err(|_| NoClient)
}

/// Why an answer's body could not be read. Never carries the URL, which may hold a code or a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum BodyFailed {
    /// The body is larger than the caller is willing to hold.
    #[error("the answer is larger than {limit} bytes")]
    TooLarge {
        /// The limit in bytes.
        limit: usize,
    },
    /// The other side took too long.
    #[error("the answer did not arrive in time")]
    TimedOut,
    /// The connection broke before the body was complete.
    #[error("the answer broke off")]
    Incomplete,
}

/// Reads a body to its end, and gives up as soon as it is known to be larger than `limit` bytes.
pub async fn read_capped(mut response: reqwest::Response, limit: usize) -> Result<Bytes, BodyFailed> {
    let announced = response.content_length().map(|length| usize::try_from(length).unwrap_or(usize::MAX));
    if announced.is_some_and(|length| length > limit) {
        return Err(BodyFailed::TooLarge { limit });
    }
    let mut body = BytesMut::with_capacity(announced.unwrap_or(0).min(limit));
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if body.len().saturating_add(chunk.len()) > limit => {
                return Err(BodyFailed::TooLarge { limit });
            }
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Ok(None) => return Ok(body.freeze()),
            Err(error) if error.is_timeout() => return Err(BodyFailed::TimedOut),
            Err(_) => return Err(BodyFailed::Incomplete),
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    /// Answers one request after the other with the same bytes, and says what the first one looked like.
    async fn server(answer: &'static [u8]) -> (String, tokio::task::JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let seen = tokio::spawn(async move {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                socket.read_exact(&mut byte).await.unwrap();
                request.extend(byte);
            }
            socket.write_all(answer).await.unwrap();
            socket.shutdown().await.unwrap();
            String::from_utf8(request).unwrap()
        });
        (url, seen)
    }

    #[tokio::test]
    async fn a_redirect_is_an_answer_and_is_not_followed() {
        let (url, seen) =
            server(b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/stolen\r\ncontent-length: 0\r\n\r\n")
                .await;
        let response = client().unwrap().get(url).send().await.unwrap();
        assert_eq!(response.status(), 302);
        let request = seen.await.unwrap();
        assert!(request.contains(&format!("user-agent: Rollcall/{}", crate::VERSION)), "{request}");
        assert!(!request.contains("cookie") && !request.contains("accept-encoding"), "{request}");
    }

    #[tokio::test]
    async fn a_body_over_the_limit_is_given_up_whether_announced_or_not() {
        for answer in [
            &b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nabcdef"[..],
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n6\r\nabcdef\r\n0\r\n\r\n",
            b"HTTP/1.1 200 OK\r\n\r\nabcdef",
        ] {
            let (url, _seen) = server(answer).await;
            let response = client().unwrap().get(&url).send().await.unwrap();
            assert_eq!(read_capped(response, 5).await, Err(BodyFailed::TooLarge { limit: 5 }));
            let (url, _seen) = server(answer).await;
            let response = client().unwrap().get(&url).send().await.unwrap();
            assert_eq!(read_capped(response, 6).await.unwrap(), "abcdef");
        }
    }

    #[tokio::test]
    async fn a_body_that_breaks_off_is_incomplete_and_not_shorter() {
        let (url, _seen) = server(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc").await;
        let response = client().unwrap().get(&url).send().await.unwrap();
        assert_eq!(read_capped(response, 100).await, Err(BodyFailed::Incomplete));
    }
}
