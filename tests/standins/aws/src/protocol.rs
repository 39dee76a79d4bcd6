//! How AWS services are called: AWS JSON 1.0 and 1.1 (`POST /` with `X-Amz-Target`), and REST with JSON for SES.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::account::new_id;
use crate::aws::{Aws, Call};
use crate::{bus, queue, secrets};

/// What an operation answers.
pub(crate) type Answer = Result<Value, AwsError>;

/// An error as AWS services tell it.
#[derive(Debug, Clone)]
pub(crate) struct AwsError {
    pub(crate) status: u16,
    kind: String,
    message: String,
    /// SQS: the name that the error had in its former protocol, which SDKs go by.
    former_name: Option<&'static str>,
}

impl AwsError {
    pub(crate) fn new(status: u16, kind: &str, message: impl Into<String>) -> Self {
        Self { status, kind: kind.to_owned(), message: message.into(), former_name: None }
    }

    /// The caller's mistake.
    pub(crate) fn refused(kind: &str, message: impl Into<String>) -> Self {
        Self::new(400, kind, message)
    }

    pub(crate) fn formerly(mut self, name: &'static str) -> Self {
        self.former_name = Some(name);
        self
    }
}

impl IntoResponse for AwsError {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = json!({"__type": self.kind, "message": self.message});
        let mut response = (status, [("x-amzn-errortype", self.kind)], axum::Json(body)).into_response();
        if let Some(name) = self.former_name {
            let name = format!("{name};Sender").parse().expect("a header value");
            response.headers_mut().insert(HeaderName::from_static("x-amzn-query-error"), name);
        }
        response
    }
}

/// The services that are called by `X-Amz-Target`.
#[derive(Clone, Copy)]
enum Service {
    SecretsManager,
    Queues,
    Bus,
}

impl Service {
    fn from_target(prefix: &str) -> Option<Self> {
        match prefix {
            "secretsmanager" => Some(Self::SecretsManager),
            "AmazonSQS" => Some(Self::Queues),
            "AWSEvents" => Some(Self::Bus),
            _ => None,
        }
    }

    fn content_type(self) -> &'static str {
        match self {
            Self::Queues => "application/x-amz-json-1.0",
            Self::SecretsManager | Self::Bus => "application/x-amz-json-1.1",
        }
    }
}

/// `POST /`.
pub(crate) async fn call_by_target(State(aws): State<Arc<Aws>>, headers: HeaderMap, body: Bytes) -> Response {
    let target = headers.get("x-amz-target").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let named = target
        .split_once('.')
        .and_then(|(prefix, operation)| Some((Service::from_target(prefix)?, operation)));
    let Some((service, operation)) = named else {
        return unknown(target).into_response();
    };
    let mut response = answer(&aws, operation, &body, async |request| match service {
        Service::SecretsManager => secrets::perform(&aws, operation, request),
        Service::Queues => queue::perform(&aws, operation, request).await,
        Service::Bus => bus::perform(&aws, operation, request),
    })
    .await;
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, service.content_type().parse().expect("a header value"));
    response
}

/// Performs an operation, with the log and the troubles in between.
pub(crate) async fn answer(
    aws: &Aws,
    operation: &str,
    body: &[u8],
    perform: impl AsyncFnOnce(Value) -> Answer,
) -> Response {
    let request = serde_json::from_slice(body).unwrap_or(Value::Null);
    let (place, fault) = aws.begin(operation, &request);
    let answered: Answer = async {
        if let Some(fault) = &fault {
            fault.before().await?;
        }
        if !request.is_object() {
            return Err(AwsError::refused("SerializationException", "The body is not a JSON object."));
        }
        let answered = perform(request).await;
        if let Some(fault) = &fault {
            fault.after()?;
        }
        answered
    }
    .await;
    aws.end(place, answered.as_ref().map_or_else(|error| error.status, |_| 200));
    let mut response = match answered {
        Ok(document) => axum::Json(document).into_response(),
        Err(error) => error.into_response(),
    };
    response
        .headers_mut()
        .insert(HeaderName::from_static("x-amzn-requestid"), new_id().parse().expect("a header value"));
    response
}

/// Nobody here knows this operation.
pub(crate) fn unknown(operation: &str) -> AwsError {
    AwsError::refused("UnknownOperationException", format!("This stand-in does not know {operation:?}."))
}

/// Reads the members of a request.
pub(crate) fn read<T: DeserializeOwned>(request: Value) -> Result<T, AwsError> {
    serde_json::from_value(request).map_err(|error| {
        AwsError::refused("ValidationException", format!("The request is malformed: {error}."))
    })
}

impl Call {
    pub(crate) fn began(operation: &str, request: &Value) -> Self {
        Self { operation: operation.to_owned(), request: request.clone(), status: 0 }
    }
}
