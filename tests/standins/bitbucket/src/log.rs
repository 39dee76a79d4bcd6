//! What was asked.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use crate::auth::CredentialKind;

/// The oldest entries are dropped beyond this. The counts go on.
const LONGEST: usize = 200_000;

/// One request, whether it was answered well or not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// Its place among all requests, from 1.
    pub number: u64,
    /// The method.
    pub method: String,
    /// The path as it came, without the query.
    pub path: String,
    /// The path with names instead of values, as in `/2.0/workspaces/{workspace}/members`. Empty where nothing is there.
    pub template: String,
    /// The parameters of the query, in order. Codes, states and the like are left out of it.
    pub query: Vec<(String, String)>,
    /// Whether there was an `Authorization` header.
    pub authorized: bool,
    /// With what kind of credential.
    pub kind: CredentialKind,
    /// What its calls are counted under: `consumer:KEY`, `access-token:…LAST4`, `api-token:USERNAME`, `anonymous`.
    pub credential: String,
    /// The status of the answer; 0 as long as there is none.
    pub status: u16,
}

impl Request {
    /// A parameter of the query.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// How often something was asked.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Counts {
    /// In all.
    pub total: u64,
    /// By template and kind of credential.
    pub by_path: BTreeMap<String, BTreeMap<CredentialKind, u64>>,
    /// By credential.
    pub by_credential: BTreeMap<String, u64>,
    /// By status.
    pub by_status: BTreeMap<u16, u64>,
}

#[derive(Debug, Default)]
pub(crate) struct Log {
    entries: VecDeque<Request>,
    counts: Counts,
    next: u64,
}

impl Log {
    /// Writes a request down and gives its number.
    pub(crate) fn begin(&mut self, mut request: Request) -> u64 {
        self.next += 1;
        request.number = self.next;
        let counts = &mut self.counts;
        counts.total += 1;
        *counts.by_path.entry(request.template.clone()).or_default().entry(request.kind).or_default() += 1;
        *counts.by_credential.entry(request.credential.clone()).or_default() += 1;
        if self.entries.len() == LONGEST {
            self.entries.pop_front();
        }
        self.entries.push_back(request);
        self.next
    }

    /// Adds how it was answered.
    pub(crate) fn end(&mut self, number: u64, status: u16) {
        *self.counts.by_status.entry(status).or_default() += 1;
        let first = self.entries.front().map_or(0, |request| request.number);
        let at = number.checked_sub(first).and_then(|at| usize::try_from(at).ok());
        if let Some(request) = at.and_then(|at| self.entries.get_mut(at)) {
            request.status = status;
        }
    }

    pub(crate) fn entries(&self) -> impl Iterator<Item = &Request> {
        self.entries.iter()
    }

    pub(crate) fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Empties it. Numbers go on, so that an answer to an earlier request is not taken for one to a later.
    pub(crate) fn clear(&mut self) {
        self.entries.clear();
        self.counts = Counts::default();
    }
}
