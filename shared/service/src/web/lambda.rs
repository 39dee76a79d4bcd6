//! The same router on Lambda, behind an API Gateway HTTP API (payload format 2.0).

use axum::Router;
use axum::body::Body;
use futures_util::future::{BoxFuture, LocalBoxFuture};
use http::Request;
use lambda_http::request::RequestContext;
use lambda_http::{LambdaEvent, RequestExt as _};
use serde_json::Value;
use tower::ServiceExt as _;

use super::{ClientAddress, RequestId};

/// Answers Lambda's events with a finished router, until Lambda ends the process.
///
/// # Errors
/// The program was not started by Lambda, or Lambda's runtime API does not answer.
pub async fn serve(finished: Router) -> Result<(), lambda_http::Error> {
    crate::start::require_lambda()?;
    lambda_http::run(finished.map_request(prepare)).await
}

/// The same for a function that is also called by events that are no HTTP requests, for example by `EventBridge`. An error of `other`
/// fails the invocation, and Lambda delivers the event again.
///
/// # Errors
/// The program was not started by Lambda, or Lambda's runtime API does not answer.
pub async fn serve_with_events<E: core::fmt::Display>(
    finished: Router,
    other: impl Fn(Value) -> BoxFuture<'static, Result<(), E>> + Sync,
) -> Result<(), lambda_http::Error> {
    crate::start::require_lambda()?;
    let http = lambda_http::Adapter::from(finished.map_request(prepare));
    let other = &other;
    // Boxed, because the futures of a whole router within those of the runtime are more than the compiler lays out.
    let answer = move |event: LambdaEvent<Value>| -> LocalBoxFuture<'_, Result<Value, lambda_http::Error>> {
        let http = http.clone();
        Box::pin(async move {
            let (event, context) = event.into_parts();
            if event.get("requestContext").is_some() {
                // Read from the text: parts of the request are kept as they were written.
                let request = serde_json::from_str(&event.to_string())?;
                let answer = http.oneshot(LambdaEvent::new(request, context)).await?;
                return Ok(serde_json::to_value(answer)?);
            }
            match other(event).await {
                Ok(()) => Ok(Value::Null),
                Err(error) => Err(lambda_http::Error::from(error.to_string())),
            }
        })
    };
    lambda_http::lambda_runtime::run(lambda_http::service_fn(answer)).await
}

/// Takes over the invocation's id and API Gateway's view of the caller's address.
fn prepare(mut request: lambda_http::Request) -> Request<Body> {
    let id = request.lambda_context_ref().and_then(|context| RequestId::from_platform(&context.request_id));
    let address = match request.request_context_ref() {
        Some(RequestContext::ApiGatewayV2(context)) => {
            context.http.source_ip.as_deref().and_then(|address| address.parse().ok())
        }
        _ => None,
    };
    let extensions = request.extensions_mut();
    if let Some(id) = id {
        extensions.insert(id);
    }
    extensions.insert(ClientAddress(address));
    request.map(Body::new)
}

#[cfg(test)]
mod tests {
    use axum::response::{AppendHeaders, IntoResponse as _};
    use axum::routing::{get, post};
    use http::header::SET_COOKIE;
    use serde_json::json;
    use tower::Service as _;

    use super::*;
    use crate::web::{Form, Query, Web};

    type Pairs = std::collections::BTreeMap<String, String>;

    /// An event as API Gateway sends it: cookies apart, the body in base64.
    fn event(method: &str, query: &str, body: Option<&str>) -> lambda_http::request::LambdaRequest {
        let event = json!({
            "version": "2.0",
            "routeKey": "$default",
            "rawPath": "/",
            "rawQueryString": query,
            "cookies": ["a=1", "b=2"],
            "headers": {
                "host": "rollcall.example.com",
                "x-forwarded-for": "203.0.113.66, 198.51.100.7",
                "forwarded": "for=203.0.113.66",
                "content-type": "application/x-www-form-urlencoded",
            },
            "requestContext": {
                "accountId": "123456789012", "apiId": "api",
                "domainName": "rollcall.example.com", "domainPrefix": "rollcall",
                "http": {
                    "method": method, "path": "/", "protocol": "HTTP/1.1",
                    "sourceIp": "198.51.100.7", "userAgent": "test",
                },
                "requestId": "JKJaXmPLvHcESHA=", "routeKey": "$default", "stage": "$default",
                "time": "23/Nov/2026:06:00:00 +0000", "timeEpoch": 1_795_413_600_000_i64,
            },
            "body": body,
            "isBase64Encoded": body.is_some(),
        });
        serde_json::from_str(&event.to_string()).unwrap()
    }

    async fn answer(event: lambda_http::request::LambdaRequest, router: Router) -> Value {
        let mut context = lambda_http::Context::default();
        context.request_id = "8476a536-e9f4-11e8-9739-2dfe598c3fcd".to_owned();
        let mut lambda = lambda_http::Adapter::from(Web::new().finish(router).map_request(prepare));
        let answer = lambda.call(lambda_http::LambdaEvent::new(event, context)).await.unwrap();
        serde_json::to_value(answer).unwrap()
    }

    #[tokio::test]
    async fn the_address_is_api_gateways_and_no_header_changes_it() {
        let router = Router::new()
            .route("/", get(async |address: ClientAddress, id: RequestId| format!("{:?} {id}", address.0)));
        let answer = answer(event("GET", "", None), router).await;
        assert_eq!(answer["body"], "Some(198.51.100.7) 8476a536-e9f4-11e8-9739-2dfe598c3fcd");
        assert_eq!(answer["headers"]["x-request-id"], "8476a536-e9f4-11e8-9739-2dfe598c3fcd");
    }

    #[tokio::test]
    async fn a_form_arrives_decoded_and_cookies_leave_one_by_one() {
        let router = Router::new().route(
            "/",
            post(async |Form(pairs): Form<Pairs>| {
                let cookies = AppendHeaders([(SET_COOKIE, "x=1; Path=/"), (SET_COOKIE, "y=2; Path=/")]);
                (cookies, pairs["name"].clone()).into_response()
            }),
        );
        let answer = answer(event("POST", "", Some("bmFtZT1hJTIwYg==")), router).await;
        assert_eq!(answer["body"], "a b");
        assert_eq!(answer["cookies"], json!(["x=1; Path=/", "y=2; Path=/"]));
    }

    #[tokio::test]
    async fn a_parameter_that_api_gateway_would_join_is_still_refused_as_repeated() {
        let router =
            || Router::new().route("/", get(async |Query(pairs): Query<Pairs>| pairs["state"].clone()));
        assert_eq!(answer(event("GET", "state=a%2Cb", None), router()).await["body"], "a,b");
        assert_eq!(answer(event("GET", "state=a&state=b", None), router()).await["statusCode"], 400);
    }
}
