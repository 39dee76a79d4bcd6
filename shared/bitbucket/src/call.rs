//! A call: what is asked, how it is addressed, and how it is named in errors and logs.

use core::fmt;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use rollcall_domain::bitbucket::{
    AccountUuid, BitbucketWorkspaceUuid, GroupSlug, ProjectKey, RepositorySlug, WorkspaceSlug,
};
use url::Url;

/// Everything but RFC 3986 §2.3's unreserved characters is encoded, in paths and in queries alike.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A call as errors and logs name it: the method and the path's template, never a value of either path or query.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Call {
    method: &'static str,
    template: &'static str,
    page: u64,
}

impl Call {
    /// A call of the API that reads something.
    pub(crate) const fn get(template: &'static str) -> Self {
        Self { method: "GET", template, page: 1 }
    }

    /// A call that sends a form.
    pub(crate) const fn post(template: &'static str) -> Self {
        Self { method: "POST", template, page: 1 }
    }

    /// The same call for a later page.
    pub(crate) const fn page(mut self, page: u64) -> Self {
        self.page = page;
        self
    }

    /// The path with names in place of values, as Atlassian's description writes it: `/2.0/workspaces/{workspace}`.
    pub const fn template(self) -> &'static str {
        self.template
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.template)?;
        if self.page > 1 { write!(f, " (page {})", self.page) } else { Ok(()) }
    }
}

/// What may stand in a path: only values that were parsed into a type of their own.
pub(crate) trait Segment: fmt::Display + Sync {}

impl Segment for AccountUuid {}
impl Segment for BitbucketWorkspaceUuid {}
impl Segment for GroupSlug {}
impl Segment for ProjectKey {}
impl Segment for RepositorySlug {}
impl Segment for WorkspaceSlug {}

/// Where a call goes: a template, the values for its names, and a query. Each value is encoded exactly once.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    call: Call,
    path: String,
    query: String,
}

impl Target {
    /// From a template and the values of its `{names}`, in order.
    ///
    /// The templates are constants of this crate: a test checks that each gets as many values as it has names.
    pub(crate) fn new(template: &'static str, values: &[&dyn Segment]) -> Self {
        let mut values = values.iter();
        let mut path = String::with_capacity(template.len() + 48);
        for (at, part) in template.split('/').enumerate() {
            if at > 0 {
                path.push('/');
            }
            match part.starts_with('{').then(|| values.next()).flatten() {
                Some(value) => path.extend(utf8_percent_encode(&value.to_string(), RESERVED)),
                None => path.push_str(part),
            }
        }
        debug_assert!(
            values.next().is_none() && !path.contains('{'),
            "{template} has another number of names"
        );
        Self { call: Call::get(template), path, query: String::new() }
    }

    /// Adds a query parameter.
    pub(crate) fn query(mut self, name: &str, value: &str) -> Self {
        if !self.query.is_empty() {
            self.query.push('&');
        }
        self.query.push_str(name);
        self.query.push('=');
        self.query.extend(utf8_percent_encode(value, RESERVED));
        self
    }

    /// How errors name it.
    pub(crate) fn call(&self) -> Call {
        self.call
    }

    /// The address under the API's base.
    pub(crate) fn url(&self, api: &Url) -> Url {
        let mut url = api.clone();
        url.set_path(&format!("{}{}", api.path().trim_end_matches('/'), self.path));
        url.set_query((!self.query.is_empty()).then_some(self.query.as_str()));
        url
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_encoded_once_and_stay_within_their_segment() {
        let workspace: BitbucketWorkspaceUuid = "{01234567-89ab-cdef-0123-456789abcdef}".parse().unwrap();
        let member: AccountUuid = "{11234567-89ab-cdef-0123-456789abcdef}".parse().unwrap();
        let target = Target::new("/2.0/workspaces/{workspace}/members/{member}", &[&workspace, &member])
            .query("q", "user.email IN (\"a+b@example.com\")")
            .query("fields", "values.user.uuid,next");
        let url = target.url(&"http://127.0.0.1:8080/api/".parse().unwrap());
        assert_eq!(
            url.as_str(),
            "http://127.0.0.1:8080/api/2.0/workspaces/%7B01234567-89ab-cdef-0123-456789abcdef%7D/members/\
             %7B11234567-89ab-cdef-0123-456789abcdef%7D?q=user.email%20IN%20%28%22a%2Bb%40example.com%22%29&\
             fields=values.user.uuid%2Cnext"
        );
        assert_eq!(
            target.call().page(3).to_string(),
            "GET /2.0/workspaces/{workspace}/members/{member} (page 3)"
        );
    }
}
