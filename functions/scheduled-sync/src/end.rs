//! The end of a run: coverage, the connection's health, the record, the events, the metrics.

use rollcall_domain::audit::AuditEntry;
use rollcall_domain::connection::Health;
use rollcall_domain::event::{Event, EventKind, about_member};
use rollcall_domain::plan::Lane;
use rollcall_domain::plan::grants::coverages;
use rollcall_domain::plan::members::to_warn;
use rollcall_domain::run::{Lap, Verified};
use rollcall_domain::{AuditId, EventId, MemberId, Timestamp};
use rollcall_service::rfc3339;
use rollcall_store::runs::{RunRecord, RunStatus};
use rollcall_store::{Record, StoreError};
use serde_json::{Value, json};

use crate::run::Run;

/// How often the connection's row is tried to be written against others who change it.
const ATTEMPTS: usize = 4;

impl Run<'_> {
    /// Whether the calls or the time are used up for the lanes that can wait, and why.
    pub(crate) fn is_used_up(&self, session: &rollcall_bitbucket::Session) -> Option<String> {
        if self.is_out_of_time() {
            return Some("the time of this run was used up".to_owned());
        }
        let now = self.engine.now();
        let left = self.state.background.left(self.engine.ports().allowance, now);
        let made = session.budget().spent().saturating_sub(self.spent_before_lane);
        (made >= left).then(|| {
            "the calls of this hour are used up, but for those that the members lane and sign-ins need"
                .to_owned()
        })
    }

    /// The end of a lap: what it proved.
    pub(crate) fn end_lap(&mut self, lap: &Lap) {
        self.coverage_changed = true;
        if lap.has_gaps() {
            let why = "some repositories could not be read in this lap; sign-ins read for themselves";
            self.keep("verified set", why);
        } else {
            self.state.verified = Some(Verified::of(&self.mirror, self.now));
        }
    }

    /// Warns of invited memberships that end soon: the application is told, who tells the person in the words and by the way that it has.
    pub(crate) async fn warn_of_ends(&mut self) -> Result<(), StoreError> {
        if self.only_shows() {
            return Ok(());
        }
        for (member, end) in to_warn(&self.mirror, self.now) {
            self.warn(member, end).await?;
        }
        Ok(())
    }

    async fn warn(&mut self, id: MemberId, end: Timestamp) -> Result<(), StoreError> {
        let store = self.engine.ports().store.clone();
        let workspace = self.connection().workspace;
        let Some(before) = store.member(workspace, id).await? else { return Ok(()) };
        let mut member = before.clone();
        let Some(invite) = member.by_invite.as_mut().filter(|invite| invite.warned_at.is_none()) else {
            return Ok(());
        };
        invite.warned_at = Some(self.now);
        let what = json!({ "ends_at": rfc3339::format(end), "what": "invited membership ends soon" });
        let data = about_member(&member, what.clone());
        let events = vec![self.event(EventKind::MemberUpdated, id.to_string(), data)];
        let entry = AuditEntry {
            id: AuditId::new(self.now, self.engine.random_bytes()),
            workspace: Some(workspace),
            at: self.now,
            actor: self.actor(),
            action: "member.warned".to_owned(),
            target: Some(id.to_string()),
            why: "the invited membership ends soon".to_owned(),
            from: None,
            detail: what,
        };
        match store.update_member(&member, &before, None, Record { audit: vec![entry], events }).await {
            Ok(()) => {
                self.record.written += 1;
                if let Some(known) = self.mirror.members.get_mut(&id) {
                    known.warned = true;
                    known.version += 1;
                }
                Ok(())
            }
            // Somebody has changed the member: the next run warns.
            Err(error) if error.is_conflict() => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn event(&self, kind: EventKind, subject: String, data: Value) -> Event {
        Event {
            id: EventId::new(self.now, self.engine.random_bytes()),
            workspace: self.connection().workspace,
            kind,
            at: self.now,
            subject,
            data,
        }
    }

    /// Writes what the run comes to.
    pub(crate) async fn end(mut self) -> Result<RunRecord, StoreError> {
        let store = self.engine.ports().store.clone();
        if self.coverage_changed && !self.only_shows() {
            let coverages = coverages(&self.mirror);
            let workspace = self.connection().workspace;
            self.record.written += store.write_coverages(workspace, &coverages, &self.lease).await?;
        }
        if !matches!(self.record.status, RunStatus::Superseded | RunStatus::Failed) {
            self.record.status = self.status();
        }
        if self.record.message.is_empty() {
            self.record.message = self.message();
        }
        self.record.ended_at = Some(self.engine.now());
        self.write_health().await?;
        let events = self.events();
        let record = Record { audit: Vec::new(), events };
        store.end_run(&self.record, Some(&self.state), &self.lease, record).await?;
        self.measure();
        Ok(self.record)
    }

    fn status(&self) -> RunStatus {
        if self.only_shows() && self.state.lane(Lane::Members).trouble.is_none() {
            RunStatus::Planned
        } else if !self.record.held.is_empty() {
            RunStatus::Frozen
        } else if self.record.lanes.iter().any(|lane| self.state.lane(*lane).trouble.is_some())
            || self.has_not_read_members()
        {
            RunStatus::Failed
        } else {
            RunStatus::Applied
        }
    }

    /// Whether the lane that notices who has left was due and could not be read: a run without it has not done its work.
    fn has_not_read_members(&self) -> bool {
        let read = self.state.lane(Lane::Members).succeeded_at.is_some_and(|at| at >= self.now);
        !self.later.is_empty() && self.record.lanes.contains(&Lane::Members) && !read
    }

    /// What happened, in a sentence or some.
    fn message(&self) -> String {
        let mut parts = Vec::new();
        let troubles = self.record.lanes.iter().filter_map(|lane| {
            let trouble = self.state.lane(*lane).trouble.as_ref()?;
            Some(format!("The {} lane: {}", lane.as_str(), trouble.why))
        });
        parts.extend(troubles);
        if !self.record.held.is_empty() {
            parts.push(format!(
                "Removals wait for approval: {}. Look at the plan; if it is right, approve it by its hash.",
                self.record.held.join("; ")
            ));
        }
        let changes: usize = self.record.changes.values().sum();
        parts.push(match (self.only_shows(), changes) {
            (true, 1) => "1 change would be made.".to_owned(),
            (true, n) => format!("{n} changes would be made."),
            (false, 0) if self.has_not_read_members() => {
                "It could not be read who is in the workspace.".to_owned()
            }
            (false, 0) => "Nothing has changed.".to_owned(),
            (false, 1) => "1 change was made.".to_owned(),
            (false, n) => format!("{n} changes were made."),
        });
        if !self.later.is_empty() {
            parts.push(format!("The rest goes on at a later tick: {}.", self.later.join("; ")));
        }
        parts.join(" ")
    }

    fn events(&self) -> Vec<Event> {
        let run = self.record.id.to_string();
        let mut events = Vec::new();
        for frozen in &self.newly_frozen {
            let data = json!({
                "run": run, "plan_hash": frozen.hash, "removals": frozen.removals, "why": frozen.line(),
            });
            events.push(self.event(EventKind::SyncFrozen, run.clone(), data));
        }
        for (lane, why) in &self.newly_failed {
            let data = json!({ "run": run, "lane": lane, "why": why });
            events.push(self.event(EventKind::SyncFailed, run.clone(), data));
        }
        if self.record.status == RunStatus::Applied && self.record.written > 0 {
            let data = json!({ "run": run, "changes": self.record.changes });
            events.push(self.event(EventKind::SyncCompleted, run, data));
        }
        events
    }

    /// Writes the connection's health where it has changed. Somebody may be changing its settings: those are never overwritten.
    async fn write_health(&mut self) -> Result<(), StoreError> {
        let store = self.engine.ports().store.clone();
        for _ in 0..ATTEMPTS {
            let before = self.connected.connection.health.clone();
            let health = self.state.health(&before);
            if health == before && !self.connection_changed {
                return Ok(());
            }
            self.connected.connection.health = health;
            match store.update_connection(&self.connected, Record::default()).await {
                Ok(()) => return Ok(()),
                Err(error) if error.is_conflict() => {
                    let Some(fresh) = store.connection(self.connected.connection.workspace).await? else {
                        return Ok(());
                    };
                    let (slug, name) =
                        (self.connected.connection.slug.clone(), self.connected.connection.name.clone());
                    self.connected = fresh;
                    let of_the_same = self.connected.connection.bitbucket;
                    tracing::info!(%of_the_same, "the connection was changed meanwhile");
                    (self.connected.connection.slug, self.connected.connection.name) = (slug, name);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn measure(&self) {
        let metrics = &self.engine.ports().metrics;
        let (workspace, run) = (self.connection().workspace.to_string(), self.record.id.to_string());
        let frozen = u64::from(!self.state.frozen.is_empty());
        let broken = u64::from(matches!(self.connection().health, Health::Broken { .. }));
        let last_good = self.state.members.succeeded_at.unwrap_or(self.connection().created_at);
        metrics
            .record()
            .property("workspace", workspace.clone())
            .property("run", run.clone())
            .count("Runs", 1)
            .count("Calls", self.record.calls)
            .count("Written", self.record.written as u64)
            .count("Removals", self.removals as u64)
            .count("Frozen", frozen)
            .count("Broken", broken)
            .duration("SuccessAge", self.engine.now().since(last_good))
            .duration("RunDuration", self.stopwatch.elapsed())
            .write();
        tracing::info!(
            status = ?self.record.status,
            calls = self.record.calls,
            written = self.record.written,
            removals = self.removals,
            told = self.record.message,
            "a run has ended"
        );
    }
}
