//! From a plan to the table: guard → confirm → apply.

use std::collections::BTreeMap;

use futures_util::future::join_all;
use rollcall_bitbucket::{AccountStatus, BitbucketWorkspace, Error, Presence, Session};
use rollcall_domain::bitbucket::{AccountUuid, RepositoryUuid};
use rollcall_domain::plan::confirm::{Answer, Answers, Confirmed, Evidence, Questions, confirm};
use rollcall_domain::plan::guard::{Held, Limits, done, judge};
use rollcall_domain::plan::{Change, Kept, Plan};
use rollcall_domain::run::{Begun, Frozen, Release, release};
use rollcall_domain::{MemberId, RunId};
use rollcall_store::runs::RunStatus;
use rollcall_store::{Context, Record, StoreError};
use serde_json::Value;

use crate::run::Run;

/// People asked for by name at once, so that the deadline is looked at in between.
const ASKED_AT_ONCE: usize = 40;

/// Whom to ask whether somebody is gone.
pub(crate) struct Witness<'s> {
    pub(crate) session: &'s Session,
    pub(crate) workspace: &'s BitbucketWorkspace,
    /// Somebody who is known to be a member.
    pub(crate) member: Option<AccountUuid>,
}

/// How far a plan was carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Carried {
    /// To its end, but for what was kept back.
    Out,
    /// Until the deadline came near.
    Partly,
}

impl Run<'_> {
    /// Carries a plan out, as far as it may be. `whole` says that the plan has everything its lane knows of: if it removes nothing,
    /// nothing waits for approval any more.
    pub(crate) async fn carry_out(
        &mut self,
        plan: Plan,
        witness: &Witness<'_>,
        whole: bool,
    ) -> Result<Carried, StoreError> {
        let lane = plan.lane;
        self.record.kept.extend(plan.kept.iter().cloned());
        let (rest, removals) = plan.clone().part_removals();
        if removals.is_empty() {
            if whole {
                self.state.frozen.remove(&lane);
                self.state.undone.remove(&lane);
            }
            self.keep_plan(&rest).await?;
            return self.write(rest, Vec::new(), false).await;
        }
        let limits = Limits {
            caps: self.connection().settings.caps,
            removals_off: self.connection().settings.removals_off,
            recent: &self.state.recent,
            undone: self.state.undone.contains(&lane),
            now: self.now,
        };
        let verdict = judge(&self.mirror, &removals, &limits);
        match release(verdict, &removals, self.approved()) {
            Release::Hold { why, approval_void } => {
                self.hold(&removals, why, approval_void).await?;
                self.write(rest, Vec::new(), false).await
            }
            released => {
                let approved = released == Release::Approved;
                let answers = self.ask(&plan, witness).await;
                let Confirmed { plan, evidence } = confirm(plan, &answers);
                let unconfirmed: Vec<Kept> = plan.kept.iter().skip(rest.kept.len()).cloned().collect();
                self.record.kept.extend(unconfirmed);
                if whole || approved {
                    self.state.frozen.remove(&lane);
                }
                if approved {
                    self.state.undone.remove(&lane);
                }
                self.keep_plan(&plan).await?;
                self.write(plan, evidence, approved).await
            }
        }
    }

    /// Notes that removals wait. The plan is kept once, with the run that shows it first.
    async fn hold(&mut self, removals: &Plan, why: Vec<Held>, approval_void: bool) -> Result<(), StoreError> {
        if approval_void {
            let why =
                "the plan has changed since it was approved; it waits for an approval of what is shown now";
            self.keep("approval", why);
        }
        self.freeze(removals, why).await
    }

    pub(crate) async fn freeze(&mut self, shown: &Plan, why: Vec<Held>) -> Result<(), StoreError> {
        let hash = shown.hash();
        let known = self.state.frozen.get(&shown.lane).filter(|frozen| frozen.hash == hash);
        let frozen = if let Some(known) = known {
            Frozen { why, ..known.clone() }
        } else {
            self.keep_plan(shown).await?;
            let (run, removals) = (self.record.id, shown.changes.len());
            let frozen = Frozen { hash: hash.clone(), run, since: self.now, removals, why };
            self.newly_frozen.push(frozen.clone());
            frozen
        };
        for why in frozen.why.iter().map(ToString::to_string) {
            if !self.record.held.contains(&why) {
                self.record.held.push(why);
            }
        }
        self.record.plan_hash.get_or_insert(hash);
        self.state.frozen.insert(shown.lane, frozen);
        Ok(())
    }

    /// Asks for each leaver by name. Whoever is not asked, or of whom nothing certain is heard, is not in the answer as gone.
    async fn ask(&mut self, plan: &Plan, witness: &Witness<'_>) -> Answers {
        let questions = Questions::of(plan);
        let repositories = self.ask_repositories(&questions.repositories, witness).await;
        let mut answers = BTreeMap::new();
        for chunk in questions.presence.chunks(ASKED_AT_ONCE) {
            if self.is_out_of_time() {
                break;
            }
            let unknown =
                |why: String| chunk.iter().map(move |uuid| (*uuid, Answer::Unknown { why: why.clone() }));
            let Some(member) = witness.member else {
                answers.extend(unknown(
                    "nobody is known to be a member, so that not being found proves nothing".into(),
                ));
                continue;
            };
            match witness.session.presence(witness.workspace, chunk.iter().copied(), member).await {
                Ok(found) => answers.extend(found.into_iter().map(|(uuid, found)| match found {
                    Ok(Presence::Gone) => (uuid, Answer::Gone),
                    Ok(Presence::Member(_)) => (uuid, Answer::Present),
                    Err(error) => (uuid, Answer::Unknown { why: error.to_string() }),
                })),
                Err(error) => answers.extend(unknown(error.to_string())),
            }
        }
        for chunk in questions.in_use.chunks(ASKED_AT_ONCE) {
            if self.is_out_of_time() {
                break;
            }
            let asked =
                chunk.iter().map(|uuid| async { (*uuid, witness.session.account_status(*uuid).await) });
            answers.extend(join_all(asked).await.into_iter().map(|(uuid, status)| match status {
                Ok(AccountStatus::Inactive) => (uuid, Answer::Inactive),
                Ok(AccountStatus::Active) => (uuid, Answer::InUse),
                Ok(AccountStatus::Unclear(said)) => (
                    uuid,
                    Answer::Unknown {
                        why: format!("Bitbucket says \"{said}\" of the account, which proves nothing"),
                    },
                ),
                Err(error) => (uuid, Answer::Unknown { why: error.to_string() }),
            }));
        }
        Answers { people: answers, repositories }
    }

    /// Asks for repositories that are not listed any more. What one grants can be read only of one that is there.
    async fn ask_repositories(
        &self,
        asked: &[RepositoryUuid],
        witness: &Witness<'_>,
    ) -> BTreeMap<RepositoryUuid, Answer> {
        let mut answers = BTreeMap::new();
        for chunk in asked.chunks(ASKED_AT_ONCE) {
            if self.is_out_of_time() {
                break;
            }
            let repositories = chunk.iter().filter_map(|uuid| crate::grants::listed(&self.mirror, *uuid));
            let found = witness.session.group_grants_of_repositories(witness.workspace, repositories).await;
            answers.extend(found.into_iter().map(|(uuid, found)| match found {
                Err(Error::NotFound { .. }) => (uuid, Answer::Gone),
                Ok(_) => (uuid, Answer::Present),
                Err(error) => (uuid, Answer::Unknown { why: error.to_string() }),
            }));
        }
        answers
    }

    /// What a run that broke off had removed counts towards the caps too.
    pub(crate) async fn take_up_begun(&mut self) -> Result<(), StoreError> {
        let Some(begun) = self.state.begun.take() else { return Ok(()) };
        let store = &self.engine.ports().store;
        let plan = store.plan(self.connection().workspace, begun.run, begun.lane).await?;
        if let Some(plan) = plan.filter(|_| !begun.approved) {
            self.state.recent.note(done(&self.mirror, begun.run, &plan), self.now);
        }
        Ok(())
    }

    /// Writes a plan's changes.
    pub(crate) async fn write(
        &mut self,
        plan: Plan,
        evidence: Vec<Evidence>,
        approved: bool,
    ) -> Result<Carried, StoreError> {
        if plan.is_empty() {
            return Ok(Carried::Out);
        }
        let store = &self.engine.ports().store;
        let (workspace, run) = (self.connection().workspace, self.record.id);
        let removals = plan.changes.iter().filter(|change| change.removal().is_some()).count();
        if removals > 0 {
            // Where this run breaks off, the next one finds out how far it came, for the caps.
            self.state.begun = Some(Begun { run, lane: plan.lane, approved });
            self.record.status = RunStatus::Running;
            store.end_run(&self.record, Some(&self.state), &self.lease, Record::default()).await?;
        }
        let of_members = evidence_of_members(&plan, &evidence, run);
        self.record
            .evidence
            .extend(evidence.iter().filter_map(|evidence| serde_json::to_value(evidence).ok()));
        let engine = self.engine;
        let random = move || engine.random_bytes();
        let clock = move || engine.now();
        let context = Context {
            workspace,
            run,
            actor: self.actor(),
            now: engine.now(),
            clock: &clock,
            random: &random,
            evidence: &of_members,
        };
        let deadline = self.deadline;
        let mut is_out_of_time = move || deadline.minus(crate::run::STOP_BEFORE).has_passed(engine.now());
        let applied =
            store.apply(&mut self.mirror, &plan.changes, &self.lease, &context, &mut is_out_of_time).await?;
        self.record.written += applied.written;
        self.coverage_changed |= applied.changes > 0;
        self.count(plan.changes.iter().take(applied.changes));
        for (member, why) in &applied.passed_over {
            self.keep(format!("member {member}"), *why);
        }
        let done: Vec<&Change> = plan.changes.iter().take(applied.changes).collect();
        if !approved {
            self.state.recent.note(done.iter().copied(), self.now);
        }
        self.state.begun = None;
        self.removals += done.iter().filter(|change| change.removal().is_some()).count();
        Ok(if applied.changes < plan.changes.len() { Carried::Partly } else { Carried::Out })
    }
}

/// What the audit trail says of each suspension: on what it rests.
fn evidence_of_members(plan: &Plan, evidence: &[Evidence], run: RunId) -> BTreeMap<MemberId, Value> {
    let by_member: BTreeMap<MemberId, &Evidence> =
        evidence.iter().filter_map(|evidence| Some((evidence.member?, evidence))).collect();
    let suspended = plan.changes.iter().filter_map(|change| match change {
        Change::SuspendMember { member, .. } => Some(*member),
        _ => None,
    });
    suspended
        .map(|member| {
            let asked = by_member.get(&member).and_then(|evidence| serde_json::to_value(evidence).ok());
            (member, serde_json::json!({ "run": run, "lane": plan.lane, "asked_by_name": asked }))
        })
        .collect()
}
