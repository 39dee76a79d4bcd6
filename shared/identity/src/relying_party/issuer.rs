//! Which issuer a provider's metadata, tokens and answers must name, to the letter.

use std::collections::BTreeSet;

/// Microsoft's tenant of personal accounts.
pub const MICROSOFT_CONSUMERS: &str = "9188040d-6c67-4c5b-b112-36a304b66dad";

/// What stands for the tenant in the issuer that Microsoft's shared endpoints publish.
const PLACEHOLDER: &str = "{tenantid}";

/// The issuer that is accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IssuerRule {
    /// Exactly this one.
    Exact(String),
    /// Microsoft's shared endpoints: the issuer carries the tenant of whoever signs in, between these two.
    Tenant {
        /// What stands before the tenant.
        before: String,
        /// What stands after the tenant.
        after: String,
        /// Whether personal accounts may come through this endpoint (`common`, not `organizations`).
        personal: bool,
    },
}

impl IssuerRule {
    /// The rule that follows from a configured issuer. A path segment `organizations` or `common` stands for any tenant, and
    /// `consumers` for the one of personal accounts.
    pub fn for_configured(issuer: &str) -> Self {
        for (shared, personal) in [("/organizations/", false), ("/common/", true)] {
            if let Some((before, after)) = issuer.split_once(shared) {
                return Self::Tenant { before: format!("{before}/"), after: format!("/{after}"), personal };
            }
        }
        Self::Exact(issuer.replacen("/consumers/", &format!("/{MICROSOFT_CONSUMERS}/"), 1))
    }

    /// The issuer that the provider's metadata has to name.
    pub fn in_metadata(&self) -> String {
        self.with_tenant(PLACEHOLDER)
    }

    /// Whether a token of a tenant may name this issuer.
    pub fn accepts(&self, issuer: &str, tenant: Option<&str>) -> bool {
        match self {
            // Where one tenant is configured, its id stands in the issuer, and the token's own has to be the same.
            Self::Exact(exact) => {
                exact == issuer
                    && tenant.is_none_or(|tenant| exact.split('/').any(|segment| segment == tenant))
            }
            Self::Tenant { personal, .. } => tenant.is_some_and(|tenant| {
                is_tenant_id(tenant)
                    && (*personal || tenant != MICROSOFT_CONSUMERS)
                    && self.with_tenant(tenant) == issuer
            }),
        }
    }

    /// Whether the `iss` parameter of an answer to the browser (RFC 9207) may be this: the tenant is not known yet.
    pub fn accepts_in_answer(&self, issuer: &str) -> bool {
        match self {
            Self::Exact(exact) => exact == issuer,
            Self::Tenant { before, after, .. } => issuer
                .strip_prefix(before.as_str())
                .and_then(|rest| rest.strip_suffix(after.as_str()))
                .is_some_and(is_tenant_id),
        }
    }

    /// Whether a key that Microsoft publishes for one issuer may sign for another (their key sets name it; `{tenantid}` in it
    /// stands for any tenant).
    pub fn key_may_sign(&self, key_issuer: &str, issuer: &str, tenant: Option<&str>) -> bool {
        match tenant {
            Some(tenant) => key_issuer.replace(PLACEHOLDER, tenant) == issuer,
            None => key_issuer == issuer,
        }
    }

    fn with_tenant(&self, tenant: &str) -> String {
        match self {
            Self::Exact(exact) => exact.clone(),
            Self::Tenant { before, after, .. } => format!("{before}{tenant}{after}"),
        }
    }
}

/// Whether a text is a tenant's id: a UUID in lower case with dashes.
pub(crate) fn is_tenant_id(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
        })
}

/// The Microsoft tenants whose people may sign in at all. What a workspace allows beyond that is its own rule.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Tenants {
    /// Every tenant that the configured issuer lets through.
    #[default]
    Any,
    /// These, by their ids in lower case.
    Only(BTreeSet<String>),
}

impl Tenants {
    /// Whether a tenant is among them.
    pub fn contains(&self, tenant: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Only(tenants) => tenants.contains(tenant),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TENANT: &str = "72f988bf-86f1-41af-91ab-2d7cd011db47";
    const OTHER: &str = "00000000-0000-0000-0000-000000000001";

    fn organizations() -> IssuerRule {
        IssuerRule::for_configured("https://login.microsoftonline.com/organizations/v2.0")
    }

    fn issuer(tenant: &str) -> String {
        format!("https://login.microsoftonline.com/{tenant}/v2.0")
    }

    #[test]
    fn a_shared_endpoint_demands_the_tokens_own_tenant_in_the_issuer() {
        let rule = organizations();
        assert_eq!(rule.in_metadata(), "https://login.microsoftonline.com/{tenantid}/v2.0");
        assert!(rule.accepts(&issuer(TENANT), Some(TENANT)));
        assert!(!rule.accepts(&issuer(TENANT), Some(OTHER)));
        assert!(!rule.accepts(&issuer(TENANT), None));
        assert!(!rule.accepts(&issuer("{tenantid}"), Some("{tenantid}")));
        assert!(!rule.accepts(&issuer("a/../b"), Some("a/../b")));
        assert!(!rule.accepts(&issuer(&TENANT.to_uppercase()), Some(&TENANT.to_uppercase())));
        assert!(!rule.accepts(&format!("{}/", issuer(TENANT)), Some(TENANT)));
    }

    #[test]
    fn personal_accounts_come_through_their_own_endpoint_and_the_common_one() {
        assert!(!organizations().accepts(&issuer(MICROSOFT_CONSUMERS), Some(MICROSOFT_CONSUMERS)));
        let common = IssuerRule::for_configured("https://login.microsoftonline.com/common/v2.0");
        assert!(common.accepts(&issuer(MICROSOFT_CONSUMERS), Some(MICROSOFT_CONSUMERS)));
        let consumers = IssuerRule::for_configured("https://login.microsoftonline.com/consumers/v2.0");
        assert_eq!(consumers.in_metadata(), issuer(MICROSOFT_CONSUMERS));
        assert!(consumers.accepts(&issuer(MICROSOFT_CONSUMERS), Some(MICROSOFT_CONSUMERS)));
        assert!(!consumers.accepts(&issuer(TENANT), Some(TENANT)));
    }

    #[test]
    fn one_tenants_endpoint_accepts_that_tenant() {
        let rule = IssuerRule::for_configured(&issuer(TENANT));
        assert!(rule.accepts(&issuer(TENANT), Some(TENANT)));
        assert!(!rule.accepts(&issuer(TENANT), Some(OTHER)));
        assert!(!rule.accepts(&issuer(OTHER), Some(OTHER)));
    }

    #[test]
    fn an_exact_issuer_is_compared_to_the_letter() {
        let rule = IssuerRule::for_configured("https://accounts.google.com");
        assert!(rule.accepts("https://accounts.google.com", None));
        for other in
            ["accounts.google.com", "https://accounts.google.com/", "HTTPS://accounts.google.com", ""]
        {
            assert!(!rule.accepts(other, None), "{other}");
            assert!(!rule.accepts_in_answer(other), "{other}");
        }
    }

    #[test]
    fn an_answers_issuer_has_the_form_of_the_rule() {
        assert!(organizations().accepts_in_answer(&issuer(TENANT)));
        assert!(!organizations().accepts_in_answer("https://login.microsoftonline.com/organizations/v2.0"));
        assert!(!organizations().accepts_in_answer("https://evil.example/v2.0"));
    }

    #[test]
    fn a_key_published_for_one_issuer_signs_for_no_other() {
        let rule = organizations();
        assert!(rule.key_may_sign(&issuer("{tenantid}"), &issuer(TENANT), Some(TENANT)));
        assert!(rule.key_may_sign(&issuer(TENANT), &issuer(TENANT), Some(TENANT)));
        assert!(!rule.key_may_sign(&issuer(MICROSOFT_CONSUMERS), &issuer(TENANT), Some(TENANT)));
    }
}
