//! The one place where a request to the admin API is authenticated and authorised.
//!
//! The gate stands before every route. It finds out who asks, what is asked for (the workspace in the path, else the deployment) and
//! how (reading, or changing), and lets the request through only if [`Principal::may`] says so. Handlers get the outcome as a
//! [`Caller`], which nobody else can make.

use axum::extract::{FromRequestParts as _, MatchedPath, RawPathParams, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use http::Method;
use http::request::Parts;
use rollcall_domain::WorkspaceId;
use rollcall_domain::authority::{Access, Principal, Reach, Subject};
use rollcall_service::telemetry;
use rollcall_service::web::{ClientAddress, Problem};

use crate::Admin;
use crate::authenticate::authenticate;
use crate::caller::{Caller, denied};
use crate::failure::Failure;

/// Routes that name no workspace and concern all that the caller reaches: the one workspace of a credential that is bound to one.
const OF_THE_CALLERS_REACH: [&str; 2] = ["/v1/workspaces", "/v1/events"];

/// Lets a request through, or answers it. To be used as a `route_layer`, so that unknown paths stay 404 for everybody.
pub async fn gate(State(admin): State<Admin>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    let admitted = async {
        let params =
            RawPathParams::from_request_parts(&mut parts, &()).await.map_err(|_| Problem::not_found())?;
        let route =
            MatchedPath::from_request_parts(&mut parts, &()).await.map_err(|_| Problem::internal())?;
        admit(&admin, route.as_str(), &params, &mut parts).await
    };
    match admitted.await {
        Ok(caller) => {
            parts.extensions.insert(caller);
            next.run(Request::from_parts(parts, body)).await
        }
        Err(failure) => failure.into_response(),
    }
}

async fn admit(
    admin: &Admin,
    route: &str,
    params: &RawPathParams,
    parts: &mut Parts,
) -> Result<Caller, Failure> {
    let access =
        if matches!(parts.method, Method::GET | Method::HEAD) { Access::Read } else { Access::Write };
    let principal = authenticate(admin, parts, access).await?;
    let named = params.iter().find(|(name, _)| *name == "workspace").map(|(_, workspace)| workspace);
    let subject = subject(route, access, named, &principal)?;
    principal.may(access, subject).map_err(denied)?;
    if let Subject::Workspace(workspace) = subject {
        telemetry::note_workspace(workspace);
    }
    let address = parts.extensions.get::<ClientAddress>().and_then(|address| address.0);
    Ok(Caller { principal, address, granted: (access, subject) })
}

/// What a request is about. A workspace that cannot be one is answered like one that is not there.
fn subject(
    route: &str,
    access: Access,
    named: Option<&str>,
    principal: &Principal,
) -> Result<Subject, Problem> {
    match named {
        Some(workspace) => {
            workspace.parse::<WorkspaceId>().map(Subject::Workspace).map_err(|_| Problem::not_found())
        }
        None if access == Access::Read && OF_THE_CALLERS_REACH.contains(&route) => {
            Ok(bound_to(principal).map_or(Subject::Deployment, Subject::Workspace))
        }
        None => Ok(Subject::Deployment),
    }
}

/// The workspace that a credential is bound to.
pub fn bound_to(principal: &Principal) -> Option<WorkspaceId> {
    match principal {
        Principal::Member { workspace, .. } => Some(*workspace),
        Principal::Token { reach: Reach::Workspace(workspace), .. }
        | Principal::Client { reach: Reach::Workspace(workspace), .. } => Some(*workspace),
        Principal::Bootstrap | Principal::Token { .. } | Principal::Client { .. } => None,
    }
}
