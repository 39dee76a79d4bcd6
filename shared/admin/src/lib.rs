//! What the functions behind the admin API share: who asks and what they may ([`gate`]), how lists page ([`page`]), how a repetition
//! is answered ([`idempotency`]), how things are described ([`schema`], [`description`]), and how a connection's credential lies in
//! the table ([`credential`]).
//!
//! A function builds its routes with [`Admin`] as a part of its state, and puts [`gate::gate`] before all of them.

mod app;
mod authenticate;
mod caller;
pub mod cloud_event;
pub mod credential;
pub mod description;
mod failure;
pub mod gate;
pub mod idempotency;
pub mod keys;
pub mod page;
mod routes;
pub mod schema;
#[cfg(feature = "testing")]
pub mod testing;
pub mod text;

pub use app::Admin;
pub use authenticate::TOKEN_PREFIX;
pub use caller::{Act, Caller, InWorkspace};
pub use failure::Failure;
