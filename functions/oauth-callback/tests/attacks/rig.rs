//! A deployment with all three providers, whose functions may run as several instances on one table.

use std::fmt::Write as _;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::future::BoxFuture;
use http::Request;
use http_body_util::BodyExt as _;
use rollcall_bitbucket::{Bitbucket, Endpoints, Limits};
use rollcall_domain::audit::AuditEntry;
use rollcall_domain::bitbucket::BitbucketWorkspaceUuid;
use rollcall_domain::connection::{Connection, CredentialKind, Health, Policy, Settings};
use rollcall_domain::identity::Provider;
use rollcall_domain::{Secret, Timestamp, WorkspaceId};
use rollcall_identity::provider::generate_signing_key;
use rollcall_oauth_callback::{App, Parts, pages, router};
use rollcall_service::clock::{Clock, SettableClock};
use rollcall_service::config::{self, Config};
use rollcall_service::random::SystemRandom;
use rollcall_service::seal::{Purpose, Sealer, SealingKey, SealingKeys};
use rollcall_service::secrets::{Application, FetchFailed, Secrets, Source};
use rollcall_service::telemetry::Metrics;
use rollcall_service::web::{ClientAddress, Web};
use rollcall_store::connections::Connected;
use rollcall_store::workspaces::Workspace;
use rollcall_store::{Record, Store, testing};
use serde_json::{Value, json};
use standin_bitbucket::{Consumer, World};
use standin_openid::{Client, Flavour, Running, people};
use tower::ServiceExt as _;

use crate::browser::{Answer, Browser};

pub(crate) const PUBLIC: &str = "http://127.0.0.1:8080";
/// Somebody at the played Google.
pub(crate) const INES: &str = "ines.okafor@mail.example";
/// Somebody at the played Microsoft.
pub(crate) const ASTRID: &str = "astrid@lindqvist-audit.example";
/// Somebody at the played Bitbucket, by their user name.
pub(crate) const GRACE: &str = "grace";
pub(crate) const GRACES_ADDRESS: &str = "grace@example.com";

/// Our secret at Google, as long as nobody rotates it.
const GOOGLE_SECRET: &str = "google-secret";

const SEALING_KEY: [u8; 32] = [7; 32];

/// The deployment secret, as Secrets Manager has it, and how often it was read.
#[derive(Clone)]
struct Document(Arc<Mutex<(String, usize)>>);

impl Source for Document {
    fn fetch(&self) -> BoxFuture<'_, Result<Secret, FetchFailed>> {
        let mut kept = self.0.lock().unwrap();
        kept.1 += 1;
        let document = kept.0.clone();
        Box::pin(async move { Ok(Secret::new(document)) })
    }
}

pub(crate) struct Rig {
    pub(crate) google: Running,
    pub(crate) microsoft: Running,
    pub(crate) bitbucket: standin_bitbucket::Running,
    pub(crate) store: Store,
    pub(crate) clock: SettableClock,
    pub(crate) workspace: WorkspaceId,
    document: Document,
    signing_key: Secret,
    rate: String,
    public: &'static str,
    routers: Mutex<Vec<Router>>,
}

fn document(signing_key: &Secret, google_secret: &str) -> String {
    json!({
        "providers": {
            "google": { "client_id": "rollcall", "client_secret": google_secret },
            "microsoft": { "client_id": "rollcall", "client_secret": "microsoft-secret", "allowed_tenants": "any" },
            "bitbucket": { "client_id": "key", "client_secret": "secret" },
        },
        "signing_keys": [{ "kid": "1", "state": "current", "private_key": signing_key.expose() }],
        "sealing_keys": [{ "id": "1", "key": STANDARD.encode(SEALING_KEY) }],
    })
    .to_string()
}

impl Rig {
    pub(crate) async fn new() -> Self {
        Self::with(PUBLIC, "10000").await
    }

    /// With so many attempts a minute.
    pub(crate) async fn with_rate(rate: &str) -> Self {
        Self::with(PUBLIC, rate).await
    }

    pub(crate) async fn with(public: &'static str, rate: &str) -> Self {
        let anywhere = "127.0.0.1:0".parse().unwrap();
        let client =
            |provider, secret| Client::new("rollcall", secret, format!("{public}/callback/{provider}"));
        let google = standin_openid::start(
            Flavour::Google,
            vec![client(Provider::Google, GOOGLE_SECRET)],
            people::at_google(),
            anywhere,
        );
        let microsoft = standin_openid::start(
            Flavour::microsoft_organizations(),
            vec![client(Provider::Microsoft, "microsoft-secret")],
            people::at_microsoft(),
            anywhere,
        );
        let mut world = World::new("acme")
            .with_owner("ada")
            .with_members(&[GRACE, "linus"])
            .with_consumer(Consumer::for_people("key", "secret", &format!("{public}/callback/bitbucket")));
        world
            .change_account(GRACE, |account| {
                for email in &mut account.emails {
                    email.address = GRACES_ADDRESS.into();
                    email.confirmed = true;
                }
            })
            .unwrap();
        let bitbucket = standin_bitbucket::start(world, anywhere);
        let (google, microsoft, bitbucket, store) =
            futures_util::future::join4(google, microsoft, bitbucket, testing::store()).await;
        let clock = SettableClock::running();
        let workspace = WorkspaceId::new(clock.now(), [1; 10]);
        let row = Workspace {
            id: workspace,
            name: "Acme & Sons".into(),
            language: "en".into(),
            invite_rules: rollcall_domain::invite::DomainRules::default(),
            created_at: clock.now(),
            version: 1,
        };
        store.create_workspace(&row, Record::default()).await.unwrap();
        let signing_key = generate_signing_key().unwrap();
        let rig = Self {
            google: google.unwrap(),
            microsoft: microsoft.unwrap(),
            bitbucket: bitbucket.unwrap(),
            store,
            clock,
            workspace,
            document: Document(Arc::new(Mutex::new((document(&signing_key, GOOGLE_SECRET), 0)))),
            signing_key,
            rate: rate.to_owned(),
            public,
            routers: Mutex::default(),
        };
        rig.start_instance();
        rig
    }

    /// Starts one more instance of the function, cold, on the same table.
    pub(crate) fn start_instance(&self) -> usize {
        let app = self.app();
        let page = |problem: &_, id: &_| pages::problem(&Application::default(), problem, id);
        let mut routers = self.routers.lock().unwrap();
        routers.push(Web::new().problem_page(page).finish(router(app)));
        routers.len() - 1
    }

    fn app(&self) -> App {
        let (google, microsoft, bitbucket) =
            (self.google.issuer(), self.microsoft.issuer(), self.bitbucket.url());
        let variables = [
            (config::PUBLIC_URL, self.public),
            (config::TABLE, self.store.table()),
            (config::SECRET_ID, "rollcall"),
            (config::GOOGLE_ISSUER, google.as_str()),
            (config::MICROSOFT_ISSUER, microsoft.as_str()),
            (config::BITBUCKET_URL, bitbucket.as_str()),
            (config::BITBUCKET_API_URL, bitbucket.as_str()),
            (config::SIGN_IN_RATE, self.rate.as_str()),
        ];
        let config = Config::from_map(variables).unwrap();
        let http = rollcall_service::http::client().unwrap();
        let (web, api) = (config.bitbucket_url.as_url().clone(), config.bitbucket_api_url.as_url().clone());
        let ticking = self.clock.clone();
        let shared: Arc<dyn Clock> = Arc::new(self.clock.clone());
        App::new(Parts {
            bitbucket: Bitbucket::new(
                http.clone(),
                Endpoints::new(web, api).unwrap(),
                Arc::new(move || ticking.now()),
                Limits::default(),
            ),
            config,
            random: Arc::new(SystemRandom),
            secrets: Arc::new(Secrets::from_source(self.document.clone(), shared.clone())),
            clock: shared,
            store: self.store.clone(),
            http,
            application: Application::default(),
            metrics: Metrics::discarded("oauth-callback", Arc::new(self.clock.clone())),
        })
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Lets time pass, here and at the providers.
    pub(crate) fn advance(&self, by: Duration) {
        self.clock.advance(by);
        let seconds = i64::try_from(by.as_secs()).unwrap();
        self.google.advance_clock(seconds);
        self.microsoft.advance_clock(seconds);
        self.bitbucket.advance_clock(seconds);
    }

    /// A Google or a Microsoft.
    pub(crate) fn openid(&self, provider: Provider) -> &Running {
        if provider == Provider::Google { &self.google } else { &self.microsoft }
    }

    /// A new secret at Google and, if `told`, in Secrets Manager.
    pub(crate) fn rotate_google_secret(&self, secret: &str, told: bool) {
        let callback = format!("{}/callback/google", self.public);
        self.google.put_client(Client::new("rollcall", secret, callback));
        if told {
            self.document.0.lock().unwrap().0 = document(&self.signing_key, secret);
        }
    }

    /// How often the deployment secret was read so far.
    pub(crate) fn secret_reads(&self) -> usize {
        self.document.0.lock().unwrap().1
    }

    pub(crate) fn browser(&self) -> Browser<'_> {
        Browser::new(self)
    }

    /// Connects the workspace to the played Bitbucket's, with a policy that asks nobody but the person's own token.
    pub(crate) async fn connect(&self) -> Connected {
        let uuid = self.bitbucket.read(|world| world.find_workspace("acme").unwrap().uuid);
        let connection = Connection {
            workspace: self.workspace,
            bitbucket: BitbucketWorkspaceUuid::new(uuid),
            slug: "acme".parse().unwrap(),
            name: "Acme".into(),
            credential: CredentialKind::AccessToken,
            settings: Settings { policy: Policy::WorkspaceMember, ..Settings::default() },
            health: Health::Healthy,
            created_at: self.now(),
            version: 0,
        };
        let connected = Connected { connection, sealed_credential: "never opened".into() };
        self.store.connect(&connected, None, Record::default()).await.unwrap();
        self.store.connection(self.workspace).await.unwrap().unwrap()
    }

    /// What the instance answers.
    pub(crate) async fn serve(&self, instance: usize, address: IpAddr, mut request: Request<Body>) -> Answer {
        request.extensions_mut().insert(ClientAddress(Some(address)));
        let router = self.routers.lock().unwrap()[instance].clone();
        let path = request.uri().path().to_owned();
        let (parts, body) = router.oneshot(request).await.unwrap().into_parts();
        let body = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
        let answer = Answer { status: parts.status, headers: parts.headers, body };
        answer.assert_safe(&path);
        answer
    }

    /// The audit trail of what belongs to no workspace, newest first.
    pub(crate) async fn trail(&self) -> Vec<AuditEntry> {
        self.store.audit_page(None, None, 100, false).await.unwrap().items
    }

    /// The checks that have failed so far, newest first.
    pub(crate) async fn failed_checks(&self) -> Vec<String> {
        let named = |entry: &AuditEntry| entry.detail["check"].as_str().map(str::to_owned);
        self.trail().await.iter().filter_map(named).collect()
    }

    /// Everything in the table, as it lies there.
    pub(crate) async fn table(&self) -> String {
        let mut scan = self.store.client().scan().table_name(self.store.table()).into_paginator().send();
        let mut text = String::new();
        while let Some(page) = scan.next().await {
            write!(text, "{:?}", page.unwrap().items).unwrap();
        }
        text
    }

    /// How many members there are.
    pub(crate) async fn members(&self) -> usize {
        self.store.all_members(self.workspace).await.unwrap().len()
    }
}

/// The value of a login cookie, sealed as the function seals it.
pub(crate) fn seal_login_cookie(plain: &[u8]) -> String {
    let key = SealingKey::new("1", SEALING_KEY).unwrap();
    Sealer::new(&SealingKeys::new(key, Vec::new()), Purpose::Transaction).seal("login-cookie", plain).unwrap()
}

/// A JSON object.
pub(crate) fn object(value: Value) -> serde_json::Map<String, Value> {
    match value {
        Value::Object(object) => object,
        other => panic!("{other} is no object"),
    }
}
