//! What the local stack is to be: flags, variables and the file, put together and checked before anything is started.

use core::time::Duration;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use rollcall_domain::Secret;
use rollcall_domain::budget::Allowance;
use rollcall_domain::identity::Provider;
use rollcall_service::config;
use serde_json::{Map, Value, json};
use thiserror::Error;

use crate::arguments::{Arguments, Scenario};
use crate::file::{File, FileError};
use crate::providers::client_json;

/// Where it listens unless told otherwise.
pub const DEFAULT_PORT: u16 = 8080;

/// Who plays a provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Played {
    /// A stand-in that is started here.
    ByStandIn,
    /// Somebody else, at an origin or issuer.
    ByOther(String),
}

/// Who plays Bitbucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BitbucketPlayed {
    /// The stand-in, with its example workspace.
    ByStandIn,
    /// Bitbucket itself, or somebody else's stand-in.
    ByOther {
        /// The web origin.
        web: String,
        /// The API's origin.
        api: String,
    },
}

/// Everything that is decided before the start.
#[derive(Clone)]
pub struct Settings {
    /// Where to listen.
    pub listen: SocketAddr,
    /// Whether to end after the report.
    pub once: bool,
    /// The story, if not the main job.
    pub scenario: Option<Scenario>,
    /// Where the table is kept. `None`: in memory.
    pub data: Option<PathBuf>,
    /// The time between two ticks of the schedule.
    pub tick: Duration,
    /// How many calls a credential may make at Bitbucket in an hour.
    pub allowance: Allowance,
    /// Whether a workspace of somebody else's Bitbucket is mirrored, or its plan shown only.
    pub apply: bool,
    /// Who plays Bitbucket.
    pub bitbucket: BitbucketPlayed,
    /// Who plays Google.
    pub google: Played,
    /// Who plays Microsoft.
    pub microsoft: Played,
    /// The workspace's name.
    pub workspace: String,
    /// The connection to make at an outside Bitbucket. `None`: it is left to whoever drives the stack.
    pub connection: Option<Map<String, Value>>,
    /// The clients at the providers, as the deployment secret has them.
    pub providers: Map<String, Value>,
    /// The applications to register.
    pub clients: Vec<Map<String, Value>>,
    /// The first admin token. `None`: a random one.
    pub admin_token: Option<Secret>,
    /// The variables that are handed on to the functions' configuration.
    pub variables: BTreeMap<&'static str, OsString>,
}

/// Flags, variables and file do not make a stack.
#[derive(Debug, Error)]
pub enum SettingsError {
    /// The file cannot be used.
    #[error(transparent)]
    File(#[from] FileError),
    /// Only this machine may reach it: nobody here is who they say they are.
    #[error("--listen must be an address of this machine alone, such as 127.0.0.1:8080")]
    NotLoopback,
    /// The stand-ins need three more ports.
    #[error("--listen: the three ports after {0} are needed too, and there are none; choose a lower one")]
    NoPortsAfter(u16),
    /// One origin of Bitbucket alone.
    #[error("{given} is set and {missing} is not: set both, or neither for the stand-in")]
    HalfOfBitbucket {
        /// The one that is there.
        given: &'static str,
        /// The one that is not.
        missing: &'static str,
    },
    /// A variable that goes with another one.
    #[error("{given} is set and {missing} is not")]
    HalfOfAPair {
        /// The one that is there.
        given: &'static str,
        /// The one that is not.
        missing: &'static str,
    },
    /// A variable is not a text.
    #[error("{0} is not valid UTF-8")]
    NotUtf8(&'static str),
    /// A real workspace needs a credential.
    #[error(
        "the Bitbucket workspace needs a credential: set BITBUCKET_KEY and BITBUCKET_SECRET (an OAuth consumer), or BITBUCKET_TOKEN, \
         or give connection.credential in the --config file"
    )]
    NoCredential,
    /// A credential, and nothing that it is for.
    #[error(
        "the connection names no Bitbucket workspace: give --bitbucket-workspace, or connection.bitbucket_workspace in the --config file"
    )]
    NoBitbucketWorkspace,
    /// Stories change the stand-in's world.
    #[error("--scenario needs the stand-in Bitbucket: it changes who is in it")]
    ScenarioOutside,
    /// The three providers are played by others, and no client is known at any of them.
    #[error(
        "no client is known at any provider: give providers in the --config file, or set BITBUCKET_KEY and BITBUCKET_SECRET"
    )]
    NoProvider,
    /// A name that people could not read.
    #[error("--config: the workspace's name is empty")]
    NoName,
}

/// Variables that the functions read themselves.
const HANDED_ON: [&str; 6] = [
    config::PUBLIC_URL,
    config::TABLE,
    config::SECRET_ID,
    config::SIGN_IN_RATE,
    config::INVITE_SENDER,
    config::AUDIT_DAYS,
];

impl Settings {
    /// The stand-ins and the main job, on free ports, in memory: what a test begins with.
    pub fn for_tests() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            once: true,
            scenario: None,
            data: None,
            tick: Duration::from_secs(900),
            allowance: Allowance::default(),
            apply: true,
            bitbucket: BitbucketPlayed::ByStandIn,
            google: Played::ByStandIn,
            microsoft: Played::ByStandIn,
            workspace: "Acme".to_owned(),
            connection: None,
            providers: Map::new(),
            clients: Vec::new(),
            admin_token: None,
            variables: BTreeMap::new(),
        }
    }

    /// Whether the schedule syncs by itself once the story is told: always at the stand-in, elsewhere only if it was asked for.
    pub fn keeps_in_step(&self) -> bool {
        self.apply || self.bitbucket == BitbucketPlayed::ByStandIn
    }

    /// Puts flags, the file and the environment together. The file wins over the environment, and a flag over both.
    pub fn new(
        arguments: Arguments,
        environment: impl Fn(&'static str) -> Option<OsString>,
    ) -> Result<Self, SettingsError> {
        let file = arguments.config.as_deref().map(File::read).transpose()?.unwrap_or_default();
        let environment = Environment(environment);
        let own_bitbucket = Own::read(&environment)?;

        let named = arguments.bitbucket_workspace.is_some() || file.connection.is_some();
        let bitbucket =
            match (environment.text(config::BITBUCKET_URL)?, environment.text(config::BITBUCKET_API_URL)?) {
                (Some(web), Some(api)) => BitbucketPlayed::ByOther { web, api },
                (Some(_), None) => return Err(half(config::BITBUCKET_URL, config::BITBUCKET_API_URL)),
                (None, Some(_)) => return Err(half(config::BITBUCKET_API_URL, config::BITBUCKET_URL)),
                (None, None) if named => BitbucketPlayed::ByOther {
                    web: "https://bitbucket.org".to_owned(),
                    api: "https://api.bitbucket.org".to_owned(),
                },
                (None, None) => BitbucketPlayed::ByStandIn,
            };
        let outside = bitbucket != BitbucketPlayed::ByStandIn;
        if outside && arguments.scenario.is_some() {
            return Err(SettingsError::ScenarioOutside);
        }
        let google = played(environment.text(config::GOOGLE_ISSUER)?);
        let microsoft = played(environment.text(config::MICROSOFT_ISSUER)?);

        let mut providers = file.providers;
        let consumer = own_bitbucket.consumer.clone().filter(|_| outside);
        for (provider, client) in [
            (Provider::Bitbucket, consumer),
            (Provider::Google, environment.pair("GOOGLE_CLIENT_ID", "GOOGLE_CLIENT_SECRET")?),
            (Provider::Microsoft, environment.pair("MICROSOFT_CLIENT_ID", "MICROSOFT_CLIENT_SECRET")?),
        ] {
            if let Some((id, secret)) = client {
                providers.entry(provider.as_str()).or_insert_with(|| client_json(provider, &id, &secret));
            }
        }
        if outside && google != Played::ByStandIn && microsoft != Played::ByStandIn && providers.is_empty() {
            return Err(SettingsError::NoProvider);
        }

        let listen = arguments.listen.unwrap_or_else(|| {
            SocketAddr::from((Ipv4Addr::LOCALHOST, if arguments.once { 0 } else { DEFAULT_PORT }))
        });
        if !listen.ip().is_loopback() {
            return Err(SettingsError::NotLoopback);
        }
        if listen.port() > u16::MAX - 3 {
            return Err(SettingsError::NoPortsAfter(listen.port()));
        }
        let workspace = file.workspace.unwrap_or_else(|| "Acme".to_owned());
        if workspace.trim().is_empty() {
            return Err(SettingsError::NoName);
        }
        let mut variables = BTreeMap::new();
        for name in HANDED_ON {
            if let Some(value) = (environment.0)(name) {
                variables.insert(name, value);
            }
        }
        Ok(Self {
            listen,
            once: arguments.once,
            scenario: arguments.scenario,
            data: arguments.data,
            tick: Duration::from_secs(arguments.tick.into()),
            allowance: match arguments.scenario {
                // So few that the first sync cannot end within an hour.
                Some(Scenario::Resume) => Allowance::new(80, 20),
                Some(Scenario::Freeze | Scenario::Undo) | None => Allowance::default(),
            },
            apply: arguments.apply,
            connection: connection(file.connection, arguments.bitbucket_workspace, &own_bitbucket)?,
            bitbucket,
            google,
            microsoft,
            workspace,
            providers,
            clients: file.clients,
            admin_token: match file.admin_token {
                Some(token) => Some(token),
                None => environment.text("ROLLCALL_TOKEN")?.map(Secret::new),
            },
            variables,
        })
    }
}

fn half(given: &'static str, missing: &'static str) -> SettingsError {
    SettingsError::HalfOfBitbucket { given, missing }
}

fn played(issuer: Option<String>) -> Played {
    issuer.map_or(Played::ByStandIn, Played::ByOther)
}

/// The connection's body: what the file says, completed by flag and environment.
fn connection(
    file: Option<Map<String, Value>>,
    slug: Option<String>,
    own: &Own,
) -> Result<Option<Map<String, Value>>, SettingsError> {
    if file.is_none() && slug.is_none() {
        return Ok(None);
    }
    let mut connection = file.unwrap_or_default();
    if let Some(slug) = slug {
        connection.insert("bitbucket_workspace".to_owned(), slug.into());
    }
    if !connection.contains_key("bitbucket_workspace") {
        return Err(SettingsError::NoBitbucketWorkspace);
    }
    if !connection.contains_key("credential") {
        let credential = own.credential().ok_or(SettingsError::NoCredential)?;
        connection.insert("credential".to_owned(), credential);
    }
    Ok(Some(connection))
}

/// What the environment knows of credentials at Bitbucket.
struct Own {
    consumer: Option<(String, Secret)>,
    email: Option<String>,
    token: Option<Secret>,
}

impl Own {
    fn read(
        environment: &Environment<impl Fn(&'static str) -> Option<OsString>>,
    ) -> Result<Self, SettingsError> {
        let email = environment.text("BITBUCKET_EMAIL")?;
        let token = environment.text("BITBUCKET_TOKEN")?.map(Secret::new);
        if email.is_some() && token.is_none() {
            return Err(SettingsError::HalfOfAPair { given: "BITBUCKET_EMAIL", missing: "BITBUCKET_TOKEN" });
        }
        Ok(Self { consumer: environment.pair("BITBUCKET_KEY", "BITBUCKET_SECRET")?, email, token })
    }

    /// As the admin API takes it.
    fn credential(&self) -> Option<Value> {
        match (&self.consumer, &self.email, &self.token) {
            (Some((key, secret)), _, _) => {
                Some(json!({ "kind": "oauth_consumer", "key": key, "secret": secret.expose() }))
            }
            (None, Some(email), Some(token)) => {
                Some(json!({ "kind": "api_token", "email": email, "token": token.expose() }))
            }
            (None, None, Some(token)) => Some(json!({ "kind": "access_token", "token": token.expose() })),
            (None, _, None) => None,
        }
    }
}

struct Environment<F>(F);

impl<F: Fn(&'static str) -> Option<OsString>> Environment<F> {
    /// A variable; an empty one counts as not set.
    fn text(&self, name: &'static str) -> Result<Option<String>, SettingsError> {
        match (self.0)(name).map(OsString::into_string) {
            None => Ok(None),
            Some(Ok(text)) => Ok(Some(text).filter(|text| !text.is_empty())),
            Some(Err(_)) => Err(SettingsError::NotUtf8(name)),
        }
    }

    /// Two variables that are nothing without each other; the second one is a secret.
    fn pair(
        &self,
        first: &'static str,
        second: &'static str,
    ) -> Result<Option<(String, Secret)>, SettingsError> {
        match (self.text(first)?, self.text(second)?) {
            (Some(id), Some(secret)) => Ok(Some((id, Secret::new(secret)))),
            (Some(_), None) => Err(SettingsError::HalfOfAPair { given: first, missing: second }),
            (None, Some(_)) => Err(SettingsError::HalfOfAPair { given: second, missing: first }),
            (None, None) => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    fn settings(
        flags: &[&str],
        variables: &[(&'static str, &'static str)],
    ) -> Result<Settings, SettingsError> {
        let arguments = Arguments::try_parse_from([&["rollcall-local"], flags].concat()).unwrap();
        Settings::new(arguments, |name| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| OsString::from(value))
        })
    }

    fn refusal(flags: &[&str], variables: &[(&'static str, &'static str)]) -> String {
        let line = settings(flags, variables).err().unwrap().to_string();
        assert!(!line.contains('\n') && !line.contains("hunter2"), "{line}");
        line
    }

    #[test]
    fn without_anything_the_stand_ins_play_on_the_fixed_ports() {
        let settings = settings(&[], &[]).ok().unwrap();
        assert_eq!(settings.listen.to_string(), "127.0.0.1:8080");
        assert_eq!(settings.bitbucket, BitbucketPlayed::ByStandIn);
        assert_eq!((settings.google, settings.microsoft), (Played::ByStandIn, Played::ByStandIn));
        assert!(settings.connection.is_none() && settings.admin_token.is_none());
    }

    #[test]
    fn one_report_takes_any_free_ports_unless_told_otherwise() {
        assert_eq!(settings(&["--once"], &[]).ok().unwrap().listen.port(), 0);
        let given = settings(&["--once", "--listen", "127.0.0.1:9000"], &[]).ok().unwrap();
        assert_eq!(given.listen.port(), 9000);
    }

    #[test]
    fn a_named_workspace_means_the_real_bitbucket_with_the_consumer_of_the_environment() {
        let variables = [("BITBUCKET_KEY", "key"), ("BITBUCKET_SECRET", "hunter2")];
        let settings = settings(&["--bitbucket-workspace", "acme"], &variables).ok().unwrap();
        let BitbucketPlayed::ByOther { api, .. } = settings.bitbucket else { panic!("the real one") };
        assert_eq!(api, "https://api.bitbucket.org");
        let connection = settings.connection.unwrap();
        assert_eq!(connection["bitbucket_workspace"], "acme");
        assert_eq!(connection["credential"]["kind"], "oauth_consumer");
        assert_eq!(settings.providers["bitbucket"]["client_id"], "key");
        assert!(!settings.apply);
    }

    #[test]
    fn each_kind_of_credential_comes_from_its_variables() {
        let kind = |variables: &[(&'static str, &'static str)]| {
            let settings = settings(&["--bitbucket-workspace", "acme"], variables).ok().unwrap();
            settings.connection.unwrap()["credential"]["kind"].as_str().unwrap().to_owned()
        };
        assert_eq!(kind(&[("BITBUCKET_TOKEN", "t")]), "access_token");
        assert_eq!(kind(&[("BITBUCKET_TOKEN", "t"), ("BITBUCKET_EMAIL", "a@example.com")]), "api_token");
    }

    #[test]
    fn origins_given_by_variables_start_no_stand_in_and_need_no_connection() {
        let variables = [
            (config::BITBUCKET_URL, "http://127.0.0.1:7001"),
            (config::BITBUCKET_API_URL, "http://127.0.0.1:7002"),
            (config::GOOGLE_ISSUER, "http://127.0.0.1:7003"),
        ];
        let settings = settings(&[], &variables).ok().unwrap();
        assert!(settings.bitbucket != BitbucketPlayed::ByStandIn && settings.connection.is_none());
        assert_eq!(settings.google, Played::ByOther("http://127.0.0.1:7003".to_owned()));
        assert_eq!(settings.microsoft, Played::ByStandIn);
    }

    #[test]
    fn what_does_not_go_together_is_refused_in_one_line_that_repeats_no_secret() {
        let half = refusal(&[], &[(config::BITBUCKET_URL, "http://127.0.0.1:1")]);
        assert!(half.contains("ROLLCALL_BITBUCKET_API_URL is not"), "{half}");
        assert!(refusal(&[], &[("BITBUCKET_SECRET", "hunter2")]).contains("BITBUCKET_KEY is not"));
        assert!(refusal(&["--bitbucket-workspace", "acme"], &[]).contains("needs a credential"));
        assert!(refusal(&["--listen", "0.0.0.0:8080"], &[]).contains("this machine alone"));
        assert!(refusal(&["--listen", "127.0.0.1:65533"], &[]).contains("65533"));
        let scenario = ["--scenario", "undo", "--bitbucket-workspace", "acme"];
        assert!(refusal(&scenario, &[]).contains("stand-in Bitbucket"));
    }
}
