//! A deployment for tests: an embedded table, a secret of its own, a clock that stands still, and a way to call routes.

#![allow(
    clippy::expect_used,
    clippy::missing_panics_doc,
    clippy::unused_async,
    reason = "a test that has no deployment cannot go on"
)]

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::response::Response;
use futures_util::future::BoxFuture;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue};
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::BodyExt as _;
use rollcall_domain::authority::{Access, Reach};
use rollcall_domain::identity::{Identity, Provider};
use rollcall_domain::member::{InviteEntitlement, Member, Origin, Role, State};
use rollcall_domain::{Secret, SessionId, Timestamp, TokenHash, WorkspaceId};
use rollcall_identity::provider::{Client, MachineAccess, generate_signing_key};
use rollcall_identity::session::{CookieName, SessionLimits, SessionRecord, SessionToken};
use rollcall_service::clock::SettableClock;
use rollcall_service::config::{self, Config};
use rollcall_service::random::{self, Random, SeededRandom};
use rollcall_service::secrets::{FetchFailed, Secrets, Source};
use rollcall_service::web::Web;
use rollcall_store::members::Entering;
use rollcall_store::{AdminToken, Record, Store, testing};
use serde_json::{Value, json};
use tower::ServiceExt as _;

use crate::{Admin, TOKEN_PREFIX};

/// Where the deployment is said to be.
pub const PUBLIC_URL: &str = "https://rollcall.example.com";
/// The bootstrap token.
pub const BOOTSTRAP: &str = "bootstrap-token-of-the-tests";
/// When the tests begin.
pub const START: Timestamp = Timestamp::from_seconds(1_800_000_000);

struct Fixed(String);

impl Source for Fixed {
    fn fetch(&self) -> BoxFuture<'_, Result<Secret, FetchFailed>> {
        Box::pin(async { Ok(Secret::new(self.0.clone())) })
    }
}

/// A deployment.
pub struct Deployment {
    /// What handlers work with.
    pub admin: Admin,
    /// Its clock.
    pub clock: SettableClock,
    /// The deployment secret.
    pub secrets: Arc<Secrets>,
    random: Arc<SeededRandom>,
}

/// What was answered.
#[derive(Debug, Clone)]
pub struct Answered {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body as JSON; `null` where it is none.
    pub json: Value,
    /// The body as it came.
    pub text: String,
}

impl Answered {
    /// A text in the body.
    ///
    /// # Panics
    /// There is none.
    pub fn text_at(&self, pointer: &str) -> &str {
        self.json
            .pointer(pointer)
            .and_then(Value::as_str)
            .unwrap_or_else(|| unreachable!("{pointer} is no text in {} {}", self.status, self.text))
    }

    /// A header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

/// Who calls.
#[derive(Debug, Clone)]
pub enum As {
    /// Nobody.
    Nobody,
    /// The bearer of a token.
    Bearer(String),
    /// A browser with a session, from our own pages.
    Browser(String),
    /// A browser with a session, from another site's page.
    OtherSite(String),
}

impl As {
    /// The bootstrap token's holder.
    pub fn bootstrap() -> Self {
        Self::Bearer(BOOTSTRAP.to_owned())
    }
}

/// A request that is being put together.
#[derive(Debug, Clone)]
pub struct Call {
    method: Method,
    path: String,
    headers: HeaderMap,
    body: Option<String>,
}

impl Call {
    /// A request.
    pub fn new(method: &str, path: impl Into<String>) -> Self {
        let method = Method::from_bytes(method.as_bytes()).expect("a method");
        Self { method, path: path.into(), headers: HeaderMap::new(), body: None }
    }

    /// By somebody.
    #[must_use]
    pub fn by(mut self, who: &As) -> Self {
        let mut set = |name: HeaderName, value: String| {
            self.headers.insert(name, HeaderValue::from_str(&value).expect("a header"));
        };
        let cookie = |value: &str| format!("{}={value}", CookieName::Session.as_str());
        let site = HeaderName::from_static("sec-fetch-site");
        match who {
            As::Nobody => {}
            As::Bearer(token) => set(AUTHORIZATION, format!("Bearer {token}")),
            As::Browser(session) => {
                set(http::header::COOKIE, cookie(session));
                set(site, "same-origin".to_owned());
            }
            As::OtherSite(session) => {
                set(http::header::COOKIE, cookie(session));
                set(site, "cross-site".to_owned());
            }
        }
        self
    }

    /// With a JSON body.
    #[must_use]
    pub fn json(self, body: &Value) -> Self {
        self.body(body.to_string())
    }

    /// With a body that is said to be JSON.
    #[must_use]
    pub fn body(mut self, body: impl Into<String>) -> Self {
        self.body = Some(body.into());
        self.with("content-type", "application/json")
    }

    /// With a header.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: &str) -> Self {
        let value = HeaderValue::from_str(value).expect("a header");
        self.headers.insert(HeaderName::from_static(name), value);
        self
    }

    /// Sends it to finished routes.
    pub async fn send(self, routes: &Router) -> Answered {
        let mut request = Request::builder().method(self.method).uri(self.path);
        *request.headers_mut().expect("a request") = self.headers;
        let request = request.body(Body::from(self.body.unwrap_or_default())).expect("a request");
        read(routes.clone().oneshot(request).await.expect("an answer")).await
    }
}

async fn read(response: Response) -> Answered {
    let (parts, body) = response.into_parts();
    let bytes = body.collect().await.expect("a body").to_bytes();
    let is_json = parts.headers.get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().ends_with(b"json"));
    let json = if is_json { serde_json::from_slice(&bytes).unwrap_or_default() } else { Value::Null };
    let text = String::from_utf8_lossy(&bytes).into_owned();
    Answered { status: parts.status, headers: parts.headers, json, text }
}

/// The finished routes, as a function serves them.
pub fn finish(router: Router) -> Router {
    Web::new().finish(router)
}

impl Deployment {
    /// A new one, with an embedded table.
    pub async fn start() -> Self {
        Self::with(testing::store().await, &[]).await
    }

    /// A new one in a table, with further variables.
    pub async fn with(store: Store, variables: &[(&str, &str)]) -> Self {
        let clock = SettableClock::frozen_at(START);
        let key = generate_signing_key().expect("a key");
        let hash = TokenHash::of(&Secret::new(BOOTSTRAP)).to_string();
        let document = json!({
            "providers": {"bitbucket": {"client_id": "id", "client_secret": "secret"}},
            "signing_keys": [{"kid": "now", "state": "current", "private_key": key.expose()}],
            "sealing_keys": [{"id": "now", "key": "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="}],
            "bootstrap_admin_token_sha256": hash,
            "application": {"name": "Shop"},
        });
        let secrets = Arc::new(Secrets::from_source(Fixed(document.to_string()), Arc::new(clock.clone())));
        let mut all = vec![
            (config::PUBLIC_URL, PUBLIC_URL),
            (config::TABLE, "rollcall"),
            (config::SECRET_ID, "rollcall"),
        ];
        all.extend_from_slice(variables);
        let config = Config::from_map(all).expect("a configuration");
        let random = Arc::new(SeededRandom::new(1));
        let (clock_too, random_too) = (Arc::new(clock.clone()), Arc::clone(&random));
        let admin = Admin::new(config, store, Arc::clone(&secrets), clock_too, random_too);
        Self { admin, clock, secrets, random }
    }

    /// A workspace.
    pub async fn workspace(&self, name: &str) -> WorkspaceId {
        let now = self.admin.now();
        let workspace = rollcall_store::workspaces::Workspace {
            id: self.admin.new_id(now),
            name: name.to_owned(),
            language: "en".to_owned(),
            invite_rules: rollcall_domain::invite::DomainRules::default(),
            created_at: now,
            version: 1,
        };
        self.admin.store().create_workspace(&workspace, Record::default()).await.expect("a workspace");
        workspace.id
    }

    /// An admin token.
    pub async fn token(&self, reach: Reach, access: Access) -> As {
        let secret = self.random.token_256(TOKEN_PREFIX);
        let now = self.admin.now();
        let token = AdminToken {
            id: self.admin.new_id(now),
            name: "of a test".to_owned(),
            hash: TokenHash::of(&secret),
            reach,
            access,
            made_by: rollcall_domain::audit::Actor::Bootstrap,
            created_at: now,
            expires_at: None,
            used_at: None,
        };
        self.admin.store().create_admin_token(&token, Record::default()).await.expect("a token");
        As::Bearer(secret.expose().to_owned())
    }

    /// A machine with an access token.
    pub async fn machine(&self, reach: Reach, access: Access) -> (Client, As) {
        let now = self.admin.now();
        let machine = MachineAccess { reach, access };
        let client = Client {
            id: self.admin.new_id(now),
            name: "A machine".to_owned(),
            secrets: vec![TokenHash::of(&Secret::new("secret"))],
            redirect_uris: Vec::new(),
            post_logout_redirect_uris: Vec::new(),
            backchannel_logout_uri: None,
            audience: None,
            workspace: None,
            machine: Some(machine),
        };
        self.admin.store().create_client(client.id, &client, Record::default()).await.expect("a client");
        let keys = self.admin.keys().await.expect("keys");
        let answer = keys.issuer.machine_answer(client.id, machine, now, [1; 16]).expect("a token");
        let answer = serde_json::to_value(answer).expect("an answer");
        let token = answer.get("access_token").and_then(Value::as_str).expect("a token").to_owned();
        (client, As::Bearer(token))
    }

    /// A member as they are after they were let in by an invite without an end, not written yet.
    pub fn new_member(&self, workspace: WorkspaceId, name: &str, role: Role) -> Member {
        let now = self.admin.now();
        Member {
            id: self.admin.new_id(now),
            workspace,
            identities: vec![Identity {
                provider: Provider::Google,
                issuer: "https://accounts.google.com".to_owned(),
                subject: format!("{name}-{workspace}"),
            }],
            origin: Origin::Invite,
            by_bitbucket: false,
            by_invite: Some(InviteEntitlement {
                invite: self.admin.new_id(now),
                until: None,
                teams: Vec::new(),
                warned_at: None,
            }),
            role,
            state: State::Active,
            display_name: name.to_owned(),
            email: format!("{name}@example.com").parse().ok(),
            created_at: now,
            signed_in_at: Some(now),
            epoch: 0,
            version: 0,
        }
    }

    /// Lets a member in: written, with a session.
    pub async fn enter(&self, member: &Member) -> As {
        let now = self.admin.now();
        let token = SessionToken::new(random::bytes(&*self.random));
        let id: SessionId = self.admin.new_id(now);
        let session = SessionRecord {
            id,
            member: member.id,
            workspace: member.workspace,
            epoch: member.epoch,
            provider: Provider::Google,
            created_at: now,
            used_at: now,
            ended_at: None,
        };
        let ends = session.ends_at(SessionLimits::default());
        let entering = Entering {
            member,
            before: None,
            invite: None,
            connection: None,
            session: (token.hash(), &session, ends),
            replaces: None,
            audit: Vec::new(),
            events: Vec::new(),
        };
        self.admin.store().enter(entering).await.expect("a member");
        As::Browser(token.secret().expose().to_owned())
    }

    /// A member with a session.
    pub async fn member(&self, workspace: WorkspaceId, name: &str, role: Role) -> (Member, As) {
        let member = self.new_member(workspace, name, role);
        let session = self.enter(&member).await;
        (Member { version: 1, ..member }, session)
    }
}
