//! What the handlers work with: built once at start, shared by all requests.

use std::sync::{Arc, Mutex, PoisonError};

use rollcall_bitbucket::{Bitbucket, CallBudget, Credential, CredentialId, OAuthClient, Session};
use rollcall_delivery::{Caller, issuer};
use rollcall_domain::budget::{Allowance, Purpose};
use rollcall_domain::identity::Provider;
use rollcall_domain::{Secret, Timestamp};
use rollcall_identity::provider::TokenIssuer;
use rollcall_identity::relying_party::{DEFAULT_DEADLINE, OpenIdProvider, OpenIdSettings, Tenants};
use rollcall_identity::session::SessionLimits;
use rollcall_service::clock::Clock;
use rollcall_service::config::Config;
use rollcall_service::random::{self, Random};
use rollcall_service::rate::RateKeys;
use rollcall_service::seal::{Purpose as Sealed, Sealer};
use rollcall_service::secrets::{AllowedTenants, Application, DeploymentSecret, ProviderClient, Secrets};
use rollcall_service::telemetry::Metrics;
use rollcall_store::Store;
use url::Url;

use crate::failure::Failure;

/// What the process was started with.
pub struct Parts {
    /// The configuration.
    pub config: Config,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// The source of randomness.
    pub random: Arc<dyn Random>,
    /// The deployment secret.
    pub secrets: Arc<Secrets>,
    /// The table.
    pub store: Store,
    /// The Bitbucket client.
    pub bitbucket: Bitbucket,
    /// The HTTP client for the other providers and for back-channel logout.
    pub http: reqwest::Client,
    /// The application that people sign in to.
    pub application: Application,
    /// Where figures are written.
    pub metrics: Metrics,
}

/// Everything the handlers need. Clones share it.
#[derive(Clone)]
pub struct App(Arc<Inner>);

struct Inner {
    parts: Parts,
    caller: Caller,
    derived: Mutex<Option<Arc<Derived>>>,
    /// The budget of the consumer that people sign in through, as far as this process knows its book.
    sign_ins: Mutex<Option<(CredentialId, CallBudget)>>,
}

/// What follows from the deployment secret as it is now.
pub struct Derived {
    /// The secret itself.
    pub secret: Arc<DeploymentSecret>,
    /// Seals the login cookie.
    pub transactions: Sealer,
    /// Makes the keys under which attempts are counted.
    pub rates: RateKeys,
    /// Signs what applications get.
    pub issuer: TokenIssuer,
    openid: Vec<Arc<OpenIdProvider>>,
    registrations: Vec<(Provider, ProviderClient)>,
}

impl App {
    /// Wires the parts.
    pub fn new(parts: Parts) -> Self {
        let local = (!parts.config.public_url.is_https()).then(|| parts.http.clone());
        let (derived, sign_ins) = (Mutex::new(None), Mutex::new(None));
        Self(Arc::new(Inner { parts, caller: Caller::new(local), derived, sign_ins }))
    }

    /// The configuration.
    pub fn config(&self) -> &Config {
        &self.0.parts.config
    }

    /// The table.
    pub fn store(&self) -> &Store {
        &self.0.parts.store
    }

    /// The Bitbucket client.
    pub fn bitbucket(&self) -> &Bitbucket {
        &self.0.parts.bitbucket
    }

    /// The HTTP client.
    pub fn http(&self) -> &reqwest::Client {
        &self.0.parts.http
    }

    /// Calls the applications' addresses.
    pub fn caller(&self) -> &Caller {
        &self.0.caller
    }

    /// The application that people sign in to.
    pub fn application(&self) -> &Application {
        &self.0.parts.application
    }

    /// Where figures are written.
    pub fn metrics(&self) -> &Metrics {
        &self.0.parts.metrics
    }

    /// The present moment.
    pub fn now(&self) -> Timestamp {
        self.0.parts.clock.now()
    }

    /// The clock.
    pub fn clock(&self) -> &dyn Clock {
        &*self.0.parts.clock
    }

    /// The source of randomness.
    pub fn random(&self) -> &dyn Random {
        &*self.0.parts.random
    }

    /// Random bytes.
    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        random::bytes(self.random())
    }

    /// How long sessions live.
    pub fn session_limits(&self) -> SessionLimits {
        SessionLimits::default()
    }

    /// The public base URL.
    pub fn public_url(&self) -> &str {
        self.config().public_url.as_str()
    }

    /// Our callback at a provider: one path of its own for each.
    pub fn callback(&self, provider: Provider) -> Url {
        self.config().public_url.join(&format!("/callback/{provider}"))
    }

    /// The issuer of a provider, as configured.
    pub fn issuer_of(&self, provider: Provider) -> &str {
        match provider {
            Provider::Bitbucket => self.config().bitbucket_url.as_str(),
            Provider::Google => self.config().google_issuer.as_str(),
            Provider::Microsoft => self.config().microsoft_issuer.as_str(),
        }
    }

    /// What follows from the deployment secret. Made anew only when the secret has changed; a provider whose registration is the
    /// same keeps the keys it has cached.
    pub async fn derived(&self) -> Result<Arc<Derived>, Failure> {
        let secret =
            self.0.parts.secrets.current().await.map_err(|error| Failure::unavailable("secret", &error))?;
        self.derive(secret)
    }

    /// After a provider did not accept our secret: what follows from the deployment secret read anew, once; `None` if it is the
    /// same.
    pub async fn derived_anew(&self, used: &Derived) -> Option<Arc<Derived>> {
        let secret = self.0.parts.secrets.refresh_once(&used.secret).await?;
        self.derive(secret).ok()
    }

    fn derive(&self, secret: Arc<DeploymentSecret>) -> Result<Arc<Derived>, Failure> {
        let mut kept = self.0.derived.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(derived) = kept.as_ref().filter(|derived| Arc::ptr_eq(&derived.secret, &secret)) {
            return Ok(Arc::clone(derived));
        }
        let derived = Arc::new(Derived::new(self, secret, kept.as_deref())?);
        *kept = Some(Arc::clone(&derived));
        Ok(derived)
    }

    /// Bitbucket with a person's own token. All sign-ins count against the consumer they go through.
    pub fn as_person(&self, client: &OAuthClient, token: Secret) -> Session {
        let budget = self.sign_in_budget(client.id());
        self.bitbucket().session(&Credential::PersonToken(token), &budget, Purpose::SignIn)
    }

    /// The same for all sign-ins: what is known of the book need not be read again.
    fn sign_in_budget(&self, consumer: CredentialId) -> CallBudget {
        let mut kept = self.0.sign_ins.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, budget)) = kept.as_ref().filter(|(of, _)| *of == consumer) {
            return budget.clone();
        }
        let allowance = Allowance::default().for_sign_ins_only();
        let budget = self.store().call_budget(consumer, allowance, self.shared_clock());
        *kept = Some((consumer, budget.clone()));
        budget
    }

    /// Bitbucket with a connection's credential, for a sign-in.
    pub fn as_connection(&self, credential: &Credential) -> Session {
        let budget: CallBudget =
            self.store().call_budget(credential.id(), Allowance::default(), self.shared_clock());
        self.bitbucket().session(credential, &budget, Purpose::SignIn)
    }

    fn shared_clock(&self) -> rollcall_bitbucket::Clock {
        let clock = Arc::clone(&self.0.parts.clock);
        Arc::new(move || clock.now())
    }
}

impl Derived {
    fn new(app: &App, secret: Arc<DeploymentSecret>, before: Option<&Self>) -> Result<Self, Failure> {
        let mut openid = Vec::new();
        let mut registrations = Vec::new();
        for provider in secret.providers.offered() {
            let Some(client) = secret.providers.get(provider) else { continue };
            registrations.push((provider, client.clone()));
            if provider == Provider::Bitbucket {
                continue;
            }
            let tenants = match secret.providers.allowed_tenants() {
                AllowedTenants::Any => Tenants::Any,
                AllowedTenants::Only(tenants) => Tenants::Only(tenants.clone()),
            };
            let unchanged = before.filter(|before| {
                before.secret.providers.allowed_tenants() == secret.providers.allowed_tenants()
                    && before.registration(provider).is_some_and(|known| same_registration(known, client))
            });
            if let Some(kept) = unchanged.and_then(|before| before.openid(provider)) {
                openid.push(kept);
                continue;
            }
            let settings = OpenIdSettings {
                provider,
                issuer: app.issuer_of(provider).to_owned(),
                client_id: client.client_id.clone(),
                client_secret: client.client_secret.clone(),
                callback: app.callback(provider),
                tenants,
                deadline: DEFAULT_DEADLINE,
            };
            let made = OpenIdProvider::new(settings, app.http().clone());
            openid.push(Arc::new(made.map_err(|error| Failure::unavailable("provider", &error))?));
        }
        Ok(Self {
            transactions: Sealer::new(&secret.sealing_keys, Sealed::Transaction),
            rates: RateKeys::new(&secret.sealing_keys),
            issuer: issuer(app.public_url(), &secret)
                .map_err(|error| Failure::unavailable("signing key", &error))?,
            secret,
            openid,
            registrations,
        })
    }

    /// An OpenID provider, if this deployment offers it.
    pub fn openid(&self, provider: Provider) -> Option<Arc<OpenIdProvider>> {
        self.openid.iter().find(|known| known.provider() == provider).cloned()
    }

    /// The consumer that people sign in through, if this deployment offers Bitbucket.
    pub fn consumer(&self) -> Option<OAuthClient> {
        let client = self.registration(Provider::Bitbucket)?;
        Some(OAuthClient { key: client.client_id.clone(), secret: client.client_secret.clone() })
    }

    /// The providers that this deployment offers.
    pub fn offered(&self) -> impl Iterator<Item = Provider> {
        self.registrations.iter().map(|(provider, _)| *provider)
    }

    fn registration(&self, provider: Provider) -> Option<&ProviderClient> {
        self.registrations.iter().find(|(known, _)| *known == provider).map(|(_, client)| client)
    }
}

fn same_registration(a: &ProviderClient, b: &ProviderClient) -> bool {
    a.client_id == b.client_id && a.client_secret.expose() == b.client_secret.expose()
}
