//! The relying parties that are registered here.

use serde::{Deserialize, Serialize};

/// A registered relying party.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Client {
    /// Its id.
    pub id: String,
    /// Its secret.
    pub secret: String,
    /// Where codes may be sent, each to the letter.
    pub redirect_uris: Vec<String>,
}

impl Client {
    /// A client with one redirect URI.
    pub fn new(id: impl Into<String>, secret: impl Into<String>, redirect_uri: impl Into<String>) -> Self {
        Self { id: id.into(), secret: secret.into(), redirect_uris: vec![redirect_uri.into()] }
    }
}
