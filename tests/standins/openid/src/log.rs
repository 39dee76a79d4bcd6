//! What was asked of the provider.

use serde::{Deserialize, Serialize};

/// A part of the provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Endpoint {
    /// The metadata.
    Discovery,
    /// The key set.
    Keys,
    /// Where the browser is sent.
    Authorize,
    /// Where codes are redeemed.
    Token,
    /// Where an access token is exchanged for claims.
    Userinfo,
}

/// One request, whether it was answered well or not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// Which part of the provider was asked.
    pub endpoint: Endpoint,
    /// The method.
    pub method: String,
    /// The path, without the query.
    pub path: String,
    /// The parameters of the query, in order.
    pub query: Vec<(String, String)>,
    /// The parameters of the form in the body, in order.
    pub form: Vec<(String, String)>,
    /// The header fields, in order, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The status of the answer.
    pub status: u16,
}

impl Request {
    /// The only value of a parameter, of the query or of the form. `None` if there is none, or more than one.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        only(self.query.iter().chain(&self.form), name)
    }

    /// The only value of a header field. `None` if there is none, or more than one.
    pub fn header(&self, name: &str) -> Option<&str> {
        only(self.headers.iter(), name)
    }
}

fn only<'a>(mut pairs: impl Iterator<Item = &'a (String, String)>, name: &str) -> Option<&'a str> {
    let mut named = pairs.by_ref().filter(|(known, _)| known == name).map(|(_, value)| value.as_str());
    match (named.next(), named.next()) {
        (Some(value), None) => Some(value),
        _ => None,
    }
}
