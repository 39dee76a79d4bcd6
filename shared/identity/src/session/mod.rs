//! The browser's session: its cookie, its token, its end.

mod cookie;
mod limits;

pub use cookie::{AmbiguousCookie, CookieName, read_cookie, remove_cookie, set_cookie};
pub use limits::{SessionEnded, SessionLimits, SessionRecord};

use rollcall_domain::{Secret, TokenHash};

use crate::encoding::{is_random_text, random_text};

/// The value of the session cookie: 256 random bits, new at every sign-in. Only its hash is stored.
#[derive(Clone)]
pub struct SessionToken(Secret);

impl SessionToken {
    /// A new one from 32 random bytes.
    pub fn new(random: [u8; 32]) -> Self {
        Self(random_text(&random))
    }

    /// Reads one that was presented; `None` if it cannot be ours.
    pub fn parse(text: &str) -> Option<Self> {
        is_random_text(text, 32).then(|| Self(Secret::new(text)))
    }

    /// The key that the session is stored under.
    pub fn hash(&self) -> TokenHash {
        TokenHash::of(&self.0)
    }

    /// The text, for the cookie.
    pub fn secret(&self) -> &Secret {
        &self.0
    }
}
