//! `Idempotency-Key` on POST: a repetition is answered as the first attempt was, and not done again
//! (draft-ietf-httpapi-idempotency-key-header).
//!
//! A key belongs to its caller and its path. What is remembered is sealed, because an answer can hold a token or a link that is shown
//! once. Only answers that say something lasting are remembered: not those that ask to try again.

use core::time::Duration;

use axum::body::Body;
use axum::extract::{OptionalFromRequestParts, OriginalUri, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use http::header::{CONTENT_TYPE, ETAG, HeaderMap, HeaderName, HeaderValue, LOCATION};
use http::{Method, StatusCode};
use http_body_util::{BodyExt as _, Limited};
use rollcall_domain::authority::Principal;
use rollcall_domain::{Secret, TokenHash};
use rollcall_service::seal::{Purpose, Sealer};
use rollcall_service::web::{BODY_LIMIT, FieldError, IdempotencyKey, Problem};
use rollcall_store::Remembered;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::caller::Caller;
use crate::failure::Failure;
use crate::{Admin, keys::Keys};

/// Longer than any function runs: whoever holds a key for longer has died, and the attempt may be made again.
const LOCK: Duration = Duration::from_secs(60);
/// The largest answer that is remembered: what a row can hold, sealed.
const LONGEST: usize = 200 * 1024;

/// Says that an answer is a repetition.
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// Answers repetitions. To be layered inside the gate, because a key belongs to its caller.
pub async fn idempotent(State(admin): State<Admin>, request: Request, next: Next) -> Response {
    if *request.method() != Method::POST {
        return next.run(request).await;
    }
    match keyed(&admin, request, next).await {
        Ok(response) => response,
        Err(failure) => failure.into_response(),
    }
}

async fn keyed(admin: &Admin, request: Request, next: Next) -> Result<Response, Failure> {
    let (mut parts, body) = request.into_parts();
    let key = <IdempotencyKey as OptionalFromRequestParts<()>>::from_request_parts(&mut parts, &()).await?;
    let Some(key) = key else { return Ok(next.run(Request::from_parts(parts, body)).await) };
    let caller = parts.extensions.get::<Caller>().cloned().ok_or_else(Problem::internal)?;
    let body = collect(body).await?;
    let path = parts.extensions.get::<OriginalUri>().map_or_else(|| parts.uri.clone(), |uri| uri.0.clone());
    let attempt = Attempt {
        scope: format!("{}#{path}", name(caller.principal())),
        key: key.as_str().to_owned(),
        request: TokenHash::of(&Secret::new(String::from_utf8_lossy(&body))).to_string(),
    };
    let keys = admin.keys().await?;
    if let Some(answer) = attempt.take_up(admin, &keys).await? {
        return Ok(answer);
    }
    let response = next.run(Request::from_parts(parts, Body::from(body))).await;
    attempt.finish(admin, &keys, response).await
}

async fn collect(body: Body) -> Result<Bytes, Problem> {
    match Limited::new(body, BODY_LIMIT).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<http_body_util::LengthLimitError>() => {
            Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", "The body is too large")
                .detail(format!("A body may have at most {BODY_LIMIT} bytes.")))
        }
        Err(_) => Err(Problem::bad_request("The body broke off.")),
    }
}

/// Whose keys these are. Never the credential itself: a member keeps theirs through a new session.
fn name(principal: &Principal) -> String {
    match principal {
        Principal::Bootstrap => "bootstrap".to_owned(),
        Principal::Token { id, .. } => id.to_string(),
        Principal::Client { id, .. } => id.to_string(),
        Principal::Member { id, .. } => id.to_string(),
    }
}

/// The headers that belong to an answer.
const KEPT: [HeaderName; 3] = [CONTENT_TYPE, ETAG, LOCATION];

/// An answer as it is kept, inside of its seal.
#[derive(Serialize, Deserialize)]
struct Kept {
    /// The values of [`KEPT`], in its order.
    headers: [Option<String>; 3],
    body: String,
}

impl Kept {
    /// As it is sealed, unless it is too long to be kept.
    fn written(headers: &HeaderMap, body: &Bytes) -> Option<Zeroizing<Vec<u8>>> {
        let value = |name| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let body = (body.len() <= LONGEST).then(|| String::from_utf8(body.to_vec()).ok()).flatten()?;
        serde_json::to_vec(&Self { headers: KEPT.map(value), body }).ok().map(Zeroizing::new)
    }
}

struct Attempt {
    scope: String,
    key: String,
    request: String,
}

impl Attempt {
    /// Takes the key up, or gives the answer there is.
    async fn take_up(&self, admin: &Admin, keys: &Keys) -> Result<Option<Response>, Failure> {
        let now = admin.now();
        let started = Remembered {
            request: self.request.clone(),
            status: None,
            body: String::new(),
            locked_until: now.plus(LOCK),
        };
        // Where whoever began it died on the way, what they did is found again by the handler, or is done again.
        if admin.store().remember_start(&self.scope, &self.key, &started, now).await? {
            return Ok(None);
        }
        let Some(known) = admin.store().remembered(&self.scope, &self.key, now).await? else {
            return Err(busy().into());
        };
        if known.request != self.request {
            return Err(Problem::invalid(vec![FieldError {
                pointer: None,
                parameter: Some("Idempotency-Key".to_owned()),
                detail: "was used for another request; use a new key for a new request".to_owned(),
            }])
            .into());
        }
        match known.status {
            Some(status) => Ok(Some(self.replay(keys, status, &known.body)?)),
            None => Err(busy().into()),
        }
    }

    fn context(&self) -> String {
        format!("{}#{}", self.scope, self.key)
    }

    fn replay(&self, keys: &Keys, status: u16, sealed: &str) -> Result<Response, Failure> {
        let lost = |error: &dyn core::fmt::Display| {
            tracing::error!(%error, "a remembered answer cannot be read");
            Problem::conflict(
                "This request was done before. Its answer cannot be shown again; read what it has made.",
            )
        };
        let opened = Sealer::new(&keys.sealing, Purpose::Answer).open(&self.context(), sealed);
        let opened = opened.map_err(|error| lost(&error))?;
        let kept: Kept = serde_json::from_slice(&opened).map_err(|error| lost(&error))?;
        let mut response = kept.body.into_response();
        *response.status_mut() = StatusCode::from_u16(status).map_err(|_| Problem::internal())?;
        for (name, value) in KEPT.into_iter().zip(kept.headers) {
            let value = value.map(|value| HeaderValue::from_str(&value)).transpose();
            match value.map_err(|error| lost(&error))? {
                Some(value) => response.headers_mut().insert(name, value),
                None => response.headers_mut().remove(name),
            };
        }
        response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
        Ok(response)
    }

    /// Remembers the answer, or gives the key free where trying again makes sense.
    async fn finish(&self, admin: &Admin, keys: &Keys, response: Response) -> Result<Response, Failure> {
        let now = admin.now();
        let status = response.status();
        let lasting = status.is_success() || status == StatusCode::UNPROCESSABLE_ENTITY;
        if !lasting {
            admin.store().forget_request(&self.scope, &self.key).await?;
            return Ok(response);
        }
        let (parts, body) = response.into_parts();
        let body = body.collect().await.map_err(|_| Problem::internal())?.to_bytes();
        let sealed = Kept::written(&parts.headers, &body)
            .and_then(|kept| Sealer::new(&keys.sealing, Purpose::Answer).seal(&self.context(), &kept).ok());
        let Some(sealed) = sealed else {
            tracing::error!("an answer is too long to be remembered");
            return Ok(Response::from_parts(parts, Body::from(body)));
        };
        let answer = Remembered {
            request: self.request.clone(),
            status: Some(status.as_u16()),
            body: sealed,
            locked_until: now,
        };
        // It is done: that its answer could not be remembered must not turn it into a failure.
        if let Err(error) = admin.store().remember_answer(&self.scope, &self.key, &answer, now).await {
            tracing::error!(%error, "an answer could not be remembered");
        }
        Ok(Response::from_parts(parts, Body::from(body)))
    }
}

fn busy() -> Problem {
    Problem::conflict("The same request is being worked on at this moment. Repeat it in a little while.")
        .header(http::header::RETRY_AFTER, HeaderValue::from_static("2"))
}
