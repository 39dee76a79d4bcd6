//! How many invites may be sent: by each issuer within a minute, and to each recipient within a day.

use core::num::NonZeroU32;

use futures_util::future::try_join_all;
use rollcall_admin::keys::Keys;
use rollcall_admin::{Admin, Caller, Failure};
use rollcall_domain::Timestamp;
use rollcall_domain::identity::EmailAddress;
use rollcall_service::rate::{Attempt, is_allowed};
use rollcall_service::web::Problem;

/// Invites to one address within a day, whoever issues them in whatever workspace: nobody's mailbox is filled from here.
const BY_DAY: NonZeroU32 = NonZeroU32::new(10).unwrap();

/// Counts a request of an issuer; 429 if there were too many within the minute.
pub(crate) async fn of_issuer(
    admin: &Admin,
    keys: &Keys,
    caller: &Caller,
    now: Timestamp,
) -> Result<(), Failure> {
    let issuer = serde_json::to_string(&caller.principal().actor()).unwrap_or_default();
    let key = keys.rates.of_account(Attempt::Invite, &issuer, now);
    let count = admin.store().count_attempt(&key.to_string(), key.expires_at()).await?;
    if is_allowed(count, admin.config().sign_in_rate) {
        Ok(())
    } else {
        Err(Problem::too_many_requests(key.retry_after(now).as_secs())
            .detail("There were too many requests for invites within a minute. Up to 100 people can be invited in one request.")
            .into())
    }
}

/// Counts an invite to each of these; whether each may get one more today.
pub(crate) async fn of_recipients(
    admin: &Admin,
    keys: &Keys,
    recipients: &[&EmailAddress],
    now: Timestamp,
) -> Result<Vec<bool>, Failure> {
    let counts = recipients.iter().map(async |recipient| {
        let key = keys.rates.of_account_by_day(Attempt::Invite, recipient.as_str(), now);
        admin.store().count_attempt(&key.to_string(), key.expires_at()).await
    });
    let counts = try_join_all(counts).await?;
    Ok(counts.into_iter().map(|count| is_allowed(count, BY_DAY)).collect())
}
