//! How many calls may be made in any hour, and who of those who make them goes first.
//!
//! Bitbucket allows a credential so many calls in a rolling hour and tells most callers neither how many nor how many are left.
//! So they are counted here, by the minute in which they may be made. Whoever wants to call takes a [`Chunk`] of calls that is
//! good for the present minute only: what it does not use in that minute is lost or given back, and so the book never has to know
//! when exactly a call was made.

use core::time::Duration;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::Timestamp;

/// What a call is made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// Somebody waits in front of a browser.
    SignIn,
    /// A sync run, which can go on later.
    Sync,
}

/// How many calls a credential may make in any hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Allowance {
    limit: u32,
    reserved: u32,
    kept_for_sync: u32,
}

impl Allowance {
    /// At most `limit` calls (at least one) in any hour, of which `reserved` are kept for sign-ins and as many for the sync: at most
    /// half of them each. Neither can be shut out: not those who wait in front of a browser by a large workspace, and not the sync,
    /// which notices who has left, by somebody who signs in again and again.
    pub const fn new(limit: u32, reserved: u32) -> Self {
        let limit = if limit == 0 { 1 } else { limit };
        let most = limit / 2;
        let reserved = if reserved > most { most } else { reserved };
        Self { limit, reserved, kept_for_sync: reserved }
    }

    /// The same number of calls for a credential that no sync uses.
    #[must_use]
    pub const fn for_sign_ins_only(self) -> Self {
        Self { kept_for_sync: 0, ..self }
    }

    /// Calls in any hour.
    pub const fn limit(self) -> u32 {
        self.limit
    }

    /// Calls of these that only sign-ins may make, and, where a sync uses the credential, as many that only the sync may make.
    pub const fn reserved(self) -> u32 {
        self.reserved
    }
}

impl Default for Allowance {
    /// Bitbucket's 1,000 calls an hour less a margin for calls that others make with the same credential, a quarter of it kept
    /// for sign-ins (<https://support.atlassian.com/bitbucket-cloud/docs/api-request-limits/>).
    fn default() -> Self {
        Self::new(960, 240)
    }
}

/// Calls that may be made, in one minute only. It cannot be copied: each of its calls is made once or given back once.
#[derive(Debug, PartialEq, Eq)]
pub struct Chunk {
    purpose: Purpose,
    minute: i64,
    calls: u32,
}

impl Chunk {
    /// Takes one call out, if there is one and its minute has not passed.
    pub fn take_one(&mut self, now: Timestamp) -> bool {
        let may = self.left(now) > 0;
        if may {
            self.calls -= 1;
        }
        may
    }

    /// Calls that may still be made at `now`.
    pub fn left(&self, now: Timestamp) -> u32 {
        if minute_of(now) == self.minute { self.calls } else { 0 }
    }
}

/// Why no call may be made now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wait {
    /// When it makes sense to ask again.
    pub until: Timestamp,
    /// What has to pass until then.
    pub why: WaitFor,
}

/// What has to pass before calls may be made again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WaitFor {
    /// The hour's calls are used up.
    Allowance,
    /// Bitbucket asked for a pause.
    Pause,
}

/// Calls taken in one minute.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Slot {
    sign_in: u32,
    sync: u32,
}

impl Slot {
    fn of(&mut self, purpose: Purpose) -> &mut u32 {
        match purpose {
            Purpose::SignIn => &mut self.sign_in,
            Purpose::Sync => &mut self.sync,
        }
    }
}

/// Minutes for which a slot counts after it began: its own, the hour, and one for clocks that differ and calls under way.
const SLOT_COUNTS_FOR: i64 = 62;

/// The calls of the last hour, minute by minute, and the pauses that Bitbucket asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallBook {
    slots: BTreeMap<i64, Slot>,
    paused_until: Option<Timestamp>,
    sync_paused_until: Option<Timestamp>,
}

impl CallBook {
    /// Takes up to `wanted` calls, at least one, or says when to ask again.
    pub fn take(
        &mut self,
        allowance: Allowance,
        purpose: Purpose,
        wanted: u32,
        now: Timestamp,
    ) -> Result<Chunk, Wait> {
        let pause = match purpose {
            Purpose::SignIn => self.paused_until,
            Purpose::Sync => self.paused_until.max(self.sync_paused_until),
        };
        if let Some(until) = pause.filter(|until| !until.has_passed(now)) {
            return Err(Wait { until, why: WaitFor::Pause });
        }
        let minute = minute_of(now);
        self.slots.retain(|slot, _| minute - slot < SLOT_COUNTS_FOR);
        let calls = self.available(allowance, purpose, minute).min(wanted.max(1));
        if calls == 0 {
            return Err(Wait { until: self.available_from(allowance, purpose), why: WaitFor::Allowance });
        }
        *self.slots.entry(minute).or_default().of(purpose) += calls;
        Ok(Chunk { purpose, minute, calls })
    }

    /// Takes back what a chunk still holds, whose owner must not use it any more. Calls of an earlier minute are taken back too:
    /// they were not made.
    pub fn give_back(&mut self, chunk: &Chunk) {
        if let Some(slot) = self.slots.get_mut(&chunk.minute) {
            let taken = slot.of(chunk.purpose);
            *taken = taken.saturating_sub(chunk.calls);
        }
    }

    /// Lets nobody call until then. A pause that lasts longer stays.
    pub fn pause(&mut self, until: Timestamp) {
        self.paused_until = self.paused_until.max(Some(until));
    }

    /// Lets only sign-ins call until then. A pause that lasts longer stays.
    pub fn pause_sync(&mut self, until: Timestamp) {
        self.sync_paused_until = self.sync_paused_until.max(Some(until));
    }

    /// Calls that a purpose may make at `now`, pauses aside.
    pub fn left(&self, allowance: Allowance, purpose: Purpose, now: Timestamp) -> u32 {
        self.available(allowance, purpose, minute_of(now))
    }

    /// When the book says nothing any more and may be thrown away.
    pub fn expires(&self) -> Timestamp {
        let slots = self.slots.last_key_value().map(|(minute, _)| moment_of(minute + SLOT_COUNTS_FOR));
        slots.max(self.paused_until).max(self.sync_paused_until).unwrap_or(Timestamp::EPOCH)
    }

    fn available(&self, allowance: Allowance, purpose: Purpose, minute: i64) -> u32 {
        let counting = self.slots.range(minute.saturating_sub(SLOT_COUNTS_FOR - 1)..);
        let (sign_in, sync) = counting.fold((0_u32, 0_u32), |(sign_in, sync), (_, slot)| {
            (sign_in.saturating_add(slot.sign_in), sync.saturating_add(slot.sync))
        });
        let (ours, kept) = match purpose {
            Purpose::SignIn => (sign_in, sync.max(allowance.kept_for_sync)),
            Purpose::Sync => (sync, sign_in.max(allowance.reserved)),
        };
        allowance.limit.saturating_sub(ours).saturating_sub(kept)
    }

    fn available_from(&self, allowance: Allowance, purpose: Purpose) -> Timestamp {
        let mut frees = self.slots.keys().map(|slot| slot + SLOT_COUNTS_FOR);
        let minute = frees.find(|minute| self.available(allowance, purpose, *minute) > 0);
        // All slots together hold more than is kept for the other purpose, so that one of them frees something.
        minute.map_or_else(|| self.expires(), moment_of)
    }
}

fn minute_of(moment: Timestamp) -> i64 {
    moment.as_seconds().div_euclid(60)
}

fn moment_of(minute: i64) -> Timestamp {
    Timestamp::EPOCH.plus(Duration::from_secs(u64::try_from(minute).unwrap_or(0).saturating_mul(60)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HOUR: i64 = 3_600_000;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(1_700_000_000_000 + millis)
    }

    /// What somebody does: waits, takes a chunk, and uses some of it so many milliseconds later.
    #[derive(Debug, Clone)]
    struct Step {
        pause: i64,
        purpose: Purpose,
        wanted: u32,
        use_after: Vec<i64>,
        give_back: bool,
    }

    fn step() -> impl Strategy<Value = Step> {
        let purpose = prop_oneof![Just(Purpose::SignIn), Just(Purpose::Sync)];
        (0_i64..400_000, purpose, 1_u32..30, prop::collection::vec(0_i64..80_000, 0..30), any::<bool>())
            .prop_map(|(pause, purpose, wanted, mut use_after, give_back)| {
                use_after.sort_unstable();
                Step { pause, purpose, wanted, use_after, give_back }
            })
    }

    proptest! {
        #[test]
        fn no_hour_ever_sees_more_calls_than_allowed(
            limit in 1_u32..120, reserved in 0_u32..60, steps in prop::collection::vec(step(), 1..120),
        ) {
            let allowance = Allowance::new(limit, reserved);
            let mut book = CallBook::default();
            let mut calls: Vec<i64> = Vec::new();
            let mut now = 0;
            for step in steps {
                now += step.pause;
                let Ok(mut chunk) = book.take(allowance, step.purpose, step.wanted, at(now)) else { continue };
                for after in step.use_after {
                    if chunk.take_one(at(now + after)) {
                        calls.push(now + after);
                    }
                }
                if step.give_back {
                    book.give_back(&chunk);
                }
            }
            calls.sort_unstable();
            for (from, first) in calls.iter().enumerate() {
                let within = calls[from..].iter().take_while(|call| **call < first + HOUR).count();
                prop_assert!(within <= limit as usize, "{within} calls in the hour from {first}");
            }
        }

        #[test]
        fn whoever_is_told_to_wait_gets_something_at_that_moment(
            limit in 1_u32..50, reserved in 0_u32..30, steps in prop::collection::vec(step(), 1..80),
        ) {
            let allowance = Allowance::new(limit, reserved);
            let mut book = CallBook::default();
            let mut now = 0;
            for step in steps {
                now += step.pause / 20;
                if let Err(wait) = book.take(allowance, step.purpose, step.wanted, at(now)) {
                    prop_assert!(wait.until > at(now));
                    prop_assert!(book.clone().take(allowance, step.purpose, 1, wait.until).is_ok());
                }
            }
        }

        #[test]
        fn neither_purpose_takes_what_is_kept_for_the_other(limit in 2_u32..200, reserved in 0_u32..200) {
            let allowance = Allowance::new(limit, reserved);
            for (greedy, other) in [(Purpose::Sync, Purpose::SignIn), (Purpose::SignIn, Purpose::Sync)] {
                let mut book = CallBook::default();
                while book.take(allowance, greedy, 7, at(0)).is_ok() {}
                prop_assert_eq!(book.left(allowance, other, at(0)), allowance.reserved());
            }
            let mut book = CallBook::default();
            while book.take(allowance.for_sign_ins_only(), Purpose::SignIn, 7, at(0)).is_ok() {}
            prop_assert_eq!(book.left(allowance, Purpose::Sync, at(0)), 0);
        }
    }

    #[test]
    fn a_chunk_is_worth_nothing_once_its_minute_has_passed() {
        let mut book = CallBook::default();
        let start = Timestamp::from_seconds(60);
        let mut chunk = book.take(Allowance::new(10, 0), Purpose::Sync, 5, start).unwrap();
        assert!(chunk.take_one(Timestamp::from_seconds(119)));
        assert!(!chunk.take_one(Timestamp::from_seconds(120)));
    }

    #[test]
    fn what_is_given_back_can_be_taken_again() {
        let allowance = Allowance::new(10, 0);
        let mut book = CallBook::default();
        let mut chunk = book.take(allowance, Purpose::SignIn, 10, at(0)).unwrap();
        assert!(chunk.take_one(at(0)));
        book.give_back(&chunk);
        assert_eq!(book.left(allowance, Purpose::Sync, at(0)), 9);
    }

    #[test]
    fn a_pause_holds_everybody_and_a_sync_pause_holds_only_the_sync() {
        let allowance = Allowance::new(10, 5);
        let mut book = CallBook::default();
        book.pause_sync(at(1000));
        assert!(book.take(allowance, Purpose::SignIn, 1, at(0)).is_ok());
        let wait = Wait { until: at(1000), why: WaitFor::Pause };
        assert_eq!(book.take(allowance, Purpose::Sync, 1, at(0)), Err(wait));
        book.pause(at(500));
        book.pause(at(200));
        assert_eq!(book.take(allowance, Purpose::SignIn, 1, at(499)).unwrap_err().until, at(500));
        assert!(book.take(allowance, Purpose::SignIn, 1, at(500)).is_ok());
    }

    #[test]
    fn a_book_without_entries_has_expired_and_a_full_one_keeps_its_hour() {
        assert_eq!(CallBook::default().expires(), Timestamp::EPOCH);
        let mut book = CallBook::default();
        book.take(Allowance::new(1, 0), Purpose::Sync, 1, at(0)).unwrap();
        assert!(book.expires() >= at(HOUR));
    }
}
