//! Confirming leavers: a listing that lacks somebody is not enough to shut them out.
//!
//! Each of them is asked for by name, and who is still found, or of whom nothing certain is heard, stays as they were. What is
//! learned is the evidence that the run's record keeps.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{Change, Kept, Plan};
use crate::MemberId;
use crate::bitbucket::{AccountUuid, RepositorySlug, RepositoryUuid};
use crate::member::SuspensionReason;

/// What has to be asked before a plan may be applied.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Questions {
    /// Whether each of these is a member of the Bitbucket workspace, members of the application first.
    pub presence: Vec<AccountUuid>,
    /// Whether each of these accounts is in use.
    pub in_use: Vec<AccountUuid>,
    /// Whether each of these repositories is still there.
    pub repositories: Vec<RepositoryUuid>,
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
        let replaced = taken_slugs(plan);
        questions.repositories.extend(plan.changes.iter().filter_map(|change| match change {
            Change::RemoveRepository { repository } if !replaced.contains(&repository.slug) => {
                Some(repository.uuid)
            }
            _ => None,
        }));
        questions
    }
}

/// The slugs that the plan gives to repositories. Whatever had one of them before cannot be asked for by it, and cannot be there.
fn taken_slugs(plan: &Plan) -> BTreeSet<RepositorySlug> {
    let taken = plan.changes.iter().filter_map(|change| match change {
        Change::AddRepository { repository } => Some(repository.slug.clone()),
        Change::UpdateRepository { before, after } if before.slug != after.slug => Some(after.slug.clone()),
        _ => None,
    });
    taken.collect()
}

/// What Bitbucket said of those and that which was asked for by name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Answers {
    /// Of accounts.
    pub people: BTreeMap<AccountUuid, Answer>,
    /// Of repositories.
    pub repositories: BTreeMap<RepositoryUuid, Answer>,
}

/// What Bitbucket said of somebody, or of a repository, that was asked for by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub enum Answer {
    /// No such member, while the same credential still finds another one; no such repository.
    Gone,
    /// A member; a repository that is there.
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

/// Keeps back every removal of somebody whose absence or inactivity was not confirmed, and of every repository that may be there.
pub fn confirm(mut plan: Plan, answers: &Answers) -> Confirmed {
    let mut evidence = Vec::new();
    let mut kept = keep_repositories(&mut plan, answers);
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
        let answer = answers.people.get(&account);
        if answer == Some(&needed) {
            evidence.push(Evidence { member, account, answer: needed });
            return true;
        }
        kept.push(Kept::new(change.to_string(), why_kept(answer)));
        false
    });
    plan.kept.extend(kept);
    Confirmed { plan, evidence }
}

fn why_kept(answer: Option<&Answer>) -> String {
    match answer {
        Some(Answer::Present) => "asked for by name, it is still there".to_owned(),
        Some(Answer::InUse) => "asked for by name, the account is in use".to_owned(),
        Some(Answer::Unknown { why }) => why.clone(),
        Some(Answer::Gone | Answer::Inactive) | None => {
            "it could not be asked for by name in this run".to_owned()
        }
    }
}

/// Keeps repositories that may be there, with what teams are responsible for in them.
fn keep_repositories(plan: &mut Plan, answers: &Answers) -> Vec<Kept> {
    let asked: BTreeSet<RepositoryUuid> = Questions::of(plan).repositories.into_iter().collect();
    let is_kept =
        |uuid: &RepositoryUuid| asked.contains(uuid) && answers.repositories.get(uuid) != Some(&Answer::Gone);
    let mut kept = Vec::new();
    plan.changes.retain(|change| match change {
        Change::RemoveRepository { repository } if is_kept(&repository.uuid) => {
            let answer = answers.repositories.get(&repository.uuid);
            kept.push(Kept::new(change.to_string(), why_kept(answer)));
            false
        }
        Change::SetResponsibility { repository, after: None, follows: true, .. } => !is_kept(repository),
        _ => true,
    });
    kept
}
