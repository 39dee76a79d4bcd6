//! Whom this instance plays, and where that provider has its endpoints and its issuer.

use serde::{Deserialize, Serialize};

/// Microsoft's tenant of personal accounts.
pub const MICROSOFT_CONSUMERS: &str = "9188040d-6c67-4c5b-b112-36a304b66dad";

/// Whom to play.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Flavour {
    /// Google: one issuer, which is the origin itself.
    Google,
    /// Microsoft Entra, which has an issuer for each tenant.
    Microsoft {
        /// The path segment of the configured issuer: `organizations`, `common`, `consumers`, or one tenant's id. All of them
        /// are served; this one is what [`Running::issuer`](crate::Running::issuer) names.
        tenant: String,
    },
}

/// The paths of the endpoints below an origin.
pub(crate) struct Paths {
    pub(crate) authorize: String,
    pub(crate) token: String,
    pub(crate) keys: String,
    pub(crate) userinfo: String,
}

impl Flavour {
    /// Microsoft's endpoint for people of any organisation.
    pub fn microsoft_organizations() -> Self {
        Self::Microsoft { tenant: "organizations".into() }
    }

    /// The issuer that a relying party is configured with.
    pub fn configured_issuer(&self, origin: &str) -> String {
        match self {
            Self::Google => origin.to_owned(),
            Self::Microsoft { tenant } => format!("{origin}/{tenant}/v2.0"),
        }
    }

    /// The issuer that the metadata read under a tenant's path names. On Microsoft's shared endpoints it is a template.
    pub(crate) fn issuer_in_metadata(&self, origin: &str, tenant: &str) -> String {
        match (self, tenant) {
            (Self::Google, _) => origin.to_owned(),
            (_, "common" | "organizations") => format!("{origin}/{{tenantid}}/v2.0"),
            (_, "consumers") => format!("{origin}/{MICROSOFT_CONSUMERS}/v2.0"),
            (_, tenant) => format!("{origin}/{tenant}/v2.0"),
        }
    }

    /// The issuer of somebody's ID token.
    pub(crate) fn token_issuer(&self, origin: &str, tid: Option<&str>) -> String {
        match self {
            Self::Google => origin.to_owned(),
            Self::Microsoft { .. } => format!("{origin}/{}/v2.0", tid.unwrap_or(MICROSOFT_CONSUMERS)),
        }
    }

    pub(crate) fn paths(&self, tenant: &str) -> Paths {
        match self {
            Self::Google => Paths {
                authorize: "/o/oauth2/v2/auth".into(),
                token: "/token".into(),
                keys: "/oauth2/v3/certs".into(),
                userinfo: "/v1/userinfo".into(),
            },
            Self::Microsoft { .. } => Paths {
                authorize: format!("/{tenant}/oauth2/v2.0/authorize"),
                token: format!("/{tenant}/oauth2/v2.0/token"),
                keys: format!("/{tenant}/discovery/v2.0/keys"),
                userinfo: "/oidc/userinfo".into(),
            },
        }
    }

    /// Whether people of a tenant can sign in through an endpoint.
    pub(crate) fn admits(&self, endpoint_tenant: &str, tid: Option<&str>) -> bool {
        match self {
            Self::Google => true,
            Self::Microsoft { .. } => match endpoint_tenant {
                "common" => tid.is_some(),
                "organizations" => tid.is_some_and(|tid| tid != MICROSOFT_CONSUMERS),
                "consumers" => tid == Some(MICROSOFT_CONSUMERS),
                one => tid == Some(one),
            },
        }
    }

    /// The name that people know.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Google => "Google",
            Self::Microsoft { .. } => "Microsoft",
        }
    }
}
