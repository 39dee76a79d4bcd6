//! What is asked for when a workspace is connected.

use rollcall_admin::schema;
use rollcall_bitbucket::{Credential, WorkspaceRef};
use rollcall_domain::Secret;
use rollcall_domain::bitbucket::{AccountUuid, InvalidName};
use rollcall_domain::connection::{OffboardOn, Policy, Settings, Start};
use rollcall_domain::plan::Caps;
use rollcall_service::web::{FieldError, Problem};
use serde::Deserialize;
use utoipa::ToSchema;

/// A Bitbucket workspace by its slug or its UUID in braces.
#[derive(Clone, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Which(pub(crate) WorkspaceRef);

impl TryFrom<String> for Which {
    type Error = InvalidName;

    fn try_from(text: String) -> Result<Self, InvalidName> {
        text.parse().map(Self)
    }
}

/// How the sync signs in to Bitbucket. Sealed at once, and never shown again.
#[derive(Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
#[schema(as = Credential)]
pub(crate) enum CredentialInput {
    /// A workspace access token (Bitbucket Premium).
    AccessToken {
        /// The token.
        #[schema(value_type = String, write_only, min_length = 1, max_length = 16_384, pattern = "^[!-~]+$")]
        token: Secret,
    },
    /// A private OAuth consumer.
    OauthConsumer {
        /// Its key.
        #[schema(min_length = 1, max_length = 16_384, pattern = "^[!-~]+$")]
        key: String,
        /// Its secret.
        #[schema(value_type = String, write_only, min_length = 1, max_length = 16_384, pattern = "^[!-~]+$")]
        secret: Secret,
    },
    /// An administrator's API token.
    ApiToken {
        /// The e-mail address of the Atlassian account.
        #[schema(min_length = 1, max_length = 16_384, pattern = "^[!-~]+$")]
        email: String,
        /// The token.
        #[schema(value_type = String, write_only, min_length = 1, max_length = 16_384, pattern = "^[!-~]+$")]
        token: Secret,
    },
}

/// The longest part of a credential. Bitbucket's new tokens have about 2,500 characters.
const LONGEST: usize = 16 * 1024;

impl CredentialInput {
    /// The credential, if a header can carry it.
    pub(crate) fn into_credential(self) -> Result<Credential, Problem> {
        let parts: Vec<(&str, &str)> = match &self {
            Self::AccessToken { token } => vec![("token", token.expose())],
            Self::OauthConsumer { key, secret } => vec![("key", key), ("secret", secret.expose())],
            Self::ApiToken { email, token } => vec![("email", email), ("token", token.expose())],
        };
        let errors: Vec<FieldError> = parts
            .into_iter()
            .filter(|(_, text)| {
                text.is_empty() || text.len() > LONGEST || !text.bytes().all(|byte| byte.is_ascii_graphic())
            })
            .map(|(name, _)| {
                FieldError::at(
                    format!("/credential/{name}"),
                    "is empty, too long, or has characters that no credential of Bitbucket has",
                )
            })
            .collect();
        if !errors.is_empty() {
            return Err(Problem::invalid(errors));
        }
        Ok(match self {
            Self::AccessToken { token } => Credential::WorkspaceAccessToken(token),
            Self::OauthConsumer { key, secret } => Credential::OAuthConsumer { key, secret },
            Self::ApiToken { email, token } => Credential::ApiToken { email, token },
        })
    }
}

/// How many removals of a kind may be made within a day without approval: the larger of a number and a share.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Caps)]
pub(crate) struct CapsInput {
    /// Up to this many are always allowed, though never all.
    #[schema(maximum = 1_000_000, default = 3)]
    least: Option<u32>,
    /// Up to this share of what there is, in percent.
    #[schema(maximum = 100, default = 25)]
    percent: Option<u32>,
}

/// A credential to try on a Bitbucket workspace.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Trial {
    /// The Bitbucket workspace: its slug, or its UUID in braces.
    #[schema(value_type = String, pattern = r"^(\{[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\}|[A-Za-z0-9._-]{1,62})$")]
    pub(crate) bitbucket_workspace: Which,
    /// How the sync would sign in.
    pub(crate) credential: CredentialInput,
}

/// What an admin decides about a connection. What is left out stays as it is, and is the default for a new connection.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Connect {
    /// The Bitbucket workspace: its slug, or its UUID in braces. Required for a new connection.
    #[schema(value_type = Option<String>, pattern = r"^(\{[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\}|[A-Za-z0-9._-]{1,62})$")]
    pub(crate) bitbucket_workspace: Option<Which>,
    /// How the sync signs in. Required for a new connection; for one that stands it replaces the former one.
    pub(crate) credential: Option<CredentialInput>,
    /// Who is let in at sign-in. Default: `all_repositories`.
    #[schema(value_type = Option<schema::Policy>)]
    pub(crate) policy: Option<Policy>,
    /// What ends a membership that stands on Bitbucket. Default: `left_workspace`.
    #[schema(value_type = Option<schema::OffboardOn>)]
    pub(crate) offboard_on: Option<OffboardOn>,
    /// Turns every removal off: the sync then only adds and changes.
    pub(crate) removals_off: Option<bool>,
    /// How much may be removed without approval.
    pub(crate) caps: Option<CapsInput>,
    /// Bitbucket accounts that the sync leaves alone.
    #[schema(value_type = Option<Vec<schema::BitbucketUuid>>, max_items = 1_000)]
    pub(crate) ignored: Option<Vec<AccountUuid>>,
    /// Whether the first plan is applied, or shown and waits for an approval.
    #[schema(value_type = Option<schema::Start>)]
    pub(crate) start: Option<Start>,
    /// The Bitbucket account that becomes an admin when it first signs in.
    #[schema(value_type = Option<schema::BitbucketUuid>)]
    pub(crate) first_admin: Option<AccountUuid>,
}

/// As many accounts can be ignored.
const MOST_IGNORED: usize = 1_000;

impl Connect {
    /// What the settings become.
    pub(crate) fn settings(&self, present: Option<&Settings>) -> Result<Settings, Problem> {
        let mut settings = present.cloned().unwrap_or_default();
        let mut errors = Vec::new();
        if let Some(caps) = self.caps {
            settings.caps = merged(settings.caps, caps, &mut errors);
        }
        if let Some(ignored) = &self.ignored {
            if ignored.len() > MOST_IGNORED {
                errors.push(FieldError::at("/ignored", format!("has more than {MOST_IGNORED} accounts")));
            }
            settings.ignored = ignored.iter().copied().collect();
        }
        if !errors.is_empty() {
            return Err(Problem::invalid(errors));
        }
        settings.policy = self.policy.unwrap_or(settings.policy);
        settings.offboard_on = self.offboard_on.unwrap_or(settings.offboard_on);
        settings.removals_off = self.removals_off.unwrap_or(settings.removals_off);
        settings.start = self.start.unwrap_or(settings.start);
        settings.first_admin = self.first_admin.or(settings.first_admin);
        Ok(settings)
    }
}

fn merged(present: Caps, asked: CapsInput, errors: &mut Vec<FieldError>) -> Caps {
    if asked.least.is_some_and(|least| least > 1_000_000) {
        errors.push(FieldError::at("/caps/least", "is more than 1000000"));
    }
    if asked.percent.is_some_and(|percent| percent > 100) {
        errors.push(FieldError::at("/caps/percent", "is more than 100"));
    }
    let number = |asked: Option<u32>, present: usize| {
        asked.and_then(|number| usize::try_from(number).ok()).unwrap_or(present)
    };
    Caps { least: number(asked.least, present.least), percent: number(asked.percent, present.percent) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Connect {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn what_is_left_out_stays_as_it_is() {
        let present = Settings { policy: Policy::AnyRepository, removals_off: true, ..Settings::default() };
        let settings = read(r#"{"caps":{"percent":10}}"#).settings(Some(&present)).unwrap();
        assert_eq!(settings, Settings { caps: Caps { least: 3, percent: 10 }, ..present });
        assert_eq!(read("{}").settings(None).unwrap(), Settings::default());
    }

    #[test]
    fn a_cap_over_everything_and_an_unknown_setting_are_refused() {
        assert!(read(r#"{"caps":{"percent":101}}"#).settings(None).is_err());
        assert!(serde_json::from_str::<Connect>(r#"{"polcy":"any_repository"}"#).is_err());
        assert!(serde_json::from_str::<Connect>(r#"{"bitbucket_workspace":"a/b"}"#).is_err());
    }

    #[test]
    fn a_credential_that_no_header_can_carry_is_refused_without_repeating_it() {
        let input: CredentialInput =
            serde_json::from_str("{\"kind\":\"access_token\",\"token\":\"hunter2\\r\\nX: y\"}").unwrap();
        let problem = input.into_credential().err().unwrap().to_json(None).to_string();
        assert!(problem.contains("/credential/token") && !problem.contains("hunter2"), "{problem}");
    }
}
