//! Random bytes, drawn in one place, and what is made of them: ids and tokens.

use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rollcall_domain::{
    AuditId, ClientId, EventId, GrantId, InviteId, MemberId, RunId, Secret, SessionId, TeamId, Timestamp,
    TokenId, WorkspaceId,
};

use crate::clock::Clock;

/// A source of random bytes. Handlers take it as an argument, so that a test can hand in one that repeats itself.
pub trait Random: Send + Sync {
    /// Fills the whole buffer.
    fn fill(&self, bytes: &mut [u8]);

    /// A token of 128 random bits, written as base64url: for what lives briefly or is shown in a URL fragment.
    fn token_128(&self) -> Secret {
        let mut bytes = [0_u8; 16];
        self.fill(&mut bytes);
        Secret::new(URL_SAFE_NO_PAD.encode(bytes))
    }

    /// A token of 256 random bits behind a prefix that lets secret scanners and people recognise it, for example `rca_`.
    fn token_256(&self, prefix: &str) -> Secret {
        let mut bytes = [0_u8; 32];
        self.fill(&mut bytes);
        Secret::new(format!("{prefix}{}", URL_SAFE_NO_PAD.encode(bytes)))
    }
}

impl<R: Random + ?Sized> Random for Arc<R> {
    fn fill(&self, bytes: &mut [u8]) {
        (**self).fill(bytes);
    }
}

/// An array of random bytes.
pub fn bytes<const N: usize>(random: &(impl Random + ?Sized)) -> [u8; N] {
    let mut bytes = [0_u8; N];
    random.fill(&mut bytes);
    bytes
}

/// The random source of aws-lc, fed by the operating system and the processor.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemRandom;

impl Random for SystemRandom {
    fn fill(&self, bytes: &mut [u8]) {
        if aws_lc_rs::rand::fill(bytes).is_err() {
            // Without randomness every token could be guessed. Lambda starts a fresh process.
            std::process::abort();
        }
    }
}

/// Bytes that look random and are the same for the same seed. For tests: whoever knows the seed knows every token.
#[derive(Debug)]
pub struct SeededRandom(Mutex<(u64, u64)>);

impl SeededRandom {
    /// A source that always gives the same bytes for the same seed.
    pub fn new(seed: u64) -> Self {
        Self(Mutex::new((seed, 0)))
    }
}

impl Random for SeededRandom {
    fn fill(&self, bytes: &mut [u8]) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for chunk in bytes.chunks_mut(32) {
            let block = [state.0.to_be_bytes(), state.1.to_be_bytes()].concat();
            state.1 = state.1.wrapping_add(1);
            for (byte, value) in chunk.iter_mut().zip(digest::digest(&digest::SHA256, &block).as_ref()) {
                *byte = *value;
            }
        }
    }
}

/// An id of the domain that can be made from a time and ten random bytes.
pub trait Id {
    /// A new id.
    fn from_time_and_random(now: Timestamp, random: [u8; 10]) -> Self;
}

macro_rules! ids {
    ($($id:ty),+) => {$(
        impl Id for $id {
            fn from_time_and_random(now: Timestamp, random: [u8; 10]) -> Self {
                Self::new(now, random)
            }
        }
    )+};
}

ids!(AuditId, ClientId, EventId, GrantId, InviteId, MemberId, RunId, SessionId, TeamId, TokenId, WorkspaceId);

/// A new id: `new_id::<MemberId>(&clock, &random)`.
pub fn new_id<I: Id>(clock: &(impl Clock + ?Sized), random: &(impl Random + ?Sized)) -> I {
    I::from_time_and_random(clock.now(), bytes(random))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::clock::SettableClock;

    #[test]
    fn tokens_carry_their_bits_and_never_repeat() {
        let mut seen = HashSet::new();
        for _ in 0..1000 {
            let short = SystemRandom.token_128();
            let long = SystemRandom.token_256("rca_");
            assert_eq!(short.expose().len(), 22);
            assert_eq!(long.expose().len(), 4 + 43);
            assert!(long.expose().starts_with("rca_"));
            assert!(seen.insert(short.expose().to_owned()) && seen.insert(long.expose().to_owned()));
        }
    }

    #[test]
    fn a_seed_repeats_itself_and_another_seed_does_not() {
        let draw = |seed| bytes::<70>(&SeededRandom::new(seed));
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
        let source = SeededRandom::new(1);
        assert_ne!(bytes::<32>(&source), bytes::<32>(&source));
    }

    #[test]
    fn an_id_is_made_from_the_clock_and_the_source() {
        let clock = SettableClock::frozen_at(Timestamp::from_seconds(1_800_000_000));
        let id: MemberId = new_id(&clock, &SeededRandom::new(1));
        let same: MemberId = new_id(&clock, &SeededRandom::new(1));
        let other: MemberId = new_id(&clock, &SeededRandom::new(2));
        assert_eq!(id, same);
        assert_ne!(id, other);
        assert_eq!(id.as_uuid().get_version_num(), 7);
    }
}
