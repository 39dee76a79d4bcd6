//! A stand-in for Bitbucket Cloud.
//!
//! It speaks Bitbucket's protocol on a real socket and enforces its rules: the OAuth web flow with a consent page, client
//! credentials, scopes, roles, pages, partial answers, hourly rate limits, what was removed. One origin plays both
//! `bitbucket.org` and `api.bitbucket.org`.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use standin_bitbucket::{Act, Consumer, Fault, Level, On, To, World, start};
//!
//! let world = World::new("acme")
//!     .with_owner("ada")
//!     .with_members(&["grace", "linus"])
//!     .with_group("Developers", &["grace", "linus"])
//!     .with_project("CORE")
//!     .with_private("CORE", &["engine", "brakes"])
//!     .with_grant(On::Project("CORE"), To::Group("developers"), Level::Write)
//!     .with_consumer(Consumer::for_people("key", "secret", "http://localhost:8080/callback/bitbucket"));
//! let bitbucket = start(world, "127.0.0.1:0".parse()?).await?;
//! println!("ROLLCALL_BITBUCKET_URL={}", bitbucket.url());
//!
//! // Linus leaves, and the second page of the members fails once.
//! bitbucket.change(|world| world.leave("linus"))?;
//! bitbucket.fault(Fault::at("/2.0/workspaces/{workspace}/members", Act::Status(502)).page(2).once());
//! assert_eq!(bitbucket.count("/2.0/workspaces/{workspace}/members"), 0);
//! # Ok(())
//! # }
//! ```
//!
//! | what a test needs | what to use |
//! |---|---|
//! | a world | [`World::new`], [`World::generated`], [`example`], [`WorldFile`] |
//! | something to happen in it | [`Control::change`] with the methods of [`World`] |
//! | another Bitbucket: old answers, opaque pages, unheard-of fields | [`Behaviour`], in [`World::behaviour`] |
//! | an answer that is late, cut, wrong or missing | [`Control::fault`], [`Fault`], [`Act`] |
//! | another time, for tokens and rate limits | [`Control::advance_clock`] |
//! | what was asked, how often, with what | [`Control::requests`], [`Control::count`], [`Control::counts`] |
//! | Atlassian's own description of the API | [`Control::hold_to_contract`], [`Control::breaches`], [`contract`] |
//! | a person's token without the web flow | [`Control::person_token`] |
//!
//! [`Running`] is a [`Control`], and the same can be done over HTTP under `/_control/`, which anybody who reaches the socket may
//! use: see the README. It is a tool for tests: never let it be reached from another machine.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    clippy::struct_excessive_bools,
    reason = "a stand-in for tests: what goes wrong inside it must be loud, and never reaches a deployment"
)]

mod auth;
mod clock;
pub mod contract;
mod control;
mod control_http;
mod faults;
mod fields;
mod groups_v1;
mod limits;
mod log;
mod oauth;
mod paging;
mod pipeline;
mod query;
mod refusal;
mod reply;
mod rest;
mod server;
mod weird;
mod world;

pub use auth::CredentialKind;
pub use control::Control;
pub use faults::{Act, Fault, FaultId};
pub use log::{Counts, Request};
pub use server::{Running, StartError, router, start, start_on};
pub use world::{
    ACCESS_TOKEN, API_TOKEN, AccessToken, Account, ApiToken, Behaviour, Consumer, Email, Grants, Group, Kind,
    LOGIN_KEY, LOGIN_SECRET, Level, Liveness, Member, On, Person, Project, Refused, Repository, Role,
    SYNC_KEY, SYNC_SECRET, To, Weird, Workspace, World, WorldFile, example,
};
