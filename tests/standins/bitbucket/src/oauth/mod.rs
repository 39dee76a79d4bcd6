//! OAuth 2.0 as Bitbucket offers it (<https://developer.atlassian.com/cloud/bitbucket/oauth-2/>): codes and tokens, and how long
//! they are good for.

mod authorize;
mod page;
mod token;

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;
use uuid::Uuid;

use crate::world::World;

pub(crate) use authorize::authorize;
pub(crate) use token::{client, token};

/// A code is good for ten minutes at most (RFC 6749 §4.1.2).
const CODE_LIFETIME_MS: i64 = 600_000;

/// A code on its way through a browser.
#[derive(Debug, Clone)]
pub(crate) struct Code {
    pub(crate) consumer: String,
    pub(crate) user: Uuid,
    /// As it was given to the authorization endpoint, if it was.
    pub(crate) redirect_uri: Option<String>,
    pub(crate) issued_ms: i64,
}

/// What an access token stands for.
#[derive(Debug, Clone)]
pub(crate) struct Session {
    pub(crate) consumer: String,
    pub(crate) user: Uuid,
    pub(crate) scopes: BTreeSet<String>,
    pub(crate) expires_ms: i64,
}

/// A refresh token: good until it is used, and a while longer where there is grace.
#[derive(Debug, Clone)]
struct Refresh {
    consumer: String,
    user: Uuid,
    used_ms: Option<i64>,
}

/// Codes and tokens that have been given out.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    made: u64,
    codes: BTreeMap<String, Code>,
    access: BTreeMap<String, Session>,
    refresh: BTreeMap<String, Refresh>,
    /// Until when a consumer's tokens fail.
    locked_out: BTreeMap<String, i64>,
}

/// Tokens that were just made.
pub(crate) struct Issued {
    pub(crate) access: String,
    pub(crate) refresh: Option<String>,
    pub(crate) scopes: BTreeSet<String>,
}

impl Sessions {
    pub(crate) fn access(&self, token: &str) -> Option<&Session> {
        self.access.get(token)
    }

    pub(crate) fn is_locked_out(&self, consumer: &str, now_ms: i64) -> bool {
        self.locked_out.get(consumer).is_some_and(|until| now_ms < *until)
    }

    pub(crate) fn put_code(&mut self, code: Code) -> String {
        let text = self.random("code", 18);
        self.codes.insert(text.clone(), code);
        text
    }

    /// A code, which is then gone.
    pub(crate) fn take_code(&mut self, code: &str, now_ms: i64) -> Option<Code> {
        self.codes.remove(code).filter(|code| now_ms - code.issued_ms < CODE_LIFETIME_MS)
    }

    /// Tokens of a person, or of a consumer itself, which gets no refresh token.
    pub(crate) fn issue(&mut self, world: &World, consumer: &str, user: Uuid, now_ms: i64) -> Issued {
        let known = world.consumers.get(consumer);
        let scopes = known.map(|consumer| consumer.scopes.clone()).unwrap_or_default();
        let expires_ms = now_ms + world.behaviour.token_lifetime * 1000;
        let access = self.mint(world, "access", user, expires_ms);
        let session = Session { consumer: consumer.to_owned(), user, scopes: scopes.clone(), expires_ms };
        self.access.insert(access.clone(), session);
        let for_itself = known.is_some_and(|consumer| consumer.app_user == user);
        let refresh = (!for_itself).then(|| {
            let token = self.mint(world, "refresh", user, expires_ms);
            self.refresh
                .insert(token.clone(), Refresh { consumer: consumer.to_owned(), user, used_ms: None });
            token
        });
        Issued { access, refresh, scopes }
    }

    /// Uses a refresh token up and gives whose it was.
    fn rotate(&mut self, world: &World, token: &str, consumer: &str, now_ms: i64) -> Option<Uuid> {
        let known = self.refresh.get_mut(token).filter(|known| known.consumer == consumer)?;
        match known.used_ms {
            None => {
                known.used_ms = Some(now_ms);
                Some(known.user)
            }
            Some(used) if now_ms - used < world.behaviour.refresh_grace * 1000 => Some(known.user),
            Some(_) => {
                let until = now_ms + world.behaviour.refresh_lockout * 1000;
                self.locked_out.insert(consumer.to_owned(), until);
                None
            }
        }
    }

    /// A token of the length that this Bitbucket mints: like a JWT, or opaque where it is short.
    fn mint(&mut self, world: &World, of: &str, user: Uuid, expires_ms: i64) -> String {
        const SHORTEST_JWT: usize = 200;
        let length = world.behaviour.token_length;
        if length < SHORTEST_JWT {
            return self.random(of, length);
        }
        let header = json!({"alg": "RS256", "typ": "JWT", "kid": "stand-in"});
        let claims = json!({
            "sub": user, "exp": expires_ms / 1000, "jti": self.random(of, 24), "use": of,
        });
        let encoded = |value: serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let start = format!("{}.{}.", encoded(header), encoded(claims));
        let rest = self.random("signature", length.saturating_sub(start.len()).max(16));
        start + &rest
    }

    /// So many signs that do not repeat and tell nothing. Good enough for a stand-in, and for nothing else.
    fn random(&mut self, what: &str, length: usize) -> String {
        use std::hash::{BuildHasher as _, RandomState};
        let state = RandomState::new();
        let mut text = String::with_capacity(length + 11);
        while text.len() < length {
            self.made += 1;
            text.push_str(&URL_SAFE_NO_PAD.encode(state.hash_one((what, self.made)).to_be_bytes()));
        }
        text.truncate(length);
        text
    }
}

/// The parameters of a query or a form, in order.
pub(crate) fn pairs(text: &[u8]) -> Vec<(String, String)> {
    serde_urlencoded::from_bytes(text).unwrap_or_default()
}

/// The first value of a parameter that is not empty.
fn value<'a>(pairs: &'a [(String, String)], name: &str) -> Option<&'a str> {
    pairs
        .iter()
        .find(|(known, _)| known == name)
        .map(|(_, value)| value.as_str())
        .filter(|value| !value.is_empty())
}
