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
}

impl Attempt {
    /// As it stands in the table's key.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SignIn => "sign-in",
            Self::Token => "token",
            Self::Invite => "invite",
            Self::Admin => "admin",
        }
    }
}

/// The key of one count: kind, keyed hash of who, minute.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RateKey {
    attempt: Attempt,
    who: String,
    minute: i64,
}

impl RateKey {
    /// When the count has no more meaning, for the table's TTL. The minute in the key is what decides, not the TTL.
    pub fn expires_at(&self) -> Timestamp {
        Timestamp::from_seconds(self.minute.saturating_add(2).saturating_mul(60))
    }

    /// How long until this count starts anew: the `Retry-After` of a refusal, at least one second.
    pub fn retry_after(&self, now: Timestamp) -> Duration {
        let next = Timestamp::from_seconds(self.minute.saturating_add(1).saturating_mul(60));
        Duration::from_secs(next.since(now).as_millis().div_ceil(1000).try_into().unwrap_or(60))
            .max(Duration::from_secs(1))
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

    /// The count of an account: a client, an identity, a recipient.
    pub fn of_account(&self, attempt: Attempt, account: &str, now: Timestamp) -> RateKey {
        self.of(attempt, b"account", account.as_bytes(), now)
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
        RateKey { attempt, who, minute: now.as_seconds().div_euclid(60) }
    }
}
