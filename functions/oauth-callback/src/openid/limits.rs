//! How many requests are served: per address for whoever has proved nothing, per client for an application's server.
//!
//! An application's server sends the requests of all its users from one address. It has proved who it is, and so is counted by what
//! it is, with room for all of them; everybody else is counted by address.

use core::net::IpAddr;
use core::num::NonZeroU32;

use rollcall_domain::{ClientId, GrantId, MemberId};
use rollcall_service::rate::{Attempt, RateKey, is_allowed};

use crate::app::{App, Derived};
use crate::failure::{Failure, Shown};
use crate::login;

/// What a client that has proved itself may do, as a multiple of what an address may: by default 6,000 requests a minute.
const PER_CLIENT: u32 = 200;

/// Counts a request of an address.
pub(super) async fn address(app: &App, derived: &Derived, address: Option<IpAddr>) -> Result<(), Failure> {
    login::limit(app, derived, Attempt::Token, address).await
}

/// Counts a request of a client that has proved who it is.
pub(super) async fn client(app: &App, derived: &Derived, client: ClientId) -> Result<(), Failure> {
    let key = derived.rates.of_account(Attempt::Token, &client.to_string(), app.now());
    count(app, &key, app.config().sign_in_rate.saturating_mul(NonZeroU32::MIN.saturating_add(PER_CLIENT - 1)))
        .await
}

/// Counts a use of what one sign-in gave to one application.
pub(super) async fn grant(app: &App, derived: &Derived, grant: GrantId) -> Result<(), Failure> {
    let key = derived.rates.of_account(Attempt::Token, &grant.to_string(), app.now());
    count(app, &key, app.config().sign_in_rate).await
}

/// Counts a code that is given in a member's name.
pub(super) async fn member(app: &App, derived: &Derived, member: MemberId) -> Result<(), Failure> {
    let key = derived.rates.of_account(Attempt::SignIn, &member.to_string(), app.now());
    count(app, &key, app.config().sign_in_rate).await
}

async fn count(app: &App, key: &RateKey, limit: NonZeroU32) -> Result<(), Failure> {
    let count = app.store().count_attempt(&key.to_string(), key.expires_at()).await?;
    if is_allowed(count, limit) {
        return Ok(());
    }
    let shown = Shown::TooMany(key.retry_after(app.now()).as_secs());
    Err(Failure { check: "rate.account", provider: None, shown })
}
