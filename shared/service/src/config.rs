//! The configuration: environment variables, read and checked once at start.
//!
//! Anything missing or malformed stops the function with one line that names the variable. No line repeats a value: somebody may
//! have put a secret into the wrong variable.

mod parse;

use core::num::NonZeroU32;
use core::time::Duration;
use std::collections::BTreeMap;
use std::ffi::OsString;

use rollcall_domain::identity::EmailAddress;
use thiserror::Error;
use url::Url;

pub use parse::{Issuer, Origin, SecretId, TableName};

/// The public base URL, which is also the OpenID issuer.
pub const PUBLIC_URL: &str = "ROLLCALL_PUBLIC_URL";
/// The DynamoDB table.
pub const TABLE: &str = "ROLLCALL_TABLE";
/// The name or ARN of the deployment secret.
pub const SECRET_ID: &str = "ROLLCALL_SECRET_ID";
/// The SQS queue of sync work.
pub const SYNC_QUEUE_URL: &str = "ROLLCALL_SYNC_QUEUE_URL";
/// Bitbucket's web origin.
pub const BITBUCKET_URL: &str = "ROLLCALL_BITBUCKET_URL";
/// Bitbucket's API origin.
pub const BITBUCKET_API_URL: &str = "ROLLCALL_BITBUCKET_API_URL";
/// Google's issuer.
pub const GOOGLE_ISSUER: &str = "ROLLCALL_GOOGLE_ISSUER";
/// Microsoft's issuer.
pub const MICROSOFT_ISSUER: &str = "ROLLCALL_MICROSOFT_ISSUER";
/// Attempts per address and minute.
pub const SIGN_IN_RATE: &str = "ROLLCALL_SIGN_IN_RATE";
/// The verified SES sender.
pub const INVITE_SENDER: &str = "ROLLCALL_INVITE_SENDER";
/// For how many days the audit trail is kept.
pub const AUDIT_DAYS: &str = "ROLLCALL_AUDIT_DAYS";

/// A variable is missing or malformed. The line is meant for the operator and is the only one they get.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ConfigError {
    /// A variable that this function needs is not set, or is empty.
    #[error("{variable} is not set: {expected}")]
    Missing {
        /// The variable.
        variable: &'static str,
        /// What belongs there.
        expected: &'static str,
    },
    /// A variable is set to something that cannot be used.
    #[error("{variable} {defect}")]
    Malformed {
        /// The variable.
        variable: &'static str,
        /// What is wrong, as the rest of a sentence that begins with the variable.
        defect: &'static str,
    },
}

/// Everything that is configured by the environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The public base URL: an origin, which is also the OpenID issuer.
    pub public_url: Origin,
    /// The DynamoDB table.
    pub table: TableName,
    /// The deployment secret.
    pub secret_id: SecretId,
    /// Bitbucket's web origin, where people sign in. Default: `https://bitbucket.org`.
    pub bitbucket_url: Origin,
    /// Bitbucket's API origin. Default: `https://api.bitbucket.org`.
    pub bitbucket_api_url: Origin,
    /// Google's issuer. Default: `https://accounts.google.com`.
    pub google_issuer: Issuer,
    /// Microsoft's issuer. Default: `https://login.microsoftonline.com/organizations/v2.0`, which lets the work and school accounts
    /// of every tenant come through and keeps private accounts out; which tenants are really let in, the deployment secret says.
    /// Each token names its own tenant's issuer.
    pub microsoft_issuer: Issuer,
    /// Sign-ins, token and invite attempts per address and minute. Default: 30.
    pub sign_in_rate: NonZeroU32,
    /// The verified SES sender. Without one, invite links are returned to the caller and no mail is sent.
    pub invite_sender: Option<EmailAddress>,
    /// How long each entry of the audit trail is kept. Default: `None`, for ever.
    pub audit_kept: Option<Duration>,
    sync_queue_url: Option<Url>,
}

impl Config {
    /// Reads the process's environment.
    pub fn from_env() -> Result<Self, ConfigError> {
        Self::read(std::env::var_os)
    }

    /// Reads a map instead of the environment: for tests and the local stack.
    pub fn from_map<K, V>(variables: impl IntoIterator<Item = (K, V)>) -> Result<Self, ConfigError>
    where
        K: Into<String>,
        V: Into<OsString>,
    {
        let variables: BTreeMap<String, OsString> =
            variables.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        Self::read(|name| variables.get(name).cloned())
    }

    /// The queue of sync work, for the functions that use it: the others need no such variable.
    pub fn sync_queue_url(&self) -> Result<&Url, ConfigError> {
        self.sync_queue_url.as_ref().ok_or(ConfigError::Missing {
            variable: SYNC_QUEUE_URL,
            expected: "this function needs the URL of the SQS queue of sync work",
        })
    }

    fn read(variable: impl Fn(&'static str) -> Option<OsString>) -> Result<Self, ConfigError> {
        let text = |name: &'static str| -> Result<Option<String>, ConfigError> {
            match variable(name).map(OsString::into_string) {
                // A template passes an empty text where nothing was chosen.
                None => Ok(None),
                Some(Ok(value)) => Ok(Some(value).filter(|value| !value.is_empty())),
                Some(Err(_)) => Err(ConfigError::Malformed { variable: name, defect: "is not valid UTF-8" }),
            }
        };
        let required = |name: &'static str, expected: &'static str| {
            text(name)?.ok_or(ConfigError::Missing { variable: name, expected })
        };
        let or_default = |name: &'static str, default: &'static str| -> Result<String, ConfigError> {
            Ok(text(name)?.unwrap_or_else(|| default.to_owned()))
        };
        let named =
            |variable: &'static str| move |defect: &'static str| ConfigError::Malformed { variable, defect };

        Ok(Self {
            public_url: Origin::parse(&required(
                PUBLIC_URL,
                "the public base URL of this deployment, for example https://rollcall.example.com",
            )?)
            .map_err(named(PUBLIC_URL))?,
            table: TableName::parse(&required(TABLE, "the name of the DynamoDB table")?)
                .map_err(named(TABLE))?,
            secret_id: SecretId::parse(&required(
                SECRET_ID,
                "the name or ARN of the deployment secret in Secrets Manager",
            )?)
            .map_err(named(SECRET_ID))?,
            bitbucket_url: Origin::parse(&or_default(BITBUCKET_URL, "https://bitbucket.org")?)
                .map_err(named(BITBUCKET_URL))?,
            bitbucket_api_url: Origin::parse(&or_default(BITBUCKET_API_URL, "https://api.bitbucket.org")?)
                .map_err(named(BITBUCKET_API_URL))?,
            google_issuer: Issuer::parse(&or_default(GOOGLE_ISSUER, "https://accounts.google.com")?)
                .map_err(named(GOOGLE_ISSUER))?,
            microsoft_issuer: Issuer::parse(&or_default(
                MICROSOFT_ISSUER,
                "https://login.microsoftonline.com/organizations/v2.0",
            )?)
            .map_err(named(MICROSOFT_ISSUER))?,
            sign_in_rate: parse::rate(&or_default(SIGN_IN_RATE, "30")?).map_err(named(SIGN_IN_RATE))?,
            invite_sender: text(INVITE_SENDER)?
                .map(|sender| {
                    sender.parse().map_err(|_| named(INVITE_SENDER)("is not a plain e-mail address"))
                })
                .transpose()?,
            audit_kept: text(AUDIT_DAYS)?
                .map(|days| parse::days(&days).map_err(named(AUDIT_DAYS)))
                .transpose()?,
            sync_queue_url: text(SYNC_QUEUE_URL)?
                .map(|url| parse::queue_url(&url).map_err(named(SYNC_QUEUE_URL)))
                .transpose()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn minimal() -> BTreeMap<&'static str, &'static str> {
        BTreeMap::from([
            (PUBLIC_URL, "https://rollcall.example.com"),
            (TABLE, "rollcall"),
            (SECRET_ID, "rollcall/deployment"),
        ])
    }

    fn with(variable: &'static str, value: &'static str) -> Result<Config, ConfigError> {
        let mut variables = minimal();
        variables.insert(variable, value);
        Config::from_map(variables)
    }

    #[test]
    fn the_required_variables_are_enough() {
        let config = Config::from_map(minimal()).unwrap();
        assert_eq!(config.public_url.as_str(), "https://rollcall.example.com");
        assert_eq!(config.bitbucket_url.as_str(), "https://bitbucket.org");
        assert_eq!(config.bitbucket_api_url.as_str(), "https://api.bitbucket.org");
        assert_eq!(config.google_issuer.as_str(), "https://accounts.google.com");
        assert_eq!(config.microsoft_issuer.as_str(), "https://login.microsoftonline.com/organizations/v2.0");
        assert_eq!(config.sign_in_rate.get(), 30);
        assert_eq!(config.invite_sender, None);
        assert_eq!(config.audit_kept, None);
    }

    #[test]
    fn each_required_variable_is_named_when_it_is_missing_or_empty() {
        for variable in [PUBLIC_URL, TABLE, SECRET_ID] {
            let mut variables = minimal();
            variables.remove(variable);
            let missing = Config::from_map(variables).unwrap_err().to_string();
            assert!(missing.starts_with(&format!("{variable} is not set")), "{missing}");
            assert_eq!(with(variable, "").unwrap_err().to_string(), missing);
        }
    }

    #[test]
    fn the_queue_is_required_only_where_it_is_used() {
        let without = Config::from_map(minimal()).unwrap();
        assert!(
            without
                .sync_queue_url()
                .unwrap_err()
                .to_string()
                .starts_with("ROLLCALL_SYNC_QUEUE_URL is not set")
        );
        let url = "https://sqs.eu-west-1.amazonaws.com/123456789012/sync";
        assert_eq!(with(SYNC_QUEUE_URL, url).unwrap().sync_queue_url().unwrap().as_str(), url);
    }

    #[test]
    fn a_malformed_value_is_named_by_its_variable_and_never_repeated() {
        let cases = [
            (PUBLIC_URL, "http://rollcall.example.com"),
            (PUBLIC_URL, "https://rollcall.example.com/base"),
            (PUBLIC_URL, "https://hunter2@rollcall.example.com"),
            (TABLE, "t!"),
            (SECRET_ID, "hunter2 with spaces"),
            (SYNC_QUEUE_URL, "hunter2"),
            (BITBUCKET_URL, "ftp://bitbucket.org"),
            (BITBUCKET_API_URL, "https://api.bitbucket.org/2.0"),
            (GOOGLE_ISSUER, "https://accounts.google.com?x=hunter2"),
            (MICROSOFT_ISSUER, "login.microsoftonline.com"),
            (SIGN_IN_RATE, "30000"),
            (SIGN_IN_RATE, "-1"),
            (SIGN_IN_RATE, "30.5"),
            (INVITE_SENDER, "Rollcall <hunter2@example.com>"),
        ];
        for (variable, value) in cases {
            let line = with(variable, value).unwrap_err().to_string();
            assert!(line.starts_with(variable) && !line.contains('\n'), "{line}");
            assert!(!line.contains("hunter2") && !line.contains(value), "{line}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_value_that_is_no_text_is_refused() {
        use std::os::unix::ffi::OsStringExt as _;
        let mut variables: BTreeMap<&str, OsString> =
            minimal().into_iter().map(|(name, value)| (name, value.into())).collect();
        variables.insert(TABLE, OsString::from_vec(vec![0xff]));
        assert_eq!(Config::from_map(variables).unwrap_err().to_string(), "ROLLCALL_TABLE is not valid UTF-8");
    }
}
