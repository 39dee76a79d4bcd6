//! Everything that can go wrong between here and Bitbucket, each case by its own name.

use rollcall_domain::Timestamp;
use rollcall_domain::listing::Unproven;
use thiserror::Error;

use crate::call::Call;

/// Why a call gave no answer that may be believed.
///
/// No case means "there is none": what Bitbucket positively answers is a value, and everything here is "not known". Texts that
/// come from Bitbucket are cut to a line of plain characters; no case carries a token, a path's values or a query.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Error {
    /// 401: the credential is not accepted.
    #[error("{call}: Bitbucket does not accept the credential (401){}", after(why))]
    Unauthorized {
        /// The call.
        call: Call,
        /// What Bitbucket says.
        why: String,
    },
    /// 403: the credential is accepted, and may not do this.
    #[error("{call}: Bitbucket refuses this to the credential (403){}{}", lacking(missing), after(why))]
    Forbidden {
        /// The call.
        call: Call,
        /// Scopes that the answer names as missing; empty where it names none.
        missing: Vec<String>,
        /// What Bitbucket says.
        why: String,
    },
    /// 404, where something should be.
    #[error("{call}: Bitbucket finds nothing there (404){}", after(why))]
    NotFound {
        /// The call.
        call: Call,
        /// What Bitbucket says.
        why: String,
    },
    /// 410: Bitbucket has removed the endpoint.
    #[error("{call}: Bitbucket has removed this endpoint (410{})", change.as_ref().map_or(String::new(), |change| format!(", {change}")))]
    Gone {
        /// The call.
        call: Call,
        /// The number of Atlassian's change notice, as in `CHANGE-2770`.
        change: Option<String>,
    },
    /// 429: too many calls.
    #[error("{call}: Bitbucket asks for a pause (429)")]
    RateLimited {
        /// The call.
        call: Call,
        /// When it makes sense to call again.
        until: Timestamp,
    },
    /// The call was not made: the hour's calls are used up.
    #[error("{call}: not asked, because the calls of this hour are used up")]
    BudgetExhausted {
        /// The call.
        call: Call,
        /// When there will be calls again.
        until: Timestamp,
    },
    /// The call was not made: Bitbucket asked for a pause earlier.
    #[error("{call}: not asked, because Bitbucket asked for a pause")]
    Paused {
        /// The call.
        call: Call,
        /// When the pause ends.
        until: Timestamp,
    },
    /// The call was not made: how many calls are left could not be found out.
    #[error("{call}: not asked, because the call budget could not be read: {why}")]
    BudgetUnavailable {
        /// The call.
        call: Call,
        /// What the budget's keeper says.
        why: String,
    },
    /// 5xx.
    #[error("{call}: Bitbucket has a fault ({status})")]
    Unavailable {
        /// The call.
        call: Call,
        /// The HTTP status.
        status: u16,
    },
    /// Any other status.
    #[error("{call}: Bitbucket answers {status}{}", after(why))]
    Refused {
        /// The call.
        call: Call,
        /// The HTTP status.
        status: u16,
        /// What Bitbucket says.
        why: String,
    },
    /// A redirect, which is never followed.
    #[error("{call}: Bitbucket answers with a redirect, which is not followed")]
    Redirected {
        /// The call.
        call: Call,
    },
    /// No complete answer within the deadline.
    #[error("{call}: no complete answer in time")]
    Timeout {
        /// The call.
        call: Call,
    },
    /// No connection.
    #[error("{call}: Bitbucket cannot be reached")]
    Unreachable {
        /// The call.
        call: Call,
    },
    /// The answer ended before its end.
    #[error("{call}: the answer broke off")]
    Cut {
        /// The call.
        call: Call,
    },
    /// The answer is longer than any honest one.
    #[error("{call}: the answer is longer than {most} bytes")]
    TooLarge {
        /// The call.
        call: Call,
        /// The longest accepted answer, in bytes.
        most: usize,
    },
    /// 200 with something that is not JSON, such as a maintenance page.
    #[error("{call}: the answer is not JSON ({what})")]
    NotJson {
        /// The call.
        call: Call,
        /// What it looks like.
        what: &'static str,
    },
    /// JSON of another shape than Atlassian describes.
    #[error("{call}: the answer has an unexpected form: {why}")]
    Unexpected {
        /// The call.
        call: Call,
        /// What is not as described.
        why: String,
    },
    /// The answer belongs to another workspace.
    #[error("{call}: the answer belongs to another Bitbucket workspace than the one asked for")]
    WrongWorkspace {
        /// The call.
        call: Call,
    },
    /// A page points outside of its own listing.
    #[error("{call}: the next page would be somewhere else, and is not fetched")]
    ForeignNext {
        /// The call.
        call: Call,
    },
    /// Pages point back to pages already read, or skip some.
    #[error("{call}: the pages do not follow one another (page {expected} was due, {found} came)")]
    PagesOutOfOrder {
        /// The call.
        call: Call,
        /// The page that was due.
        expected: u64,
        /// What came instead.
        found: String,
    },
    /// The last page is full, and nothing says that it is the last.
    #[error("{call}: the listing ends with a full page and without saying how long it is")]
    EndUnproven {
        /// The call.
        call: Call,
    },
    /// Every page was read, and they do not add up.
    #[error("{call}: {unproven}")]
    Unproven {
        /// The call.
        call: Call,
        /// What does not add up.
        unproven: Unproven,
    },
    /// A complete listing that cannot be true, such as a workspace without owners.
    #[error("{call}: the listing is complete and cannot be true: {why}")]
    Implausible {
        /// The call.
        call: Call,
        /// Why not.
        why: &'static str,
    },
    /// Entries that could not be understood, where only the whole is of use.
    #[error("{call}: {count} of the entries could not be understood; the first: {first}")]
    Malformed {
        /// The call.
        call: Call,
        /// How many.
        count: usize,
        /// What is wrong with the first.
        first: String,
    },
    /// The token endpoint does not accept the OAuth consumer.
    #[error("{call}: Bitbucket does not accept the OAuth consumer ({code}){}", after(why))]
    ConsumerRefused {
        /// The call.
        call: Call,
        /// The OAuth error code (RFC 6749 §5.2).
        code: String,
        /// What Bitbucket says.
        why: String,
    },
    /// The token endpoint answers `unauthorized_client`: a wrong secret, or a lock that passes by itself.
    #[error("{call}: Bitbucket does not hand out tokens to the OAuth consumer at present")]
    LockedOut {
        /// The call.
        call: Call,
        /// When it is asked again; until then, every call fails with this error at once.
        until: Timestamp,
    },
    /// The authorisation code is unknown, used or expired.
    #[error("{call}: the sign-in took too long or was already used")]
    CodeRefused {
        /// The call.
        call: Call,
    },
}

fn after(why: &str) -> String {
    if why.is_empty() { String::new() } else { format!(": {why}") }
}

fn lacking(missing: &[String]) -> String {
    if missing.is_empty() { String::new() } else { format!(", it lacks the scope {}", missing.join(", ")) }
}

impl Error {
    /// The call that failed.
    pub fn call(&self) -> Call {
        match self {
            Self::Unauthorized { call, .. }
            | Self::Forbidden { call, .. }
            | Self::NotFound { call, .. }
            | Self::Gone { call, .. }
            | Self::RateLimited { call, .. }
            | Self::BudgetExhausted { call, .. }
            | Self::Paused { call, .. }
            | Self::BudgetUnavailable { call, .. }
            | Self::Unavailable { call, .. }
            | Self::Refused { call, .. }
            | Self::Redirected { call }
            | Self::Timeout { call }
            | Self::Unreachable { call }
            | Self::Cut { call }
            | Self::TooLarge { call, .. }
            | Self::NotJson { call, .. }
            | Self::Unexpected { call, .. }
            | Self::WrongWorkspace { call }
            | Self::ForeignNext { call }
            | Self::PagesOutOfOrder { call, .. }
            | Self::EndUnproven { call }
            | Self::Unproven { call, .. }
            | Self::Implausible { call, .. }
            | Self::Malformed { call, .. }
            | Self::ConsumerRefused { call, .. }
            | Self::LockedOut { call, .. }
            | Self::CodeRefused { call } => *call,
        }
    }

    /// Whether the same call may be answered later without anybody doing anything.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::RateLimited { .. }
            | Self::BudgetExhausted { .. }
            | Self::Paused { .. }
            | Self::BudgetUnavailable { .. }
            | Self::Unavailable { .. }
            | Self::Timeout { .. }
            | Self::Unreachable { .. }
            | Self::Cut { .. }
            | Self::NotJson { .. }
            | Self::PagesOutOfOrder { .. }
            | Self::EndUnproven { .. }
            | Self::Unproven { .. }
            | Self::LockedOut { .. } => true,
            Self::Unauthorized { .. }
            | Self::Forbidden { .. }
            | Self::NotFound { .. }
            | Self::Gone { .. }
            | Self::Refused { .. }
            | Self::Redirected { .. }
            | Self::TooLarge { .. }
            | Self::Unexpected { .. }
            | Self::WrongWorkspace { .. }
            | Self::ForeignNext { .. }
            | Self::Implausible { .. }
            | Self::Malformed { .. }
            | Self::ConsumerRefused { .. }
            | Self::CodeRefused { .. } => false,
        }
    }

    /// Whether it makes sense to make the same call again within seconds.
    pub(crate) fn passes_quickly(&self) -> bool {
        matches!(
            self,
            Self::Unavailable { .. } | Self::Timeout { .. } | Self::Unreachable { .. } | Self::Cut { .. }
        )
    }

    /// When it makes sense to ask again, where that is known.
    pub fn wait_until(&self) -> Option<Timestamp> {
        match self {
            Self::RateLimited { until, .. }
            | Self::BudgetExhausted { until, .. }
            | Self::Paused { until, .. }
            | Self::LockedOut { until, .. } => Some(*until),
            _ => None,
        }
    }

    /// A short name of the case, for records and metrics.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unauthorized { .. } => "unauthorized",
            Self::Forbidden { .. } => "forbidden",
            Self::NotFound { .. } => "not_found",
            Self::Gone { .. } => "gone",
            Self::RateLimited { .. } => "rate_limited",
            Self::BudgetExhausted { .. } => "budget_exhausted",
            Self::Paused { .. } => "paused",
            Self::BudgetUnavailable { .. } => "budget_unavailable",
            Self::Unavailable { .. } => "unavailable",
            Self::Refused { .. } => "refused",
            Self::Redirected { .. } => "redirected",
            Self::Timeout { .. } => "timeout",
            Self::Unreachable { .. } => "unreachable",
            Self::Cut { .. } => "cut",
            Self::TooLarge { .. } => "too_large",
            Self::NotJson { .. } => "not_json",
            Self::Unexpected { .. } => "unexpected",
            Self::WrongWorkspace { .. } => "wrong_workspace",
            Self::ForeignNext { .. } => "foreign_next",
            Self::PagesOutOfOrder { .. } => "pages_out_of_order",
            Self::EndUnproven { .. } => "end_unproven",
            Self::Unproven { .. } => "unproven",
            Self::Implausible { .. } => "implausible",
            Self::Malformed { .. } => "malformed",
            Self::ConsumerRefused { .. } => "consumer_refused",
            Self::LockedOut { .. } => "locked_out",
            Self::CodeRefused { .. } => "code_refused",
        }
    }
}

/// A text from outside, cut to one short line of printable characters, so that it can neither forge a log line nor fill a log.
pub(crate) fn line(text: &str) -> String {
    // Besides control characters, those that turn the direction of what follows them.
    let unseen = |c: char| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    let printable = text.chars().map(|c| if unseen(c) { ' ' } else { c }).take(200);
    printable.collect::<String>().split_whitespace().collect::<Vec<_>>().join(" ")
}
