//! The scheduled sync.
//!
//! The schedule's tick puts one message for each connection into the queue ([`Engine::handle_tick`]); each message is one run
//! ([`Engine::handle_message`]) under a lease: list → prove → plan → guard → confirm → apply → record, lane by lane, on one call
//! budget. A run that nears its deadline or the end of the budget leaves where it was in the table, and the next tick goes on from
//! there. No message is ever sent to the queue by what takes messages out of it.
//!
//! On Lambda, `main.rs` wires it to SQS. Within one process (the local stack, tests), a channel stands for the queue:
//!
//! ```no_run
//! # use std::sync::Arc;
//! # use core::time::Duration;
//! # use rollcall_scheduled_sync::{ChannelQueue, Engine, Ports, SyncMessage};
//! # use rollcall_store::runs::Mode;
//! # async fn example(ports: impl Fn(Arc<ChannelQueue>) -> Ports) -> Result<(), Box<dyn std::error::Error>> {
//! let (queue, mut messages) = ChannelQueue::new();
//! let queue = Arc::new(queue);
//! let ports = ports(queue.clone());
//! let clock = ports.clock.clone();
//! let engine = Engine::new(ports);
//!
//! // The timer: every 15 minutes, or whenever the clock was put forward.
//! engine.handle_tick(clock.now()).await?;
//! // The worker. A message whose handling fails has to be handled again, as SQS would.
//! while let Some(message) = messages.recv().await {
//!     let deadline = clock.now().plus(Duration::from_mins(14));
//!     engine.handle_message(&message, deadline).await?;
//! }
//! # Ok(())
//! # }
//! ```

mod carry_out;
mod credentials;
mod end;
mod engine;
mod event;
mod grants;
mod members;
mod message;
mod queue;
mod run;
mod second_look;
mod structure;
mod undo;

pub use credentials::{Credentials, NoCredential, SealedCredentials};
pub use engine::{Engine, EngineError, Handled, Ports};
pub use event::handle;
pub use message::SyncMessage;
pub use queue::{ChannelQueue, Queue, QueueError, SqsQueue};
