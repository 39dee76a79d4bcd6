//! Confirming leavers: a listing that lacks somebody is not enough to shut them out.
//!
//! Each of them is asked for by name, and who is still found, or of whom nothing certain is heard, stays as they were. What is
//! learned is the evidence that the run's record keeps.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{Change, Kept, Plan};
use crate::MemberId;
use crate::bitbucket::AccountUuid;
use crate::member::SuspensionReason;

/// What has to be asked before a plan may be applied.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Questions {
    /// Whether each of these is a member of the Bitbucket workspace, members of the application first.
    pub presence: Vec<AccountUuid>,
    /// Whether each of these accounts is in use.
    pub in_use: Vec<AccountUuid>,
}

impl Questions {
    /// What a plan's removals ask for.
    pub fn of(plan: &Plan) -> Self {
        let mut questions = Self::default();
        let mut asked = BTreeSet::new();
        let gone = |change: &Change| match change {
            Change::SuspendMember { account, reason: SuspensionReason::LeftWorkspace, .. } => *account,
            _ => None,
        };
        let removed = |change: &Change| match change {
            Change::RemovePerson { person } => Some(person.uuid),
            _ => None,
        };
        let members = plan.changes.iter().filter_map(gone);
        let people = plan.changes.iter().filter_map(removed);
        questions.presence.extend(members.chain(people).filter(|uuid| asked.insert(*uuid)));
        questions.in_use.extend(plan.changes.iter().filter_map(|change| match change {
            Change::SuspendMember { account, reason: SuspensionReason::Inactive, .. } => *account,
            _ => None,
        }));
        questions
    }
}

/// What Bitbucket said of somebody who was asked for by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub enum Answer {
    /// No such member, while the same credential still finds another one.
    Gone,
    /// A member.
    Present,
    /// The account is not in use.
    Inactive,
    /// The account is in use.
    InUse,
    /// Nothing certain.
    Unknown {
        /// Why not.
        why: String,
    },
}

/// On what a removal rests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// The member who is shut out, where it is about one.
    pub member: Option<MemberId>,
    /// The account.
    pub account: AccountUuid,
    /// What Bitbucket answered when asked by name.
    pub answer: Answer,
}

/// A plan of which every leaver was asked for, and what the answers were.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Confirmed {
    /// What may be applied.
    pub plan: Plan,
    /// On what its removals of people and members rest.
    pub evidence: Vec<Evidence>,
}

/// Keeps back every removal of somebody whose absence or inactivity was not confirmed.
pub fn confirm(mut plan: Plan, answers: &BTreeMap<AccountUuid, Answer>) -> Confirmed {
    let mut evidence = Vec::new();
    let mut kept = Vec::new();
    plan.changes.retain(|change| {
        let (member, account, needed) = match change {
            Change::SuspendMember { member, account, reason } => match reason {
                SuspensionReason::LeftWorkspace => (Some(*member), *account, Answer::Gone),
                SuspensionReason::Inactive => (Some(*member), *account, Answer::Inactive),
                _ => return true,
            },
            Change::RemovePerson { person } => (None, Some(person.uuid), Answer::Gone),
            _ => return true,
        };
        let Some(account) = account else { return false };
        let answer = answers.get(&account).cloned();
        let why = match &answer {
            Some(answer) if *answer == needed => {
                evidence.push(Evidence { member, account, answer: needed });
                return true;
            }
            Some(Answer::Present) => "asked for by name, they are in the workspace".to_owned(),
            Some(Answer::InUse) => "asked for by name, the account is in use".to_owned(),
            Some(Answer::Unknown { why }) => why.clone(),
            Some(Answer::Gone | Answer::Inactive) | None => {
                "they could not be asked for by name in this run".to_owned()
            }
        };
        kept.push(Kept::new(change.to_string(), why));
        false
    });
    plan.kept.extend(kept);
    Confirmed { plan, evidence }
}
