//! Webhooks: every event of a workspace, in order, signed (Standard Webhooks 1.0, <https://www.standardwebhooks.com>).

use core::time::Duration;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use rollcall_domain::{Secret, Timestamp, WorkspaceId};
use rollcall_service::seal::{OpenFailed, Purpose, SealFailed, Sealer, SealingKeys};
use rollcall_store::deliveries::{Failing, Webhook};
use thiserror::Error;
use url::Url;

use crate::public_address::names_private_address;

/// What precedes a signing secret.
const PREFIX: &str = "whsec_";
/// For how long events are signed with the former secret too, after a new one was made.
pub const FORMER_LASTS: Duration = Duration::from_hours(24);
/// When a webhook that fails is tried again, by how often it was tried. After the last, it is tried once a day: events are kept for 30.
const AGAIN_AFTER: [Duration; 6] = [
    Duration::from_secs(5),
    Duration::from_mins(5),
    Duration::from_mins(30),
    Duration::from_hours(2),
    Duration::from_hours(6),
    Duration::from_hours(24),
];

/// Why an address cannot be a webhook's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum InvalidUrl {
    /// Not a URL.
    #[error("is not a URL")]
    Malformed,
    /// Neither `https:`, nor `http:` on this machine.
    #[error("must begin with https:// (http:// is accepted for this machine only)")]
    Scheme,
    /// Has a user or a fragment.
    #[error("must have neither a user nor a fragment")]
    Parts,
    /// Leads to where Rollcall does not call.
    #[error("leads to a private address, where Rollcall does not call")]
    Private,
}

/// Reads a webhook's address. `local` says that the deployment itself is on this machine: then this machine may be called.
pub fn parse_url(text: &str, local: bool) -> Result<Url, InvalidUrl> {
    let url = Url::parse(text).map_err(|_| InvalidUrl::Malformed)?;
    if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
        return Err(InvalidUrl::Parts);
    }
    let here = matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
    match url.scheme() {
        "http" if local && here => Ok(url),
        "https" if names_private_address(&url) || here => Err(InvalidUrl::Private),
        "https" => Ok(url),
        _ => Err(InvalidUrl::Scheme),
    }
}

/// A signing secret, as it is shown once and kept sealed.
#[derive(Clone)]
pub struct SigningSecret(Secret);

impl SigningSecret {
    /// Of fresh random bytes.
    pub fn new(random: [u8; 32]) -> Self {
        Self(Secret::new(format!("{PREFIX}{}", BASE64.encode(random))))
    }

    /// As the application gets it.
    pub const fn shown(&self) -> &Secret {
        &self.0
    }

    /// As it lies in the table: sealed, and bound to its workspace.
    pub fn sealed(&self, keys: &SealingKeys, workspace: WorkspaceId) -> Result<String, SealFailed> {
        Sealer::new(keys, Purpose::Webhook).seal_secret(&context(workspace), &self.0)
    }

    /// Opens what [`SigningSecret::sealed`] made.
    pub fn open(keys: &SealingKeys, workspace: WorkspaceId, sealed: &str) -> Result<Self, OpenFailed> {
        Sealer::new(keys, Purpose::Webhook).open_secret(&context(workspace), sealed).map(Self)
    }

    /// One signature: `v1,` and the HMAC-SHA256 of id, time and body.
    fn sign(&self, id: &str, at: Timestamp, body: &str) -> Option<String> {
        let key = BASE64.decode(self.0.expose().strip_prefix(PREFIX)?).ok()?;
        let key = hmac::Key::new(hmac::HMAC_SHA256, &key);
        let tag = hmac::sign(&key, format!("{id}.{}.{body}", at.as_seconds()).as_bytes());
        Some(format!("v1,{}", BASE64.encode(tag.as_ref())))
    }
}

fn context(workspace: WorkspaceId) -> String {
    format!("webhook/{workspace}")
}

/// What signs a workspace's events at a moment: its secret, and the former one for as long as it lasts.
pub struct Signer(Vec<SigningSecret>);

impl Signer {
    /// Opens a webhook's secrets.
    pub fn of(webhook: &Webhook, keys: &SealingKeys, now: Timestamp) -> Result<Self, OpenFailed> {
        let open = |sealed: &str| SigningSecret::open(keys, webhook.workspace, sealed);
        let mut secrets = vec![open(&webhook.sealed_secret)?];
        if let Some((former, _)) = webhook.former.as_ref().filter(|(_, until)| !until.has_passed(now)) {
            secrets.push(open(former)?);
        }
        Ok(Self(secrets))
    }

    /// The headers of a message: its id, the moment, and a signature by each secret.
    pub fn headers(&self, id: &str, at: Timestamp, body: &str) -> [(&'static str, String); 3] {
        let signatures: Vec<String> = self.0.iter().filter_map(|secret| secret.sign(id, at, body)).collect();
        [
            ("webhook-id", id.to_owned()),
            ("webhook-timestamp", at.as_seconds().to_string()),
            ("webhook-signature", signatures.join(" ")),
        ]
    }
}

/// What is kept of a webhook that did not take an event.
pub fn failed(before: Option<&Failing>, why: String, now: Timestamp) -> Failing {
    let tries = before.map_or(0, |failing| failing.tries).saturating_add(1);
    let nth = usize::try_from(tries).unwrap_or(usize::MAX).saturating_sub(1);
    let [.., last] = AGAIN_AFTER;
    let after = AGAIN_AFTER.get(nth).copied().unwrap_or(last);
    Failing { since: before.map_or(now, |failing| failing.since), tries, again_at: now.plus(after), why }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_seconds(1_674_087_231);

    /// The specification's own example.
    #[test]
    fn a_signature_is_that_of_the_specification() {
        let secret = SigningSecret(Secret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"));
        let at = Timestamp::from_seconds(1_614_265_330);
        let signature = secret.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", at, r#"{"test": 2432232314}"#);
        assert_eq!(signature.as_deref(), Some("v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="));
    }

    #[test]
    fn the_former_secret_signs_until_it_has_passed() {
        let key = rollcall_service::seal::SealingKey::new("k", [1; 32]).unwrap();
        let keys = SealingKeys::new(key, Vec::new());
        let workspace = WorkspaceId::new(Timestamp::EPOCH, [1; 10]);
        let sealed = |n: u8| SigningSecret::new([n; 32]).sealed(&keys, workspace).unwrap();
        let webhook = Webhook {
            workspace,
            url: "https://app.example/hook".into(),
            sealed_secret: sealed(1),
            former: Some((sealed(2), NOW.plus(FORMER_LASTS))),
            created_at: NOW,
            version: 1,
        };
        let signatures = |at: Timestamp| {
            let signer = Signer::of(&webhook, &keys, at).ok().unwrap();
            signer.headers("evt_1", at, "{}")[2].1.split(' ').count()
        };
        assert_eq!((signatures(NOW), signatures(NOW.plus(FORMER_LASTS * 2))), (2, 1));
        assert!(!webhook.sealed_secret.contains(PREFIX));
        let elsewhere = WorkspaceId::new(Timestamp::EPOCH, [2; 10]);
        assert!(SigningSecret::open(&keys, elsewhere, &webhook.sealed_secret).is_err());
    }

    #[test]
    fn a_webhook_that_fails_is_tried_ever_less_often_and_never_given_up() {
        let mut failing = None;
        let mut waits = Vec::new();
        for _ in 0..8 {
            let next = failed(failing.as_ref(), "x".into(), NOW);
            waits.push(next.again_at.since(NOW).as_secs());
            failing = Some(next);
        }
        assert_eq!(waits, [5, 300, 1_800, 7_200, 21_600, 86_400, 86_400, 86_400]);
        assert_eq!(failing.unwrap().since, NOW);
    }

    #[test]
    fn only_addresses_of_the_internet_can_be_called() {
        for good in ["https://app.example/hook", "https://app.example:8443/?a=b"] {
            assert!(parse_url(good, false).is_ok(), "{good}");
        }
        for (bad, why) in [
            ("app.example", InvalidUrl::Malformed),
            ("http://app.example", InvalidUrl::Scheme),
            ("http://localhost:3000/", InvalidUrl::Scheme),
            ("ftp://app.example", InvalidUrl::Scheme),
            ("https://user@app.example", InvalidUrl::Parts),
            ("https://app.example/#x", InvalidUrl::Parts),
            ("https://169.254.169.254/latest", InvalidUrl::Private),
            ("https://[::1]/", InvalidUrl::Private),
            ("https://localhost/", InvalidUrl::Private),
        ] {
            assert_eq!(parse_url(bad, false), Err(why), "{bad}");
        }
        assert!(parse_url("http://127.0.0.1:3000/hook", true).is_ok());
        assert_eq!(parse_url("http://10.0.0.1/", true), Err(InvalidUrl::Scheme));
    }
}
