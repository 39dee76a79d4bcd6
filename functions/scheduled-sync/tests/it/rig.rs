//! What every test stands on.

use core::time::Duration;
use std::collections::BTreeMap;
use std::sync::Arc;

use aws_sdk_dynamodb::types::AttributeValue;
use futures_util::future::BoxFuture;
use rollcall_bitbucket::{Bitbucket, Credential, Endpoints, Limits};
use rollcall_delivery::{Caller, Outbox};
use rollcall_domain::audit::AuditEntry;
use rollcall_domain::bitbucket::{AccountUuid, BitbucketWorkspaceUuid};
use rollcall_domain::budget::Allowance;
use rollcall_domain::connection::{Connection, CredentialKind, Health, Settings};
use rollcall_domain::identity::Identity;
use rollcall_domain::member::{InviteEntitlement, Member, Origin, Role, State};
use rollcall_domain::mirror::Mirror;
use rollcall_domain::run::SyncState;
use rollcall_domain::{InviteId, MemberId, RunId, Secret, Timestamp, TokenHash, WorkspaceId};
use rollcall_scheduled_sync::{
    ChannelQueue, Credentials, Engine, EngineError, Handled, NoCredential, Ports, SyncMessage,
};
use rollcall_service::clock::{Clock as _, SettableClock};
use rollcall_service::random::{self, Random, SeededRandom};
use rollcall_service::secrets::{FetchFailed, Secrets, Source};
use rollcall_service::telemetry::{Captured, Metrics};
use rollcall_store::connections::Connected;
use rollcall_store::members::Entering;
use rollcall_store::runs::{Mode, RunRecord};
use rollcall_store::{Record, Store, schema, testing};
use standin_bitbucket::{Consumer, Level, On, SYNC_KEY, SYNC_SECRET, To, World};
use tokio::sync::Mutex;
use tokio::sync::mpsc::UnboundedReceiver;

pub(crate) const MINUTE: Duration = Duration::from_mins(1);
pub(crate) const TICK: Duration = Duration::from_mins(15);
pub(crate) const DAY: Duration = Duration::from_hours(24);
pub(crate) const START: Timestamp = Timestamp::from_seconds(1_800_000_000);

struct Fixed;

impl Credentials for Fixed {
    fn open<'a>(&'a self, _: WorkspaceId, _: &'a str) -> BoxFuture<'a, Result<Credential, NoCredential>> {
        let credential =
            Credential::OAuthConsumer { key: SYNC_KEY.to_owned(), secret: Secret::new(SYNC_SECRET) };
        Box::pin(async { Ok(credential) })
    }
}

/// Without the deployment secret nothing is told to applications: that is tested where it is done.
struct NoSecret;

impl Source for NoSecret {
    fn fetch(&self) -> BoxFuture<'_, Result<Secret, FetchFailed>> {
        Box::pin(async { Err(FetchFailed::NotFound) })
    }
}

/// How somebody comes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    Bitbucket,
    /// By an invite, until then or for good.
    Invite(Option<Timestamp>),
}

/// A workspace, its Bitbucket workspace, and an engine between them.
pub(crate) struct Rig {
    pub(crate) bitbucket: standin_bitbucket::Running,
    /// Between the engine and the table.
    pub(crate) table: standin_faults::Running,
    /// The table without anything in between.
    pub(crate) store: Store,
    pub(crate) engine: Engine,
    pub(crate) clock: SettableClock,
    pub(crate) metrics: Captured,
    pub(crate) workspace: WorkspaceId,
    messages: Mutex<UnboundedReceiver<SyncMessage>>,
    random: SeededRandom,
}

/// Ada owns the workspace; Grace, Linus, Eva and Sam develop; Eva and Sam operate too. Developers write to CORE, where nobody else is
/// granted anything; Operations administer the one repository of INFRA.
pub(crate) fn acme() -> World {
    World::new("acme")
        .with_owner("ada")
        .with_members(&["grace", "linus", "eva", "sam"])
        .with_group("Developers", &["grace", "linus", "eva", "sam"])
        .with_group("Operations", &["eva", "sam"])
        .with_group("Readers", &["grace"])
        .with_project("CORE")
        .with_private("CORE", &["engine", "brakes", "wheels", "doors"])
        .with_project("INFRA")
        .with_private("INFRA", &["terraform"])
        .with_grant(On::Project("CORE"), To::Group("developers"), Level::Write)
        .with_grant(On::Repository("terraform"), To::Group("operations"), Level::Admin)
        .with_grant(On::Repository("terraform"), To::Group("developers"), Level::Read)
        .with_grant(On::Repository("engine"), To::Group("readers"), Level::Read)
        .with_consumer(Consumer::for_itself(SYNC_KEY, SYNC_SECRET))
}

impl Rig {
    /// With Ada signed in, as an admin.
    pub(crate) async fn new(world: World) -> Self {
        let rig = Self::empty(world).await;
        rig.enter("ada", Way::Bitbucket, Role::Admin).await;
        rig
    }

    /// With nobody signed in.
    pub(crate) async fn empty(world: World) -> Self {
        Self::with(world, Settings::default(), Allowance::new(100_000, 0)).await
    }

    pub(crate) async fn with(world: World, settings: Settings, allowance: Allowance) -> Self {
        let anywhere = "127.0.0.1:0".parse().unwrap();
        let bitbucket = standin_bitbucket::start(world, anywhere).await.unwrap();
        let database = testing::database().await;
        let direct = testing::client(&database);
        schema::create(&direct, "rollcall").await.unwrap();
        let table = standin_faults::start(&database, anywhere).await.unwrap();
        let clock = SettableClock::frozen_at(START);
        let (metrics, captured) = Metrics::captured("scheduled-sync", Arc::new(clock.clone()));
        let (queue, messages) = ChannelQueue::new();
        let url: url::Url = bitbucket.url().parse().unwrap();
        let limits = Limits {
            deadline: Duration::from_millis(400),
            unpaged_deadline: Duration::from_millis(400),
            attempts: 2,
            retry_pause: Duration::from_millis(1),
            ..Limits::default()
        };
        let telling = clock.clone();
        let bitbucket_client = Bitbucket::new(
            rollcall_service::http::client().unwrap(),
            Endpoints::new(url.clone(), url).unwrap(),
            Arc::new(move || telling.now()),
            limits,
        );
        let random: Arc<dyn Random> = Arc::new(SeededRandom::new(7));
        let store = Store::new(testing::client(table.url()), "rollcall");
        let outbox = Outbox::new(rollcall_delivery::Ports {
            store: store.clone(),
            secrets: Arc::new(Secrets::from_source(NoSecret, Arc::new(clock.clone()))),
            public_url: "https://rollcall.example.com".to_owned(),
            caller: Caller::new(None),
            clock: Arc::new(clock.clone()),
            random: Arc::clone(&random),
            metrics: metrics.clone(),
        });
        let engine = Engine::new(Ports {
            store,
            outbox,
            bitbucket: bitbucket_client,
            credentials: Arc::new(Fixed),
            queue: Arc::new(queue),
            clock: Arc::new(clock.clone()),
            random,
            metrics,
            allowance,
        });
        let rig = Self {
            bitbucket,
            table,
            store: Store::new(direct, "rollcall"),
            engine,
            clock,
            metrics: captured,
            workspace: WorkspaceId::new(START, [1; 10]),
            messages: Mutex::new(messages),
            random: SeededRandom::new(11),
        };
        rig.connect(settings).await;
        rig
    }

    async fn connect(&self, settings: Settings) {
        let uuid = self.bitbucket.read(|world| world.workspace().uuid);
        let connection = Connection {
            workspace: self.workspace,
            bitbucket: BitbucketWorkspaceUuid::new(uuid),
            slug: "acme".parse().unwrap(),
            name: "acme".to_owned(),
            credential: CredentialKind::OauthConsumer,
            settings,
            health: Health::New,
            created_at: self.clock.now(),
            version: 0,
        };
        let connected = Connected { connection, sealed_credential: "sealed".to_owned() };
        self.store.connect(&connected, None, Record::default()).await.unwrap();
    }

    pub(crate) async fn connection(&self) -> Connection {
        self.store.connection(self.workspace).await.unwrap().unwrap().connection
    }

    pub(crate) async fn settings(&self, change: impl FnOnce(&mut Settings)) {
        let mut connected = self.store.connection(self.workspace).await.unwrap().unwrap();
        change(&mut connected.connection.settings);
        self.store.update_connection(&connected, Record::default()).await.unwrap();
    }

    pub(crate) fn advance(&self, by: Duration) {
        self.clock.advance(by);
        self.bitbucket.advance_clock(i64::try_from(by.as_secs()).unwrap());
    }

    pub(crate) fn account(&self, username: &str) -> AccountUuid {
        AccountUuid::new(self.bitbucket.read(|world| world.person(username).unwrap().uuid))
    }

    pub(crate) fn deadline(&self) -> Timestamp {
        self.clock.now().plus(Duration::from_mins(14))
    }

    fn random(&self) -> [u8; 10] {
        random::bytes(&self.random)
    }

    /// A tick, 15 minutes after the one before, and everything that comes of it.
    pub(crate) async fn tick(&self) -> Vec<Handled> {
        self.advance(TICK);
        self.try_tick().await.unwrap()
    }

    pub(crate) async fn try_tick(&self) -> Result<Vec<Handled>, EngineError> {
        self.engine.handle_tick(self.clock.now()).await?;
        let mut handled = Vec::new();
        for message in self.queued().await {
            handled.push(self.engine.handle_message(&message, self.deadline()).await?);
        }
        Ok(handled)
    }

    /// What is in the queue.
    pub(crate) async fn queued(&self) -> Vec<SyncMessage> {
        let mut messages = self.messages.lock().await;
        std::iter::from_fn(|| messages.try_recv().ok()).collect()
    }

    /// A tick that is one run; its record.
    pub(crate) async fn run(&self) -> RunRecord {
        match self.tick().await.pop() {
            Some(Handled::Ran(record)) => *record,
            other => panic!("no run: {other:?}"),
        }
    }

    /// A run that somebody asks for.
    pub(crate) async fn ask(&self, mode: Mode) -> RunRecord {
        let message = self.message(mode);
        match self.engine.handle_message(&message, self.deadline()).await.unwrap() {
            Handled::Ran(record) => *record,
            other => panic!("no run: {other:?}"),
        }
    }

    pub(crate) fn message(&self, mode: Mode) -> SyncMessage {
        SyncMessage::asked(self.workspace, RunId::new(self.clock.now(), self.random()), mode)
    }

    pub(crate) async fn mirror(&self) -> Mirror {
        self.store.mirror(self.workspace).await.unwrap()
    }

    pub(crate) async fn state(&self) -> SyncState {
        self.store.sync_state(self.workspace).await.unwrap()
    }

    /// Lets somebody in, as their sign-in with Bitbucket would.
    pub(crate) async fn sign_in(&self, username: &str) -> MemberId {
        self.enter(username, Way::Bitbucket, Role::Member).await
    }

    /// Lets somebody in by an invite.
    pub(crate) async fn invited(&self, username: &str, until: Option<Timestamp>) -> MemberId {
        self.enter(username, Way::Invite(until), Role::Member).await
    }

    pub(crate) async fn enter(&self, username: &str, way: Way, role: Role) -> MemberId {
        let by_bitbucket = way == Way::Bitbucket;
        let by_invite = match way {
            Way::Bitbucket => None,
            Way::Invite(until) => Some(InviteEntitlement {
                invite: InviteId::new(self.clock.now(), self.random()),
                until,
                teams: Vec::new(),
                warned_at: None,
            }),
        };
        let member = Member {
            id: MemberId::new(self.clock.now(), self.random()),
            workspace: self.workspace,
            identities: vec![Identity::bitbucket("https://bitbucket.org", self.account(username))],
            origin: if by_bitbucket { Origin::Bitbucket } else { Origin::Invite },
            by_bitbucket,
            by_invite,
            role,
            state: State::Active,
            display_name: username.to_owned(),
            email: None,
            created_at: self.clock.now(),
            signed_in_at: Some(self.clock.now()),
            epoch: 0,
            version: 0,
        };
        let session = TokenHash::of(&Secret::new(format!("session of {username}")));
        let entering = Entering {
            member: &member,
            before: None,
            invite: None,
            connection: None,
            session: (session, &BTreeMap::from([("of", username)]), self.clock.now().plus(DAY)),
            replaces: None,
            audit: Vec::new(),
            events: Vec::new(),
        };
        self.store.enter(entering).await.unwrap();
        member.id
    }

    pub(crate) async fn member(&self, id: MemberId) -> Member {
        self.store.member(self.workspace, id).await.unwrap().unwrap()
    }

    pub(crate) async fn is_active(&self, id: MemberId) -> bool {
        self.member(id).await.state == State::Active
    }

    /// Every row of the table, but for those that only keep order: leases, budgets, numbers.
    pub(crate) async fn rows(&self) -> BTreeMap<(String, String), String> {
        let mut rows = BTreeMap::new();
        let mut start = None;
        loop {
            let page = self.store.client().scan().table_name("rollcall").set_exclusive_start_key(start);
            let page = page.send().await.unwrap();
            for item in page.items() {
                let text = |name: &str| item[name].as_s().unwrap().clone();
                rows.insert((text("pk"), text("sk")), written(&AttributeValue::M(item.clone())));
            }
            start = page.last_evaluated_key().cloned();
            if start.is_none() {
                return rows;
            }
        }
    }

    /// How often something is told, by its name: audit entries and events.
    pub(crate) async fn told(&self, kind: &str) -> (usize, usize) {
        let rows = self.rows().await;
        let count = |partition: &str| {
            let of = format!("{}#{partition}", self.workspace);
            rows.iter().filter(|((pk, _), content)| *pk == of && content.contains(kind)).count()
        };
        (count("audit"), count("events"))
    }

    pub(crate) async fn audit(&self) -> Vec<AuditEntry> {
        self.store.audit_page(Some(self.workspace), None, 1000, true).await.unwrap().items
    }
}

/// A value as text, maps in order.
fn written(value: &AttributeValue) -> String {
    match value {
        AttributeValue::M(map) => {
            let map: BTreeMap<_, _> = map.iter().map(|(name, value)| (name, written(value))).collect();
            format!("{map:?}")
        }
        AttributeValue::L(list) => format!("{:?}", list.iter().map(written).collect::<Vec<_>>()),
        other => format!("{other:?}"),
    }
}

/// The mirror without what counts versions and names runs, to compare two ways of coming to the same.
pub(crate) fn essence(mut mirror: Mirror) -> Mirror {
    for member in mirror.members.values_mut() {
        member.version = 0;
        member.suspended_by = None;
    }
    mirror
}

/// The labels and counts of what a run changed.
pub(crate) fn changes(record: &RunRecord) -> Vec<String> {
    record.changes.iter().map(|(label, count)| format!("{label} {count}")).collect()
}
