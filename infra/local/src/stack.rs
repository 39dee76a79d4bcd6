//! The stack: everything that Rollcall needs, started in order, and the functions' routers on one port.

use core::time::Duration;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::Router;
use axum::response::Redirect;
use axum::routing::get;
use rollcall_admin::Admin;
use rollcall_bitbucket::{Bitbucket, Endpoints, InvalidEndpoint, Limits};
use rollcall_delivery::{Caller, Outbox};
use rollcall_domain::Secret;
use rollcall_domain::budget::Allowance;
use rollcall_domain::identity::Provider;
use rollcall_invites::mailer::{Mailer, Ses};
use rollcall_oauth_callback::pages;
use rollcall_scheduled_sync::{Engine, Ports, SealedCredentials};
use rollcall_service::clock::{Clock, SettableClock};
use rollcall_service::config::{self, Config, ConfigError};
use rollcall_service::http::NoClient;
use rollcall_service::random::SystemRandom;
use rollcall_service::secrets::{Application, DeploymentSecret, Secrets};
use rollcall_service::telemetry::Metrics;
use rollcall_service::web::Web;
use rollcall_store::Store;
use serde_json::{Map, Value};
use thiserror::Error;

use crate::api::Api;
use crate::aws::{self, AwsError, DynamoDb};
use crate::browser::Browser;
use crate::providers::{OpenIdProvider, ProviderError, client};
use crate::schedule::{LocalQueue, Schedule};
use crate::secret::{Keys, KeysError};
use crate::settings::{BitbucketPlayed, Played, Settings};
use crate::web::{ListenError, Server, listen};

/// The queue of sync work, for functions in processes of their own. Those in this process have a channel.
pub const QUEUE: &str = "sync";

/// The stack does not start. One line that says what to do.
#[derive(Debug, Error)]
pub enum StartError {
    /// A variable.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A port.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// DynamoDB, or another service of AWS.
    #[error(transparent)]
    Aws(#[from] AwsError),
    /// Google or Microsoft.
    #[error(transparent)]
    Provider(#[from] ProviderError),
    /// Bitbucket's stand-in.
    #[error(transparent)]
    Bitbucket(#[from] standin_bitbucket::StartError),
    /// The keys of the deployment secret.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// What the file says about the providers.
    #[error("--config: the deployment secret cannot be made of it: {0}")]
    Secret(rollcall_service::secrets::Defects),
    /// Where Bitbucket is.
    #[error("ROLLCALL_BITBUCKET_URL or ROLLCALL_BITBUCKET_API_URL {0}")]
    Endpoint(#[from] InvalidEndpoint),
    /// The HTTP client.
    #[error(transparent)]
    Http(#[from] NoClient),
    /// The thread that the sync works on.
    #[error("the operating system refuses another thread: {0}")]
    Thread(#[from] std::io::Error),
}

/// A stack that is up.
pub struct Stack {
    /// Its configuration, as the functions have it.
    pub config: Config,
    /// What time it is for Rollcall. It can be moved.
    pub clock: SettableClock,
    /// The first admin token.
    pub admin_token: Secret,
    /// The table.
    pub store: Store,
    /// The sync.
    pub schedule: Schedule,
    /// The stand-in Bitbucket, if it is one.
    pub bitbucket: Option<standin_bitbucket::Running>,
    /// Google.
    pub google: OpenIdProvider,
    /// Microsoft.
    pub microsoft: OpenIdProvider,
    /// The stand-ins for AWS.
    pub aws: standin_aws::Running,
    /// The embedded DynamoDB.
    pub dynamodb: DynamoDb,
    http: reqwest::Client,
    local: SocketAddr,
    server: Server,
}

/// What is started around the functions.
struct Surroundings {
    bitbucket: Option<standin_bitbucket::Running>,
    google: OpenIdProvider,
    microsoft: OpenIdProvider,
    aws: standin_aws::Running,
    dynamodb: DynamoDb,
}

impl Stack {
    /// Starts everything.
    pub async fn start(settings: &Settings) -> Result<Self, StartError> {
        let (listener, local) = listen(settings.listen).await?;
        let public_url = public_url(settings, local)?;
        check_variables(settings, &public_url)?;
        let mut clients = settings.providers.clone();
        let (surroundings, endpoints) = surround(settings, &public_url, &mut clients).await?;
        let config = configuration(settings, &public_url, &surroundings, &endpoints)?;

        let mut keys = match &settings.data {
            Some(table) => Keys::beside(table)?,
            None => Keys::fresh()?,
        };
        if let Some(token) = &settings.admin_token {
            keys.admin_token = token.clone();
        }
        let document = keys.deployment_secret(clients);
        let application = DeploymentSecret::parse(&document).map_err(StartError::Secret)?.application;
        surroundings.aws.secrets().put(config.secret_id.as_str(), &document);

        let clock = SettableClock::running();
        let shared_clock: Arc<dyn Clock> = Arc::new(clock.clone());
        let http = rollcall_service::http::client()?;
        let parts = Parts {
            store: Store::new(
                rollcall_service::aws::dynamodb(&surroundings.dynamodb.sdk_config().await),
                config.table.as_str(),
            )
            .keeping_audit(config.audit_kept),
            secrets: Arc::new(Secrets::new(
                rollcall_service::aws::secrets_manager(&aws::sdk_config(surroundings.aws.endpoint()).await),
                config.secret_id.clone(),
                Arc::clone(&shared_clock),
            )),
            bitbucket: bitbucket(&config, &http, &shared_clock)?,
            ses: aws_sdk_sesv2::Client::new(&aws::sdk_config(surroundings.aws.endpoint()).await),
            application,
            http: http.clone(),
            clock: shared_clock,
            config,
        };
        let (queue, messages) = LocalQueue::new();
        let engine = parts.engine(&queue, settings.allowance);
        let schedule =
            Schedule::start(engine, queue.clone(), messages, Arc::clone(&parts.clock), parts.store.clone())?;
        let outbox = format!("{}/_outbox", surroundings.aws.endpoint());
        let server = Server::start(listener, parts.router(&queue, outbox));
        let Surroundings { bitbucket, google, microsoft, aws, dynamodb } = surroundings;
        Ok(Self {
            clock,
            admin_token: keys.admin_token,
            store: parts.store,
            config: parts.config,
            schedule,
            bitbucket,
            google,
            microsoft,
            aws,
            dynamodb,
            http,
            local,
            server,
        })
    }

    /// The public base URL, without a slash at its end.
    pub fn url(&self) -> &str {
        self.config.public_url.as_str()
    }

    /// The admin API with the first admin token, at the stack's own socket.
    pub fn api(&self) -> Api {
        self.api_as(self.admin_token.clone())
    }

    /// The admin API with another token.
    pub fn api_as(&self, token: Secret) -> Api {
        Api::new(self.http.clone(), format!("http://{}", self.local), token)
    }

    /// A browser that has never been anywhere.
    pub fn browser(&self) -> Browser {
        Browser::new(self.http.clone())
    }

    /// The HTTP client of the stack, for requests that are neither an admin's nor a browser's.
    pub fn http(&self) -> &reqwest::Client {
        &self.http
    }

    /// The variables with which a function of its own process works on this stack: the same table, secret, queue and providers.
    pub fn environment(&self) -> Vec<(String, String)> {
        let config = &self.config;
        let ours = [
            (config::PUBLIC_URL, config.public_url.as_str()),
            (config::TABLE, config.table.as_str()),
            (config::SECRET_ID, config.secret_id.as_str()),
            (config::BITBUCKET_URL, config.bitbucket_url.as_str()),
            (config::BITBUCKET_API_URL, config.bitbucket_api_url.as_str()),
            (config::GOOGLE_ISSUER, config.google_issuer.as_str()),
            (config::MICROSOFT_ISSUER, config.microsoft_issuer.as_str()),
            ("AWS_ENDPOINT_URL_DYNAMODB", self.dynamodb.endpoint()),
        ];
        let rate = (config::SIGN_IN_RATE.to_owned(), config.sign_in_rate.to_string());
        let queue = (config::SYNC_QUEUE_URL.to_owned(), self.aws.queues().url(QUEUE));
        let sender = config
            .invite_sender
            .as_ref()
            .map(|sender| (config::INVITE_SENDER.to_owned(), sender.to_string()));
        ours.into_iter()
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .chain([rate, queue])
            .chain(sender)
            .chain(self.aws.environment())
            .collect()
    }

    /// Puts every clock forward.
    pub fn advance(&self, by: Duration) {
        self.clock.advance(by);
        let seconds = i64::try_from(by.as_secs()).unwrap_or(i64::MAX);
        for provider in [&self.google, &self.microsoft] {
            if let Some(stand_in) = &provider.stand_in {
                stand_in.advance_clock(seconds);
            }
        }
        if let Some(bitbucket) = &self.bitbucket {
            bitbucket.advance_clock(seconds);
        }
        self.aws.advance_clock(by);
    }

    /// Ends everything, the last writes included.
    pub async fn stop(self) {
        self.server.stop().await;
        self.schedule.stop();
        // Clients keep connections to it: they go first.
        drop(self.store);
        self.dynamodb.stop().await;
    }
}

/// The stack's base URL. Browsers keep secure cookies of `localhost` over plain HTTP.
fn public_url(settings: &Settings, local: SocketAddr) -> Result<config::Origin, ConfigError> {
    let malformed = |defect| ConfigError::Malformed { variable: config::PUBLIC_URL, defect };
    let text = match settings.variables.get(config::PUBLIC_URL) {
        Some(given) => given.clone().into_string().map_err(|_| malformed("is not valid UTF-8"))?,
        None => match local.ip() {
            IpAddr::V4(_) => format!("http://localhost:{}", local.port()),
            IpAddr::V6(_) => format!("http://{local}"),
        },
    };
    config::Origin::parse(&text).map_err(malformed)
}

/// Checks what was handed on before anything is started with it. Where stand-ins will be is not known yet, and always good.
fn check_variables(settings: &Settings, public_url: &config::Origin) -> Result<(), ConfigError> {
    const STAND_IN: &str = "http://127.0.0.1";
    let issuer = |played: &Played| match played {
        Played::ByOther(issuer) => issuer.clone(),
        Played::ByStandIn => STAND_IN.to_owned(),
    };
    let (web, api) = match &settings.bitbucket {
        BitbucketPlayed::ByOther { web, api } => (web.clone(), api.clone()),
        BitbucketPlayed::ByStandIn => (STAND_IN.to_owned(), STAND_IN.to_owned()),
    };
    let mut variables = settings.variables.clone();
    for (name, value) in [
        (config::PUBLIC_URL, public_url.to_string()),
        (config::BITBUCKET_URL, web),
        (config::BITBUCKET_API_URL, api),
        (config::GOOGLE_ISSUER, issuer(&settings.google)),
        (config::MICROSOFT_ISSUER, issuer(&settings.microsoft)),
    ] {
        variables.insert(name, value.into());
    }
    with_defaults(variables).map(|_| ())
}

fn with_defaults(mut variables: BTreeMap<&'static str, OsString>) -> Result<Config, ConfigError> {
    variables.entry(config::TABLE).or_insert_with(|| "rollcall".into());
    variables.entry(config::SECRET_ID).or_insert_with(|| "rollcall".into());
    Config::from_map(variables)
}

/// Starts what stands around the functions. Where Bitbucket is: web and API.
async fn surround(
    settings: &Settings,
    public_url: &config::Origin,
    clients: &mut Map<String, Value>,
) -> Result<(Surroundings, (String, String)), StartError> {
    let beside = |nth: u16| {
        let port = settings.listen.port();
        SocketAddr::new(settings.listen.ip(), if port == 0 { 0 } else { port + nth })
    };
    let (bitbucket, endpoints) = match &settings.bitbucket {
        BitbucketPlayed::ByOther { web, api } => (None, (web.clone(), api.clone())),
        BitbucketPlayed::ByStandIn => {
            let (key, secret) = client(clients, Provider::Bitbucket)
                .ok_or(StartError::Provider(ProviderError::Client(Provider::Bitbucket)))?;
            let callback = public_url.join("/callback/bitbucket");
            let world = crate::world::with_sign_in(&key, &secret, callback.as_str());
            let running = standin_bitbucket::start(world, beside(1)).await?;
            let endpoints = (running.url(), running.url());
            (Some(running), endpoints)
        }
    };
    let google =
        OpenIdProvider::start(Provider::Google, &settings.google, beside(2), public_url, clients).await?;
    let microsoft =
        OpenIdProvider::start(Provider::Microsoft, &settings.microsoft, beside(3), public_url, clients)
            .await?;
    let aws = aws::start_stand_ins().await?;
    let dynamodb = DynamoDb::start(settings.data.as_deref(), &table_name(settings)).await?;
    Ok((Surroundings { bitbucket, google, microsoft, aws, dynamodb }, endpoints))
}

fn table_name(settings: &Settings) -> String {
    settings.variables.get(config::TABLE).and_then(|name| name.to_str()).unwrap_or("rollcall").to_owned()
}

/// The functions' configuration: what was handed on, and where the surroundings are.
fn configuration(
    settings: &Settings,
    public_url: &config::Origin,
    around: &Surroundings,
    (web, api): &(String, String),
) -> Result<Config, ConfigError> {
    let mut variables = settings.variables.clone();
    let queue = around.aws.queues().url(QUEUE);
    for (name, value) in [
        (config::PUBLIC_URL, public_url.as_str()),
        (config::BITBUCKET_URL, web),
        (config::BITBUCKET_API_URL, api),
        (config::GOOGLE_ISSUER, around.google.issuer.as_str()),
        (config::MICROSOFT_ISSUER, around.microsoft.issuer.as_str()),
        (config::SYNC_QUEUE_URL, &queue),
    ] {
        variables.insert(name, value.into());
    }
    with_defaults(variables)
}

fn bitbucket(
    config: &Config,
    http: &reqwest::Client,
    clock: &Arc<dyn Clock>,
) -> Result<Bitbucket, InvalidEndpoint> {
    let endpoints =
        Endpoints::new(config.bitbucket_url.as_url().clone(), config.bitbucket_api_url.as_url().clone())?;
    let clock = Arc::clone(clock);
    Ok(Bitbucket::new(http.clone(), endpoints, Arc::new(move || clock.now()), Limits::default()))
}

/// What all functions are wired from.
struct Parts {
    config: Config,
    store: Store,
    secrets: Arc<Secrets>,
    bitbucket: Bitbucket,
    ses: aws_sdk_sesv2::Client,
    application: Application,
    http: reqwest::Client,
    clock: Arc<dyn Clock>,
}

impl Parts {
    fn metrics(&self) -> Metrics {
        Metrics::discarded("local", Arc::clone(&self.clock))
    }

    fn engine(&self, queue: &LocalQueue, allowance: Allowance) -> Engine {
        let outbox = Outbox::new(rollcall_delivery::Ports {
            store: self.store.clone(),
            secrets: Arc::clone(&self.secrets),
            public_url: self.config.public_url.as_str().to_owned(),
            caller: Caller::new((!self.config.public_url.is_https()).then(|| self.http.clone())),
            clock: Arc::clone(&self.clock),
            random: Arc::new(SystemRandom),
            metrics: self.metrics(),
        });
        Engine::new(Ports {
            store: self.store.clone(),
            outbox,
            bitbucket: self.bitbucket.clone(),
            credentials: Arc::new(SealedCredentials::new(Arc::clone(&self.secrets))),
            queue: Arc::new(queue.clone()),
            clock: Arc::clone(&self.clock),
            random: Arc::new(SystemRandom),
            metrics: self.metrics(),
            allowance,
        })
    }

    /// The routers of all functions, as one.
    fn router(&self, queue: &LocalQueue, outbox: String) -> Router {
        let admin = Admin::new(
            self.config.clone(),
            self.store.clone(),
            Arc::clone(&self.secrets),
            Arc::clone(&self.clock),
            Arc::new(SystemRandom),
        );
        let oauth_callback = rollcall_oauth_callback::App::new(rollcall_oauth_callback::Parts {
            config: self.config.clone(),
            clock: Arc::clone(&self.clock),
            random: Arc::new(SystemRandom),
            secrets: Arc::clone(&self.secrets),
            store: self.store.clone(),
            bitbucket: self.bitbucket.clone(),
            http: self.http.clone(),
            application: self.application.clone(),
            metrics: self.metrics(),
        });
        let admin_api = rollcall_admin_api::App {
            admin: admin.clone(),
            bitbucket: self.bitbucket.clone(),
            queue: Arc::new(queue.clone()),
        };
        let invites = rollcall_invites::App {
            admin,
            mailer: self
                .config
                .invite_sender
                .clone()
                .map(|sender| -> Arc<dyn Mailer> { Arc::new(Ses::new(self.ses.clone(), sender)) }),
        };
        let application = self.application.clone();
        let routes = Router::new()
            .merge(rollcall_oauth_callback::router(oauth_callback))
            .merge(rollcall_invites::router(invites))
            .merge(rollcall_admin_api::router(admin_api))
            .route("/outbox", get(async move || Redirect::to(&outbox)));
        Web::new().problem_page(move |problem, id| pages::problem(&application, problem, id)).finish(routes)
    }
}
