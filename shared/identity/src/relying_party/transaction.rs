//! One login that is under way: what was sent along with the browser, and what has to come back.

use core::time::Duration;

use rollcall_domain::identity::Provider;
use rollcall_domain::{Secret, SessionId, Timestamp, TokenHash, WorkspaceId};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::encoding::{hash_as_hex, random_text};
use crate::pkce::Verifier;

/// How long somebody may take at the provider.
const LIFETIME: Duration = Duration::from_mins(10);
/// The longest return target, in bytes: an authorization request of an application fits.
const LONGEST_RETURN: usize = 2400;

/// Why a login was started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Purpose {
    /// To sign in.
    SignIn,
    /// To accept the invite whose token has this hash. The token itself is not carried around.
    AcceptInvite {
        /// The hash of the invite's token.
        #[serde(with = "hash_as_hex")]
        token: TokenHash,
    },
    /// To link a second identity to the member who is signed in with this session.
    LinkIdentity {
        /// The session that has to be there, and still alive, when the browser comes back.
        session: SessionId,
    },
}

/// A place on Rollcall itself that a sign-in returns to: a path from a fixed list, with its query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReturnTarget(String);

/// The text is no place that a sign-in may return to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("not a place that a sign-in may return to")]
pub struct InvalidReturn;

impl ReturnTarget {
    /// Reads a path with an optional query. The path has to be one of `allowed`, to the letter, so that no form of writing it can
    /// lead to another host or another page (RFC 9700 §4.11).
    pub fn parse(text: &str, allowed: &[&str]) -> Result<Self, InvalidReturn> {
        let path = text.split_once('?').map_or(text, |(path, _)| path);
        let plain = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'\\' | b'#' | b'"' | b'<' | b'>');
        let accepted = text.len() <= LONGEST_RETURN
            && path.starts_with('/')
            && !path.starts_with("//")
            && text.bytes().all(plain)
            && allowed.contains(&path);
        if accepted { Ok(Self(text.to_owned())) } else { Err(InvalidReturn) }
    }

    /// The path and query, for a `Location` header.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What a login is started with.
pub struct LoginStart {
    /// At which provider.
    pub provider: Provider,
    /// The provider's issuer as configured at this moment (for Bitbucket: its web origin).
    pub issuer: String,
    /// Why.
    pub purpose: Purpose,
    /// Where to go afterwards.
    pub return_to: ReturnTarget,
    /// The workspace that is meant, where it is known. A hint: it grants nothing.
    pub workspace: Option<WorkspaceId>,
    /// How long ago the person may have shown who they are at the provider, where an application asks for it. Microsoft tells, and is
    /// held to it; Google does not, so that a login there with this would always be refused.
    pub max_age: Option<Duration>,
}

/// A login that is under way. It is kept in the browser's sealed cookie, holds secrets, and has no `Debug`.
pub struct LoginTransaction {
    /// At which provider.
    pub provider: Provider,
    /// The issuer that the answer and the token have to come from.
    pub issuer: String,
    /// Why it was started.
    pub purpose: Purpose,
    /// Where to go afterwards.
    pub return_to: ReturnTarget,
    /// The workspace that is meant.
    pub workspace: Option<WorkspaceId>,
    /// How long ago the person may have shown who they are at the provider.
    pub max_age: Option<Duration>,
    /// When it was started.
    pub created_at: Timestamp,
    pub(crate) state: Secret,
    /// Bitbucket knows neither `nonce` nor PKCE (BCLOUD-23469): there, the state has to do it all.
    pub(crate) proof: Option<Proof>,
}

/// What ties the answer of an OpenID provider to the login.
pub(crate) struct Proof {
    pub(crate) nonce: Secret,
    pub(crate) verifier: Verifier,
}

impl LoginTransaction {
    /// A new one. State, nonce and verifier get 256 random bits each.
    pub fn begin(start: LoginStart, now: Timestamp, random: [[u8; 32]; 3]) -> Self {
        let [state, nonce, verifier] = random;
        let proof = (start.provider != Provider::Bitbucket)
            .then(|| Proof { nonce: random_text(&nonce), verifier: Verifier::new(verifier) });
        Self {
            provider: start.provider,
            issuer: start.issuer,
            purpose: start.purpose,
            return_to: start.return_to,
            workspace: start.workspace,
            max_age: start.max_age,
            created_at: now,
            state: random_text(&state),
            proof,
        }
    }

    /// Whether the ten minutes are over. A start that lies in the future by more than a minute is over too.
    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.expires_at().has_passed(now) || self.created_at > now.plus(Duration::from_mins(1))
    }

    /// When the ten minutes are over, which is also how long the used-marker has to be kept.
    pub fn expires_at(&self) -> Timestamp {
        self.created_at.plus(LIFETIME)
    }

    /// The key under which the state is marked as used, so that a second use is refused even from the same browser.
    pub fn marker(&self) -> TokenHash {
        TokenHash::of(&self.state)
    }
}

/// The written form, for the sealed cookie only. Short names: a cookie has 4 KiB.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Written {
    #[serde(rename = "p")]
    provider: Provider,
    #[serde(rename = "i")]
    issuer: String,
    #[serde(rename = "f")]
    purpose: Purpose,
    #[serde(rename = "r")]
    return_to: String,
    #[serde(rename = "w", default, skip_serializing_if = "Option::is_none")]
    workspace: Option<WorkspaceId>,
    #[serde(rename = "m", default, skip_serializing_if = "Option::is_none")]
    max_age: Option<u64>,
    #[serde(rename = "t")]
    created_at: Timestamp,
    #[serde(rename = "s")]
    state: String,
    #[serde(rename = "n", default, skip_serializing_if = "Option::is_none")]
    nonce: Option<String>,
    #[serde(rename = "v", default, skip_serializing_if = "Option::is_none")]
    verifier: Option<String>,
}

impl From<&LoginTransaction> for Written {
    fn from(login: &LoginTransaction) -> Self {
        Self {
            provider: login.provider,
            issuer: login.issuer.clone(),
            purpose: login.purpose.clone(),
            return_to: login.return_to.0.clone(),
            workspace: login.workspace,
            max_age: login.max_age.map(|age| age.as_secs()),
            created_at: login.created_at,
            state: login.state.expose().to_owned(),
            nonce: login.proof.as_ref().map(|proof| proof.nonce.expose().to_owned()),
            verifier: login.proof.as_ref().map(|proof| proof.verifier.secret().expose().to_owned()),
        }
    }
}

impl Written {
    /// Reads it back. The cookie was sealed by us, so that its content is ours; `None` only if the form has changed since.
    pub(super) fn read(self) -> Option<LoginTransaction> {
        let proof = match (self.nonce, self.verifier) {
            (None, None) => None,
            (Some(nonce), Some(verifier)) => {
                Some(Proof { nonce: Secret::new(nonce), verifier: Verifier::parse(&verifier)? })
            }
            _ => return None,
        };
        // An OpenID login without nonce and verifier would skip both checks.
        if proof.is_none() != (self.provider == Provider::Bitbucket) {
            return None;
        }
        Some(LoginTransaction {
            provider: self.provider,
            issuer: self.issuer,
            purpose: self.purpose,
            return_to: ReturnTarget(self.return_to),
            workspace: self.workspace,
            max_age: self.max_age.map(Duration::from_secs),
            created_at: self.created_at,
            state: Secret::new(self.state),
            proof,
        })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    pub(crate) fn login(provider: Provider, seed: u8, now: Timestamp) -> LoginTransaction {
        let start = LoginStart {
            provider,
            issuer: "https://op.example".into(),
            purpose: Purpose::SignIn,
            return_to: ReturnTarget::parse("/", &["/"]).unwrap(),
            workspace: None,
            max_age: None,
        };
        LoginTransaction::begin(
            start,
            now,
            [[seed; 32], [seed.wrapping_add(100); 32], [seed.wrapping_add(200); 32]],
        )
    }

    #[test]
    fn a_login_dies_after_ten_minutes() {
        let login = login(Provider::Google, 1, Timestamp::from_seconds(1000));
        assert!(!login.is_expired(Timestamp::from_millis(1_599_999)));
        assert!(login.is_expired(Timestamp::from_seconds(1600)));
        assert!(login.is_expired(Timestamp::from_seconds(900)), "started in the future");
    }

    #[test]
    fn state_nonce_and_verifier_are_different_each_time_and_never_short() {
        let (a, b) =
            (login(Provider::Google, 1, Timestamp::EPOCH), login(Provider::Google, 2, Timestamp::EPOCH));
        assert_ne!(a.state.expose(), b.state.expose());
        let (a, b) = (a.proof.unwrap(), b.proof.unwrap());
        assert_ne!(a.nonce.expose(), b.nonce.expose());
        assert_ne!(a.verifier.challenge(), b.verifier.challenge());
        assert_eq!(a.nonce.expose().len(), 43);
    }

    #[test]
    fn a_return_target_is_a_known_path_on_this_host() {
        let allowed = ["/", "/authorize", "/sessions"];
        for good in ["/", "/authorize?client_id=a&x=%2F%2Fevil.example", "/sessions"] {
            assert_eq!(ReturnTarget::parse(good, &allowed).unwrap().as_str(), good);
        }
        for bad in [
            "",
            "authorize",
            "//evil.example",
            "//evil.example/authorize",
            "/\\evil.example",
            "https://evil.example/",
            "/authorize/../x",
            "/authorize/",
            "/%61uthorize",
            "/unknown",
            "/authorize#x",
            "/authorize\r\nX: y",
            "/authorize?x= y",
            "/\tauthorize",
            "javascript:alert(1)",
            "/authorize?é",
            "?x=1",
        ] {
            assert_eq!(ReturnTarget::parse(bad, &allowed), Err(InvalidReturn), "{bad:?}");
        }
        assert!(ReturnTarget::parse(&format!("/?{}", "x".repeat(3000)), &allowed).is_err());
    }

    proptest! {
        #[test]
        fn no_text_becomes_a_target_outside_the_list(text in "[/\\\\a-z?#.%@:]{0,20}") {
            if let Ok(target) = ReturnTarget::parse(&text, &["/", "/a"]) {
                let base = url::Url::parse("https://rollcall.example/").unwrap();
                let joined = base.join(target.as_str()).unwrap();
                prop_assert_eq!(joined.host_str(), Some("rollcall.example"));
                prop_assert!(["/", "/a"].contains(&joined.path()));
            }
        }
    }
}
