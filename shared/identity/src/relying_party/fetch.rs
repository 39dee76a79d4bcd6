//! Requests to a provider's servers: no redirects, a deadline, a bounded body.

use core::time::Duration;

use reqwest::{Client, Request, Response, StatusCode};
use thiserror::Error;
use zeroize::Zeroizing;

use crate::FailedCheck;

/// No document of a provider comes near it.
const LARGEST_BODY: usize = 256 * 1024;

/// Why a provider's server gave no usable answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum FetchFailed {
    /// No connection, or it broke.
    #[error("the provider's server cannot be reached; check the network and the provider's status page")]
    Unreachable,
    /// It took longer than the deadline.
    #[error("the provider's server did not answer in time")]
    TimedOut,
    /// It sent the request elsewhere. A provider's endpoints are where its metadata says they are.
    #[error("the provider's server answered with a redirect, which is not followed")]
    Redirected,
    /// Another status than the one that means success.
    #[error("the provider's server answered with status {0}")]
    Status(u16),
    /// More than 256 KiB.
    #[error("the provider's answer is larger than 256 KiB")]
    TooLarge,
}

impl FailedCheck for FetchFailed {
    fn check(&self) -> &'static str {
        match self {
            Self::Unreachable => "upstream.unreachable",
            Self::TimedOut => "upstream.deadline",
            Self::Redirected => "upstream.redirect",
            Self::Status(_) => "upstream.status",
            Self::TooLarge => "upstream.body_size",
        }
    }
}

/// Sends a request and reads the whole answer, whatever its status.
///
/// The client that is handed in must not follow redirects; should it do so, the answer is refused.
pub(crate) async fn send(
    http: &Client,
    mut request: Request,
    deadline: Duration,
) -> Result<(StatusCode, Zeroizing<Vec<u8>>), FetchFailed> {
    *request.timeout_mut() = Some(deadline);
    let asked = request.url().clone();
    let mut response = http.execute(request).await.map_err(|error| failure(&error))?;
    let status = response.status();
    if status.is_redirection() || *response.url() != asked {
        return Err(FetchFailed::Redirected);
    }
    let body = read(&mut response).await?;
    Ok((status, body))
}

/// Fetches a public document.
pub(crate) async fn document(
    http: &Client,
    url: &url::Url,
    deadline: Duration,
) -> Result<Zeroizing<Vec<u8>>, FetchFailed> {
    let request = http
        .get(url.clone())
        .header(reqwest::header::ACCEPT, "application/json")
        .build()
        .map_err(|_| FetchFailed::Unreachable)?;
    match send(http, request, deadline).await? {
        (StatusCode::OK, body) => Ok(body),
        (status, _) => Err(FetchFailed::Status(status.as_u16())),
    }
}

async fn read(response: &mut Response) -> Result<Zeroizing<Vec<u8>>, FetchFailed> {
    let mut body = Zeroizing::new(Vec::new());
    while let Some(chunk) = response.chunk().await.map_err(|error| failure(&error))? {
        if body.len() + chunk.len() > LARGEST_BODY {
            return Err(FetchFailed::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn failure(error: &reqwest::Error) -> FetchFailed {
    if error.is_timeout() {
        FetchFailed::TimedOut
    } else if error.is_redirect() {
        FetchFailed::Redirected
    } else {
        FetchFailed::Unreachable
    }
}
