//! The errors that services answer with.

use bytes::Bytes;
use http::{Response, StatusCode, header};
use http_body_util::Full;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// An error answer. The `DynamoDB` ones have its shapes, which the SDK knows by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// `ThrottlingException`: too many calls. The SDK tries again.
    Throttled,
    /// `ProvisionedThroughputExceededException`: a partition is too hot. The SDK tries again.
    CapacityExceeded,
    /// `TransactionConflictException`: a single write met a transaction. The SDK tries again.
    TransactionConflict,
    /// `TransactionCanceledException`. One code for each action of the transaction, in order: `None`, `TransactionConflict`,
    /// `ConditionalCheckFailed`, `ThrottlingError`. Actions without a code here get `None`.
    TransactionCanceled(Vec<String>),
    /// `ConditionalCheckFailedException`.
    ConditionFailed,
    /// `InternalServerError`, 500. The SDK tries again.
    Broken,
    /// `ServiceUnavailable`, 503. The SDK tries again.
    Unavailable,
    /// `AccessDeniedException`.
    Denied,
    /// Any AWS error in JSON.
    Aws {
        /// The status.
        status: u16,
        /// The name.
        kind: String,
        /// What it says.
        message: String,
    },
    /// An answer of any HTTP service.
    Plain {
        /// The status.
        status: u16,
        /// Header fields.
        headers: Vec<(String, String)>,
        /// The body.
        body: String,
    },
}

impl Refusal {
    /// The transaction is cancelled because of one of its actions, counted from 0: `("TransactionConflict", 2)`.
    pub fn canceled_by(code: &str, action: usize) -> Self {
        let mut codes = vec!["None".to_owned(); action];
        codes.push(code.to_owned());
        Self::TransactionCanceled(codes)
    }

    /// A query or scan finds nothing: what an index says of something that was written a moment ago.
    pub fn nothing_found() -> Self {
        Self::Plain {
            status: 200,
            headers: vec![("content-type".into(), "application/x-amz-json-1.0".into())],
            body: r#"{"Count":0,"Items":[],"ScannedCount":0}"#.into(),
        }
    }

    pub(crate) fn status(&self) -> u16 {
        match self {
            Self::Broken => 500,
            Self::Unavailable => 503,
            Self::Aws { status, .. } | Self::Plain { status, .. } => *status,
            _ => 400,
        }
    }

    /// The answer to a request.
    pub(crate) fn answer(&self, request: &Value) -> Response<Full<Bytes>> {
        let status = StatusCode::from_u16(self.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let builder = Response::builder().status(status);
        if let Self::Plain { headers, body, .. } = self {
            let builder = headers.iter().fold(builder, |builder, (name, value)| builder.header(name, value));
            return builder.body(Full::from(body.clone())).expect("the rule's header fields are well-formed");
        }
        let (kind, message) = self.kind_and_message();
        let mut body = json!({"__type": kind, "message": message});
        if let Self::TransactionCanceled(codes) = self {
            body = canceled(codes, request);
        }
        builder
            .header(header::CONTENT_TYPE, "application/x-amz-json-1.0")
            .header("x-amzn-requestid", "STANDIN0000000000000000000000000000000000000000FAULT")
            .body(Full::from(body.to_string()))
            .expect("a status and two header fields")
    }

    fn kind_and_message(&self) -> (String, &str) {
        let dynamodb = |name: &str| format!("com.amazonaws.dynamodb.v20120810#{name}");
        let common = |name: &str| format!("com.amazon.coral.availability#{name}");
        match self {
            Self::Throttled => {
                (common("ThrottlingException"), "Rate of requests exceeds the allowed throughput.")
            }
            Self::CapacityExceeded => (
                dynamodb("ProvisionedThroughputExceededException"),
                "The level of configured provisioned throughput for the table was exceeded.",
            ),
            Self::TransactionConflict => {
                (dynamodb("TransactionConflictException"), "Transaction is ongoing for the item")
            }
            Self::ConditionFailed => {
                (dynamodb("ConditionalCheckFailedException"), "The conditional request failed")
            }
            Self::Broken => (dynamodb("InternalServerError"), "Internal server error"),
            Self::Unavailable => ("ServiceUnavailable".into(), "The service is temporarily unavailable."),
            Self::Denied => (
                "com.amazon.coral.service#AccessDeniedException".into(),
                "User is not authorized to perform this operation.",
            ),
            Self::Aws { kind, message, .. } => (kind.clone(), message),
            Self::TransactionCanceled(_) | Self::Plain { .. } => (String::new(), ""),
        }
    }
}

fn canceled(codes: &[String], request: &Value) -> Value {
    let actions = request.get("TransactItems").and_then(Value::as_array).map_or(0, Vec::len);
    let missing = actions.saturating_sub(codes.len());
    let codes: Vec<&str> =
        codes.iter().map(String::as_str).chain(std::iter::repeat_n("None", missing)).collect();
    let reasons: Vec<Value> = codes
        .iter()
        .map(|code| match *code {
            "None" => json!({"Code": code}),
            "ConditionalCheckFailed" => json!({"Code": code, "Message": "The conditional request failed"}),
            "TransactionConflict" => json!({"Code": code, "Message": "Transaction is ongoing for the item"}),
            _ => json!({"Code": code, "Message": "Refused by a rule of the test"}),
        })
        .collect();
    json!({
        "__type": "com.amazonaws.dynamodb.v20120810#TransactionCanceledException",
        "Message": format!(
            "Transaction cancelled, please refer cancellation reasons for specific reasons [{}]",
            codes.join(", "),
        ),
        "CancellationReasons": reasons,
    })
}
