//! How a test makes the stand-in fail: which requests, when, and what happens to them.

mod act;

use serde::{Deserialize, Serialize};

use crate::auth::CredentialKind;

pub(crate) use act::{Instead, after, before};

/// The name of a fault, by which it is taken away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct FaultId(pub(crate) u64);

/// Which requests, when, and what happens to them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// The path: a template (`/2.0/workspaces/{workspace}/members`) or a path with `*` for any one part; `**` at the end is any rest.
    pub path: String,
    /// The query has these parameters, and their values contain these texts.
    #[serde(default)]
    pub query: Vec<(String, String)>,
    /// Only for this page of a listing. The first one is 1, asked for by number or not.
    #[serde(default)]
    pub page: Option<u64>,
    /// Only for this kind of credential.
    #[serde(default)]
    pub kind: Option<CredentialKind>,
    /// So many matching requests are spared first.
    #[serde(default)]
    pub skip: u64,
    /// How many of them it happens to; left out, all.
    #[serde(default)]
    pub times: Option<u64>,
    /// What happens.
    pub act: Act,
}

/// What happens to a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Act {
    /// An error as Bitbucket words it: JSON, or plain text for 429.
    Status(u16),
    /// This answer and no other.
    Answer {
        /// The status.
        status: u16,
        /// The media type.
        media_type: String,
        /// The body.
        body: String,
    },
    /// The answer comes so many milliseconds later.
    Delay(u64),
    /// The request is taken and never answered.
    Hang,
    /// The answer comes when the fault is taken away.
    Wait,
    /// Half of the body comes, and its length is that of the half.
    CutJson,
    /// Half of the body comes, then the connection breaks.
    BreakOff,
    /// A web page with status 200.
    Html200,
    /// A text with status 200.
    Text200,
    /// An empty body with status 200.
    Nothing200,
    /// So many bytes of white space come before the answer, which JSON allows, without a length in advance.
    Padding(u64),
    /// 302 to the same path at this origin.
    Redirect(String),
    /// The last row is the first one again; the count of rows stays, unless there is only one.
    DuplicateRow,
    /// The first row comes again at the end: one more than there should be.
    RepeatRow,
    /// A row is missing.
    OmitRow {
        /// Whether `size` is one less as well, so that the page alone does not tell.
        #[serde(default)]
        hide: bool,
    },
    /// The page has no rows; everything else stays.
    EmptyPage,
    /// The page has no rows, no `next`, and a `size` of 0.
    EmptyListing,
    /// `next` leads to this page again.
    LoopNext(u64),
    /// `next` leads to the same path at this origin.
    ForeignNext(String),
    /// There is no `next`, as on a last page.
    NoNext,
    /// `size` is this.
    Size(u64),
    /// There is no `size`.
    NoSize,
    /// Workspaces in the answer have another UUID.
    WrongWorkspace,
    /// A row lacks what names it.
    MissingId,
    /// What names a row is a number.
    WrongType,
    /// A row is not an object.
    NotAnObject,
}

impl Fault {
    /// At every request for a path.
    pub fn at(path: &str, act: Act) -> Self {
        Self { path: path.to_owned(), query: Vec::new(), page: None, kind: None, skip: 0, times: None, act }
    }

    /// Of these, only where a parameter contains a text.
    #[must_use]
    pub fn query(mut self, name: &str, part: &str) -> Self {
        self.query.push((name.to_owned(), part.to_owned()));
        self
    }

    /// Of these, only this page.
    #[must_use]
    pub fn page(mut self, page: u64) -> Self {
        self.page = Some(page);
        self
    }

    /// Of these, only with this kind of credential.
    #[must_use]
    pub fn with(mut self, kind: CredentialKind) -> Self {
        self.kind = Some(kind);
        self
    }

    /// After so many that are spared.
    #[must_use]
    pub fn after(mut self, spared: u64) -> Self {
        self.skip = spared;
        self
    }

    /// So many times.
    #[must_use]
    pub fn times(mut self, times: u64) -> Self {
        self.times = Some(times);
        self
    }

    /// Once.
    #[must_use]
    pub fn once(self) -> Self {
        self.times(1)
    }
}

/// What a fault looks at.
pub(crate) struct Subject<'a> {
    pub(crate) path: &'a str,
    pub(crate) query: &'a [(String, String)],
    pub(crate) page: u64,
    pub(crate) kind: CredentialKind,
}

impl Fault {
    fn matches(&self, subject: &Subject<'_>) -> bool {
        path_matches(&self.path, subject.path)
            && self.page.is_none_or(|page| page == subject.page)
            && self.kind.is_none_or(|kind| kind == subject.kind)
            && self.query.iter().all(|(name, part)| {
                subject.query.iter().any(|(known, value)| known == name && value.contains(part.as_str()))
            })
    }
}

fn path_matches(pattern: &str, path: &str) -> bool {
    let mut parts = path.trim_end_matches('/').split('/');
    for expected in pattern.trim_end_matches('/').split('/') {
        if expected == "**" {
            return true;
        }
        let any = expected == "*" || expected.starts_with('{');
        match parts.next() {
            Some(part) if any || part == expected => {}
            _ => return false,
        }
    }
    parts.next().is_none()
}

#[derive(Debug)]
struct Armed {
    id: FaultId,
    fault: Fault,
    matched: u64,
}

/// All faults that are due, in the order in which they were made. The first one whose time it is acts.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    armed: Vec<Armed>,
    last_id: u64,
}

impl Faults {
    pub(crate) fn add(&mut self, fault: Fault) -> FaultId {
        self.last_id += 1;
        let id = FaultId(self.last_id);
        self.armed.push(Armed { id, fault, matched: 0 });
        id
    }

    pub(crate) fn remove(&mut self, id: FaultId) -> bool {
        let before = self.armed.len();
        self.armed.retain(|armed| armed.id != id);
        self.armed.len() < before
    }

    pub(crate) fn clear(&mut self) {
        self.armed.clear();
    }

    pub(crate) fn contains(&self, id: FaultId) -> bool {
        self.armed.iter().any(|armed| armed.id == id)
    }

    /// How often a fault has happened.
    pub(crate) fn happened(&self, id: FaultId) -> u64 {
        let armed = self.armed.iter().find(|armed| armed.id == id);
        armed.map_or(0, |armed| {
            let after = armed.matched.saturating_sub(armed.fault.skip);
            armed.fault.times.map_or(after, |times| after.min(times))
        })
    }

    pub(crate) fn list(&self) -> Vec<(FaultId, Fault, u64)> {
        self.armed.iter().map(|armed| (armed.id, armed.fault.clone(), self.happened(armed.id))).collect()
    }

    /// What happens to a request. Every fault that matches counts it.
    pub(crate) fn take(&mut self, subject: &Subject<'_>) -> Option<(FaultId, Act)> {
        let mut taken = None;
        for armed in &mut self.armed {
            if !armed.fault.matches(subject) {
                continue;
            }
            armed.matched += 1;
            let nth = armed.matched.saturating_sub(armed.fault.skip);
            let is_due = nth >= 1 && armed.fault.times.is_none_or(|times| nth <= times);
            if is_due && taken.is_none() {
                taken = Some((armed.id, armed.fault.act.clone()));
            }
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_matches_part_by_part() {
        let members = "/2.0/workspaces/acme/members";
        for pattern in
            ["/2.0/workspaces/{workspace}/members", "/2.0/*/acme/members/", "/2.0/workspaces/**", "/**"]
        {
            assert!(path_matches(pattern, members), "{pattern}");
        }
        for pattern in
            ["/2.0/workspaces/*", "/2.0/workspaces/*/members/*", "/1.0/**", "/2.0/workspaces/{w}/projects"]
        {
            assert!(!path_matches(pattern, members), "{pattern}");
        }
    }

    #[test]
    fn a_fault_happens_when_its_time_has_come_and_no_longer() {
        let mut faults = Faults::default();
        let id = faults.add(Fault::at("/x", Act::NoNext).page(2).after(1).times(2));
        let mut happens = |page| {
            let subject = Subject { path: "/x", query: &[], page, kind: CredentialKind::None };
            faults.take(&subject).is_some()
        };
        assert_eq!([1, 2, 2, 1, 2, 2].map(&mut happens), [false, false, true, false, true, false]);
        assert_eq!(faults.happened(id), 2);
    }
}
