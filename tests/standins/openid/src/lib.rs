//! A stand-in for Google's or Microsoft's sign-in.
//!
//! It speaks OpenID Connect on a real socket as the two providers do, one instance per provider: metadata, keys, the
//! authorization code flow with PKCE, ID tokens, userinfo. The person in front of the browser picks who to be on a page
//! without script; a test adds `&_person=NAME` to the URL instead and is sent back at once (`&_deny=1`: the person said no).
//!
//! It is stricter than the providers where that helps to find mistakes: `state`, `nonce` and PKCE with `S256` are demanded,
//! the redirect URI is compared to the letter, a code is good for one use and one minute, and a parameter given twice ends
//! the login.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use standin_openid::{Client, Endpoint, Flavour, Forgery, people, start};
//!
//! let client = Client::new("rollcall", "a secret", "http://localhost:8080/callback/google");
//! let google = start(Flavour::Google, vec![client], people::at_google(), "127.0.0.1:0".parse()?).await?;
//! println!("ROLLCALL_GOOGLE_ISSUER={}", google.issuer());
//!
//! // The next ID token is signed by nobody, and the one after it is good again.
//! google.forge_next(Forgery::Unsigned);
//! // …sign in, and see it refused…
//! assert_eq!(google.count(Endpoint::Keys), 1);
//! # Ok(())
//! # }
//! ```
//!
//! | what a test needs | what to use |
//! |---|---|
//! | a bad ID token | [`Control::forge_next`], [`Forgery`] |
//! | a provider that is slow, down, too talkative or redirects | [`Control::fault`], [`Fault`] |
//! | other metadata, `iss` in the answer (RFC 9207), other token answers | [`Control::change`], [`Behaviour`] |
//! | new keys, old keys withdrawn | [`Control::publish_next_key`], [`Control::rotate_keys`] |
//! | somebody else, or a changed address | [`Control::put_person`], [`Person`] |
//! | another time | [`Control::set_clock`], [`Control::advance_clock`] |
//! | what was asked, and how often | [`Control::requests`], [`Control::count`] |
//!
//! [`Running`] is a [`Control`], and the same can be done over HTTP under `/_control/` (see [`control`]), which anybody who
//! reaches the socket may use. It is a tool for tests: never let it be reached from another machine.
//!
//! What it does not do: dynamic registration, refresh tokens, implicit and hybrid flows, logout, the providers' own sign-in
//! steps, conditional access, consent by an admin.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    reason = "a stand-in for tests: what goes wrong inside it must be loud, and never reaches a deployment"
)]

mod authorize;
mod behaviour;
mod client;
mod clock;
pub mod control;
mod discovery;
mod fault;
mod flavour;
mod forgery;
mod id_token;
mod keys;
mod log;
mod page;
pub mod people;
mod provider;
mod routes;
mod server;
mod token;
mod userinfo;

pub use behaviour::{AnswerIssuer, Behaviour};
pub use client::Client;
pub use control::Control;
pub use fault::{Fault, Times};
pub use flavour::{Flavour, MICROSOFT_CONSUMERS};
pub use forgery::Forgery;
pub use log::{Endpoint, Request};
pub use people::Person;
pub use server::{Running, StartError, start, start_on};
