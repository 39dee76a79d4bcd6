//! One request, one answer: deadline, cap on the body, no redirect, and each failure by its name.

use core::time::Duration;

use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderMap, HeaderValue};
use reqwest::{Client, RequestBuilder, Response};
use rollcall_domain::Timestamp;
use serde::de::DeserializeOwned;
use url::Url;

use crate::answer;
use crate::call::Call;
use crate::error::Error;

/// Longest body of a failed answer that is looked at, in bytes.
const LONGEST_COMPLAINT: usize = 64 * 1024;

/// An answer that came to its end.
pub(crate) struct Body {
    pub(crate) status: u16,
    pub(crate) bytes: Vec<u8>,
    pub(crate) headers: HeaderMap,
}

impl Body {
    /// Reads the body as JSON of a described shape.
    pub(crate) fn json<T: DeserializeOwned>(&self, call: Call) -> Result<T, Error> {
        answer::json(&self.bytes, call)
    }

    /// The error that this answer means, whose status is not 200.
    pub(crate) fn refusal(&self, call: Call) -> Error {
        answer::refusal(self.status, &self.bytes, call)
    }

    /// When it makes sense to ask again after this 429, which mostly does not say so.
    pub(crate) fn pause_until(&self, now: Timestamp, unsaid: Duration) -> Timestamp {
        let seconds = |name: &str| self.header(name).and_then(|value| value.trim().parse::<u64>().ok());
        let said = seconds("retry-after").or_else(|| seconds("x-ratelimit-reset")).filter(|s| *s > 0);
        now.plus(said.map_or(unsaid, |seconds| Duration::from_secs(seconds.min(3_600))))
    }

    /// A header, where it is a text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    #[cfg(test)]
    pub(crate) fn of(status: u16, text: &str) -> Self {
        Self { status, bytes: text.as_bytes().to_vec(), headers: HeaderMap::new() }
    }
}

/// How long an answer may be and take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// In bytes.
    pub(crate) longest: usize,
    /// The body included.
    pub(crate) deadline: Duration,
}

/// Sends requests.
pub(crate) struct Transport {
    client: Client,
}

impl Transport {
    pub(crate) fn new(client: Client) -> Self {
        Self { client }
    }

    /// Asks for something. Any status is an answer here.
    pub(crate) async fn get(
        &self,
        url: Url,
        authorization: HeaderValue,
        call: Call,
        bounds: Bounds,
    ) -> Result<Body, Error> {
        let request = self.client.get(url.clone());
        self.send(request, &url, authorization, call, bounds).await
    }

    /// Sends a form.
    pub(crate) async fn post_form(
        &self,
        url: Url,
        authorization: HeaderValue,
        form: &[(&str, &str)],
        call: Call,
        bounds: Bounds,
    ) -> Result<Body, Error> {
        let request = self.client.post(url.clone()).form(form);
        self.send(request, &url, authorization, call, bounds).await
    }

    async fn send(
        &self,
        request: RequestBuilder,
        url: &Url,
        authorization: HeaderValue,
        call: Call,
        bounds: Bounds,
    ) -> Result<Body, Error> {
        let request = request
            .header(AUTHORIZATION, authorization)
            .header(ACCEPT, HeaderValue::from_static("application/json"))
            .timeout(bounds.deadline);
        let response = request.send().await.map_err(|error| unanswered(&error, call))?;
        let status = response.status().as_u16();
        tracing::debug!(%call, status, "Bitbucket answered");
        // The client is built with redirects off. Should that ever change, nothing that came from elsewhere is believed.
        if response.status().is_redirection() || response.url() != url {
            return Err(Error::Redirected { call });
        }
        let headers = response.headers().clone();
        let bytes = if response.status().is_success() {
            read(response, call, bounds.longest).await?
        } else {
            // Even if the complaint cannot be read, the status says what it is.
            read(response, call, LONGEST_COMPLAINT).await.unwrap_or_default()
        };
        Ok(Body { status, bytes, headers })
    }
}

async fn read(mut response: Response, call: Call, longest: usize) -> Result<Vec<u8>, Error> {
    let announced = response.content_length().and_then(|length| usize::try_from(length).ok());
    if announced.is_some_and(|length| length > longest) {
        return Err(Error::TooLarge { call, most: longest });
    }
    let mut bytes = Vec::with_capacity(announced.unwrap_or(0));
    while let Some(chunk) = response.chunk().await.map_err(|error| broken(&error, call))? {
        if bytes.len() + chunk.len() > longest {
            return Err(Error::TooLarge { call, most: longest });
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

fn unanswered(error: &reqwest::Error, call: Call) -> Error {
    match (error.is_timeout(), error.is_connect(), error.is_redirect()) {
        (true, ..) => Error::Timeout { call },
        (_, true, _) => Error::Unreachable { call },
        (_, _, true) => Error::Redirected { call },
        _ => Error::Cut { call },
    }
}

fn broken(error: &reqwest::Error, call: Call) -> Error {
    if error.is_timeout() { Error::Timeout { call } } else { Error::Cut { call } }
}
