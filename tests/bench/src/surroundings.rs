//! What stands around the functions: an embedded table, the stand-ins for AWS, a stand-in Bitbucket of a chosen size; and an instance of
//! each function in this process, whose calls to the table are counted.

use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use core::time::Duration;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::Body;
use futures_util::future::BoxFuture;
use http::header::{AUTHORIZATION, CONTENT_TYPE, COOKIE, LOCATION, SET_COOKIE};
use http::{Request, StatusCode};
use http_body_util::BodyExt as _;
use rollcall_admin::Admin;
use rollcall_admin_api::queue::{NotQueued, SyncQueue};
use rollcall_bitbucket::{Bitbucket, Endpoints, Limits};
use rollcall_delivery::{Caller, Outbox};
use rollcall_domain::budget::Allowance;
use rollcall_domain::{RunId, Secret, Timestamp, WorkspaceId};
use rollcall_local::aws::{self, DynamoDb};
use rollcall_local::secret::Keys;
use rollcall_scheduled_sync::{ChannelQueue, Engine, Handled, Ports, SealedCredentials, SyncMessage};
use rollcall_service::clock::{Clock, SettableClock};
use rollcall_service::config::{self, Config};
use rollcall_service::random::SystemRandom;
use rollcall_service::secrets::{Application, Secrets};
use rollcall_service::telemetry::Metrics;
use rollcall_service::web::{ClientAddress, Web};
use rollcall_store::Store;
use rollcall_store::runs::RunRecord;
use serde_json::{Value, json};
use standin_aws::QueueSettings;
use standin_bitbucket::{Consumer, Level, On, SYNC_KEY, SYNC_SECRET, To, World};
use tokio::sync::mpsc::UnboundedReceiver;
use tower::ServiceExt as _;
use url::Url;

use crate::budgets;
use crate::size::Size;

/// The base URL. Nothing listens there: requests are handed over in this process, or as events.
pub(crate) const PUBLIC: &str = "http://localhost:8080";
const TABLE: &str = "rollcall";
const QUEUE: &str = "sync";
const LOGIN_KEY: &str = "rollcall-sign-in";
const LOGIN_SECRET: &str = "rollcall-sign-in-secret";
const HERE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
/// The time between two ticks of the schedule.
const TICK: Duration = Duration::from_mins(15);
/// The group whose members can read everything.
const EVERYTHING: &str = "Everything";

/// Everything around the functions, and the functions themselves.
pub(crate) struct Surroundings {
    pub(crate) bitbucket: standin_bitbucket::Running,
    pub(crate) aws: standin_aws::Running,
    /// Between the functions in this process and the table.
    pub(crate) table: standin_faults::Running,
    pub(crate) dynamodb: DynamoDb,
    pub(crate) clock: SettableClock,
    pub(crate) config: Config,
    pub(crate) store: Store,
    pub(crate) admin_token: Secret,
    http: reqwest::Client,
    router: Router,
    engine: Engine,
    messages: Mutex<UnboundedReceiver<SyncMessage>>,
}

/// A queue that nobody works on: runs are started by hand.
struct Nowhere;

impl SyncQueue for Nowhere {
    fn ask(&self, _: WorkspaceId, _: RunId) -> BoxFuture<'_, Result<(), NotQueued>> {
        Box::pin(async { Ok(()) })
    }
}

/// What came back.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) location: Option<String>,
    /// `name=value` of each cookie that is set.
    pub(crate) cookies: Vec<String>,
    pub(crate) body: Value,
}

/// A login that is on its way back from the provider.
#[derive(Clone, Debug)]
pub(crate) struct Return {
    pub(crate) query: Vec<(String, String)>,
    pub(crate) cookie: String,
}

impl Return {
    /// The path and query to which the provider has sent the browser.
    pub(crate) fn path(&self) -> String {
        let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(&self.query).finish();
        format!("/callback/bitbucket?{query}")
    }
}

/// Somebody of a generated world. The first is its owner.
pub(crate) fn person(n: usize) -> String {
    format!("person-{n}")
}

/// A world of a size. `everything` of its people, after the owner, can read all repositories; the fourth person can read some.
pub(crate) fn world(size: Size, everything: usize) -> World {
    let mut world = World::generated(3, size.members, size.repositories, size.projects, size.groups);
    let group = world.add_group(EVERYTHING).unwrap();
    for n in 2..everything + 2 {
        world.add_to_group(&group, &person(n)).unwrap();
    }
    for n in 1..=size.projects {
        world.grant(On::Project(&format!("P{n}")), To::Group(&group), Level::Read).unwrap();
    }
    world.grant(On::Project("P1"), To::Person(&person(4)), Level::Read).unwrap();
    world
}

impl Surroundings {
    /// Starts everything. The clock stands still where `clock` does.
    pub(crate) async fn start(mut world: World, clock: SettableClock) -> Self {
        world.add_consumer(Consumer::for_people(
            LOGIN_KEY,
            LOGIN_SECRET,
            &format!("{PUBLIC}/callback/bitbucket"),
        ));
        let bitbucket = standin_bitbucket::start(world, HERE).await.unwrap();
        let aws = aws::start_stand_ins().await.unwrap();
        aws.queues().create(QUEUE, QueueSettings::default());
        let dynamodb = DynamoDb::start(None, TABLE).await.unwrap();
        let table = standin_faults::start(dynamodb.endpoint(), HERE).await.unwrap();
        table.ask_for_capacity(true);

        let keys = Keys::fresh().unwrap();
        let Value::Object(providers) =
            json!({ "bitbucket": { "client_id": LOGIN_KEY, "client_secret": LOGIN_SECRET } })
        else {
            unreachable!()
        };
        aws.secrets().put(TABLE, &keys.deployment_secret(providers));
        let queue = aws.queues().url(QUEUE);
        let place = bitbucket.url();
        let config = Config::from_map([
            (config::PUBLIC_URL, PUBLIC),
            (config::TABLE, TABLE),
            (config::SECRET_ID, TABLE),
            (config::BITBUCKET_URL, &place),
            (config::BITBUCKET_API_URL, &place),
            (config::SYNC_QUEUE_URL, &queue),
            (config::SIGN_IN_RATE, "10000"),
        ])
        .unwrap();
        let http = rollcall_service::http::client().unwrap();
        let store = Store::new(
            rollcall_service::aws::dynamodb(&aws::sdk_config(table.url()).await),
            config.table.as_str(),
        );
        let sdk = aws::sdk_config(aws.endpoint()).await;
        let shared: Arc<dyn Clock> = Arc::new(clock.clone());
        let parts = Parts {
            config: config.clone(),
            store: store.clone(),
            secrets: Arc::new(Secrets::new(
                rollcall_service::aws::secrets_manager(&sdk),
                config.secret_id.clone(),
                Arc::clone(&shared),
            )),
            http: http.clone(),
            clock: shared,
        };
        let (queue, messages) = ChannelQueue::new();
        Self {
            router: parts.router(),
            engine: parts.engine(queue),
            messages: Mutex::new(messages),
            bitbucket,
            aws,
            table,
            dynamodb,
            clock,
            config,
            store,
            admin_token: keys.admin_token,
            http,
        }
    }

    /// The variables with which a function of its own process works here: the same table, secret and queue, at these origins.
    pub(crate) fn environment(&self, at: &Origins) -> Vec<(String, String)> {
        let config = &self.config;
        let ours = [
            (config::PUBLIC_URL, PUBLIC),
            (config::TABLE, config.table.as_str()),
            (config::SECRET_ID, config.secret_id.as_str()),
            (config::BITBUCKET_URL, at.bitbucket.as_str()),
            (config::BITBUCKET_API_URL, at.bitbucket.as_str()),
            (config::SIGN_IN_RATE, "10000"),
            ("AWS_ENDPOINT_URL", at.aws.as_str()),
            ("AWS_ENDPOINT_URL_DYNAMODB", at.dynamodb.as_str()),
        ];
        let queue = (config::SYNC_QUEUE_URL.to_owned(), self.aws.queues().url(QUEUE));
        // What is set above goes before what the stand-ins say of themselves.
        let aws = self.aws.environment().into_iter().filter(|(name, _)| name != "AWS_ENDPOINT_URL");
        ours.into_iter()
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .chain([queue])
            .chain(aws)
            .collect()
    }

    /// Puts all clocks forward.
    pub(crate) fn advance(&self, by: Duration) {
        self.clock.advance(by);
        self.bitbucket.advance_clock(i64::try_from(by.as_secs()).unwrap());
        self.aws.advance_clock(by);
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Hands a request to the functions in this process.
    pub(crate) async fn send(
        &self,
        method: &str,
        path: &str,
        cookie: Option<&str>,
        body: Option<&Value>,
    ) -> Answer {
        let mut request = Request::builder().method(method).uri(path).header("accept", "text/html");
        if let Some(cookie) = cookie {
            request = request.header(COOKIE, cookie);
        }
        if path.starts_with("/v1/") {
            request = request.header(AUTHORIZATION, format!("Bearer {}", self.admin_token.expose()));
        }
        if body.is_some() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        let body = body.map_or_else(Body::empty, |body| Body::from(body.to_string()));
        let mut request = request.body(body).unwrap();
        request.extensions_mut().insert(ClientAddress(Some(Ipv4Addr::LOCALHOST.into())));
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let text = |value: &http::HeaderValue| value.to_str().unwrap().to_owned();
        Answer {
            status: parts.status,
            location: parts.headers.get(LOCATION).map(text),
            cookies: parts
                .headers
                .get_all(SET_COOKIE)
                .iter()
                .map(|cookie| text(cookie).split(';').next().unwrap_or_default().to_owned())
                .collect(),
            body: serde_json::from_slice(&body)
                .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&body).into_owned())),
        }
    }

    /// Makes a workspace and connects it. Nothing is synced yet.
    pub(crate) async fn connect(&self) -> WorkspaceId {
        let created = self.send("POST", "/v1/workspaces", None, Some(&json!({ "name": "Acme" }))).await;
        assert!(created.status.is_success(), "{}", created.body);
        let id = created.body["id"].as_str().unwrap().to_owned();
        let owner = self.bitbucket.read(|world| world.person(&person(1)).unwrap().uuid.to_string());
        let connection = json!({
            "bitbucket_workspace": "acme",
            "credential": { "kind": "oauth_consumer", "key": SYNC_KEY, "secret": SYNC_SECRET },
            "first_admin": owner,
        });
        let path = format!("/v1/workspaces/{id}/connection");
        let connected = self.send("PUT", &path, None, Some(&connection)).await;
        assert!(connected.status.is_success(), "{}", connected.body);
        id.parse().unwrap()
    }

    /// Starts a login and lets somebody consent to it.
    pub(crate) async fn login(&self, workspace: WorkspaceId, username: &str) -> Return {
        let path = format!("/login/bitbucket?workspace={workspace}");
        let begun = self.send("GET", &path, None, None).await;
        let to = begun.location.unwrap_or_else(|| panic!("{}", begun.body));
        self.consent(&to, username, begun.cookies.join("; ")).await
    }

    /// Lets somebody consent at the place to which a login has led.
    pub(crate) async fn consent(&self, to: &str, username: &str, cookie: String) -> Return {
        let mut to: Url = to.parse().unwrap();
        // A function in a process of its own may know Bitbucket by another origin.
        to.set_scheme("http").unwrap();
        to.set_ip_host(self.bitbucket.address().ip()).unwrap();
        to.set_port(Some(self.bitbucket.address().port())).unwrap();
        to.query_pairs_mut().append_pair("_person", username);
        let answer = self.http.get(to).send().await.unwrap();
        let back = answer.headers().get(LOCATION).unwrap_or_else(|| panic!("{}", answer.status()));
        let back: Url = back.to_str().unwrap().parse().unwrap();
        Return { query: back.query_pairs().into_owned().collect(), cookie }
    }

    /// The callback alone.
    pub(crate) async fn come_back(&self, back: &Return) -> Answer {
        self.send("GET", &back.path(), Some(&back.cookie), None).await
    }

    /// A tick of the schedule, 15 minutes after the one before, and the run that comes of it. `None` if nothing was due.
    pub(crate) async fn tick(&self) -> Option<RunRecord> {
        self.advance(TICK);
        self.engine.handle_tick(self.now()).await.unwrap();
        let message = {
            let mut messages = self.messages.lock().unwrap_or_else(PoisonError::into_inner);
            messages.try_recv().ok()?
        };
        let deadline = self.now().plus(Duration::from_mins(14));
        match self.engine.handle_message(&message, deadline).await.unwrap() {
            Handled::Ran(record) => Some(*record),
            Handled::NothingDue => None,
            other => panic!("no run: {other:?}"),
        }
    }

    /// Forgets how many calls were made at Bitbucket in this hour.
    pub(crate) async fn forget_budgets(&self) {
        budgets::forget(&self.store, &self.bitbucket).await;
    }

    /// Ends everything.
    pub(crate) async fn stop(self) {
        drop(self.router);
        drop(self.engine);
        drop(self.store);
        drop(self.table);
        self.dynamodb.stop().await;
    }
}

/// Where a function in a process of its own finds what it calls.
pub(crate) struct Origins {
    pub(crate) aws: String,
    pub(crate) dynamodb: String,
    pub(crate) bitbucket: String,
}

/// What the functions in this process are wired from.
struct Parts {
    config: Config,
    store: Store,
    secrets: Arc<Secrets>,
    http: reqwest::Client,
    clock: Arc<dyn Clock>,
}

impl Parts {
    fn bitbucket(&self) -> Bitbucket {
        let place = self.config.bitbucket_url.as_url().clone();
        let clock = Arc::clone(&self.clock);
        let endpoints = Endpoints::new(place.clone(), place).unwrap();
        Bitbucket::new(self.http.clone(), endpoints, Arc::new(move || clock.now()), Limits::default())
    }

    fn metrics(&self) -> Metrics {
        Metrics::discarded("bench", Arc::clone(&self.clock))
    }

    fn engine(&self, queue: ChannelQueue) -> Engine {
        let outbox = Outbox::new(rollcall_delivery::Ports {
            store: self.store.clone(),
            secrets: Arc::clone(&self.secrets),
            public_url: PUBLIC.to_owned(),
            caller: Caller::new(None),
            clock: Arc::clone(&self.clock),
            random: Arc::new(SystemRandom),
            metrics: self.metrics(),
        });
        Engine::new(Ports {
            store: self.store.clone(),
            outbox,
            bitbucket: self.bitbucket(),
            credentials: Arc::new(SealedCredentials::new(Arc::clone(&self.secrets))),
            queue: Arc::new(queue),
            clock: Arc::clone(&self.clock),
            random: Arc::new(SystemRandom),
            metrics: self.metrics(),
            // What a lane takes is counted, not what an hour allows.
            allowance: Allowance::new(1_000_000, 0),
        })
    }

    fn router(&self) -> Router {
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
            bitbucket: self.bitbucket(),
            http: self.http.clone(),
            application: Application::default(),
            metrics: self.metrics(),
        });
        let admin_api = rollcall_admin_api::App {
            admin: admin.clone(),
            bitbucket: self.bitbucket(),
            queue: Arc::new(Nowhere),
        };
        let routes = Router::new()
            .merge(rollcall_oauth_callback::router(oauth_callback))
            .merge(rollcall_invites::router(rollcall_invites::App { admin, mailer: None }))
            .merge(rollcall_admin_api::router(admin_api));
        Web::new().finish(routes)
    }
}
