//! The tokens that applications get: ID tokens, access tokens (RFC 9068), logout tokens.

use core::time::Duration;

use rollcall_domain::authority::{Access, Reach};
use rollcall_domain::identity::EmailAddress;
use rollcall_domain::member::Role;
use rollcall_domain::{ClientId, MemberId, Secret, SessionId, TeamId, Timestamp, WorkspaceId};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::client::{Client, MachineAccess};
use super::grant::{Grant, Scopes};
use super::refresh::RefreshToken;
use super::signing::{KeySet, SigningFailed, SigningKeys};
use crate::encoding::{base64url, half_hash};

/// Access tokens, and ID tokens with them, live this long: the longest that a removed member can go on with what they hold.
const LIFETIME: Duration = Duration::from_mins(5);
/// A logout token is for now (OpenID Connect Back-Channel Logout 1.0 §2.4 recommends two minutes).
const LOGOUT_LIFETIME: Duration = Duration::from_mins(2);
/// A member of more teams than this gets tokens without `teams`, which stay small enough for a header; `userinfo` has them all.
pub const MAX_TEAMS_IN_TOKEN: usize = 100;

/// The media type of access tokens (RFC 9068 §2.1).
pub(super) const ACCESS_TOKEN: &str = "at+jwt";
/// The media type of logout tokens.
pub(super) const LOGOUT_TOKEN: &str = "logout+jwt";
/// The media type of ID tokens.
pub(super) const ID_TOKEN: &str = "JWT";
/// What makes a token a logout token.
const LOGOUT_EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";

/// What tokens say about a member, as read at the moment they are issued.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct About {
    /// What they may do.
    pub role: Role,
    /// Their teams.
    pub teams: Vec<TeamId>,
    /// What to call them.
    pub name: String,
    /// Their verified address.
    pub email: Option<EmailAddress>,
}

/// What a member's tokens are made of.
pub struct Issue<'a> {
    /// What the sign-in gave.
    pub grant: &'a Grant,
    /// The scopes: the grant's, or fewer.
    pub scopes: Scopes,
    /// What is so of the member at this moment.
    pub about: &'a About,
    /// The application.
    pub client: &'a Client,
    /// The refresh token to give along.
    pub refresh: Option<&'a RefreshToken>,
}

/// The answer of the token endpoint (RFC 6749 §5.1). It holds the tokens and has no `Debug`.
#[derive(Serialize)]
pub struct TokenAnswer {
    access_token: String,
    token_type: &'static str,
    expires_in: u64,
    scope: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    id_token: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<String>,
}

/// Makes tokens and checks them.
pub struct TokenIssuer {
    pub(super) issuer: String,
    pub(super) keys: SigningKeys,
}

impl TokenIssuer {
    /// For the public URL, which is the issuer to the letter (without a slash at the end).
    pub fn new(issuer: impl Into<String>, keys: SigningKeys) -> Self {
        Self { issuer: issuer.into(), keys }
    }

    /// The issuer.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The JWKS.
    pub fn key_set(&self) -> KeySet {
        self.keys.public()
    }

    /// The audience of the tokens that machines use the admin API with.
    pub fn admin_audience(&self) -> String {
        format!("{}/v1", self.issuer)
    }

    /// The answer to a code or a refresh token. `id` is 16 random bytes.
    pub fn answer(
        &self,
        issue: &Issue<'_>,
        now: Timestamp,
        id: [u8; 16],
    ) -> Result<TokenAnswer, SigningFailed> {
        let access = self.access_token(issue, now, id)?;
        let id_token = self.id_token(issue, &access, now)?;
        Ok(TokenAnswer {
            access_token: access.expose().to_owned(),
            token_type: "Bearer",
            expires_in: LIFETIME.as_secs(),
            scope: issue.scopes.to_string(),
            id_token: Some(id_token.expose().to_owned()),
            refresh_token: issue.refresh.map(|token| token.secret().expose().to_owned()),
        })
    }

    /// The answer to a machine's own credentials (RFC 6749 §4.4). `id` is 16 random bytes.
    pub fn machine_answer(
        &self,
        client: ClientId,
        machine: MachineAccess,
        now: Timestamp,
        id: [u8; 16],
    ) -> Result<TokenAnswer, SigningFailed> {
        let scope = machine_scope(machine.access);
        let mut claims = self.frame(&client.to_string(), &self.admin_audience(), now, LIFETIME, id);
        claims.insert("client_id".into(), json!(client));
        claims.insert("scope".into(), scope.into());
        if let Reach::Workspace(workspace) = machine.reach {
            claims.insert("workspace".into(), json!(workspace));
        }
        let token = self.keys.sign(ACCESS_TOKEN, &claims)?;
        Ok(TokenAnswer {
            access_token: token.expose().to_owned(),
            token_type: "Bearer",
            expires_in: LIFETIME.as_secs(),
            scope: scope.to_owned(),
            id_token: None,
            refresh_token: None,
        })
    }

    /// A logout token for one client: the member's session, or all their sessions. `id` is 16 random bytes.
    pub fn logout_token(
        &self,
        client: ClientId,
        member: MemberId,
        session: Option<SessionId>,
        now: Timestamp,
        id: [u8; 16],
    ) -> Result<Secret, SigningFailed> {
        let mut claims = self.frame(&member.to_string(), &client.to_string(), now, LOGOUT_LIFETIME, id);
        claims.insert("events".into(), json!({ LOGOUT_EVENT: {} }));
        if let Some(session) = session {
            claims.insert("sid".into(), json!(session));
        }
        self.keys.sign(LOGOUT_TOKEN, &claims)
    }

    fn access_token(&self, issue: &Issue<'_>, now: Timestamp, id: [u8; 16]) -> Result<Secret, SigningFailed> {
        let grant = issue.grant;
        let mut claims = self.frame(&grant.member.to_string(), &issue.client.audience(), now, LIFETIME, id);
        claims.insert("client_id".into(), json!(grant.client));
        claims.insert("scope".into(), issue.scopes.to_string().into());
        claims.insert("grant".into(), json!(grant.id));
        claims.insert("epoch".into(), grant.epoch.into());
        describe(&mut claims, grant, issue.about);
        self.keys.sign(ACCESS_TOKEN, &claims)
    }

    fn id_token(&self, issue: &Issue<'_>, access: &Secret, now: Timestamp) -> Result<Secret, SigningFailed> {
        let grant = issue.grant;
        let mut claims =
            self.frame(&grant.member.to_string(), &grant.client.to_string(), now, LIFETIME, [0; 16]);
        // An ID token is used once, by the client that asked for it; its nonce is its id.
        claims.remove("jti");
        if let Some(nonce) = &grant.nonce {
            claims.insert("nonce".into(), nonce.as_str().into());
        }
        claims.insert("at_hash".into(), half_hash(access).into());
        describe(&mut claims, grant, issue.about);
        profile(&mut claims, issue.scopes, issue.about);
        self.keys.sign(ID_TOKEN, &claims)
    }

    /// What every token has.
    fn frame(
        &self,
        subject: &str,
        audience: &str,
        now: Timestamp,
        lifetime: Duration,
        id: [u8; 16],
    ) -> Map<String, Value> {
        let mut claims = Map::new();
        claims.insert("iss".into(), self.issuer.as_str().into());
        claims.insert("sub".into(), subject.into());
        claims.insert("aud".into(), audience.into());
        claims.insert("iat".into(), now.as_seconds().into());
        claims.insert("exp".into(), now.plus(lifetime).as_seconds().into());
        claims.insert("jti".into(), base64url(id).into());
        claims
    }
}

/// The scope of a machine's token.
pub(super) const fn machine_scope(access: Access) -> &'static str {
    match access {
        Access::Read => "admin:read",
        Access::Write => "admin:write",
    }
}

/// What a scope of [`machine_scope`] stands for.
pub(super) fn machine_access_named(scope: &str) -> Option<Access> {
    [Access::Read, Access::Write].into_iter().find(|access| machine_scope(*access) == scope)
}

fn describe(claims: &mut Map<String, Value>, grant: &Grant, about: &About) {
    let workspace: WorkspaceId = grant.workspace;
    claims.insert("workspace".into(), json!(workspace));
    claims.insert("role".into(), json!(about.role));
    claims.insert("idp".into(), grant.provider.as_str().into());
    claims.insert("auth_time".into(), grant.auth_time.as_seconds().into());
    claims.insert("sid".into(), json!(grant.session));
    if about.teams.len() <= MAX_TEAMS_IN_TOKEN {
        claims.insert("teams".into(), json!(about.teams));
    }
}

/// The claims that a scope asks for (OpenID Connect Core 1.0 §5.4).
pub(super) fn profile(claims: &mut Map<String, Value>, scopes: Scopes, about: &About) {
    if scopes.profile {
        claims.insert("name".into(), about.name.as_str().into());
    }
    if let Some(email) = about.email.as_ref().filter(|_| scopes.email) {
        claims.insert("email".into(), email.as_str().into());
        claims.insert("email_verified".into(), true.into());
    }
}
