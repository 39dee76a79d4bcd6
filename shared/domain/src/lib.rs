//! The rules of Rollcall: who of a Bitbucket workspace may use the application, in which teams, and who no longer.
//!
//! Nothing here reads a clock, draws a random number, waits, or knows where data is kept. Time and random bytes come in as
//! arguments, and what comes out is a decision that the edges carry out.

pub mod access;
pub mod admission;
pub mod audit;
pub mod authority;
pub mod bitbucket;
pub mod budget;
pub mod connection;
pub mod event;
pub mod id;
pub mod identity;
pub mod invite;
pub mod listing;
pub mod member;
pub mod mirror;
pub mod plan;
pub mod run;
mod secret;
pub mod teams;
mod time;

pub use id::{
    AuditId, ClientId, EventId, GrantId, InvalidId, InviteId, MemberId, RunId, SessionId, TeamId, TokenId,
    WorkspaceId,
};
pub use secret::{Secret, TokenHash};
pub use time::Timestamp;
