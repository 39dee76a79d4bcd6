//! The function's router on a real table, with a workspace, a member and some clients in it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use futures_util::future::BoxFuture;
use http::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, COOKIE, LOCATION, SET_COOKIE};
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::BodyExt as _;
use rollcall_bitbucket::{Bitbucket, Endpoints, Limits};
use rollcall_domain::audit::Actor;
use rollcall_domain::authority::{Access, Reach};
use rollcall_domain::identity::{Identity, Provider};
use rollcall_domain::member::{InviteEntitlement, Member, Origin, Role, State};
use rollcall_domain::mirror::{Mirror, Team};
use rollcall_domain::plan::Change;
use rollcall_domain::{
    ClientId, InviteId, MemberId, RunId, Secret, SessionId, TeamId, Timestamp, WorkspaceId,
};
use rollcall_identity::Verifier;
use rollcall_identity::provider::{
    Client, MachineAccess, RedirectUri, generate_signing_key, new_client_secret,
};
use rollcall_identity::session::{SessionLimits, SessionRecord, SessionToken};
use rollcall_oauth_callback::{App, Parts, pages, router};
use rollcall_service::clock::{Clock, SettableClock};
use rollcall_service::config::{self, Config};
use rollcall_service::random::{self, SystemRandom};
use rollcall_service::secrets::{Application, FetchFailed, Secrets, Source};
use rollcall_service::telemetry::Metrics;
use rollcall_service::web::{ClientAddress, Web};
use rollcall_store::members::Entering;
use rollcall_store::workspaces::Workspace;
use rollcall_store::{Context, Record, Store, testing};
use serde_json::{Value, json};
use tower::ServiceExt as _;
use url::Url;

pub(crate) const PUBLIC: &str = "http://127.0.0.1:8080";
pub(crate) const REDIRECT: &str = "https://app.example/callback";
pub(crate) const AFTER_LOGOUT: &str = "https://app.example/bye";

#[derive(Clone)]
struct Document(Arc<Mutex<String>>);

impl Document {
    /// With these signing keys and what they are used for.
    fn with_keys(keys: &[(&str, &Secret)]) -> String {
        let key = |(state, key): &(&str, &Secret)| json!({ "kid": state, "state": state, "private_key": key.expose() });
        let document = json!({
            "providers": { "google": { "client_id": "rollcall", "client_secret": "google-secret" } },
            "signing_keys": keys.iter().map(key).collect::<Vec<_>>(),
            "sealing_keys": [{ "id": "1", "key": STANDARD.encode([7; 32]) }],
        });
        document.to_string()
    }
}

impl Source for Document {
    fn fetch(&self) -> BoxFuture<'_, Result<Secret, FetchFailed>> {
        let document = self.0.lock().unwrap().clone();
        Box::pin(async move { Ok(Secret::new(document)) })
    }
}

pub(crate) struct Rig {
    pub(crate) app: App,
    pub(crate) store: Store,
    pub(crate) clock: SettableClock,
    pub(crate) workspace: WorkspaceId,
    /// The deployment secret, as Secrets Manager has it.
    document: Document,
    router: Router,
}

impl Rig {
    pub(crate) async fn new() -> Self {
        Self::with(PUBLIC, "1000").await
    }

    pub(crate) async fn with(public: &str, rate: &str) -> Self {
        let clock = SettableClock::running();
        let store = testing::store().await;
        let workspace = WorkspaceId::new(clock.now(), random::bytes(&SystemRandom));
        let row = Workspace {
            id: workspace,
            name: "Acme".into(),
            language: "en".into(),
            invite_rules: rollcall_domain::invite::DomainRules::default(),
            created_at: clock.now(),
            version: 0,
        };
        store.create_workspace(&row, Record::default()).await.unwrap();
        let key = generate_signing_key().unwrap();
        let document = Document(Arc::new(Mutex::new(Document::with_keys(&[("current", &key)]))));
        let app = app(public, rate, &store, &clock, document.clone());
        let page = |problem: &_, id: &_| pages::problem(&Application::default(), problem, id);
        let router = Web::new().problem_page(page).finish(router(app.clone()));
        Self { app, store, clock, workspace, document, router }
    }

    /// Writes other signing keys into the deployment secret, while the function is warm.
    pub(crate) fn rotate(&self, keys: &[(&str, &Secret)]) {
        *self.document.0.lock().unwrap() = Document::with_keys(keys);
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// A client with a secret.
    pub(crate) async fn client(&self) -> (Client, Secret) {
        self.client_with(|_| {}).await
    }

    pub(crate) async fn client_with(&self, change: impl FnOnce(&mut Client)) -> (Client, Secret) {
        let secret = new_client_secret(random::bytes(&SystemRandom));
        let mut client = Client {
            id: ClientId::new(self.now(), random::bytes(&SystemRandom)),
            name: "App".into(),
            secrets: vec![rollcall_domain::TokenHash::of(&secret)],
            redirect_uris: vec![RedirectUri::parse(REDIRECT).unwrap()],
            post_logout_redirect_uris: vec![RedirectUri::parse(AFTER_LOGOUT).unwrap()],
            backchannel_logout_uri: None,
            audience: None,
            workspace: None,
            machine: None,
        };
        change(&mut client);
        self.store.create_client(client.id, &client, Record::default()).await.unwrap();
        (client, secret)
    }

    pub(crate) async fn machine(&self) -> (Client, Secret) {
        let machine = MachineAccess { reach: Reach::Deployment, access: Access::Read };
        self.client_with(|client| client.machine = Some(machine)).await
    }

    /// A new member, signed in in a browser.
    pub(crate) async fn ada(&self) -> Ada<'_> {
        let random = random::bytes::<10>(&SystemRandom);
        let identity = Identity {
            provider: Provider::Google,
            issuer: "https://accounts.google.com".into(),
            subject: format!("{random:?}"),
        };
        let member = Member {
            id: MemberId::new(self.now(), random),
            workspace: self.workspace,
            identities: vec![identity],
            origin: Origin::Invite,
            by_bitbucket: false,
            by_invite: Some(InviteEntitlement {
                invite: InviteId::new(self.now(), random),
                until: None,
                teams: Vec::new(),
                warned_at: None,
            }),
            role: Role::Member,
            state: State::Active,
            display_name: "Ada".into(),
            email: Some("ada@example.com".parse().unwrap()),
            created_at: self.now(),
            signed_in_at: None,
            epoch: 0,
            version: 0,
        };
        let session = self.session(&member, None).await;
        Ada { rig: self, id: member.id, session }
    }

    async fn session(&self, member: &Member, before: Option<&Member>) -> Session {
        let token = SessionToken::new(random::bytes(&SystemRandom));
        let record = SessionRecord {
            id: SessionId::new(self.now(), random::bytes(&SystemRandom)),
            member: member.id,
            workspace: member.workspace,
            epoch: member.epoch,
            provider: Provider::Google,
            created_at: self.now(),
            used_at: self.now(),
            ended_at: None,
        };
        let entering = Entering {
            member,
            before,
            invite: None,
            connection: None,
            session: (token.hash(), &record, record.ends_at(SessionLimits::default())),
            replaces: None,
            audit: Vec::new(),
            events: Vec::new(),
        };
        self.store.enter(entering).await.unwrap();
        Session { id: record.id, cookie: format!("__Host-rollcall-session={}", token.secret().expose()) }
    }

    /// So many new teams.
    pub(crate) async fn teams(&self, count: usize) -> Vec<TeamId> {
        let (run, evidence) = (RunId::new(self.now(), [1; 10]), BTreeMap::new());
        let (now, random) = (self.now(), || random::bytes(&SystemRandom));
        let team = |n| Team {
            id: TeamId::new(now, random()),
            slug: format!("team-{n}").parse().unwrap(),
            name: format!("Team {n}"),
            removed: false,
        };
        let teams: Vec<Team> = (0..count).map(team).collect();
        let plan: Vec<Change> = teams.iter().map(|team| Change::AddTeam { team: team.clone() }).collect();
        let context = Context {
            workspace: self.workspace,
            run,
            actor: Actor::Sync { run },
            now,
            clock: &|| now,
            random: &random,
            evidence: &evidence,
        };
        let held = Duration::from_mins(15);
        let lease = self.store.take_lease(self.workspace, "run", held, now).await.unwrap().unwrap();
        self.store.apply(&mut Mirror::default(), &plan, &lease, &context, &mut || false).await.unwrap();
        teams.into_iter().map(|team| team.id).collect()
    }

    pub(crate) fn get(&self, path: &str) -> Call<'_> {
        Call::new(self, Method::GET, path)
    }

    pub(crate) fn post(&self, path: &str, fields: &[(&str, &str)]) -> Call<'_> {
        let mut call = Call::new(self, Method::POST, path);
        call.form = Some(form(fields));
        call
    }
}

fn app(public: &str, rate: &str, store: &Store, clock: &SettableClock, document: Document) -> App {
    let variables = [
        (config::PUBLIC_URL, public),
        (config::TABLE, store.table()),
        (config::SECRET_ID, "rollcall"),
        (config::SIGN_IN_RATE, rate),
    ];
    let config = Config::from_map(variables).unwrap();
    let http = rollcall_service::http::client().unwrap();
    let (web, api) = (config.bitbucket_url.as_url().clone(), config.bitbucket_api_url.as_url().clone());
    let ticking = clock.clone();
    let shared: Arc<dyn Clock> = Arc::new(clock.clone());
    App::new(Parts {
        bitbucket: Bitbucket::new(
            http.clone(),
            Endpoints::new(web, api).unwrap(),
            Arc::new(move || ticking.now()),
            Limits::default(),
        ),
        config,
        random: Arc::new(SystemRandom),
        secrets: Arc::new(Secrets::from_source(document, shared.clone())),
        clock: shared,
        store: store.clone(),
        http,
        application: Application::default(),
        metrics: Metrics::discarded("oauth-callback", Arc::new(clock.clone())),
    })
}

pub(crate) fn form(fields: &[(&str, &str)]) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()
}

#[derive(Clone)]
pub(crate) struct Session {
    pub(crate) id: SessionId,
    pub(crate) cookie: String,
}

/// A member and their browser.
pub(crate) struct Ada<'r> {
    rig: &'r Rig,
    pub(crate) id: MemberId,
    pub(crate) session: Session,
}

impl Ada<'_> {
    pub(crate) async fn member(&self) -> Member {
        self.rig.store.member(self.rig.workspace, self.id).await.unwrap().unwrap()
    }

    pub(crate) async fn change(&self, change: impl FnOnce(&mut Member)) {
        let before = self.member().await;
        let mut after = before.clone();
        change(&mut after);
        self.rig.store.update_member(&after, &before, None, Record::default()).await.unwrap();
    }

    /// One more session, in another browser.
    pub(crate) async fn elsewhere(&self) -> Session {
        let member = self.member().await;
        self.rig.session(&member, Some(&member)).await
    }

    /// What `/authorize` answers to a sound request of the client, with these parameters changed.
    pub(crate) async fn authorize(&self, client: &Client, changes: &[(&str, Option<&str>)]) -> Answer {
        self.rig.get(&request(client, changes)).cookie(&self.session.cookie).send().await
    }

    /// A code for the client.
    pub(crate) async fn code(&self, client: &Client, scope: &str) -> String {
        let answer = self.authorize(client, &[("scope", Some(scope))]).await;
        answer.location_parameter("code").unwrap_or_else(|| panic!("no code: {:?}", answer.location()))
    }

    /// The tokens of a whole sign-in.
    pub(crate) async fn tokens(&self, client: &Client, secret: &Secret, scope: &str) -> Value {
        let code = self.code(client, scope).await;
        let answer = self.rig.redeem(client, secret, &code).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
        answer.json()
    }
}

pub(crate) fn verifier() -> Verifier {
    Verifier::new([5; 32])
}

pub(crate) fn request(client: &Client, changes: &[(&str, Option<&str>)]) -> String {
    let (id, challenge) = (client.id.to_string(), verifier().challenge());
    let mut parameters = vec![
        ("client_id", id.as_str()),
        ("redirect_uri", REDIRECT),
        ("response_type", "code"),
        ("scope", "openid email"),
        ("state", "the state"),
        ("nonce", "the nonce"),
        ("code_challenge", challenge.as_str()),
        ("code_challenge_method", "S256"),
    ];
    for (name, value) in changes {
        parameters.retain(|(known, _)| known != name);
        parameters.extend(value.map(|value| (*name, value)));
    }
    format!("/authorize?{}", form(&parameters))
}

impl Rig {
    pub(crate) async fn redeem(&self, client: &Client, secret: &Secret, code: &str) -> Answer {
        self.redeem_with(client, secret, code, REDIRECT, verifier().secret().expose()).await
    }

    pub(crate) async fn redeem_with(
        &self,
        client: &Client,
        secret: &Secret,
        code: &str,
        redirect_uri: &str,
        verifier: &str,
    ) -> Answer {
        let fields = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", redirect_uri),
            ("code_verifier", verifier),
        ];
        self.post("/token", &fields).basic(client, secret).send().await
    }

    pub(crate) async fn refresh(&self, client: &Client, secret: &Secret, token: &str) -> Answer {
        let fields = [("grant_type", "refresh_token"), ("refresh_token", token)];
        self.post("/token", &fields).basic(client, secret).send().await
    }

    pub(crate) async fn userinfo(&self, access: &str) -> Answer {
        self.get("/userinfo").header(AUTHORIZATION.as_str(), &format!("Bearer {access}")).send().await
    }

    pub(crate) async fn introspect(&self, client: &Client, secret: &Secret, token: &str) -> Value {
        let answer = self.post("/introspect", &[("token", token)]).basic(client, secret).send().await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
        answer.json()
    }
}

/// A request that is being made.
pub(crate) struct Call<'r> {
    rig: &'r Rig,
    method: Method,
    path: String,
    headers: Vec<(String, String)>,
    form: Option<String>,
}

impl<'r> Call<'r> {
    fn new(rig: &'r Rig, method: Method, path: &str) -> Self {
        Self { rig, method, path: path.to_owned(), headers: Vec::new(), form: None }
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn cookie(self, cookie: &str) -> Self {
        self.header(COOKIE.as_str(), cookie).header("accept", "text/html")
    }

    /// From a page of ours.
    pub(crate) fn sent_by_ourselves(self) -> Self {
        self.header("sec-fetch-site", "same-origin")
    }

    pub(crate) fn basic(self, client: &Client, secret: &Secret) -> Self {
        let pair = STANDARD.encode(format!("{}:{}", client.id, secret.expose()));
        self.header(AUTHORIZATION.as_str(), &format!("Basic {pair}"))
    }

    pub(crate) async fn send(self) -> Answer {
        let mut request = Request::builder().method(self.method).uri(&self.path);
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        if self.form.is_some() {
            request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        }
        let mut request = request.body(Body::from(self.form.unwrap_or_default())).unwrap();
        request.extensions_mut().insert(ClientAddress(Some([192, 0, 2, 1].into())));
        let response = self.rig.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
        let answer = Answer { status: parts.status, headers: parts.headers, body };
        answer.assert_safe(self.path.starts_with("/.well-known/"));
        answer
    }
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("{}: {}", self.status, self.body))
    }

    /// Where the browser is sent: always by 303, so that nothing travels on.
    pub(crate) fn location(&self) -> Url {
        assert_eq!(self.status, StatusCode::SEE_OTHER, "{}", self.body);
        Url::parse(PUBLIC).unwrap().join(self.headers[LOCATION].to_str().unwrap()).unwrap()
    }

    pub(crate) fn location_parameter(&self, name: &str) -> Option<String> {
        let location = self.location();
        let mut found = location.query_pairs().filter(|(known, _)| known == name);
        let value = found.next().map(|(_, value)| value.into_owned());
        assert!(found.next().is_none(), "{name} is given twice");
        value
    }

    /// Refused as RFC 6749 §5.2 says.
    pub(crate) fn assert_refused(&self, status: u16, error: &str) {
        assert_eq!(
            (self.status.as_u16(), self.json()["error"].as_str()),
            (status, Some(error)),
            "{}",
            self.body
        );
    }

    /// Every answer has the headers that a browser needs to be safe, and none that lets other origins read it.
    fn assert_safe(&self, public: bool) {
        let header = |name: &str| {
            self.headers.get(name).unwrap_or_else(|| panic!("{name} is missing")).to_str().unwrap()
        };
        assert!(header("strict-transport-security").contains("max-age=63072000"));
        assert!(header("content-security-policy").starts_with("default-src 'none'; frame-ancestors 'none'"));
        assert_eq!(header("x-content-type-options"), "nosniff");
        assert_eq!(header("referrer-policy"), "no-referrer");
        assert_eq!(header(CACHE_CONTROL.as_str()), if public { "public, max-age=300" } else { "no-store" });
        assert!(self.headers.keys().all(|name| !name.as_str().starts_with("access-control-")));
        for cookie in self.headers.get_all(SET_COOKIE) {
            let cookie = cookie.to_str().unwrap();
            assert!(cookie.starts_with("__Host-") && !cookie.contains("Domain"), "{cookie}");
            for attribute in ["; Secure", "; HttpOnly", "; SameSite=Lax", "; Path=/"] {
                assert!(cookie.contains(attribute), "{cookie}");
            }
        }
    }

    /// Whether the answer takes the session cookie away.
    pub(crate) fn forgets_session(&self) -> bool {
        let mut cookies = self.headers.get_all(SET_COOKIE).iter();
        cookies.any(|cookie| cookie.to_str().unwrap().starts_with("__Host-rollcall-session=; Max-Age=0;"))
    }
}

/// The claims of a token, its signature checked against the published keys by a library that is not ours to bend.
pub(crate) async fn verified(rig: &Rig, token: &str) -> Value {
    let header = jsonwebtoken::decode_header(token).unwrap();
    let keys: jsonwebtoken::jwk::JwkSet =
        serde_json::from_value(rig.get("/.well-known/jwks.json").send().await.json()).unwrap();
    let key = keys.find(header.kid.as_deref().unwrap()).expect("a published key");
    let mut validation = jsonwebtoken::Validation::new(jsonwebtoken::Algorithm::ES256);
    validation.validate_aud = false;
    validation.validate_exp = false;
    validation.required_spec_claims.clear();
    let key = jsonwebtoken::DecodingKey::from_jwk(key).unwrap();
    jsonwebtoken::decode::<Value>(token, &key, &validation).expect("a sound signature").claims
}

/// The header of a token.
pub(crate) fn header_of(token: &str) -> Value {
    let part = token.split('.').next().unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}
