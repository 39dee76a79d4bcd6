//! Which requests, when, and what happens to them.

use serde::{Deserialize, Serialize};

use crate::operation::{Kind, Operation};
use crate::refusal::Refusal;

/// The name of a rule, by which it is taken away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct RuleId(pub(crate) u64);

/// Which requests. What is left out matches all.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Matching {
    /// Whether they read or write.
    pub kind: Option<Kind>,
    /// The operation: `PutItem`, or `GET /path` for what is no AWS call.
    pub operation: Option<String>,
    /// What the path begins with.
    pub path: Option<String>,
    /// A text in the body, as it stands in the JSON without blanks: `"MEMBER#7"`, `"IndexName":"by-email"`.
    pub containing: Option<String>,
}

impl Matching {
    /// Every request.
    pub fn anything() -> Self {
        Self::default()
    }

    /// Everything that changes something.
    pub fn writes() -> Self {
        Self { kind: Some(Kind::Write), ..Self::default() }
    }

    /// Everything that only reads.
    pub fn reads() -> Self {
        Self { kind: Some(Kind::Read), ..Self::default() }
    }

    /// One operation.
    pub fn operation(name: &str) -> Self {
        Self { operation: Some(name.to_owned()), ..Self::default() }
    }

    /// Everything under a path.
    pub fn path(prefix: &str) -> Self {
        Self { path: Some(prefix.to_owned()), ..Self::default() }
    }

    /// Of these, only those with a text in their body.
    #[must_use]
    pub fn containing(mut self, text: &str) -> Self {
        self.containing = Some(text.to_owned());
        self
    }

    fn matches(&self, operation: &Operation) -> bool {
        self.kind.is_none_or(|kind| kind == operation.kind)
            && self.operation.as_ref().is_none_or(|name| *name == operation.name)
            && self.path.as_ref().is_none_or(|path| operation.path.starts_with(path))
            && self.containing.as_ref().is_none_or(|text| operation.request.to_string().contains(text))
    }
}

/// When, counted over the matching requests since the rule was made. The first one is number 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum When {
    /// To this one only.
    Nth(u64),
    /// To the first so many.
    First(u64),
    /// To this one and all that follow.
    From(u64),
    /// To every one whose number is a multiple of this.
    Every(u64),
    /// To all.
    Always,
}

impl When {
    fn is_now(self, number: u64) -> bool {
        match self {
            Self::Nth(nth) => number == nth,
            Self::First(count) => number <= count,
            Self::From(first) => number >= first,
            Self::Every(step) => step > 0 && number.is_multiple_of(step),
            Self::Always => true,
        }
    }
}

/// What happens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Act {
    /// The error is the answer; the service never sees the call.
    Refuse(Refusal),
    /// The service does it; the error is the answer all the same.
    RefuseAfterwards(Refusal),
    /// The connection is reset; the service never sees the call.
    Drop,
    /// The service does it; then the connection is reset.
    DropAfterwards,
    /// A batch leaves so many of its last entries undone (`UnprocessedItems`, `UnprocessedKeys`). Other calls are passed on.
    LeaveUnprocessed(usize),
    /// The service is gone: this call and all others, reads too, are reset until [`Control::lift`](crate::Control::lift).
    Crash,
    /// The same, but the service still does this one.
    CrashAfterwards,
    /// The call is passed on so many milliseconds later.
    Delay(u64),
    /// The call is passed on when the rule is taken away.
    Wait,
}

/// A rule with its count.
#[derive(Debug)]
pub(crate) struct Rule {
    pub(crate) id: RuleId,
    matching: Matching,
    when: When,
    act: Act,
    matched: u64,
}

/// All rules, in the order in which they were made.
#[derive(Debug, Default)]
pub(crate) struct Rules {
    rules: Vec<Rule>,
    last_id: u64,
}

impl Rules {
    pub(crate) fn add(&mut self, matching: Matching, when: When, act: Act) -> RuleId {
        self.last_id += 1;
        let id = RuleId(self.last_id);
        self.rules.push(Rule { id, matching, when, act, matched: 0 });
        id
    }

    pub(crate) fn remove(&mut self, id: RuleId) -> bool {
        let before = self.rules.len();
        self.rules.retain(|rule| rule.id != id);
        self.rules.len() < before
    }

    pub(crate) fn clear(&mut self) {
        self.rules.clear();
    }

    pub(crate) fn contains(&self, id: RuleId) -> bool {
        self.rules.iter().any(|rule| rule.id == id)
    }

    /// How many requests a rule has matched, whether it was its time or not.
    pub(crate) fn matched(&self, id: RuleId) -> u64 {
        self.rules.iter().find(|rule| rule.id == id).map_or(0, |rule| rule.matched)
    }

    /// What happens to a request: every rule counts it, all whose time it is act, in order.
    pub(crate) fn acts_on(&mut self, operation: &Operation) -> Vec<(RuleId, Act)> {
        let mut acts = Vec::new();
        for rule in &mut self.rules {
            if rule.matching.matches(operation) {
                rule.matched += 1;
                if rule.when.is_now(rule.matched) {
                    acts.push((rule.id, rule.act.clone()));
                }
            }
        }
        acts
    }
}
