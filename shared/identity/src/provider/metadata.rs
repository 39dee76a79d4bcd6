//! What the provider says about itself, about a token, and about a member.

use rollcall_domain::member::Role;
use rollcall_domain::{ClientId, MemberId, SessionId, TeamId, Timestamp, WorkspaceId};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::grant::{Grant, Scopes};
use super::tokens::{About, profile};
use super::verify::{MachineToken, MemberToken};
use rollcall_domain::identity::Provider;

/// The discovery document (OpenID Connect Discovery 1.0 §3, RFC 8414).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[expect(clippy::struct_excessive_bools, reason = "the specification's members are booleans")]
pub struct ProviderMetadata {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    userinfo_endpoint: String,
    jwks_uri: String,
    introspection_endpoint: String,
    revocation_endpoint: String,
    end_session_endpoint: String,
    scopes_supported: Vec<&'static str>,
    response_types_supported: [&'static str; 1],
    response_modes_supported: [&'static str; 1],
    grant_types_supported: [&'static str; 3],
    subject_types_supported: [&'static str; 1],
    id_token_signing_alg_values_supported: [&'static str; 1],
    token_endpoint_auth_methods_supported: [&'static str; 3],
    introspection_endpoint_auth_methods_supported: [&'static str; 2],
    revocation_endpoint_auth_methods_supported: [&'static str; 3],
    code_challenge_methods_supported: [&'static str; 1],
    prompt_values_supported: [&'static str; 4],
    claims_supported: Vec<&'static str>,
    claims_parameter_supported: bool,
    request_parameter_supported: bool,
    request_uri_parameter_supported: bool,
    authorization_response_iss_parameter_supported: bool,
    backchannel_logout_supported: bool,
    backchannel_logout_session_supported: bool,
}

impl ProviderMetadata {
    /// For the public URL, which is the issuer to the letter (without a slash at the end).
    pub fn new(issuer: &str) -> Self {
        let at = |path: &str| format!("{issuer}{path}");
        Self {
            issuer: issuer.to_owned(),
            authorization_endpoint: at("/authorize"),
            token_endpoint: at("/token"),
            userinfo_endpoint: at("/userinfo"),
            jwks_uri: at("/.well-known/jwks.json"),
            introspection_endpoint: at("/introspect"),
            revocation_endpoint: at("/revoke"),
            end_session_endpoint: at("/logout"),
            scopes_supported: Scopes::NAMES.to_vec(),
            response_types_supported: ["code"],
            response_modes_supported: ["query"],
            grant_types_supported: ["authorization_code", "refresh_token", "client_credentials"],
            subject_types_supported: ["public"],
            id_token_signing_alg_values_supported: ["ES256"],
            token_endpoint_auth_methods_supported: ["client_secret_basic", "client_secret_post", "none"],
            introspection_endpoint_auth_methods_supported: ["client_secret_basic", "client_secret_post"],
            revocation_endpoint_auth_methods_supported: ["client_secret_basic", "client_secret_post", "none"],
            code_challenge_methods_supported: ["S256"],
            prompt_values_supported: ["none", "login", "select_account", "consent"],
            claims_supported: vec![
                "iss",
                "sub",
                "aud",
                "exp",
                "iat",
                "auth_time",
                "nonce",
                "at_hash",
                "sid",
                "workspace",
                "role",
                "teams",
                "idp",
                "name",
                "email",
                "email_verified",
            ],
            claims_parameter_supported: false,
            request_parameter_supported: false,
            request_uri_parameter_supported: false,
            authorization_response_iss_parameter_supported: true,
            backchannel_logout_supported: true,
            backchannel_logout_session_supported: true,
        }
    }
}

/// The answer to an introspection (RFC 7662 §2.2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Introspection {
    active: bool,
    #[serde(flatten)]
    what: Map<String, Value>,
}

impl Introspection {
    /// Of a token that is not valid, for whichever reason, or is none of the asker's business.
    pub fn inactive() -> Self {
        Self { active: false, what: Map::new() }
    }

    /// Of a member's access token, where the member, the grant and the session have been read again and found sound.
    pub fn of_member(token: &MemberToken, role: Role, teams: &[TeamId], issuer: &str) -> Self {
        let mut what = Self::frame(issuer, token.issued_at, token.expires_at, token.client);
        what.extend(object(json!({
            "token_type": "Bearer",
            "scope": token.scopes.to_string(),
            "sub": token.member,
            "aud": token.audience,
            "jti": token.id,
            "workspace": token.workspace,
            "role": role,
            "teams": teams,
            "sid": token.session,
        })));
        Self { active: true, what }
    }

    /// Of a machine's access token, where the client has been read again.
    pub fn of_machine(token: &MachineToken, scope: &str, audience: &str, issuer: &str) -> Self {
        let mut what = Self::frame(issuer, token.issued_at, token.expires_at, token.client);
        what.extend(object(json!({
            "token_type": "Bearer", "scope": scope, "sub": token.client, "aud": audience,
        })));
        Self { active: true, what }
    }

    /// Of a refresh token that is current.
    pub fn of_refresh(grant: &Grant, issued: Timestamp, end: Timestamp, issuer: &str) -> Self {
        let mut what = Self::frame(issuer, issued, end, grant.client);
        what.extend(object(json!({
            "scope": grant.scopes.to_string(), "sub": grant.member, "workspace": grant.workspace, "sid": grant.session,
        })));
        Self { active: true, what }
    }

    /// Whether the token is valid.
    pub fn is_active(&self) -> bool {
        self.active
    }

    fn frame(issuer: &str, issued: Timestamp, end: Timestamp, client: ClientId) -> Map<String, Value> {
        object(json!({
            "iss": issuer, "client_id": client, "iat": issued.as_seconds(), "exp": end.as_seconds(),
        }))
    }
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(members) => members,
        _ => Map::new(),
    }
}

/// The answer of `userinfo` (OpenID Connect Core 1.0 §5.3): all teams, however many.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UserInfo {
    sub: MemberId,
    workspace: WorkspaceId,
    role: Role,
    teams: Vec<TeamId>,
    idp: Provider,
    sid: SessionId,
    #[serde(flatten)]
    profile: Map<String, Value>,
}

impl UserInfo {
    /// For a member's access token whose member, grant and session have been read again and found sound.
    pub fn new(token: &MemberToken, provider: Provider, about: &About) -> Self {
        let mut known = Map::new();
        profile(&mut known, token.scopes, about);
        Self {
            sub: token.member,
            workspace: token.workspace,
            role: about.role,
            teams: about.teams.clone(),
            idp: provider,
            sid: token.session,
            profile: known,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::grant::tests::grant;
    use super::*;

    #[test]
    fn every_endpoint_is_under_the_issuer() {
        let metadata = serde_json::to_value(ProviderMetadata::new("https://rollcall.example")).unwrap();
        let members = metadata.as_object().unwrap();
        let endpoints =
            members.iter().filter(|(name, _)| name.ends_with("_endpoint") || name.ends_with("_uri"));
        assert_eq!(endpoints.clone().count(), 7);
        for (name, place) in endpoints {
            assert!(place.as_str().unwrap().starts_with("https://rollcall.example/"), "{name}");
        }
        assert_eq!(metadata["code_challenge_methods_supported"], json!(["S256"]));
    }

    #[test]
    fn an_invalid_token_is_told_apart_by_nothing() {
        assert_eq!(serde_json::to_value(Introspection::inactive()).unwrap(), json!({"active": false}));
    }

    #[test]
    fn userinfo_gives_what_the_scopes_ask_for() {
        let token = MemberToken {
            member: grant().member,
            workspace: grant().workspace,
            epoch: 7,
            client: grant().client,
            grant: grant().id,
            session: grant().session,
            scopes: Scopes::parse("openid profile").unwrap(),
            audience: "api".into(),
            issued_at: Timestamp::EPOCH,
            expires_at: Timestamp::EPOCH,
            id: "x".into(),
        };
        let about = About {
            role: Role::Member,
            teams: vec![],
            name: "Ada".into(),
            email: Some("ada@example.com".parse().unwrap()),
        };
        let info = serde_json::to_value(UserInfo::new(&token, Provider::Google, &about)).unwrap();
        assert_eq!(info["name"], "Ada");
        assert_eq!(info["sub"], json!(grant().member));
        assert_eq!(info["idp"], "google");
        assert_eq!(info.get("email"), None);
    }
}
