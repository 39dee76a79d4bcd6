//! Why an authorization request is refused, and who is told: the application, or only the person in front of the browser.

use thiserror::Error;
use url::Url;

use crate::FailedCheck;
use crate::parameters::RefusedParameters;

macro_rules! errors {
    ($($(#[$doc:meta])* $name:ident = $code:literal;)+) => {
        /// What the application is told instead of a code.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum AuthorizeError {
            $($(#[$doc])* $name,)+
        }

        impl AuthorizeError {
            /// The `error` parameter.
            pub const fn code(self) -> &'static str {
                match self { $(Self::$name => $code,)+ }
            }
        }

        impl FailedCheck for AuthorizeError {
            fn check(&self) -> &'static str {
                match self { $(Self::$name => concat!("authorize.", $code),)+ }
            }
        }
    };
}

errors! {
    /// A parameter is missing or wrong.
    InvalidRequest = "invalid_request";
    /// The client may not sign anybody in.
    UnauthorizedClient = "unauthorized_client";
    /// The person may not use the application, or does not want to.
    AccessDenied = "access_denied";
    /// Another response type than `code`.
    UnsupportedResponseType = "unsupported_response_type";
    /// `openid` is missing.
    InvalidScope = "invalid_scope";
    /// Something broke here.
    ServerError = "server_error";
    /// Something here is overloaded or down.
    TemporarilyUnavailable = "temporarily_unavailable";
    /// Nobody is signed in, and no page may be shown.
    LoginRequired = "login_required";
    /// A page would have to be shown, and none may be.
    InteractionRequired = "interaction_required";
    /// Request objects are not read (OpenID Connect Core 1.0 §6).
    RequestNotSupported = "request_not_supported";
    /// Request objects are not fetched.
    RequestUriNotSupported = "request_uri_not_supported";
    /// Clients are registered by the operator only.
    RegistrationNotSupported = "registration_not_supported";
}

/// Why an authorization request is refused.
#[derive(Debug, Error)]
pub enum AuthorizeRefused {
    /// The query cannot be read without ambiguity: a page tells so. Nothing may be redirected.
    #[error("the request cannot be read: {0}")]
    Parameters(#[from] RefusedParameters),
    /// No client id, or no known one: a page.
    #[error("no application is registered under the client id of this request")]
    Client,
    /// No redirect URI, or not one of the client's: a page. Redirecting there would make us an open redirector.
    #[error("the redirect URI of this request is not one that the application has registered")]
    RedirectUri,
    /// The application is told, by sending the browser back to it.
    #[error("{}: {description}", error.code())]
    Redirect {
        /// The error.
        error: AuthorizeError,
        /// What is wrong, for the developer.
        description: &'static str,
        /// Where to send the browser, complete.
        location: Box<Url>,
    },
}

impl FailedCheck for AuthorizeRefused {
    fn check(&self) -> &'static str {
        match self {
            Self::Parameters(refused) => refused.check(),
            Self::Client => "authorize.client",
            Self::RedirectUri => "authorize.redirect_uri",
            Self::Redirect { error, .. } => error.check(),
        }
    }
}
