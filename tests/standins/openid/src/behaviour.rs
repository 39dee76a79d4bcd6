//! What a test can change for good (until it changes it again) about how the provider answers.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// How the provider answers. The default is as the real one does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Behaviour {
    /// Whether the metadata says that answers name their issuer (`authorization_response_iss_parameter_supported`, RFC 9207 §3).
    pub advertise_answer_issuer: bool,
    /// The `iss` parameter of the answer to the browser (RFC 9207 §2).
    pub answer_issuer: AnswerIssuer,
    /// Further parameters of the answer to the browser, in order, given even where they are there already.
    pub answer_parameters: Vec<(String, String)>,
    /// Members of the metadata that are replaced; `null` takes one out.
    pub metadata: Map<String, Value>,
    /// Members of the token endpoint's good answers that are replaced; `null` takes one out.
    pub token_answer: Map<String, Value>,
    /// Members of the userinfo endpoint's good answers that are replaced; `null` takes one out.
    pub userinfo: Map<String, Value>,
    /// Whether keys that nobody can use are published beside the good ones.
    pub decoy_keys: bool,
    /// How long an ID token lives, in seconds.
    pub token_lifetime: i64,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self {
            advertise_answer_issuer: false,
            answer_issuer: AnswerIssuer::Absent,
            answer_parameters: Vec::new(),
            metadata: Map::new(),
            token_answer: Map::new(),
            userinfo: Map::new(),
            decoy_keys: true,
            token_lifetime: 3_600,
        }
    }
}

/// The `iss` parameter of an answer to the browser.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AnswerIssuer {
    /// None.
    #[default]
    Absent,
    /// The issuer of the ID token that the code is good for.
    Right,
    /// Another one.
    Other(String),
    /// The right one, twice.
    Twice,
}

/// Replaces members of a JSON object; `null` takes one out.
pub(crate) fn replace(object: &mut Map<String, Value>, by: &Map<String, Value>) {
    for (name, value) in by {
        if value.is_null() {
            object.remove(name);
        } else {
            object.insert(name.clone(), value.clone());
        }
    }
}
