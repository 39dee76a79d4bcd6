//! OAuth 2.0 and OpenID Connect, in both directions, without storage and without routes.
//!
//! - [`relying_party`]: people sign in to Rollcall with Bitbucket, Google or Microsoft, and come out as a
//!   [`Visitor`](rollcall_domain::identity::Visitor).
//! - [`provider`]: applications sign their users in with Rollcall, an ordinary OpenID provider.
//! - [`session`]: the browser's session between the two.
//!
//! The clock and randomness come in as arguments; only [`relying_party`] talks to the network, through the client it is given.
//! Every refusal is a variant of its own, and [`FailedCheck`] names it for the log and the audit trail.

mod encoding;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod jwk;
mod jwt;
pub mod parameters;
mod pkce;
pub mod provider;
pub mod relying_party;
pub mod session;

pub use pkce::{Challenge, Verifier};

/// A refusal that can name the check that failed, for the log and the audit trail.
///
/// The visitor sees one page for all of them; the name is for the operator. It is fixed text: nothing that came in from
/// outside is ever a part of it.
pub trait FailedCheck {
    /// The name of the check, in lower case with dots, for example `id_token.nonce`.
    fn check(&self) -> &'static str;
}
