//! A provider, a relying party and a browser.

use core::time::Duration;
use std::collections::BTreeMap;

use rollcall_domain::identity::{Provider, Visitor};
use rollcall_domain::{Secret, Timestamp};
use rollcall_identity::relying_party::{
    AuthorizeHints, BrowserBinding, Callback, CallbackRefused, LoginStart, LoginTransaction, OpenIdProvider,
    OpenIdSettings, PendingLogins, Purpose, ReturnTarget, SignInFailed, Tenants,
};
use standin_openid::{Client, Flavour, Running, people, start};
use url::Url;

/// What the clocks say at the start of every test.
pub(crate) const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);
pub(crate) const CLIENT: &str = "rollcall";
pub(crate) const SECRET: &str = "a secret/with+special=characters";
/// Somebody at each provider.
pub(crate) const INES: &str = "ines.okafor@mail.example";
pub(crate) const ASTRID: &str = "astrid@lindqvist-audit.example";

pub(crate) struct Rig {
    pub(crate) standin: Running,
    pub(crate) provider: OpenIdProvider,
    pub(crate) http: reqwest::Client,
    person: &'static str,
}

/// What the browser brought back.
pub(crate) struct Returned {
    pub(crate) login: LoginTransaction,
    pub(crate) callback: Callback,
}

pub(crate) fn http() -> reqwest::Client {
    reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().build().unwrap()
}

impl Rig {
    pub(crate) async fn google() -> Self {
        Self::new(Flavour::Google, |_| {}).await
    }

    pub(crate) async fn microsoft() -> Self {
        Self::new(Flavour::microsoft_organizations(), |_| {}).await
    }

    pub(crate) async fn new(flavour: Flavour, change: impl FnOnce(&mut OpenIdSettings)) -> Self {
        Self::with_client(flavour, change, http()).await
    }

    pub(crate) async fn with_client(
        flavour: Flavour,
        change: impl FnOnce(&mut OpenIdSettings),
        client_of_provider: reqwest::Client,
    ) -> Self {
        let (provider, people, person) = match flavour {
            Flavour::Google => (Provider::Google, people::at_google(), INES),
            Flavour::Microsoft { .. } => (Provider::Microsoft, people::at_microsoft(), ASTRID),
        };
        let callback = Url::parse(&format!("https://rollcall.example/callback/{provider}")).unwrap();
        let client = Client::new(CLIENT, SECRET, callback.as_str());
        let standin = start(flavour, vec![client], people, "127.0.0.1:0".parse().unwrap()).await.unwrap();
        standin.set_clock(NOW.as_seconds());
        let mut settings = OpenIdSettings {
            provider,
            issuer: standin.issuer(),
            client_id: CLIENT.into(),
            client_secret: Secret::new(SECRET),
            callback,
            tenants: Tenants::Any,
            deadline: Duration::from_secs(30),
        };
        change(&mut settings);
        let provider = OpenIdProvider::new(settings, client_of_provider).unwrap();
        Self { standin, provider, http: http(), person }
    }

    pub(crate) fn begin(&self, now: Timestamp) -> LoginTransaction {
        let start = LoginStart {
            provider: self.provider.provider(),
            issuer: self.provider.issuer().to_owned(),
            purpose: Purpose::SignIn,
            return_to: ReturnTarget::parse("/", &["/"]).unwrap(),
            workspace: None,
            max_age: None,
        };
        LoginTransaction::begin(start, now, [random(), random(), random()])
    }

    /// Sends a browser to the provider and back; `choice` is what the person does there. Gives the query of the callback.
    pub(crate) async fn browse(&self, login: &LoginTransaction, choice: &str, now: Timestamp) -> String {
        let url = self.provider.authorize_url(login, &AuthorizeHints::default(), now).await.unwrap();
        let answer = self.http.get(format!("{url}&{choice}")).send().await.unwrap();
        assert_eq!(answer.status(), 302, "the stand-in sends the browser back");
        let location = Url::parse(answer.headers()["location"].to_str().unwrap()).unwrap();
        assert_eq!(location.path(), format!("/callback/{}", self.provider.provider()));
        location.query().unwrap().to_owned()
    }

    /// Goes to the provider and back as the usual person.
    pub(crate) async fn go(&self, now: Timestamp) -> Result<Returned, CallbackRefused> {
        let login = self.begin(now);
        let query = self.browse(&login, &format!("_person={}", self.person), now).await;
        let mut pending = PendingLogins::new(BrowserBinding::new(random()));
        pending.add(login, now);
        let mut pending = PendingLogins::from_unsealed(&pending.to_sealable()).unwrap();
        let callback = Callback::parse(&query)?;
        let login = pending.take(&callback, self.provider.provider(), now)?;
        Ok(Returned { login, callback })
    }

    pub(crate) async fn finish(&self, returned: &Returned, now: Timestamp) -> Result<Visitor, SignInFailed> {
        self.provider.finish(&returned.login, &returned.callback, now).await
    }

    /// A whole sign-in of the usual person.
    pub(crate) async fn sign_in(&self, now: Timestamp) -> Result<Visitor, SignInFailed> {
        let returned = self.go(now).await?;
        self.finish(&returned, now).await
    }
}

pub(crate) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    aws_lc_rs::rand::fill(&mut bytes).unwrap();
    bytes
}

pub(crate) fn pairs(url: &Url) -> BTreeMap<String, String> {
    url.query_pairs().into_owned().collect()
}

pub(crate) fn later(by: Duration) -> Timestamp {
    NOW.plus(by)
}
