//! The answers that say no, in the words that were recorded.

use std::collections::BTreeSet;

use serde_json::{Value, json};

/// An answer that says no.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Refusal {
    /// JSON, with the status.
    Json(u16, Value),
    /// Plain text, with the status.
    Text(u16, &'static str),
}

impl Refusal {
    /// `{"type": "error", "error": {"message": …}}`
    pub(crate) fn message(status: u16, message: &str) -> Self {
        Self::Json(status, json!({"type": "error", "error": {"message": message}}))
    }

    pub(crate) fn bad_request(message: &str) -> Self {
        Self::message(400, message)
    }

    pub(crate) fn not_found(message: &str) -> Self {
        Self::message(404, message)
    }

    pub(crate) fn no_workspace(name: &str) -> Self {
        Self::not_found(&format!("No workspace with identifier '{name}'."))
    }

    pub(crate) fn no_repository(full_name: &str) -> Self {
        Self::not_found(&format!("Repository {full_name} not found"))
    }

    pub(crate) fn forbidden() -> Self {
        Self::message(403, "Your credentials lack the permission to do this.")
    }

    /// What version 1.0 answers to whoever is no admin.
    pub(crate) fn forbidden_text() -> Self {
        Self::Text(403, "Forbidden")
    }

    pub(crate) fn not_valid() -> Self {
        Self::message(401, "Token is invalid, expired, or not supported for this endpoint.")
    }

    pub(crate) fn expired() -> Self {
        Self::message(401, "Access token expired. Use your refresh token to obtain a new access token.")
    }

    pub(crate) fn mechanism() -> Self {
        Self::message(403, "This API is not accessible by this authentication mechanism")
    }

    /// Where a scope is missing, the detail is an object.
    pub(crate) fn scopes(granted: &BTreeSet<String>, required: &[&str]) -> Self {
        let message = "Your credentials lack one or more required privilege scopes.";
        let detail = json!({"granted": granted, "required": required});
        Self::Json(403, json!({"type": "error", "error": {"message": message, "detail": detail}}))
    }

    pub(crate) fn change_2770() -> Self {
        let message = "CHANGE-2770 - Functionality has been deprecated";
        let detail = "This API has been removed. See https://developer.atlassian.com/cloud/bitbucket/changelog/#CHANGE-2770";
        Self::Json(410, json!({"type": "error", "error": {"message": message, "detail": detail}}))
    }

    pub(crate) fn rate_limit(as_json: bool) -> Self {
        const TOO_MANY: &str = "Rate limit for this resource has been exceeded";
        if as_json { Self::message(429, TOO_MANY) } else { Self::Text(429, TOO_MANY) }
    }
}
