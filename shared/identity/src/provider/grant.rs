//! What a sign-in gave to an application: remembered by the code and by the refresh tokens that follow from it.

use rollcall_domain::identity::Provider;
use rollcall_domain::{ClientId, GrantId, MemberId, SessionId, Timestamp, WorkspaceId};
use serde::{Deserialize, Serialize};

/// The scopes that are known. Unknown ones are left out, as OpenID Connect Core 1.0 §3.1.2.1 asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Scopes {
    /// The member's name.
    pub profile: bool,
    /// The member's address.
    pub email: bool,
    /// Refresh tokens.
    pub offline_access: bool,
}

impl Scopes {
    /// As the metadata lists them.
    pub const NAMES: [&'static str; 4] = ["openid", "profile", "email", "offline_access"];

    /// Reads a `scope` parameter; `None` if `openid` is missing.
    pub fn parse(text: &str) -> Option<Self> {
        let has = |name: &str| text.split(' ').any(|scope| scope == name);
        has("openid").then(|| Self {
            profile: has("profile"),
            email: has("email"),
            offline_access: has("offline_access"),
        })
    }

    /// The scopes of a refresh request: no more than was granted (RFC 6749 §6). `None` if more is asked for.
    pub fn narrowed(self, requested: Option<&str>) -> Option<Self> {
        let Some(requested) = requested else { return Some(self) };
        if requested.split(' ').any(|scope| !scope.is_empty() && !Self::NAMES.contains(&scope)) {
            return None;
        }
        let narrower = Self::parse(requested)?;
        let within = (self.profile || !narrower.profile)
            && (self.email || !narrower.email)
            && (self.offline_access || !narrower.offline_access);
        within.then_some(narrower)
    }
}

impl core::fmt::Display for Scopes {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("openid")?;
        for (granted, name) in
            [(self.profile, " profile"), (self.email, " email"), (self.offline_access, " offline_access")]
        {
            f.write_str(if granted { name } else { "" })?;
        }
        Ok(())
    }
}

impl TryFrom<String> for Scopes {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text).ok_or("the scope openid is missing")
    }
}

impl From<Scopes> for String {
    fn from(scopes: Scopes) -> Self {
        scopes.to_string()
    }
}

/// What a sign-in gave to an application.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// Its id: what is revoked when a code or a refresh token is used twice.
    pub id: GrantId,
    /// To which application.
    pub client: ClientId,
    /// Who signed in.
    pub member: MemberId,
    /// Into which workspace.
    pub workspace: WorkspaceId,
    /// The member's epoch at that moment: all of this is void once the member's is another.
    pub epoch: u64,
    /// In which browser session.
    pub session: SessionId,
    /// Where they showed who they are.
    pub provider: Provider,
    /// When they did.
    pub auth_time: Timestamp,
    /// The application's nonce, for its ID token.
    pub nonce: Option<String>,
    /// What was asked for.
    pub scopes: Scopes,
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn grant() -> Grant {
        Grant {
            id: GrantId::new(Timestamp::EPOCH, [2; 10]),
            client: ClientId::new(Timestamp::EPOCH, [1; 10]),
            member: MemberId::new(Timestamp::EPOCH, [3; 10]),
            workspace: WorkspaceId::new(Timestamp::EPOCH, [4; 10]),
            epoch: 7,
            session: SessionId::new(Timestamp::EPOCH, [5; 10]),
            provider: Provider::Bitbucket,
            auth_time: Timestamp::from_seconds(1_799_999_000),
            nonce: Some("n-0S6".into()),
            scopes: Scopes::parse("openid email offline_access").unwrap(),
        }
    }

    #[test]
    fn scopes_read_back_and_unknown_ones_are_left_out() {
        let scopes = Scopes::parse("email  openid unknown OPENID").unwrap();
        assert_eq!(scopes.to_string(), "openid email");
        assert_eq!(Scopes::parse("email profile"), None);
        assert_eq!(Scopes::parse(""), None);
    }

    #[test]
    fn a_refresh_may_ask_for_less_and_never_for_more() {
        let granted = Scopes::parse("openid email").unwrap();
        assert_eq!(granted.narrowed(None), Some(granted));
        assert_eq!(granted.narrowed(Some("openid")).unwrap().to_string(), "openid");
        assert_eq!(granted.narrowed(Some("openid profile")), None);
        assert_eq!(granted.narrowed(Some("openid admin")), None);
        assert_eq!(granted.narrowed(Some("email")), None);
    }

    #[test]
    fn a_grant_survives_being_stored() {
        let text = serde_json::to_string(&grant()).unwrap();
        assert_eq!(serde_json::from_str::<Grant>(&text).unwrap(), grant());
    }
}
