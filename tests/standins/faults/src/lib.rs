//! A reverse proxy that makes `DynamoDB`, or any HTTP service, fail as it does on a bad day.
//!
//! It stands between the code under test and the real service (or another stand-in) and passes everything on, until a rule says
//! otherwise. A rule is *which* requests, *when*, and *what* happens:
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use standin_faults::{Act, Matching, Refusal, When, start};
//!
//! let proxy = start("http://127.0.0.1:8000", "127.0.0.1:0".parse()?).await?;
//! println!("AWS_ENDPOINT_URL_DYNAMODB={}", proxy.url());
//!
//! // The third write is refused, the fourth happens and its answer is lost.
//! proxy.add(Matching::writes(), When::Nth(3), Act::Refuse(Refusal::Throttled));
//! proxy.add(Matching::writes(), When::Nth(4), Act::DropAfterwards);
//! // A batch leaves two entries unprocessed, five times.
//! proxy.add(Matching::operation("BatchWriteItem"), When::First(5), Act::LeaveUnprocessed(2));
//! // The whole database is gone from the seventh write on.
//! proxy.add(Matching::writes(), When::Nth(7), Act::Crash);
//! // …run, then…
//! proxy.lift();
//! // …and run again. What did it cost?
//! println!("{:?}, {} round trips one after another", proxy.totals(), proxy.sequential_round_trips());
//! # Ok(())
//! # }
//! ```
//!
//! | what happens | [`Act`] |
//! |---|---|
//! | an error instead of the call: throttling, conflict, cancelled transaction, 500, 429 | `Refuse` |
//! | the call, and then an error (a 500 after the commit) | `RefuseAfterwards` |
//! | the connection breaks before or after the call | `Drop`, `DropAfterwards` |
//! | part of a batch is not done | `LeaveUnprocessed` |
//! | the service is gone until [`Control::lift`], without or with this last call | `Crash`, `CrashAfterwards` |
//! | a query finds nothing yet (an index that is behind) | `Refuse` with [`Refusal::nothing_found`] |
//! | the answer comes later | `Delay` |
//! | the call waits until the test says go on, to order two workers | `Wait`, and [`Control::remove`] |
//!
//! `DynamoDB`'s operations are told apart by `X-Amz-Target`, others by method and path. Every call is written down with its
//! operation, tables, items, bytes and time ([`Control::calls`]), and with its capacity units where asked
//! ([`Control::ask_for_capacity`]). The [`Running`] proxy is a [`Control`]; other processes use `/_control/` (see [`control`]).
//!
//! It speaks HTTP/1.1 without TLS, reads every body into memory, and lets anybody on the machine control it: a tool for tests.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    reason = "a stand-in for tests: what goes wrong inside it must be loud, and never reaches a deployment"
)]

mod batch;
pub mod control;
mod ledger;
mod operation;
mod proxy;
mod refusal;
mod rule;
mod server;

pub use control::Control;
pub use ledger::{Call, Outcome, Totals};
pub use operation::Kind;
pub use refusal::Refusal;
pub use rule::{Act, Matching, RuleId, When};
pub use server::{Running, StartError, start, start_on};
