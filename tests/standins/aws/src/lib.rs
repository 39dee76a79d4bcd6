//! Stand-ins for the AWS services that Rollcall uses, on one real socket, for the unmodified AWS SDK.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use standin_aws::{Fault, Times, start};
//!
//! let aws = start("127.0.0.1:0".parse()?).await?;
//! aws.secrets().put("rollcall", r#"{"signing_key": "…"}"#);
//! let queue_url = aws.queues().create("sync", Default::default());
//! for (name, value) in aws.environment() {
//!     println!("export {name}={value}");
//! }
//!
//! aws.fault("GetSecretValue", Fault::throttled(), Times::Next(2));
//! // …the SDK tries three times…
//! assert_eq!(aws.count("GetSecretValue"), 3);
//! # Ok(())
//! # }
//! ```
//!
//! | service | what of it | in the same process |
//! |---|---|---|
//! | Secrets Manager | create, put, get, describe; version ids and stages | [`Aws::secrets`] |
//! | SQS | standard queues: send (batches too), receive with long polling, delete, visibility, dead-letter queue | [`Aws::queues`] |
//! | `EventBridge` | `PutEvents` | [`Aws::events`] |
//! | SES v2 | `SendEmail` with simple content; the outbox is at `/_outbox` for a browser | [`Aws::mail`] |
//! | Lambda | the runtime API, for one built binary at a time | [`LambdaRuntime`] |
//!
//! [`event`] makes the events of API Gateway, Scheduler, SQS and SES. Operations can be made to fail, wait or be throttled
//! ([`Aws::fault`]), all calls are written down ([`Aws::calls`]), the clock can be moved ([`Aws::advance_clock`]), and
//! [`Aws::wait_for`] waits for something to happen. [`control`] does the same over HTTP for other processes.
//!
//! Nobody is authenticated and no policy is checked: who reaches the socket may do everything. Never let it be reached from
//! another machine. `DynamoDB` is not here: an embedded one does that better.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    reason = "a stand-in for tests: what goes wrong inside it must be loud, and never reaches a deployment"
)]

mod account;
mod aws;
mod bus;
mod clock;
pub mod control;
pub mod event;
mod fault;
pub mod lambda;
mod mail;
mod md5;
mod protocol;
mod queue;
mod secrets;
mod server;

pub use account::{ACCOUNT, REGION};
pub use aws::{Aws, Call, SharedAws};
pub use bus::{BusEvent, Events};
pub use fault::{Fault, Times};
pub use lambda::{Function, InvocationError, LambdaRuntime};
pub use mail::{Mail, Outbox};
pub use queue::{Delivery, Message, QueueSettings, Queues, Redrive};
pub use secrets::Secrets;
pub use server::{Running, StartError, start, start_on};
