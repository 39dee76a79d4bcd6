//! The same router on Lambda, behind an API Gateway HTTP API (payload format 2.0).

use axum::Router;
use axum::body::Body;
use http::Request;
use lambda_http::RequestExt as _;
use lambda_http::request::RequestContext;
use tower::ServiceExt as _;

use super::{ClientAddress, RequestId};

/// Answers Lambda's events with a finished router, until Lambda ends the process.
///
/// # Errors
/// Lambda's runtime API does not answer.
pub async fn serve(finished: Router) -> Result<(), lambda_http::Error> {
    lambda_http::run(finished.map_request(prepare)).await
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
