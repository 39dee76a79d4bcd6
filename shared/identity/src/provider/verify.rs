//! Checking our own tokens when they come back.

use rollcall_domain::authority::Reach;
use rollcall_domain::{ClientId, GrantId, MemberId, SessionId, Timestamp, WorkspaceId};
use thiserror::Error;

use super::client::{Client, MachineAccess};
use super::grant::Scopes;
use super::tokens::{ACCESS_TOKEN, ID_TOKEN, TokenIssuer, machine_access_named};
use crate::FailedCheck;
use crate::jwt::{Broken, Claims, Unverified};

/// Why a token of ours is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum TokenRefused {
    /// Not a signed token.
    #[error("this is not a token")]
    Form,
    /// Another kind of token than is asked for here.
    #[error("this is another kind of token than is accepted here")]
    Type,
    /// Not signed by one of our keys.
    #[error("the token was not issued here, or with a key that is not in use any more")]
    Signature,
    /// Signed by us and still not as we write it; or for another issuer.
    #[error("the token is not meant for this service")]
    Claims,
    /// Past its end.
    #[error("the token has expired; get a new one")]
    Expired,
}

impl FailedCheck for TokenRefused {
    fn check(&self) -> &'static str {
        match self {
            Self::Form => "access_token.form",
            Self::Type => "access_token.typ",
            Self::Signature => "access_token.signature",
            Self::Claims => "access_token.claims",
            Self::Expired => "access_token.exp",
        }
    }
}

impl From<Broken> for TokenRefused {
    fn from(_: Broken) -> Self {
        Self::Form
    }
}

/// A member's access token that is sound. It says what was so when it was issued: whoever decides by it reads the member, the grant
/// and the session again first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberToken {
    /// Who.
    pub member: MemberId,
    /// Of which workspace.
    pub workspace: WorkspaceId,
    /// The member's epoch when it was issued.
    pub epoch: u64,
    /// To which application.
    pub client: ClientId,
    /// From which grant.
    pub grant: GrantId,
    /// From which session.
    pub session: SessionId,
    /// With which scopes.
    pub scopes: Scopes,
    /// The API it is for.
    pub audience: String,
    /// When it was issued.
    pub issued_at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
    /// Its own id.
    pub id: String,
}

impl MemberToken {
    /// Whether a client may ask about it: the application that it was issued to, and the API that it is for.
    pub fn concerns(&self, client: &Client) -> bool {
        self.client == client.id || self.audience == client.audience()
    }
}

/// A machine's access token that is sound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MachineToken {
    /// Which client.
    pub client: ClientId,
    /// What it may do.
    pub machine: MachineAccess,
    /// When it was issued.
    pub issued_at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
}

/// An ID token that comes back as a hint: it tells whose session is meant, and lets nobody in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hint {
    /// Who.
    pub member: MemberId,
    /// To which application it was issued.
    pub client: ClientId,
    /// From which session.
    pub session: SessionId,
}

impl TokenIssuer {
    /// Checks a member's access token, for `userinfo` and introspection.
    ///
    /// It is no key to the admin API: an application that holds one would otherwise have all that its users may do there.
    pub fn member_token(&self, token: &str, now: Timestamp) -> Result<MemberToken, TokenRefused> {
        let claims = self.signed(token, ACCESS_TOKEN)?;
        let (issued_at, expires_at) = times(&claims, now)?;
        Ok(MemberToken {
            member: id(&claims, "sub")?,
            workspace: id(&claims, "workspace")?,
            epoch: claims.get("epoch").and_then(serde_json::Value::as_u64).ok_or(TokenRefused::Claims)?,
            client: id(&claims, "client_id")?,
            grant: id(&claims, "grant")?,
            session: id(&claims, "sid")?,
            scopes: Scopes::parse(text(&claims, "scope")?).ok_or(TokenRefused::Claims)?,
            audience: claims.sole_audience().ok_or(TokenRefused::Claims)?.to_owned(),
            issued_at,
            expires_at,
            id: text(&claims, "jti")?.to_owned(),
        })
    }

    /// Checks a machine's access token, for the admin API.
    pub fn machine_token(&self, token: &str, now: Timestamp) -> Result<MachineToken, TokenRefused> {
        let claims = self.signed(token, ACCESS_TOKEN)?;
        if claims.sole_audience() != Some(self.admin_audience().as_str()) {
            return Err(TokenRefused::Claims);
        }
        let (issued_at, expires_at) = times(&claims, now)?;
        let client: ClientId = id(&claims, "client_id")?;
        if id::<ClientId>(&claims, "sub")? != client {
            return Err(TokenRefused::Claims);
        }
        let reach = match claims.get("workspace") {
            None => Reach::Deployment,
            Some(_) => Reach::Workspace(id(&claims, "workspace")?),
        };
        let access = machine_access_named(text(&claims, "scope")?).ok_or(TokenRefused::Claims)?;
        Ok(MachineToken { client, machine: MachineAccess { reach, access }, issued_at, expires_at })
    }

    /// Reads an ID token of ours as a hint (OpenID Connect RP-Initiated Logout 1.0 §2): it may be past its end.
    pub fn hint(&self, token: &str) -> Result<Hint, TokenRefused> {
        let claims = self.signed(token, ID_TOKEN)?;
        let client =
            claims.sole_audience().and_then(|audience| audience.parse().ok()).ok_or(TokenRefused::Claims)?;
        Ok(Hint { member: id(&claims, "sub")?, client, session: id(&claims, "sid")? })
    }

    fn signed(&self, token: &str, typ: &str) -> Result<Claims, TokenRefused> {
        let token = Unverified::parse(token)?;
        if !token.has_type(&typ.to_ascii_lowercase()) {
            return Err(TokenRefused::Type);
        }
        if !self.keys.have_signed(&token) {
            return Err(TokenRefused::Signature);
        }
        let claims = token.claims()?;
        if text(&claims, "iss")? != self.issuer {
            return Err(TokenRefused::Claims);
        }
        Ok(claims)
    }
}

/// No leeway: issuer and checker are the same program on clocks that AWS keeps together.
fn times(claims: &Claims, now: Timestamp) -> Result<(Timestamp, Timestamp), TokenRefused> {
    let time =
        |name| claims.seconds(name).ok().flatten().map(Timestamp::from_seconds).ok_or(TokenRefused::Claims);
    let (issued, end) = (time("iat")?, time("exp")?);
    if end.has_passed(now) { Err(TokenRefused::Expired) } else { Ok((issued, end)) }
}

fn text<'a>(claims: &'a Claims, name: &str) -> Result<&'a str, TokenRefused> {
    claims.text(name).ok().flatten().ok_or(TokenRefused::Claims)
}

fn id<I: core::str::FromStr>(claims: &Claims, name: &str) -> Result<I, TokenRefused> {
    text(claims, name)?.parse().map_err(|_| TokenRefused::Claims)
}

#[cfg(test)]
mod tests {
    use super::super::client::tests::client;
    use super::super::grant::tests::grant;
    use super::super::tokens::{About, Issue, MAX_TEAMS_IN_TOKEN};
    use super::super::{SigningKeys, generate_signing_key};
    use super::*;
    use core::time::Duration;
    use proptest::prelude::*;
    use rollcall_domain::TeamId;
    use rollcall_domain::authority::Access;
    use rollcall_domain::member::Role;
    use serde_json::{Value, json};

    const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);

    fn issuer() -> TokenIssuer {
        let keys = SigningKeys::load(&generate_signing_key().unwrap(), None, &[]).unwrap();
        TokenIssuer::new("https://rollcall.example", keys)
    }

    fn about(teams: usize) -> About {
        About {
            role: Role::Admin,
            teams: (0..teams).map(|n| TeamId::new(NOW, [u8::try_from(n % 250).unwrap(); 10])).collect(),
            name: "Ada".into(),
            email: Some("ada@example.com".parse().unwrap()),
        }
    }

    fn answer(issuer: &TokenIssuer, teams: usize) -> Value {
        let scopes = grant().scopes;
        let (grant, about, client) = (grant(), about(teams), client(None));
        let issue = Issue { grant: &grant, scopes, about: &about, client: &client, refresh: None };
        let answer = issuer.answer(&issue, NOW, [8; 16]).unwrap();
        serde_json::to_value(answer).unwrap()
    }

    fn payload(token: &Value) -> Value {
        let part = token.as_str().unwrap().split('.').nth(1).unwrap();
        serde_json::from_slice(&crate::encoding::from_base64url(part).unwrap()).unwrap()
    }

    #[test]
    fn an_access_token_reads_back_until_its_very_end() {
        let issuer = issuer();
        let answer = answer(&issuer, 2);
        let token = answer["access_token"].as_str().unwrap();
        let read = issuer.member_token(token, NOW).unwrap();
        assert_eq!((read.member, read.grant, read.epoch), (grant().member, grant().id, 7));
        assert_eq!(read.scopes, grant().scopes);
        let end = NOW.plus(Duration::from_mins(5));
        assert_eq!(read.expires_at, end);
        assert_eq!(issuer.member_token(token, end), Err(TokenRefused::Expired));
        assert!(issuer.member_token(token, end.minus(Duration::from_secs(1))).is_ok());
    }

    #[test]
    fn the_id_token_says_what_the_application_may_know() {
        let issuer = issuer();
        let answer = answer(&issuer, 1);
        let claims = payload(&answer["id_token"]);
        assert_eq!(claims["aud"], json!(grant().client));
        assert_eq!(claims["nonce"], "n-0S6");
        assert_eq!(claims["email"], "ada@example.com");
        assert_eq!(claims["email_verified"], true);
        assert_eq!(claims.get("name"), None, "the scope profile was not asked for");
        assert_eq!(claims["role"], "admin");
        assert_eq!(claims["idp"], "bitbucket");
        assert_eq!(claims["auth_time"], 1_799_999_000);
        assert_eq!(claims["teams"].as_array().unwrap().len(), 1);
        let hash = crate::encoding::sha256(answer["access_token"].as_str().unwrap().as_bytes());
        assert_eq!(claims["at_hash"], crate::encoding::base64url(&hash.as_ref()[..16]));
    }

    #[test]
    fn a_member_of_very_many_teams_still_gets_a_small_token() {
        let issuer = issuer();
        assert_eq!(
            payload(&answer(&issuer, MAX_TEAMS_IN_TOKEN)["access_token"])["teams"].as_array().unwrap().len(),
            100
        );
        assert_eq!(payload(&answer(&issuer, MAX_TEAMS_IN_TOKEN + 1)["access_token"]).get("teams"), None);
    }

    #[test]
    fn no_kind_of_token_passes_for_another() {
        let issuer = issuer();
        let answer = answer(&issuer, 1);
        let access = answer["access_token"].as_str().unwrap();
        let id_token = answer["id_token"].as_str().unwrap();
        let logout = issuer.logout_token(grant().client, grant().member, None, NOW, [1; 16]).unwrap();
        let access_level = MachineAccess { reach: Reach::Deployment, access: Access::Write };
        let machine = issuer.machine_answer(grant().client, access_level, NOW, [1; 16]).unwrap();
        let machine = serde_json::to_value(machine).unwrap();
        let machine = machine["access_token"].as_str().unwrap();

        for other in [id_token, logout.expose()] {
            assert_eq!(issuer.member_token(other, NOW), Err(TokenRefused::Type));
            assert_eq!(issuer.machine_token(other, NOW), Err(TokenRefused::Type));
        }
        assert_eq!(issuer.member_token(machine, NOW), Err(TokenRefused::Claims));
        assert_eq!(issuer.machine_token(access, NOW), Err(TokenRefused::Claims));
        for other in [access, machine, logout.expose()] {
            assert_eq!(issuer.hint(other), Err(TokenRefused::Type));
        }
        assert_eq!(issuer.hint(id_token).unwrap().session, grant().session);
    }

    #[test]
    fn a_machine_gets_what_it_was_registered_with() {
        let issuer = issuer();
        for machine in [
            MachineAccess { reach: Reach::Deployment, access: Access::Read },
            MachineAccess { reach: Reach::Workspace(grant().workspace), access: Access::Write },
        ] {
            let answer =
                serde_json::to_value(issuer.machine_answer(grant().client, machine, NOW, [1; 16]).unwrap())
                    .unwrap();
            let token = issuer.machine_token(answer["access_token"].as_str().unwrap(), NOW).unwrap();
            assert_eq!((token.client, token.machine), (grant().client, machine));
            assert_eq!(answer.get("refresh_token"), None);
            assert_eq!(answer.get("id_token"), None);
        }
    }

    #[test]
    fn a_token_of_another_deployment_or_another_key_is_refused() {
        let (ours, theirs) = (issuer(), issuer());
        let token = answer(&theirs, 0);
        assert_eq!(
            ours.member_token(token["access_token"].as_str().unwrap(), NOW),
            Err(TokenRefused::Signature)
        );
        let key = generate_signing_key().unwrap();
        let issuer = |name: &str| TokenIssuer::new(name, SigningKeys::load(&key, None, &[]).unwrap());
        let token = answer(&issuer("https://other.example"), 0);
        assert_eq!(
            issuer("https://rollcall.example").member_token(token["access_token"].as_str().unwrap(), NOW),
            Err(TokenRefused::Claims)
        );
    }

    #[test]
    fn a_token_is_the_business_of_its_application_and_of_its_api() {
        let issuer = issuer();
        let answer = answer(&issuer, 0);
        let token = issuer.member_token(answer["access_token"].as_str().unwrap(), NOW).unwrap();
        let other = Client { id: ClientId::new(NOW, [9; 10]), ..client(None) };
        assert!(token.concerns(&client(None)));
        assert!(!token.concerns(&other));
        let api = Client { audience: Some(token.audience.clone()), ..other };
        assert!(token.concerns(&api));
    }

    #[test]
    fn a_logout_token_has_the_form_of_the_specification() {
        let issuer = issuer();
        let session = Some(grant().session);
        let token = issuer.logout_token(grant().client, grant().member, session, NOW, [1; 16]).unwrap();
        let header: Value = serde_json::from_slice(
            &crate::encoding::from_base64url(token.expose().split('.').next().unwrap()).unwrap(),
        )
        .unwrap();
        assert_eq!(header["typ"], "logout+jwt");
        let claims = payload(&token.expose().into());
        assert_eq!(claims["events"], json!({"http://schemas.openid.net/event/backchannel-logout": {}}));
        assert_eq!(claims["sid"], json!(grant().session));
        assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 120);
        assert_eq!(claims.get("nonce"), None, "the specification forbids it");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]
        #[test]
        fn a_mutated_token_is_refused(at in any::<prop::sample::Index>(), byte in 0_u8..128) {
            thread_local! {
                static ISSUED: (TokenIssuer, String) = {
                    let issuer = issuer();
                    let token = answer(&issuer, 1)["access_token"].as_str().unwrap().to_owned();
                    (issuer, token)
                };
            }
            ISSUED.with(|(issuer, token)| {
                let mut text = token.as_bytes().to_vec();
                let at = at.index(text.len());
                prop_assume!(text[at] != byte);
                text[at] = byte;
                prop_assert!(issuer.member_token(&String::from_utf8(text).unwrap(), NOW).is_err());
                Ok(())
            })?;
        }

        #[test]
        fn random_text_is_refused(text in "[A-Za-z0-9_.-]{0,120}|\\PC{0,60}") {
            thread_local!(static ISSUER: TokenIssuer = issuer());
            ISSUER.with(|issuer| {
                prop_assert!(issuer.member_token(&text, NOW).is_err());
                prop_assert!(issuer.machine_token(&text, NOW).is_err());
                prop_assert!(issuer.hint(&text).is_err());
                Ok(())
            })?;
        }
    }
}
