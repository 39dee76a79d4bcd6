//! Sealing: what is encrypted before it goes into the table, a cookie or a cursor, and opened again only in its own place.
//!
//! AES-256-GCM (NIST SP 800-38D) with a random 96-bit nonce. Each purpose has a key of its own, derived from the deployment's
//! sealing keys by HKDF-SHA-256 (RFC 5869), so that a sealed cookie can never be passed off as a sealed credential. The context,
//! for example the workspace a credential belongs to, is authenticated with it: moved to another row, it does not open.
//!
//! A sealed text is written `1.<key id>.<base64url of nonce, ciphertext and tag>`. The first sealing key seals; all of them open,
//! so a key is rotated by putting a new one in front. Random nonces allow 2^32 sealings per key (SP 800-38D §8.3): at 100 sealings
//! a second, a key lasts more than a year.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::hkdf;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rollcall_domain::Secret;
use thiserror::Error;
use zeroize::Zeroizing;

use crate::random::{Random as _, SystemRandom};

/// The largest text that is sealed: 256 KiB.
const LIMIT: usize = 256 * 1024;

/// What a sealed text is for. Each purpose has keys of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// A connection's credential, in the table.
    Credential,
    /// The transaction of a sign-in, in a cookie.
    Transaction,
    /// A paging cursor, in a URL.
    Cursor,
    /// A webhook's signing secret, in the table.
    Webhook,
    /// An answer that is kept for repetitions of its request, in the table: it may hold what is shown once.
    Answer,
}

impl Purpose {
    const fn label(self) -> &'static str {
        match self {
            Self::Credential => "credential",
            Self::Transaction => "transaction",
            Self::Cursor => "cursor",
            Self::Webhook => "webhook",
            Self::Answer => "answer",
        }
    }
}

/// One sealing key of the deployment. Never printed; wiped when dropped.
#[derive(Clone)]
pub struct SealingKey {
    id: String,
    bytes: Zeroizing<[u8; 32]>,
}

impl SealingKey {
    /// A key and its id, which is public: 1 to 32 letters, digits, dashes and underscores.
    pub fn new(id: &str, bytes: [u8; 32]) -> Option<Self> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        ((1..=32).contains(&id.len()) && id.bytes().all(allowed))
            .then(|| Self { id: id.to_owned(), bytes: Zeroizing::new(bytes) })
    }

    /// The key's id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// 32 bytes for one purpose.
    fn derive(&self, purpose: &[u8]) -> Zeroizing<[u8; 32]> {
        let mut derived = Zeroizing::new([0_u8; 32]);
        let filled = hkdf::Salt::new(hkdf::HKDF_SHA256, b"rollcall sealing key v1")
            .extract(&*self.bytes)
            .expand(&[purpose], hkdf::HKDF_SHA256)
            .and_then(|okm| okm.fill(&mut *derived));
        if filled.is_err() {
            // SHA-256 always expands to its own length; a key of zeros must not come out of a mistake.
            std::process::abort();
        }
        derived
    }
}

/// The deployment's sealing keys: the first one seals, all of them open.
#[derive(Clone)]
pub struct SealingKeys {
    first: SealingKey,
    others: Vec<SealingKey>,
}

impl SealingKeys {
    /// The key that seals, and the older ones.
    pub fn new(first: SealingKey, others: Vec<SealingKey>) -> Self {
        Self { first, others }
    }

    /// 32 bytes derived from the first key, for uses other than sealing. Labels never equal a [`Purpose`]'s, which begin with `seal:`.
    pub(crate) fn derive_first(&self, label: &[u8]) -> Zeroizing<[u8; 32]> {
        self.first.derive(label)
    }

    /// All ids, the sealing one first.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        core::iter::once(&self.first).chain(&self.others).map(SealingKey::id)
    }
}

/// The text could not be sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum SealFailed {
    /// It is longer than what is sealed at once.
    #[error("the text is longer than {LIMIT} bytes and cannot be sealed")]
    TooLong,
    /// The cipher refused. It has no reason to.
    #[error("the text could not be sealed")]
    Cipher,
}

/// The text could not be opened. What is in it is not known, and must not be guessed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum OpenFailed {
    /// It is not a sealed text at all.
    #[error("not a sealed text")]
    Malformed,
    /// It was sealed with a key that is no longer among the deployment's sealing keys.
    #[error(
        "sealed with a key that the deployment secret no longer has; put the former sealing key back behind the first"
    )]
    UnknownKey,
    /// It was changed, or was sealed for another purpose or place.
    #[error("the sealed text does not belong here, or was changed")]
    NotGenuine,
}

/// Seals and opens texts of one purpose.
#[derive(Clone)]
pub struct Sealer {
    purpose: Purpose,
    /// Never empty: the sealing key comes first.
    keys: Vec<(String, std::sync::Arc<LessSafeKey>)>,
}

impl Sealer {
    /// A sealer for one purpose.
    pub fn new(keys: &SealingKeys, purpose: Purpose) -> Self {
        let label = format!("seal:{}", purpose.label());
        let keys = core::iter::once(&keys.first)
            .chain(&keys.others)
            .filter_map(|key| {
                let derived = key.derive(label.as_bytes());
                let unbound = UnboundKey::new(&AES_256_GCM, &*derived).ok()?;
                Some((key.id.clone(), std::sync::Arc::new(LessSafeKey::new(unbound))))
            })
            .collect();
        Self { purpose, keys }
    }

    /// Seals a text for one place, which `context` names: whoever opens it has to name the same.
    pub fn seal(&self, context: &str, plain: &[u8]) -> Result<String, SealFailed> {
        if plain.len() > LIMIT {
            return Err(SealFailed::TooLong);
        }
        let (id, key) = self.keys.first().ok_or(SealFailed::Cipher)?;
        let mut nonce = [0_u8; NONCE_LEN];
        // Not the caller's source: a nonce that repeats breaks the seal, and a seeded source repeats.
        SystemRandom.fill(&mut nonce);
        let mut sealed = Zeroizing::new(plain.to_vec());
        key.seal_in_place_append_tag(
            Nonce::assume_unique_for_key(nonce),
            Aad::from(self.associated_data(id, context)),
            &mut *sealed,
        )
        .map_err(|_| SealFailed::Cipher)?;
        let envelope: Vec<u8> = nonce.iter().chain(sealed.iter()).copied().collect();
        Ok(format!("1.{id}.{}", URL_SAFE_NO_PAD.encode(envelope)))
    }

    /// Opens a text that was sealed for this purpose and this context.
    pub fn open(&self, context: &str, sealed: &str) -> Result<Zeroizing<Vec<u8>>, OpenFailed> {
        let mut parts = sealed.split('.');
        let (Some("1"), Some(id), Some(envelope), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(OpenFailed::Malformed);
        };
        if envelope.len() > LIMIT * 2 {
            return Err(OpenFailed::Malformed);
        }
        let envelope = URL_SAFE_NO_PAD.decode(envelope).map_err(|_| OpenFailed::Malformed)?;
        let (nonce, body) = envelope.split_first_chunk::<NONCE_LEN>().ok_or(OpenFailed::Malformed)?;
        let (_, key) = self.keys.iter().find(|(known, _)| known == id).ok_or(OpenFailed::UnknownKey)?;
        let mut body = Zeroizing::new(body.to_vec());
        let length = key
            .open_in_place(
                Nonce::assume_unique_for_key(*nonce),
                Aad::from(self.associated_data(id, context)),
                &mut body,
            )
            .map_err(|_| OpenFailed::NotGenuine)?
            .len();
        body.truncate(length);
        Ok(body)
    }

    /// Seals a secret text.
    pub fn seal_secret(&self, context: &str, secret: &Secret) -> Result<String, SealFailed> {
        self.seal(context, secret.expose().as_bytes())
    }

    /// Opens a secret text.
    pub fn open_secret(&self, context: &str, sealed: &str) -> Result<Secret, OpenFailed> {
        let opened = self.open(context, sealed)?;
        core::str::from_utf8(&opened).map(Secret::new).map_err(|_| OpenFailed::NotGenuine)
    }

    /// Whether a text was sealed with the first key; if not, it is worth sealing again.
    pub fn is_current(&self, sealed: &str) -> bool {
        self.keys.first().is_some_and(|(id, _)| sealed.split('.').nth(1) == Some(id))
    }

    /// What the tag covers beside the text. The id's length is bounded and its letters contain no NUL, so the parts cannot run
    /// into each other.
    fn associated_data(&self, id: &str, context: &str) -> Vec<u8> {
        [b"rollcall.seal.1", self.purpose.label().as_bytes(), id.as_bytes(), context.as_bytes()].join(&0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key(id: &str, byte: u8) -> SealingKey {
        SealingKey::new(id, [byte; 32]).unwrap()
    }

    fn sealer(purpose: Purpose) -> Sealer {
        Sealer::new(&SealingKeys::new(key("k1", 1), Vec::new()), purpose)
    }

    fn context() -> impl Strategy<Value = String> {
        "[a-z_|]{0,12}"
    }

    proptest! {
        #[test]
        fn what_was_sealed_opens_in_its_own_place(plain: Vec<u8>, context in context()) {
            let sealer = sealer(Purpose::Credential);
            let sealed = sealer.seal(&context, &plain).unwrap();
            prop_assert_eq!(&*sealer.open(&context, &sealed).unwrap(), &plain);
            prop_assert!(sealed.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte)));
        }

        #[test]
        fn it_opens_in_no_other_place_and_for_no_other_purpose(plain: Vec<u8>, here in context(), there in context()) {
            prop_assume!(here != there);
            let sealed = sealer(Purpose::Credential).seal(&here, &plain).unwrap();
            prop_assert_eq!(sealer(Purpose::Credential).open(&there, &sealed), Err(OpenFailed::NotGenuine));
            prop_assert_eq!(sealer(Purpose::Transaction).open(&here, &sealed), Err(OpenFailed::NotGenuine));
        }

        #[test]
        fn changing_any_character_is_noticed(plain: Vec<u8>, at: prop::sample::Index, by in "[A-Za-z0-9_.-]") {
            let sealer = sealer(Purpose::Credential);
            let sealed = sealer.seal("ws_1", &plain).unwrap();
            let at = at.index(sealed.len());
            let changed = format!("{}{by}{}", &sealed[..at], &sealed[at + 1..]);
            prop_assume!(changed != sealed);
            prop_assert!(sealer.open("ws_1", &changed).is_err());
        }

        #[test]
        fn nothing_but_a_sealed_text_opens(text in "(1\\.k1\\.)?[ -~]{0,80}") {
            prop_assert!(sealer(Purpose::Cursor).open("", &text).is_err());
        }
    }

    #[test]
    fn the_same_text_is_sealed_differently_each_time() {
        let sealer = sealer(Purpose::Transaction);
        assert_ne!(sealer.seal("c", b"text").unwrap(), sealer.seal("c", b"text").unwrap());
    }

    #[test]
    fn a_rotation_seals_with_the_new_key_and_still_opens_the_old() {
        let before = Sealer::new(&SealingKeys::new(key("k1", 1), Vec::new()), Purpose::Credential);
        let during = Sealer::new(&SealingKeys::new(key("k2", 2), vec![key("k1", 1)]), Purpose::Credential);
        let after = Sealer::new(&SealingKeys::new(key("k2", 2), Vec::new()), Purpose::Credential);
        let old = before.seal("ws_1", b"secret").unwrap();
        assert_eq!(*during.open("ws_1", &old).unwrap(), b"secret");
        assert!(!during.is_current(&old));
        let new = during.seal("ws_1", b"secret").unwrap();
        assert!(during.is_current(&new) && new.starts_with("1.k2."));
        assert_eq!(*after.open("ws_1", &new).unwrap(), b"secret");
        assert_eq!(after.open("ws_1", &old), Err(OpenFailed::UnknownKey));
        assert_eq!(before.open("ws_1", &new), Err(OpenFailed::UnknownKey));
    }

    #[test]
    fn another_key_under_the_same_id_does_not_open_it() {
        let sealed = sealer(Purpose::Credential).seal("ws_1", b"secret").unwrap();
        let other = Sealer::new(&SealingKeys::new(key("k1", 2), Vec::new()), Purpose::Credential);
        assert_eq!(other.open("ws_1", &sealed), Err(OpenFailed::NotGenuine));
    }

    #[test]
    fn a_secret_goes_in_and_comes_out_and_the_sealed_text_shows_nothing_of_it() {
        let sealer = sealer(Purpose::Webhook);
        let sealed = sealer.seal_secret("ws_1", &Secret::new("hunter2")).unwrap();
        assert!(!sealed.contains("hunter2"));
        assert_eq!(
            sealer.open_secret("ws_1", &sealed).map(|secret| secret.expose().to_owned()).ok(),
            Some("hunter2".into())
        );
        let binary = sealer.seal("ws_1", &[0xff]).unwrap();
        assert_eq!(sealer.open_secret("ws_1", &binary).err(), Some(OpenFailed::NotGenuine));
    }

    #[test]
    fn what_is_too_long_is_not_sealed_and_not_opened() {
        let sealer = sealer(Purpose::Credential);
        assert_eq!(sealer.seal("", &vec![0; LIMIT + 1]), Err(SealFailed::TooLong));
        assert!(sealer.seal("", &vec![0; LIMIT]).is_ok_and(|sealed| sealer.open("", &sealed).is_ok()));
        assert_eq!(sealer.open("", &format!("1.k1.{}", "A".repeat(LIMIT * 3))), Err(OpenFailed::Malformed));
    }

    #[test]
    fn an_id_of_a_key_cannot_break_the_envelope() {
        for bad in ["", "a.b", "a b", "a\0b", "é", &"x".repeat(33)] {
            assert!(SealingKey::new(bad, [0; 32]).is_none(), "{bad:?}");
        }
    }
}
