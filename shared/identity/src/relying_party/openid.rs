//! One OpenID provider: the whole way from its metadata to a [`Visitor`].

use core::time::Duration;
use std::sync::Arc;

use reqwest::Client;
use rollcall_domain::Timestamp;
use rollcall_domain::identity::{Provider, Visitor};
use thiserror::Error;
use url::Url;

use super::authorize::{self, AuthorizeHints};
use super::cache::{Ages, Cached};
use super::callback::{Answer, Callback, CallbackRefused, ProviderRefusal};
use super::discovery::{self, DiscoveryFailed, Metadata};
use super::fetch::{self, FetchFailed};
use super::id_token::{self, Expected, IdTokenRefused};
use super::issuer::IssuerRule;
use super::settings::{InvalidSettings, OpenIdSettings};
use super::token::{self, ExchangeFailed, Tokens};
use super::transaction::LoginTransaction;
use crate::FailedCheck;
use crate::jwk::ProviderKeys;

/// Metadata changes about never, and a provider that cannot serve it can rarely serve a login.
const METADATA_AGES: Ages = Ages {
    renew_after: Duration::from_hours(24),
    serve_up_to: Duration::from_hours(7 * 24),
    cool_down: Duration::from_mins(5),
    first_cool_down: Duration::from_secs(2),
};
/// A key that the provider has withdrawn is out of use here within the hour, or within the day if its server is down.
const KEY_AGES: Ages = Ages {
    renew_after: Duration::from_hours(1),
    serve_up_to: Duration::from_hours(24),
    cool_down: Duration::from_mins(1),
    first_cool_down: Duration::from_secs(2),
};

/// Why a provider's keys are not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum KeysFailed {
    /// They cannot be read.
    #[error("the provider's keys cannot be read: {0}")]
    Fetch(FetchFailed),
    /// What was read is no key set, or none of its keys can be used.
    #[error("the provider publishes no key that can be used")]
    Form,
}

impl FailedCheck for KeysFailed {
    fn check(&self) -> &'static str {
        match self {
            Self::Fetch(_) => "keys.fetch",
            Self::Form => "keys.form",
        }
    }
}

/// Why a sign-in failed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SignInFailed {
    /// The answer of the browser is refused.
    #[error("the answer is refused: {0}")]
    Callback(#[from] CallbackRefused),
    /// The provider gave no code.
    #[error("the provider gave no code")]
    Provider(ProviderRefusal),
    /// The login was started at another provider, or the provider has been configured anew since.
    #[error("the login was started under another configuration of the provider")]
    OtherIssuer,
    /// The provider's metadata is not there.
    #[error(transparent)]
    Discovery(#[from] DiscoveryFailed),
    /// The provider's keys are not there.
    #[error(transparent)]
    Keys(#[from] KeysFailed),
    /// The code was not redeemed.
    #[error(transparent)]
    Exchange(#[from] ExchangeFailed),
    /// The ID token is refused.
    #[error("the ID token is refused: {0}")]
    IdToken(#[from] IdTokenRefused),
}

impl SignInFailed {
    /// Whether it is worth the person's while to try again later: the provider did not serve, and nothing was refused.
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::Provider(refusal) => *refusal == ProviderRefusal::TemporarilyUnavailable,
            Self::Discovery(DiscoveryFailed::Fetch(_)) | Self::Keys(_) => true,
            Self::Exchange(failed) => matches!(failed, ExchangeFailed::Fetch(_)),
            _ => false,
        }
    }

    /// Whether our own secret at the provider is out of date: it should be read again, once.
    pub fn is_about_our_secret(&self) -> bool {
        *self == Self::Exchange(ExchangeFailed::Client)
    }
}

impl FailedCheck for SignInFailed {
    fn check(&self) -> &'static str {
        match self {
            Self::Callback(refused) => refused.check(),
            Self::Provider(refusal) => refusal.check(),
            Self::OtherIssuer => "login.issuer",
            Self::Discovery(failed) => failed.check(),
            Self::Keys(failed) => failed.check(),
            Self::Exchange(failed) => failed.check(),
            Self::IdToken(refused) => refused.check(),
        }
    }
}

/// An OpenID provider with what is known of it. One is made at start and shared by all requests.
pub struct OpenIdProvider {
    settings: OpenIdSettings,
    rule: IssuerRule,
    http: Client,
    metadata: Cached<Metadata, DiscoveryFailed>,
    keys: Cached<ProviderKeys, KeysFailed>,
}

impl OpenIdProvider {
    /// Checks the settings. Nothing is fetched yet. `http` must not follow redirects.
    pub fn new(settings: OpenIdSettings, http: Client) -> Result<Self, InvalidSettings> {
        let rule = settings.check()?;
        Ok(Self {
            settings,
            rule,
            http,
            metadata: Cached::new("metadata", METADATA_AGES),
            keys: Cached::new("keys", KEY_AGES),
        })
    }

    /// Google or Microsoft.
    pub fn provider(&self) -> Provider {
        self.settings.provider
    }

    /// The configured issuer, which a login at this provider is started with.
    pub fn issuer(&self) -> &str {
        &self.settings.issuer
    }

    /// Fetches metadata and keys ahead of the first login. A failure is told and does no harm: the login will try again.
    pub async fn warm(&self, now: Timestamp) -> Result<(), SignInFailed> {
        let metadata = self.metadata(now).await?;
        self.keys(&metadata, None, now).await?;
        Ok(())
    }

    /// Where to send the browser for a login that was begun with this provider and this issuer.
    pub async fn authorize_url(
        &self,
        login: &LoginTransaction,
        hints: &AuthorizeHints,
        now: Timestamp,
    ) -> Result<Url, SignInFailed> {
        self.check_login(login)?;
        let metadata = self.metadata(now).await?;
        authorize::openid(&metadata, &self.settings.client_id, &self.settings.callback, login, hints)
            .ok_or(SignInFailed::OtherIssuer)
    }

    /// Redeems the code of an answer and checks the ID token that it gives.
    ///
    /// The login has to be the one that [`PendingLogins::take`](super::PendingLogins::take) found for the answer, and its state
    /// has to be marked as used before.
    pub async fn finish(
        &self,
        login: &LoginTransaction,
        callback: &Callback,
        now: Timestamp,
    ) -> Result<Visitor, SignInFailed> {
        self.check_login(login)?;
        let answer_issuer = callback.issuer.as_deref();
        if answer_issuer.is_some_and(|issuer| !self.rule.accepts_in_answer(issuer)) {
            return Err(CallbackRefused::Issuer.into());
        }
        let code = match &callback.answer {
            Answer::Code(code) => code,
            Answer::Refused(refusal) => return Err(SignInFailed::Provider(*refusal)),
        };
        let proof = login.proof.as_ref().ok_or(SignInFailed::OtherIssuer)?;
        let metadata = self.metadata(now).await?;
        if metadata.answers_name_issuer && answer_issuer.is_none() {
            return Err(CallbackRefused::IssuerMissing.into());
        }
        // The keys are most often there already; where not, they come in while the code is redeemed.
        let (token, _) = tokio::join!(
            token::exchange(&self.http, &metadata, &self.settings, code, &proof.verifier),
            self.keys(&metadata, None, now)
        );
        let Tokens { id_token: token, access_token } = token?;
        let keys = self.keys(&metadata, id_token::key_name(&token).as_deref(), now).await?;
        let expected = Expected {
            provider: self.settings.provider,
            rule: &self.rule,
            tenants: &self.settings.tenants,
            client_id: &self.settings.client_id,
            nonce: &proof.nonce,
            max_age: login.max_age,
            answer_issuer,
            access_token: access_token.as_ref(),
            now,
        };
        Ok(id_token::verify(&token, &keys, &expected)?)
    }

    fn check_login(&self, login: &LoginTransaction) -> Result<(), SignInFailed> {
        if login.provider == self.settings.provider && login.issuer == self.settings.issuer {
            Ok(())
        } else {
            Err(SignInFailed::OtherIssuer)
        }
    }

    async fn metadata(&self, now: Timestamp) -> Result<Arc<Metadata>, DiscoveryFailed> {
        self.metadata.get(now, |_| true, || discovery::fetch(&self.http, &self.settings, &self.rule)).await
    }

    /// The keys, with the named one among them if the provider has it.
    async fn keys(
        &self,
        metadata: &Metadata,
        kid: Option<&str>,
        now: Timestamp,
    ) -> Result<Arc<ProviderKeys>, KeysFailed> {
        self.keys
            .get(
                now,
                |keys| kid.is_none_or(|kid| keys.named(kid).next().is_some()),
                || async {
                    let body = fetch::document(&self.http, &metadata.jwks_uri, self.settings.deadline)
                        .await
                        .map_err(KeysFailed::Fetch)?;
                    ProviderKeys::parse(&body).ok_or(KeysFailed::Form)
                },
            )
            .await
    }
}
