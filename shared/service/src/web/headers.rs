//! The security headers of every answer (OWASP ASVS 5.0, 3.4.1 to 3.4.6 and 14.3.2).

use aws_lc_rs::digest;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use core::fmt::Write as _;
use http::StatusCode;
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderMap, HeaderValue, LOCATION, REFERRER_POLICY,
    STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS,
};

/// What an answer that is no page may do in a browser: nothing.
const NOTHING: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
);

/// Adds the headers. A page brings its own `Content-Security-Policy`, and public keys their own `Cache-Control`; the rest cannot be
/// changed.
pub(super) fn apply(headers: &mut HeaderMap) {
    headers.entry(CONTENT_SECURITY_POLICY).or_insert(NOTHING);
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    headers
        .insert(STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=63072000; includeSubDomains"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
}

/// A redirect that becomes a GET, whatever the request was, so that no form travels on (RFC 9110 §15.4.4). Never 307.
/// A location that is no valid header value is a bug and answers 500.
pub fn see_other(location: &str) -> Response {
    match HeaderValue::from_str(location) {
        Ok(location) => (StatusCode::SEE_OTHER, [(LOCATION, location)]).into_response(),
        Err(_) => super::Problem::internal().into_response(),
    }
}

/// The `Content-Security-Policy` of one page: nothing, but for what is named here (CSP Level 3).
///
/// ```
/// # use rollcall_service::web::PagePolicy;
/// let policy = PagePolicy::new().style("body{margin:0}").form_to_ourselves().header();
/// assert!(policy.to_str().unwrap().starts_with("default-src 'none'; frame-ancestors 'none'; base-uri 'none'; style-src 'sha256-"));
/// ```
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct PagePolicy {
    styles: String,
    scripts: String,
    images: String,
    forms: String,
}

impl PagePolicy {
    /// A page of text.
    pub fn new() -> Self {
        Self::default()
    }

    /// Allows one inline `<style>` with exactly this content.
    pub fn style(mut self, content: &str) -> Self {
        let _ = write!(self.styles, " {}", hash(content));
        self
    }

    /// Allows one inline `<script>` with exactly this content.
    pub fn script(mut self, content: &str) -> Self {
        let _ = write!(self.scripts, " {}", hash(content));
        self
    }

    /// Allows images from our own origin and within the page (`data:`), for a logo.
    pub fn own_images(mut self) -> Self {
        " 'self' data:".clone_into(&mut self.images);
        self
    }

    /// Allows forms that are sent to ourselves.
    pub fn form_to_ourselves(mut self) -> Self {
        self.forms.push_str(" 'self'");
        self
    }

    /// Allows forms whose answer leads on to this origin: browsers apply the rule to the redirect after a form as well.
    pub fn form_leads_to(mut self, origin: &crate::config::Origin) -> Self {
        let _ = write!(self.forms, " {origin}");
        self
    }

    /// Allows forms whose answer leads on to the origin of this URL, for example an application's redirect URI. A URL without an
    /// origin that can be written in a policy allows nothing.
    pub fn form_leads_to_url(mut self, url: &url::Url) -> Self {
        if url.origin().is_tuple() {
            let _ = write!(self.forms, " {}", url.origin().ascii_serialization());
        }
        self
    }

    /// The header's value, for `Content-Security-Policy`.
    pub fn header(&self) -> HeaderValue {
        let mut policy = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'".to_owned();
        for (directive, sources) in
            [("style-src", &self.styles), ("script-src", &self.scripts), ("img-src", &self.images)]
        {
            if !sources.is_empty() {
                let _ = write!(policy, "; {directive}{sources}");
            }
        }
        let _ =
            write!(policy, "; form-action{}", if self.forms.is_empty() { " 'none'" } else { &self.forms });
        HeaderValue::from_str(&policy).unwrap_or(NOTHING)
    }
}

fn hash(content: &str) -> String {
    format!("'sha256-{}'", STANDARD.encode(digest::digest(&digest::SHA256, content.as_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_may_do_what_is_named_and_nothing_else() {
        let policy = PagePolicy::new()
            .style("")
            .script("")
            .own_images()
            .form_to_ourselves()
            .form_leads_to(&crate::config::Origin::parse("https://bitbucket.org").unwrap())
            .form_leads_to_url(&"https://app.example:8443/callback?x='none'".parse().unwrap())
            .form_leads_to_url(&"javascript:alert(1)".parse().unwrap())
            .header();
        // The SHA-256 of nothing.
        let empty = "'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='";
        assert_eq!(
            policy.to_str().unwrap(),
            format!(
                "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; style-src {empty}; script-src {empty}; \
                 img-src 'self' data:; form-action 'self' https://bitbucket.org https://app.example:8443"
            )
        );
        assert_eq!(
            PagePolicy::new().header(),
            "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
        );
    }

    #[test]
    fn a_redirect_is_303_and_no_location_can_add_a_header() {
        assert_eq!(see_other("/login").status(), 303);
        assert_eq!(see_other("/login\r\nset-cookie: a=b").status(), 500);
    }
}
