//! Signing people in with Bitbucket, Google or Microsoft.
//!
//! The order of a sign-in: [`LoginTransaction::begin`], kept in a sealed cookie by [`PendingLogins`]; the browser is sent to
//! [`OpenIdProvider::authorize_url`] or [`bitbucket_authorize_url`]; it comes back, [`Callback::parse`] reads what it brings,
//! [`PendingLogins::take`] finds the transaction it belongs to; the caller marks the state as used by
//! [`LoginTransaction::marker`]; [`OpenIdProvider::finish`] redeems the code and checks the ID token.

mod authorize;
mod cache;
mod callback;
pub(crate) mod discovery;
mod fetch;
pub(crate) mod id_token;
mod issuer;
mod openid;
mod pending;
mod settings;
pub(crate) mod token;
mod transaction;

pub use authorize::{AuthorizeHints, Prompt, bitbucket_authorize_url};
pub use callback::{Answer, Callback, CallbackRefused, ProviderRefusal};
pub use discovery::DiscoveryFailed;
pub use fetch::FetchFailed;
pub use id_token::IdTokenRefused;
pub use issuer::{IssuerRule, MICROSOFT_CONSUMERS, Tenants};
pub use openid::{KeysFailed, OpenIdProvider, SignInFailed};
pub use pending::{BrowserBinding, PendingLogins};
pub use settings::{DEFAULT_DEADLINE, InvalidSettings, OpenIdSettings};
pub use token::ExchangeFailed;
pub use transaction::{InvalidReturn, LoginStart, LoginTransaction, Purpose, ReturnTarget};
