//! Refresh tokens: each is used once, gives the next one, and a second use ends them all (RFC 9700 §4.14.2).

use core::time::Duration;

use rollcall_domain::{ClientId, GrantId, Secret, Timestamp, TokenHash};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::grant::Grant;
use crate::FailedCheck;
use crate::encoding::{base64url, hash_as_hex, is_random_text};

/// A refresh token: `rcr_`, the family, the family's key, and what makes this one the current one.
///
/// The family's key stays the same through all rotations. It tells a token of ours that is no longer current, whose use means
/// that somebody has copied it, from one that was made up, whose use must not end anything.
#[derive(Clone)]
pub struct RefreshToken {
    family: GrantId,
    key: Secret,
    text: Secret,
}

impl RefreshToken {
    fn compose(family: GrantId, key: &Secret, random: [u8; 32]) -> Self {
        let text = format!("rcr_{}.{}.{}", family.as_uuid().as_simple(), key.expose(), base64url(random));
        Self { family, key: key.clone(), text: Secret::new(text) }
    }

    /// Reads one that was presented; `None` if it cannot be ours.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.strip_prefix("rcr_")?.splitn(3, '.');
        let (family, key, random) = (parts.next()?, parts.next()?, parts.next()?);
        let family = format!("{}_{family}", GrantId::PREFIX).parse().ok()?;
        (is_random_text(key, 16) && is_random_text(random, 32)).then(|| Self {
            family,
            key: Secret::new(key),
            text: Secret::new(text),
        })
    }

    /// The family, under which its record is stored.
    pub fn family(&self) -> GrantId {
        self.family
    }

    /// The text, for the token answer.
    pub fn secret(&self) -> &Secret {
        &self.text
    }
}

/// How long refresh tokens live.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RefreshLimits {
    /// After this long without a refresh the family ends.
    pub idle: Duration,
    /// After this long the family ends, however much it is used.
    pub absolute: Duration,
}

impl Default for RefreshLimits {
    fn default() -> Self {
        Self { idle: Duration::from_hours(14 * 24), absolute: Duration::from_hours(90 * 24) }
    }
}

/// Why a refresh token is refused. The application is told `invalid_grant` for all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum RefreshRefused {
    /// Not a token of this family.
    #[error("the refresh token is not known")]
    Unknown,
    /// It was given to another client: it has been copied.
    #[error("the refresh token was given to another client; the family is revoked")]
    OtherClient,
    /// It was used before: somebody has copied it.
    #[error("the refresh token was used before; the family is revoked")]
    Reused,
    /// The family was revoked.
    #[error("the refresh token was revoked")]
    Revoked,
    /// Not used for too long.
    #[error("the refresh token was not used for too long; sign in again")]
    Idle,
    /// The sign-in is too long ago.
    #[error("the sign-in is too long ago; sign in again")]
    TooOld,
    /// All that was issued to the member before has been voided.
    #[error("what was issued to the member has been voided since; sign in again")]
    Voided,
}

impl RefreshRefused {
    /// Whether the whole family has to be revoked.
    pub const fn revokes_family(self) -> bool {
        matches!(self, Self::Reused | Self::OtherClient)
    }
}

impl FailedCheck for RefreshRefused {
    fn check(&self) -> &'static str {
        match self {
            Self::Unknown => "refresh.unknown",
            Self::OtherClient => "refresh.client",
            Self::Reused => "refresh.reused",
            Self::Revoked => "refresh.revoked",
            Self::Idle => "refresh.idle",
            Self::TooOld => "refresh.age",
            Self::Voided => "refresh.epoch",
        }
    }
}

/// What is stored of a family of refresh tokens, under the grant's id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefreshFamily {
    /// What the sign-in gave.
    pub grant: Grant,
    /// The hash of the family's key.
    #[serde(with = "hash_as_hex")]
    key: TokenHash,
    /// The hash of the current token. A rotation is written only if this is still what it was.
    #[serde(with = "hash_as_hex")]
    pub current: TokenHash,
    /// When the family began.
    pub created_at: Timestamp,
    /// When the current token was given.
    pub rotated_at: Timestamp,
    /// How many rotations there were.
    pub generation: u64,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
}

/// The outcome of a rotation: the record to write, on condition that `current` is what it was, and the token to give.
pub struct Rotated {
    /// The record to write.
    pub family: RefreshFamily,
    /// The token to give.
    pub token: RefreshToken,
}

impl RefreshFamily {
    /// A new family and its first token. `key` and `random` are fresh random bytes.
    pub fn begin(grant: &Grant, now: Timestamp, key: [u8; 16], random: [u8; 32]) -> Rotated {
        // The nonce belongs to the first ID token; later ones carry none (OpenID Connect Core 1.0 §12.2).
        let grant = Grant { nonce: None, ..grant.clone() };
        let key = Secret::new(base64url(key));
        let token = RefreshToken::compose(grant.id, &key, random);
        let family = Self {
            grant,
            key: TokenHash::of(&key),
            current: TokenHash::of(&token.text),
            created_at: now,
            rotated_at: now,
            generation: 0,
            revoked_at: None,
        };
        Rotated { family, token }
    }

    /// Uses a token. `client` has proved who it is; `epoch` is the member's at this moment, read strongly consistent.
    pub fn rotate(
        &self,
        presented: &RefreshToken,
        client: ClientId,
        epoch: u64,
        limits: RefreshLimits,
        now: Timestamp,
        random: [u8; 32],
    ) -> Result<Rotated, RefreshRefused> {
        self.check(presented, client, epoch, limits, now)?;
        let token = RefreshToken::compose(self.grant.id, &presented.key, random);
        let family = Self {
            current: TokenHash::of(&token.text),
            rotated_at: now,
            generation: self.generation + 1,
            ..self.clone()
        };
        Ok(Rotated { family, token })
    }

    /// Whether a token is current and everything it stands on still holds, without using it: for introspection and revocation.
    pub fn check(
        &self,
        presented: &RefreshToken,
        client: ClientId,
        epoch: u64,
        limits: RefreshLimits,
        now: Timestamp,
    ) -> Result<(), RefreshRefused> {
        if !self.is_ours(presented) {
            return Err(RefreshRefused::Unknown);
        }
        if self.revoked_at.is_some() {
            return Err(RefreshRefused::Revoked);
        }
        if self.grant.client != client {
            return Err(RefreshRefused::OtherClient);
        }
        if !self.current.matches(&TokenHash::of(&presented.text)) {
            return Err(RefreshRefused::Reused);
        }
        if self.created_at.plus(limits.absolute).has_passed(now) {
            return Err(RefreshRefused::TooOld);
        }
        if self.rotated_at.plus(limits.idle).has_passed(now) {
            return Err(RefreshRefused::Idle);
        }
        if self.grant.epoch != epoch {
            return Err(RefreshRefused::Voided);
        }
        Ok(())
    }

    /// Whether a token is one of this family's, current or not: enough to revoke the family on request (RFC 7009).
    pub fn is_ours(&self, presented: &RefreshToken) -> bool {
        presented.family == self.grant.id && self.key.matches(&TokenHash::of(&presented.key))
    }

    /// When the record is of no use any more.
    pub fn ends_at(&self, limits: RefreshLimits) -> Timestamp {
        self.created_at.plus(limits.absolute).min(self.rotated_at.plus(limits.idle))
    }
}

#[cfg(test)]
mod tests {
    use super::super::grant::tests::grant;
    use super::*;
    use proptest::prelude::*;

    const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);
    const LIMITS: RefreshLimits =
        RefreshLimits { idle: Duration::from_hours(24), absolute: Duration::from_hours(240) };

    fn begin() -> Rotated {
        RefreshFamily::begin(&grant(), NOW, [1; 16], [2; 32])
    }

    fn rotate(
        family: &RefreshFamily,
        token: &RefreshToken,
        now: Timestamp,
    ) -> Result<Rotated, RefreshRefused> {
        let random = [u8::try_from(family.generation % 200).unwrap() + 3; 32];
        family.rotate(token, grant().client, 7, LIMITS, now, random)
    }

    #[test]
    fn each_token_gives_the_next_one_and_a_second_use_is_noticed_at_any_distance() {
        let first = begin();
        let mut latest = Rotated { family: first.family.clone(), token: first.token.clone() };
        for _ in 0..5 {
            latest = rotate(&latest.family, &latest.token, NOW).ok().unwrap();
        }
        assert_eq!(latest.family.generation, 5);
        let refused = rotate(&latest.family, &first.token, NOW).err().unwrap();
        assert_eq!(refused, RefreshRefused::Reused);
        assert!(refused.revokes_family());
    }

    #[test]
    fn a_made_up_token_ends_nothing_even_if_the_family_is_known() {
        let Rotated { family, token } = begin();
        let made_up = RefreshToken::compose(token.family, &Secret::new(base64url([9; 16])), [2; 32]);
        let refused = rotate(&family, &made_up, NOW).err().unwrap();
        assert_eq!(refused, RefreshRefused::Unknown);
        assert!(!refused.revokes_family());
    }

    #[test]
    fn every_other_ground_of_refusal_has_its_name() {
        let Rotated { family, token } = begin();
        let rotate_as = |client, epoch, now| family.rotate(&token, client, epoch, LIMITS, now, [9; 32]).err();
        let other = ClientId::new(NOW, [9; 10]);
        assert_eq!(rotate_as(grant().client, 7, NOW), None);
        assert_eq!(rotate_as(other, 7, NOW), Some(RefreshRefused::OtherClient));
        assert_eq!(rotate_as(grant().client, 8, NOW), Some(RefreshRefused::Voided));
        assert_eq!(rotate_as(grant().client, 7, NOW.plus(LIMITS.idle)), Some(RefreshRefused::Idle));
        assert_eq!(rotate_as(grant().client, 7, NOW.plus(LIMITS.absolute)), Some(RefreshRefused::TooOld));
        let revoked = RefreshFamily { revoked_at: Some(NOW), ..family.clone() };
        assert_eq!(rotate(&revoked, &token, NOW).err(), Some(RefreshRefused::Revoked));
    }

    #[test]
    fn use_keeps_a_family_alive_up_to_the_absolute_end_and_not_beyond() {
        let mut latest = begin();
        let mut now = NOW;
        let day = Duration::from_hours(20);
        while now.since(NOW) + day < LIMITS.absolute {
            now = now.plus(day);
            latest = rotate(&latest.family, &latest.token, now).ok().unwrap();
        }
        assert_eq!(rotate(&latest.family, &latest.token, now.plus(day)).err(), Some(RefreshRefused::TooOld));
    }

    #[test]
    fn id_tokens_from_a_refresh_carry_no_nonce() {
        assert!(grant().nonce.is_some());
        assert_eq!(begin().family.grant.nonce, None);
    }

    #[test]
    fn neither_token_nor_key_is_in_the_record() {
        let Rotated { family, token } = begin();
        let stored = serde_json::to_string(&family).unwrap();
        assert!(!stored.contains(token.key.expose()) && !stored.contains(token.text.expose()));
        assert_eq!(serde_json::from_str::<RefreshFamily>(&stored).unwrap(), family);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(10_000))]
        #[test]
        fn a_mutated_token_is_refused(at in 0_usize..103, byte in 0_u8..128) {
            let Rotated { family, token } = begin();
            let mut text = token.text.expose().as_bytes().to_vec();
            prop_assert_eq!(text.len(), 103);
            prop_assume!(text[at] != byte);
            text[at] = byte;
            if let Some(mutated) = RefreshToken::parse(&String::from_utf8(text).unwrap()) {
                prop_assert!(rotate(&family, &mutated, NOW).is_err());
            }
        }

        #[test]
        fn of_any_sequence_of_uses_only_fresh_ones_succeed(uses in prop::collection::vec(0_usize..6, 1..20)) {
            let mut tokens = vec![begin()];
            let mut family = tokens[0].family.clone();
            for which in uses {
                let last = tokens.len() - 1;
                let which = which.min(last);
                match rotate(&family, &tokens[which].token.clone(), NOW) {
                    Ok(rotated) => {
                        prop_assert_eq!(which, last);
                        family = rotated.family.clone();
                        tokens.push(rotated);
                    }
                    Err(refused) => {
                        prop_assert_eq!(refused, RefreshRefused::Reused);
                        prop_assert!(which < last);
                    }
                }
            }
        }
    }
}
