//! Why a request of a browser ends without what it asked for: what is logged and audited, and what little is shown.

use core::fmt::Display;

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use rollcall_domain::identity::Provider;
use rollcall_identity::FailedCheck;
use rollcall_service::web::Problem;

/// What the visitor is shown. Nothing of it tells which check failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    /// The sign-in cannot be completed: start again.
    StartAgain,
    /// Something that is needed does not answer: try again later.
    Later,
    /// There is nothing here.
    NotFound,
    /// Too many attempts; how many seconds to wait.
    TooMany(u64),
    /// The invite's link is not valid, for whatever reason.
    InvalidInvite,
}

/// A request that ends without what it asked for.
#[derive(Debug)]
pub struct Failure {
    /// The name of the check that failed, for the log and the audit trail.
    pub check: &'static str,
    /// The provider, where one is involved.
    pub provider: Option<Provider>,
    /// What the visitor is shown.
    pub shown: Shown,
}

impl Failure {
    /// A check that failed.
    pub fn denied(provider: Option<Provider>, failed: &impl FailedCheck) -> Self {
        Self { check: failed.check(), provider, shown: Shown::StartAgain }
    }

    /// A check that failed, by name.
    pub const fn check(provider: Option<Provider>, check: &'static str) -> Self {
        Self { check, provider, shown: Shown::StartAgain }
    }

    /// Something that is needed does not answer. The operator's log has the reason.
    pub fn unavailable(what: &'static str, error: &impl Display) -> Self {
        tracing::error!(what, %error, "not available");
        Self { check: "unavailable", provider: None, shown: Shown::Later }
    }

    /// Something that cannot be, and is.
    pub fn defect(what: &'static str) -> Self {
        tracing::error!(what, "defect");
        Self { check: "defect", provider: None, shown: Shown::Later }
    }

    /// There is nothing here.
    pub const fn not_found() -> Self {
        Self { check: "not_found", provider: None, shown: Shown::NotFound }
    }

    /// The invite's link is not valid.
    pub const fn invalid_invite(check: &'static str) -> Self {
        Self { check, provider: None, shown: Shown::InvalidInvite }
    }
}

impl From<rollcall_store::StoreError> for Failure {
    fn from(error: rollcall_store::StoreError) -> Self {
        Self::unavailable("table", &error)
    }
}

/// The page, or the JSON, is made from the problem by the shared conventions.
impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        match self.shown {
            Shown::StartAgain => Problem::new(StatusCode::BAD_REQUEST, "sign-in-failed", "This sign-in could not be completed")
                .detail("It may have taken too long, been used before, or been started in another browser. Start again."),
            Shown::Later => Problem::unavailable("Something that is needed for this does not answer at the moment. Try again in a few minutes."),
            Shown::NotFound => Problem::not_found(),
            Shown::TooMany(seconds) => Problem::too_many_requests(seconds),
            Shown::InvalidInvite => Problem::new(StatusCode::NOT_FOUND, "invalid-invite", "This invite cannot be used")
                .detail("The link is not valid any more, or never was. Ask whoever invited you for a new one."),
        }
        .into_response()
    }
}
