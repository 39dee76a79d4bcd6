//! The call budget: how many calls a credential may still make in this hour, shared by all that use the credential.
//!
//! A [`BudgetLedger`] keeps the book ([`rollcall_domain::budget::CallBook`]): in memory, or in a table that several processes
//! share. A [`CallBudget`] takes calls from it in chunks, so that counting costs the table one write for many calls.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use futures_util::future::BoxFuture;
use rollcall_domain::Timestamp;
use rollcall_domain::budget::{Allowance, CallBook, Chunk, Purpose, Wait, WaitFor};
use thiserror::Error;
use tokio::sync::Mutex;

use crate::call::Call;
use crate::error::Error;
use crate::session::Clock;

/// The book could not be read or written.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct LedgerError(pub String);

/// Why a ledger gave no calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// There are none now.
    Wait(Wait),
    /// Not known: the book could not be read or written. Nothing may be called then.
    Unavailable(LedgerError),
}

/// A pause that Bitbucket asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pause {
    /// For everybody who uses the credential.
    Everybody(Timestamp),
    /// For syncs only: few calls are left, and sign-ins may have them.
    Syncs(Timestamp),
}

/// Keeps the book of one credential. All who use the credential, in whatever process, must use the same book.
pub trait BudgetLedger: Send + Sync {
    /// Takes up to `wanted` calls, at least one.
    fn take(&self, purpose: Purpose, wanted: u32, now: Timestamp) -> BoxFuture<'_, Result<Chunk, Refusal>>;

    /// Gives back what was not used.
    fn give_back(&self, chunk: Chunk, now: Timestamp) -> BoxFuture<'_, Result<(), LedgerError>>;

    /// Records a pause.
    fn pause(&self, pause: Pause, now: Timestamp) -> BoxFuture<'_, Result<(), LedgerError>>;
}

/// A book in memory, for a single process and for tests.
pub struct MemoryLedger {
    allowance: Allowance,
    book: std::sync::Mutex<CallBook>,
}

impl MemoryLedger {
    /// An empty book.
    pub fn new(allowance: Allowance) -> Self {
        Self { allowance, book: std::sync::Mutex::new(CallBook::default()) }
    }

    fn with<T>(&self, act: impl FnOnce(&mut CallBook) -> T) -> T {
        act(&mut self.book.lock().unwrap_or_else(std::sync::PoisonError::into_inner))
    }
}

impl BudgetLedger for MemoryLedger {
    fn take(&self, purpose: Purpose, wanted: u32, now: Timestamp) -> BoxFuture<'_, Result<Chunk, Refusal>> {
        let taken = self.with(|book| book.take(self.allowance, purpose, wanted, now));
        Box::pin(async move { taken.map_err(Refusal::Wait) })
    }

    fn give_back(&self, chunk: Chunk, _: Timestamp) -> BoxFuture<'_, Result<(), LedgerError>> {
        self.with(|book| book.give_back(&chunk));
        Box::pin(async { Ok(()) })
    }

    fn pause(&self, pause: Pause, _: Timestamp) -> BoxFuture<'_, Result<(), LedgerError>> {
        self.with(|book| match pause {
            Pause::Everybody(until) => book.pause(until),
            Pause::Syncs(until) => book.pause_sync(until),
        });
        Box::pin(async { Ok(()) })
    }
}

/// How many calls are taken from the ledger at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChunkSizes {
    /// For sign-ins, where nobody has [foreseen](CallBudget::foresee) how many it takes.
    pub sign_in: u32,
    /// For syncs: as many as are made within some seconds.
    pub sync: u32,
}

impl Default for ChunkSizes {
    fn default() -> Self {
        Self { sign_in: 3, sync: 40 }
    }
}

struct Held {
    ledger: Arc<dyn BudgetLedger>,
    sizes: ChunkSizes,
    clock: Clock,
    sign_in: Mutex<Option<Chunk>>,
    sync: Mutex<Option<Chunk>>,
    /// Calls of a sign-in that are known to follow, the ones aside that were taken.
    foreseen: AtomicU32,
    spent: AtomicU64,
}

/// The budget of one credential as this process uses it. Clones share what they hold.
#[derive(Clone)]
pub struct CallBudget(Arc<Held>);

impl CallBudget {
    /// A budget whose book is kept by `ledger`.
    pub fn new(ledger: Arc<dyn BudgetLedger>, sizes: ChunkSizes, clock: Clock) -> Self {
        Self(Arc::new(Held {
            ledger,
            sizes,
            clock,
            sign_in: Mutex::new(None),
            sync: Mutex::new(None),
            foreseen: AtomicU32::new(0),
            spent: AtomicU64::new(0),
        }))
    }

    /// A budget that only this process uses.
    pub fn in_memory(allowance: Allowance, clock: Clock) -> Self {
        Self::new(Arc::new(MemoryLedger::new(allowance)), ChunkSizes { sign_in: 1, sync: 1 }, clock)
    }

    /// Calls made through this budget so far.
    pub fn spent(&self) -> u64 {
        self.0.spent.load(Ordering::Relaxed)
    }

    /// Tells how many calls follow at once, so that a sign-in takes them from the book in one go: neither one after the other, nor more
    /// than it makes. For syncs it means nothing: they take many calls at a time.
    pub fn foresee(&self, purpose: Purpose, calls: u32) {
        if purpose == Purpose::SignIn {
            self.0.foreseen.store(calls, Ordering::Relaxed);
        }
    }

    /// Gives unused calls back to the book. To be called at the end of a sign-in or a run; without it they are lost for an hour.
    pub async fn settle(&self) -> Result<(), LedgerError> {
        for held in [&self.0.sign_in, &self.0.sync] {
            let chunk = held.lock().await.take();
            if let Some(chunk) = chunk {
                let now = (self.0.clock)();
                if chunk.left(now) > 0 {
                    self.0.ledger.give_back(chunk, now).await?;
                }
            }
        }
        Ok(())
    }

    /// Takes one call, waiting for nobody but the ledger.
    pub(crate) async fn take(&self, purpose: Purpose, call: Call) -> Result<(), Error> {
        let (held, size) = match purpose {
            Purpose::SignIn => (&self.0.sign_in, self.0.sizes.sign_in),
            Purpose::Sync => (&self.0.sync, self.0.sizes.sync),
        };
        // Held while the ledger answers: whoever waits here shares the chunk instead of taking one of its own.
        let mut held = held.lock().await;
        let now = (self.0.clock)();
        let wanted = self.ahead(purpose).unwrap_or(size);
        if !held.as_mut().is_some_and(|chunk| chunk.take_one(now)) {
            let taken = self.0.ledger.take(purpose, wanted, now).await;
            let mut chunk = taken.map_err(|refusal| refused(refusal, call))?;
            // The ledger's answer may have come after its minute: then the chunk is worth nothing, and another one is due.
            if !chunk.take_one((self.0.clock)()) {
                let now = (self.0.clock)();
                let taken = self.0.ledger.take(purpose, wanted, now).await;
                chunk = taken.map_err(|refusal| refused(refusal, call))?;
                if !chunk.take_one(now) {
                    let why = "the clock and the book disagree about the minute".to_owned();
                    return Err(Error::BudgetUnavailable { call, why });
                }
            }
            *held = Some(chunk);
        }
        self.0.spent.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// How many calls are known to follow, this one included, which is taken off.
    fn ahead(&self, purpose: Purpose) -> Option<u32> {
        let one_less = |foreseen: u32| foreseen.checked_sub(1);
        let foreseen = &self.0.foreseen;
        match purpose {
            Purpose::SignIn => foreseen.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less).ok(),
            Purpose::Sync => None,
        }
    }

    /// Records a pause, and gives back what this process holds, so that it too asks the book before the next call.
    pub(crate) async fn pause(&self, pause: Pause) {
        let recorded = self.0.ledger.pause(pause, (self.0.clock)()).await;
        if let Err(error) = recorded.and(self.settle().await) {
            tracing::warn!(%error, "the pause that Bitbucket asked for could not be recorded");
        }
    }
}

fn refused(refusal: Refusal, call: Call) -> Error {
    match refusal {
        Refusal::Wait(Wait { until, why: WaitFor::Allowance }) => Error::BudgetExhausted { call, until },
        Refusal::Wait(Wait { until, why: WaitFor::Pause }) => Error::Paused { call, until },
        Refusal::Unavailable(error) => Error::BudgetUnavailable { call, why: error.to_string() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CALL: Call = Call::get("/2.0/user");

    fn clock() -> Clock {
        Arc::new(|| Timestamp::from_seconds(1_700_000_000))
    }

    #[tokio::test]
    async fn calls_taken_at_once_share_chunks_and_stop_at_the_allowance() {
        let ledger = Arc::new(MemoryLedger::new(Allowance::new(100, 20)));
        let budget = CallBudget::new(ledger, ChunkSizes { sign_in: 3, sync: 40 }, clock());
        let calls = (0..200).map(|_| budget.take(Purpose::Sync, CALL));
        let taken = futures_util::future::join_all(calls).await;
        assert_eq!(taken.iter().filter(|taken| taken.is_ok()).count(), 80);
        assert!(
            taken
                .iter()
                .filter_map(|taken| taken.as_ref().err())
                .all(|error| error.code() == "budget_exhausted")
        );
        assert_eq!(budget.spent(), 80);
        assert!(budget.take(Purpose::SignIn, CALL).await.is_ok());
    }

    #[tokio::test]
    async fn a_sign_in_takes_what_it_foresees_in_one_go_and_no_more() {
        /// Counts how often calls are taken, and how many.
        struct Counting(MemoryLedger, std::sync::Mutex<Vec<u32>>);
        impl BudgetLedger for Counting {
            fn take(
                &self,
                purpose: Purpose,
                wanted: u32,
                now: Timestamp,
            ) -> BoxFuture<'_, Result<Chunk, Refusal>> {
                self.1.lock().unwrap().push(wanted);
                self.0.take(purpose, wanted, now)
            }
            fn give_back(&self, chunk: Chunk, now: Timestamp) -> BoxFuture<'_, Result<(), LedgerError>> {
                self.0.give_back(chunk, now)
            }
            fn pause(&self, pause: Pause, now: Timestamp) -> BoxFuture<'_, Result<(), LedgerError>> {
                self.0.pause(pause, now)
            }
        }
        let ledger = Arc::new(Counting(MemoryLedger::new(Allowance::default()), std::sync::Mutex::default()));
        let budget = CallBudget::new(ledger.clone(), ChunkSizes { sign_in: 3, sync: 40 }, clock());
        let take = async |calls: u32, foreseen: Option<u32>| {
            if let Some(foreseen) = foreseen {
                budget.foresee(Purpose::SignIn, foreseen);
            }
            let calls = (0..calls).map(|_| budget.take(Purpose::SignIn, CALL));
            futures_util::future::try_join_all(calls).await.unwrap();
            std::mem::take(&mut *ledger.1.lock().unwrap())
        };
        assert_eq!(take(4, Some(4)).await, [4]);
        assert_eq!(take(15, Some(15)).await, [15]);
        // One more than foreseen, as where a call is repeated; what is left of it is used before more is taken.
        assert_eq!(take(3, Some(2)).await, [2, 3]);
        assert_eq!(take(4, Some(4)).await, [2]);
        budget.foresee(Purpose::Sync, 7);
        budget.take(Purpose::Sync, CALL).await.unwrap();
        assert_eq!(take(1, None).await, [40, 3]);
    }

    #[tokio::test]
    async fn what_is_settled_can_be_used_by_others() {
        let ledger = Arc::new(MemoryLedger::new(Allowance::new(50, 0)));
        let sizes = ChunkSizes { sign_in: 3, sync: 40 };
        let (one, other) =
            (CallBudget::new(ledger.clone(), sizes, clock()), CallBudget::new(ledger, sizes, clock()));
        one.take(Purpose::Sync, CALL).await.unwrap();
        one.settle().await.unwrap();
        for _ in 0..49 {
            other.take(Purpose::Sync, CALL).await.unwrap();
        }
        assert_eq!(other.take(Purpose::Sync, CALL).await.unwrap_err().code(), "budget_exhausted");
    }

    #[tokio::test]
    async fn a_pause_reaches_everybody_who_shares_the_book() {
        let ledger = Arc::new(MemoryLedger::new(Allowance::new(50, 0)));
        let sizes = ChunkSizes { sign_in: 1, sync: 1 };
        let (one, other) =
            (CallBudget::new(ledger.clone(), sizes, clock()), CallBudget::new(ledger, sizes, clock()));
        let until = Timestamp::from_seconds(1_700_000_300);
        one.pause(Pause::Everybody(until)).await;
        assert_eq!(other.take(Purpose::SignIn, CALL).await, Err(Error::Paused { call: CALL, until }));
    }

    #[tokio::test]
    async fn a_book_that_cannot_be_read_lets_nobody_call() {
        struct Broken;
        impl BudgetLedger for Broken {
            fn take(&self, _: Purpose, _: u32, _: Timestamp) -> BoxFuture<'_, Result<Chunk, Refusal>> {
                Box::pin(async { Err(Refusal::Unavailable(LedgerError("table not found".to_owned()))) })
            }
            fn give_back(&self, _: Chunk, _: Timestamp) -> BoxFuture<'_, Result<(), LedgerError>> {
                Box::pin(async { Ok(()) })
            }
            fn pause(&self, _: Pause, _: Timestamp) -> BoxFuture<'_, Result<(), LedgerError>> {
                Box::pin(async { Ok(()) })
            }
        }
        let budget = CallBudget::new(Arc::new(Broken), ChunkSizes::default(), clock());
        assert_eq!(budget.take(Purpose::Sync, CALL).await.unwrap_err().code(), "budget_unavailable");
    }
}
