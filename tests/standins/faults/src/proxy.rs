//! One request on its way through.

use core::time::Duration;

use bytes::Bytes;
use http::request::Parts;
use http::uri::Authority;
use http::{HeaderMap, HeaderName, Request, Response, StatusCode, Uri, header};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::Value;
use thiserror::Error;

use crate::batch::Split;
use crate::control::{self, Control};
use crate::ledger::Outcome;
use crate::operation::Operation;
use crate::refusal::Refusal;
use crate::rule::{Act, RuleId};

/// The connection is to be reset.
#[derive(Debug, Error)]
#[error("a rule breaks the connection")]
pub(crate) struct Broken;

/// The way to the service.
#[derive(Clone)]
pub(crate) struct Proxy {
    pub(crate) control: Control,
    pub(crate) client: Client<HttpConnector, Full<Bytes>>,
    pub(crate) upstream: Authority,
}

/// What the rules want of one request. Of several ends the rule that was made first has its way.
#[derive(Default)]
struct Wanted {
    wait_for: Vec<RuleId>,
    delay: Duration,
    /// How it ends without the service.
    instead: Option<End>,
    unprocessed: usize,
    /// How it ends once the service has done it.
    afterwards: Option<End>,
}

/// How a call ends that does not end with the service's answer.
enum End {
    Refusal(Refusal),
    Reset,
    Crash,
}

impl Wanted {
    fn of(acts: Vec<(RuleId, Act)>) -> Self {
        let mut wanted = Self::default();
        let first = |known: &mut Option<End>, end| *known = known.take().or(Some(end));
        for (rule, act) in acts {
            match act {
                Act::Wait => wanted.wait_for.push(rule),
                Act::Delay(milliseconds) => wanted.delay += Duration::from_millis(milliseconds),
                Act::LeaveUnprocessed(count) => wanted.unprocessed += count,
                Act::Refuse(refusal) => first(&mut wanted.instead, End::Refusal(refusal)),
                Act::Drop => first(&mut wanted.instead, End::Reset),
                Act::Crash => first(&mut wanted.instead, End::Crash),
                Act::RefuseAfterwards(refusal) => first(&mut wanted.afterwards, End::Refusal(refusal)),
                Act::DropAfterwards => first(&mut wanted.afterwards, End::Reset),
                Act::CrashAfterwards => first(&mut wanted.afterwards, End::Crash),
            }
        }
        wanted
    }
}

/// An answer that has been read whole.
struct Answer {
    parts: http::response::Parts,
    body: Bytes,
}

impl Proxy {
    /// Passes a request on, unless a rule says otherwise.
    pub(crate) async fn handle(&self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Broken> {
        let (parts, body) = request.into_parts();
        let body = body.collect().await.map_err(|_| Broken)?.to_bytes();
        if let Some(path) = parts.uri.path().strip_prefix("/_control/") {
            return Ok(control::answer(&self.control, &parts.method, path, &body));
        }
        let operation = Operation::read(&parts.method, parts.uri.path(), &parts.headers, &body);
        let (number, wanted) = {
            let mut state = self.control.state();
            let number = state.ledger.begin(&operation, body.len());
            let wanted = if state.crashed {
                Wanted { instead: Some(End::Reset), ..Wanted::default() }
            } else {
                Wanted::of(state.rules.acts_on(&operation))
            };
            state.crashed |= matches!(wanted.instead, Some(End::Crash));
            (number, wanted)
        };
        self.control.changed();
        let outcome = self.act(&operation, wanted, parts, body).await;
        {
            let mut state = self.control.state();
            state.ledger.end(number, |call| match &outcome {
                Ok((outcome, response_bytes, answer, _)) => {
                    call.outcome = *outcome;
                    call.response_bytes = *response_bytes;
                    call.items = operation.items(answer);
                    call.capacity = capacity(answer);
                }
                Err(outcome) => call.outcome = *outcome,
            });
        }
        self.control.changed();
        outcome.map(|(_, _, _, response)| response).map_err(|_| Broken)
    }

    async fn act(
        &self,
        operation: &Operation,
        wanted: Wanted,
        parts: Parts,
        body: Bytes,
    ) -> Result<(Outcome, usize, Value, Response<Full<Bytes>>), Outcome> {
        for rule in wanted.wait_for {
            self.control.gone(rule).await;
        }
        if !wanted.delay.is_zero() {
            tokio::time::sleep(wanted.delay).await;
        }
        match wanted.instead {
            None => {}
            Some(End::Reset | End::Crash) => return Err(Outcome::Dropped { forwarded: false }),
            Some(End::Refusal(refusal)) => {
                let outcome = Outcome::Refused { status: refusal.status(), forwarded: false };
                return Ok((outcome, 0, Value::Null, refusal.answer(&operation.request)));
            }
        }
        let Some(answer) = self.forward(operation, wanted.unprocessed, parts, body).await else {
            let response = Response::builder()
                .status(StatusCode::BAD_GATEWAY)
                .body(Full::from("the service behind the proxy cannot be reached"))
                .expect("a status");
            return Ok((Outcome::Unreachable, 0, Value::Null, response));
        };
        let document = serde_json::from_slice(&answer.body).unwrap_or_default();
        match wanted.afterwards {
            None => {}
            Some(end @ (End::Reset | End::Crash)) => {
                self.control.state().crashed |= matches!(end, End::Crash);
                return Err(Outcome::Dropped { forwarded: true });
            }
            Some(End::Refusal(refusal)) => {
                let outcome = Outcome::Refused { status: refusal.status(), forwarded: true };
                return Ok((outcome, 0, document, refusal.answer(&operation.request)));
            }
        }
        let outcome = Outcome::Answered(answer.parts.status.as_u16());
        let bytes = answer.body.len();
        let body = if operation.asks_for_capacity() {
            answer.body
        } else {
            without_capacity(&document, answer.body)
        };
        Ok((outcome, bytes, document, Response::from_parts(answer.parts, Full::from(body))))
    }

    /// Passes a request on, or the part of a batch that is to be done. `None` if the service cannot be reached.
    async fn forward(
        &self,
        operation: &Operation,
        unprocessed: usize,
        parts: Parts,
        body: Bytes,
    ) -> Option<Answer> {
        let split = if unprocessed == 0 {
            None
        } else {
            Split::new(&operation.name, &operation.request, unprocessed)
        };
        let Some(split) = split else {
            return self.send(parts, self.with_capacity_asked(operation, None).unwrap_or(body)).await;
        };
        let answer = match &split.forwarded {
            Some(part) => {
                let asked = self.with_capacity_asked(operation, Some(part));
                Some(self.send(parts, asked.unwrap_or_else(|| part.to_string().into())).await?)
            }
            None => None,
        };
        let (parts, document) = match answer {
            // An error of the service is its own answer.
            Some(answer) if !answer.parts.status.is_success() => return Some(answer),
            Some(answer) => {
                let document = serde_json::from_slice(&answer.body).ok();
                (answer.parts, split.answer(document))
            }
            None => {
                let made =
                    Response::builder().header(header::CONTENT_TYPE, "application/x-amz-json-1.0").body(());
                (made.expect("a header field").into_parts().0, split.answer(None))
            }
        };
        Some(Answer { parts, body: document.to_string().into() })
    }

    /// The request's body (or a part of it) with the question for capacity units, if that is to be asked and is not yet.
    fn with_capacity_asked(&self, operation: &Operation, part: Option<&Value>) -> Option<Bytes> {
        let ask = self.control.state().ask_for_capacity && operation.is_dynamodb;
        if !ask || operation.asks_for_capacity() || operation.kind == crate::Kind::Administration {
            return None;
        }
        let mut request = part.unwrap_or(&operation.request).clone();
        request.as_object_mut()?.insert("ReturnConsumedCapacity".into(), "TOTAL".into());
        Some(request.to_string().into())
    }

    async fn send(&self, mut parts: Parts, body: Bytes) -> Option<Answer> {
        let path = parts.uri.path_and_query().cloned()?;
        parts.uri = Uri::builder()
            .scheme("http")
            .authority(self.upstream.clone())
            .path_and_query(path)
            .build()
            .ok()?;
        parts.version = http::Version::HTTP_11;
        without_hops(&mut parts.headers);
        let response = self.client.request(Request::from_parts(parts, Full::from(body))).await.ok()?;
        let (mut parts, body) = response.into_parts();
        let body = body.collect().await.ok()?.to_bytes();
        without_hops(&mut parts.headers);
        // The checksum is of the service's own answer, which may be changed on the way.
        parts.headers.remove(HeaderName::from_static("x-amz-crc32"));
        Some(Answer { parts, body })
    }
}

impl Operation {
    fn asks_for_capacity(&self) -> bool {
        self.request.get("ReturnConsumedCapacity").is_some_and(|asked| asked != "NONE")
    }
}

/// Takes out what is about one connection only (RFC 9110 §7.6.1), and the length, which may change.
fn without_hops(headers: &mut HeaderMap) {
    for name in
        [header::CONNECTION, header::TRANSFER_ENCODING, header::TE, header::UPGRADE, header::CONTENT_LENGTH]
    {
        headers.remove(name);
    }
    headers.remove(HeaderName::from_static("keep-alive"));
}

/// The capacity units in an answer, all tables together.
fn capacity(answer: &Value) -> f64 {
    let units = |told: &Value| told.get("CapacityUnits").and_then(Value::as_f64).unwrap_or(0.0);
    match answer.get("ConsumedCapacity") {
        Some(Value::Array(tables)) => tables.iter().map(units).sum(),
        Some(told) => units(told),
        None => 0.0,
    }
}

fn without_capacity(document: &Value, body: Bytes) -> Bytes {
    if document.get("ConsumedCapacity").is_none() {
        return body;
    }
    let mut document = document.clone();
    if let Some(members) = document.as_object_mut() {
        members.remove("ConsumedCapacity");
    }
    document.to_string().into()
}
