//! Who is asking, and with what.

use std::collections::BTreeSet;

use axum::http::{HeaderMap, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::oauth::Sessions;
use crate::refusal::Refusal;
use crate::world::{Reach, Workspace, World, imply};

/// What kind of credential a request came with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CredentialKind {
    /// None.
    None,
    /// One that is not known, or no longer.
    Unknown,
    /// A person's OAuth token.
    PersonToken,
    /// The OAuth token of a private consumer, acting for itself.
    ConsumerToken,
    /// A workspace access token.
    AccessToken,
    /// A person's API token.
    ApiToken,
    /// A consumer's key and secret at the token endpoint.
    Consumer,
}

/// As whom a request is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Actor {
    /// A person.
    Person(Uuid),
    /// A private consumer acting for itself.
    App {
        /// Its account.
        user: Uuid,
        /// The workspace that it belongs to.
        workspace: Uuid,
    },
    /// A workspace access token, behind which nobody is.
    Token {
        /// The workspace that it belongs to.
        workspace: Uuid,
    },
    /// Nobody.
    Anonymous,
}

/// A request's credential, recognised.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    pub(crate) actor: Actor,
    pub(crate) kind: CredentialKind,
    /// What its calls are counted under, which is no secret: `consumer:KEY`, `access-token:…LAST4`, `api-token:USERNAME`.
    pub(crate) name: String,
    pub(crate) scopes: BTreeSet<String>,
}

impl Caller {
    pub(crate) fn anonymous() -> Self {
        let (actor, kind) = (Actor::Anonymous, CredentialKind::None);
        Self { actor, kind, name: "anonymous".into(), scopes: BTreeSet::new() }
    }

    /// The account behind it.
    pub(crate) fn account(&self) -> Option<Uuid> {
        match self.actor {
            Actor::Person(user) | Actor::App { user, .. } => Some(user),
            Actor::Token { .. } | Actor::Anonymous => None,
        }
    }

    /// Whether it has a scope: one of the OAuth names, or for API tokens one of the granular ones.
    pub(crate) fn has(&self, scope: &str) -> bool {
        if self.kind == CredentialKind::ApiToken {
            self.scopes.contains(scope)
        } else {
            imply(&self.scopes, scope)
        }
    }

    /// How far it reaches in a workspace.
    pub(crate) fn reach(&self, world: &World, workspace: &Workspace) -> Reach {
        match self.actor {
            Actor::Person(user) => Reach::of(workspace, user),
            Actor::App { workspace: home, .. } if home != workspace.uuid => Reach::nothing(),
            Actor::App { .. } if world.behaviour.app_user_is_admin => Reach::everything(),
            Actor::App { user, .. } => Reach::of(workspace, user),
            Actor::Token { workspace: home }
                if home == workspace.uuid && world.behaviour.access_token_is_admin =>
            {
                Reach::everything()
            }
            Actor::Token { .. } | Actor::Anonymous => Reach::nothing(),
        }
    }

    /// Whether it may see who is in a workspace.
    pub(crate) fn is_inside(&self, workspace: &Workspace) -> bool {
        match self.actor {
            Actor::Person(user) => workspace.member(user).is_some(),
            Actor::App { workspace: home, .. } | Actor::Token { workspace: home } => home == workspace.uuid,
            Actor::Anonymous => false,
        }
    }
}

/// The scheme and the rest of an `Authorization` header.
pub(crate) fn authorization(headers: &HeaderMap) -> Option<(String, String)> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, rest) = value.split_once(' ')?;
    Some((scheme.to_ascii_lowercase(), rest.trim().to_owned()))
}

/// The two halves of HTTP Basic (RFC 7617).
pub(crate) fn basic(encoded: &str) -> Option<(String, String)> {
    let text = String::from_utf8(STANDARD.decode(encoded).ok()?).ok()?;
    text.split_once(':').map(|(name, secret)| (name.to_owned(), secret.to_owned()))
}

/// Recognises a credential.
pub(crate) fn authenticate(
    world: &World,
    sessions: &Sessions,
    headers: &HeaderMap,
    now_ms: i64,
) -> Result<Caller, Refusal> {
    if !headers.contains_key(header::AUTHORIZATION) {
        return Ok(Caller::anonymous());
    }
    match authorization(headers) {
        Some((scheme, token)) if scheme == "bearer" => bearer(world, sessions, &token, now_ms),
        Some((scheme, encoded)) if scheme == "basic" => {
            let (email, token) = basic(&encoded).ok_or_else(Refusal::not_valid)?;
            api_token(world, &email, &token)
        }
        _ => Err(Refusal::not_valid()),
    }
}

fn bearer(world: &World, sessions: &Sessions, token: &str, now_ms: i64) -> Result<Caller, Refusal> {
    if let Some(known) = world.access_tokens.get(token) {
        let end: String = token.chars().rev().take(4).collect::<Vec<_>>().into_iter().rev().collect();
        return Ok(Caller {
            actor: Actor::Token { workspace: known.workspace },
            kind: CredentialKind::AccessToken,
            name: format!("access-token:…{end}"),
            scopes: known.scopes.clone(),
        });
    }
    // An API token is refused here in the same words as an unknown one.
    let session = sessions.access(token).ok_or_else(Refusal::not_valid)?;
    if session.expires_ms <= now_ms {
        return Err(Refusal::expired());
    }
    if sessions.is_locked_out(&session.consumer, now_ms) {
        return Err(Refusal::not_valid());
    }
    let consumer = world.consumers.get(&session.consumer).ok_or_else(Refusal::not_valid)?;
    let account = world.account(session.user).filter(|account| account.active);
    let account = account.ok_or_else(Refusal::not_valid)?;
    let own = account.uuid == consumer.app_user;
    let (actor, kind) = if own {
        let actor = Actor::App { user: account.uuid, workspace: consumer.workspace };
        (actor, CredentialKind::ConsumerToken)
    } else {
        (Actor::Person(account.uuid), CredentialKind::PersonToken)
    };
    let name = format!("consumer:{}", consumer.key);
    Ok(Caller { actor, kind, name, scopes: session.scopes.clone() })
}

fn api_token(world: &World, email: &str, token: &str) -> Result<Caller, Refusal> {
    let known = world.api_tokens.get(token).filter(|known| known.email.eq_ignore_ascii_case(email));
    let account = known.and_then(|known| world.account(known.account)).filter(|account| account.active);
    match (known, account) {
        (Some(known), Some(account)) => Ok(Caller {
            actor: Actor::Person(account.uuid),
            kind: CredentialKind::ApiToken,
            name: format!("api-token:{}", account.username),
            scopes: known.scopes.clone(),
        }),
        _ => Err(Refusal::not_valid()),
    }
}
