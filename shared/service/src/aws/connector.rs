//! The SDK's requests over the one HTTP client that everything else uses.
//!
//! The SDK brings a client of its own, with a second connection pool, a second set of certificate authorities to load at every cold
//! start, and HTTP/2, which neither `DynamoDB` nor Secrets Manager needs: half a megabyte of every binary.

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;

use crate::http::{BodyFailed, read_capped};

/// `DynamoDB` answers with 16 MiB at most.
const BODY_LIMIT: usize = 20 * 1024 * 1024;

/// An HTTP client as the SDK wants it. Deadlines are those of the client; the SDK keeps its own for each attempt.
#[derive(Debug, Clone)]
pub(super) struct Connector(pub(super) reqwest::Client);

impl HttpClient for Connector {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let client = self.0.clone();
        HttpConnectorFuture::new(async move { send(&client, request).await })
    }
}

async fn send(client: &reqwest::Client, request: HttpRequest) -> Result<HttpResponse, ConnectorError> {
    let request = request.try_into_http1x().map_err(|error| ConnectorError::user(error.into()))?;
    let (parts, body) = request.into_parts();
    let body = body.bytes().map(bytes::Bytes::copy_from_slice);
    let body = body.ok_or_else(|| ConnectorError::user("a body that is streamed is not sent".into()))?;
    let request = reqwest::Request::try_from(http::Request::from_parts(parts, body))
        .map_err(|error| ConnectorError::user(error.without_url().into()))?;
    let answer = client.execute(request).await.map_err(failed)?;
    let (status, headers) = (answer.status(), answer.headers().clone());
    let body = read_capped(answer, BODY_LIMIT).await.map_err(|error| match error {
        BodyFailed::TimedOut => ConnectorError::timeout(error.into()),
        BodyFailed::TooLarge { .. } | BodyFailed::Incomplete => ConnectorError::io(error.into()),
    })?;
    let mut response = http::Response::new(SdkBody::from(body));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    HttpResponse::try_from(response).map_err(|error| ConnectorError::user(error.into()))
}

fn failed(error: reqwest::Error) -> ConnectorError {
    let error = error.without_url();
    if error.is_timeout() { ConnectorError::timeout(error.into()) } else { ConnectorError::io(error.into()) }
}
