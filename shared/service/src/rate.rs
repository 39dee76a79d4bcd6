//! Attempts per address and minute: the pure part. The counting is the store's.
//!
//! The table keeps no address: it keeps a keyed hash, which nobody without the deployment secret can turn back by trying all
//! addresses. IPv6 addresses count by their /64, the smallest block that one customer is given.

use core::fmt;
use core::net::IpAddr;
use core::num::NonZeroU32;
use core::time::Duration;

use aws_lc_rs::hmac;
use rollcall_domain::Timestamp;

use crate::seal::SealingKeys;

/// The window in which attempts are counted.
pub const WINDOW: Duration = Duration::from_mins(1);

/// What is attempted. Each kind has a count of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Attempt {
    /// Starting or finishing a sign-in.
    SignIn,
    /// The token endpoint, introspection and revocation.
    Token,
    /// Accepting an invite.
    Invite,
    /// The admin API with a credential that was refused.
    Admin,
    /// A sign-in with Bitbucket that was refused: it has cost calls to Bitbucket, of which there are so many in an hour.
    Refused,
}

impl Attempt {
    /// As it stands in the table's key.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SignIn => "sign-in",
            Self::Token => "token",
            Self::Invite => "invite",
            Self::Admin => "admin",
            Self::Refused => "refused",
        }
    }
}

/// Minutes of an hour.
const HOUR: i64 = 60;
/// Minutes of a day.
const DAY: i64 = 24 * 60;

/// The key of one count: kind, keyed hash of who, the minute in which its window begins.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RateKey {
    attempt: Attempt,
    who: String,
    minute: i64,
    /// Minutes of the window.
    long: i64,
}

impl RateKey {
    /// When the count has no more meaning, for the table's TTL. The minute in the key is what decides, not the TTL.
    pub fn expires_at(&self) -> Timestamp {
        Timestamp::from_seconds(self.minute.saturating_add(self.long + 1).saturating_mul(60))
    }

    /// How long until this count starts anew: the `Retry-After` of a refusal, at least one second.
    pub fn retry_after(&self, now: Timestamp) -> Duration {
        let next = Timestamp::from_seconds(self.minute.saturating_add(self.long).saturating_mul(60));
        let millis = u64::try_from(next.since(now).as_millis()).unwrap_or(u64::MAX);
        let longest = u64::try_from(self.long).unwrap_or(1).saturating_mul(WINDOW.as_secs());
        Duration::from_secs(millis.div_ceil(1000).clamp(1, longest))
    }
}

/// As it stands in the table.
impl fmt::Display for RateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}#{}", self.attempt.as_str(), self.who, self.minute)
    }
}

/// Whether one more attempt is allowed when the store has counted this many, the present one included.
pub const fn is_allowed(count: u64, limit: NonZeroU32) -> bool {
    count <= limit.get() as u64
}

/// Makes the keys of counts.
#[derive(Clone)]
pub struct RateKeys(hmac::Key);

impl RateKeys {
    /// Keys under the deployment's first sealing key. After a rotation the counts of one minute start anew.
    pub fn new(keys: &SealingKeys) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, keys.derive_first(b"rate").as_ref()))
    }

    /// The count of an address. All requests whose address is unknown share one.
    pub fn of_address(&self, attempt: Attempt, address: Option<IpAddr>, now: Timestamp) -> RateKey {
        let block = match address.map(|address| address.to_canonical()) {
            Some(IpAddr::V4(address)) => address.octets().to_vec(),
            Some(IpAddr::V6(address)) => address.octets().into_iter().take(8).collect(),
            None => Vec::new(),
        };
        self.of(attempt, b"address", &block, now)
    }

    /// The count of an address for a whole hour.
    pub fn of_address_by_hour(&self, attempt: Attempt, address: Option<IpAddr>, now: Timestamp) -> RateKey {
        let key = self.of_address(attempt, address, now);
        RateKey { minute: key.minute - key.minute.rem_euclid(HOUR), long: HOUR, ..key }
    }

    /// The count of an account: a client, an identity, a recipient.
    pub fn of_account(&self, attempt: Attempt, account: &str, now: Timestamp) -> RateKey {
        self.of(attempt, b"account", account.as_bytes(), now)
    }

    /// The count of an account for a whole day (UTC): a recipient of mail.
    pub fn of_account_by_day(&self, attempt: Attempt, account: &str, now: Timestamp) -> RateKey {
        let key = self.of(attempt, b"account by day", account.as_bytes(), now);
        RateKey { minute: key.minute - key.minute.rem_euclid(DAY), long: DAY, ..key }
    }

    fn of(&self, attempt: Attempt, kind: &[u8], who: &[u8], now: Timestamp) -> RateKey {
        let mut context = hmac::Context::with_key(&self.0);
        context.update(kind);
        context.update(b"\0");
        context.update(who);
        let who = context
            .sign()
            .as_ref()
            .iter()
            .take(16)
            .fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"));
        RateKey { attempt, who, minute: now.as_seconds().div_euclid(60), long: 1 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seal::SealingKey;

    fn keys(byte: u8) -> RateKeys {
        RateKeys::new(&SealingKeys::new(SealingKey::new("k", [byte; 32]).unwrap(), Vec::new()))
    }

    fn key(address: &str, seconds: i64) -> RateKey {
        keys(1).of_address(Attempt::SignIn, address.parse().ok(), Timestamp::from_seconds(seconds))
    }

    #[test]
    fn an_address_shares_its_count_within_a_minute_and_with_its_own_block_only() {
        assert_eq!(key("192.0.2.1", 60), key("192.0.2.1", 119));
        assert_ne!(key("192.0.2.1", 60), key("192.0.2.1", 120));
        assert_ne!(key("192.0.2.1", 60), key("192.0.2.2", 60));
        assert_eq!(key("::ffff:192.0.2.1", 60), key("192.0.2.1", 60));
        assert_eq!(key("2001:db8:0:1::1", 60), key("2001:db8:0:1:ffff::9", 60));
        assert_ne!(key("2001:db8:0:1::1", 60), key("2001:db8:0:2::1", 60));
        assert_eq!(key("unknown", 60), key("also unknown", 60));
    }

    #[test]
    fn the_kinds_of_attempt_and_of_caller_count_for_themselves() {
        let now = Timestamp::EPOCH;
        let of = |attempt| keys(1).of_address(attempt, None, now).to_string();
        assert_ne!(of(Attempt::SignIn), of(Attempt::Token));
        assert_ne!(
            keys(1).of_address(Attempt::Token, None, now),
            keys(1).of_account(Attempt::Token, "", now)
        );
    }

    #[test]
    fn a_count_by_day_lasts_until_midnight() {
        let noon = Timestamp::from_seconds(12 * 3600);
        let key = |now| keys(1).of_account_by_day(Attempt::Invite, "ada@example.com", now);
        let (evening, tomorrow) =
            (Timestamp::from_seconds(24 * 3600 - 1), Timestamp::from_seconds(24 * 3600));
        assert_eq!(key(noon), key(evening));
        assert_ne!(key(noon), key(tomorrow));
        assert_eq!(key(noon).retry_after(noon), Duration::from_hours(12));
        assert!(key(noon).expires_at() > tomorrow);
    }

    #[test]
    fn the_table_sees_a_hash_that_needs_the_deployments_key() {
        let text = key("192.0.2.1", 0).to_string();
        assert!(!text.contains("192"), "{text}");
        let other = keys(2).of_address(Attempt::SignIn, "192.0.2.1".parse().ok(), Timestamp::EPOCH);
        assert_ne!(text, other.to_string());
    }

    #[test]
    fn a_refusal_says_how_long_to_wait() {
        let key = key("192.0.2.1", 60);
        for (millis, seconds) in [(60_000, 60), (60_001, 60), (119_500, 1), (120_000, 1), (500_000, 1)] {
            let wait = key.retry_after(Timestamp::from_millis(millis));
            assert_eq!(wait, Duration::from_secs(seconds), "{millis}");
        }
        assert!(key.expires_at() > Timestamp::from_seconds(120));
        let limit = NonZeroU32::new(30).unwrap();
        assert!(is_allowed(30, limit) && !is_allowed(31, limit));
    }
}
