//! The document's grammar. Written by hand over [`serde_json::Value`], because serde's own messages repeat the values they refuse.

use core::fmt;
use std::collections::{BTreeMap, BTreeSet};

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use rollcall_domain::identity::Provider;
use rollcall_domain::{Secret, TokenHash};
use serde_json::{Map, Value};
use thiserror::Error;
use zeroize::Zeroizing;

use crate::seal::{SealingKey, SealingKeys};

/// Our registration with a provider.
#[derive(Clone)]
pub struct ProviderClient {
    /// Our id there. Public.
    pub client_id: String,
    /// Our secret there.
    pub client_secret: Secret,
}

/// The Microsoft tenants whose people may sign in at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AllowedTenants {
    /// Every tenant that the issuer lets through.
    Any,
    /// These, by their ids in lower case.
    Only(BTreeSet<String>),
}

/// The providers that this deployment offers.
#[derive(Clone)]
pub struct Providers {
    clients: BTreeMap<Provider, ProviderClient>,
    allowed_tenants: AllowedTenants,
}

impl Providers {
    /// Our registration with a provider, if this deployment offers it.
    pub fn get(&self, provider: Provider) -> Option<&ProviderClient> {
        self.clients.get(&provider)
    }

    /// The providers that this deployment offers, in a fixed order.
    pub fn offered(&self) -> impl Iterator<Item = Provider> {
        self.clients.keys().copied()
    }

    /// The Microsoft tenants whose people may sign in; none where Microsoft is not offered.
    pub fn allowed_tenants(&self) -> &AllowedTenants {
        &self.allowed_tenants
    }
}

/// What a signing key is used for at present.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KeyState {
    /// Signs, and is published.
    Current,
    /// Published, so that applications know it before it signs.
    Next,
    /// Published for as long as what it signed is valid.
    Previous,
}

/// A P-256 key for ES256 (RFC 7518 §3.4).
#[derive(Clone)]
pub struct SigningKey {
    kid: String,
    state: KeyState,
    pkcs8: Zeroizing<Vec<u8>>,
}

impl SigningKey {
    /// The key's id, as it stands in the header of a token.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// What it is used for.
    pub fn state(&self) -> KeyState {
        self.state
    }

    /// The private key as PKCS#8 DER, for the one place that signs with it.
    pub fn expose_pkcs8(&self) -> &[u8] {
        &self.pkcs8
    }
}

/// The application that people sign in to, as its vendor wants it shown. Not secret; it stands here so that one document has all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Application {
    /// Its name.
    pub name: String,
    /// Its logo as a `data:` URI, so that no page loads anything from elsewhere.
    pub logo: Option<String>,
}

impl Default for Application {
    fn default() -> Self {
        Self { name: "Rollcall".to_owned(), logo: None }
    }
}

/// The deployment secret, checked. It has no `Debug`.
#[derive(Clone)]
pub struct DeploymentSecret {
    /// Our registrations with the providers.
    pub providers: Providers,
    /// The sealing keys, of which the first one seals.
    pub sealing_keys: SealingKeys,
    /// The hash of the token that makes the first admin tokens. `None`: there is none, or no more.
    pub bootstrap_admin_token: Option<TokenHash>,
    /// The application that people sign in to.
    pub application: Application,
    signing_keys: Vec<SigningKey>,
}

impl DeploymentSecret {
    /// The signing keys, the current one first.
    pub fn signing_keys(&self) -> &[SigningKey] {
        &self.signing_keys
    }

    /// Reads the document, or names everything that is wrong with it.
    pub fn parse(text: &str) -> Result<Self, Defects> {
        let value: Value = serde_json::from_str(text).map_err(|error| {
            // serde's message could repeat a part of the document; its position cannot.
            Defects(vec![Defect {
                at: String::new(),
                what: Cause::NotJson { line: error.line(), column: error.column() },
            }])
        })?;
        let mut reader = Reader::default();
        let parsed = reader.document(&value);
        match parsed {
            Some(secret) if reader.defects.is_empty() => Ok(secret),
            _ => Err(Defects(reader.defects)),
        }
    }
}

/// Everything that is wrong with the document, in the order in which it stands there.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub struct Defects(Vec<Defect>);

impl Defects {
    /// Each defect by itself.
    pub fn iter(&self) -> impl Iterator<Item = &Defect> {
        self.0.iter()
    }
}

/// One line, defects separated by semicolons.
impl fmt::Display for Defects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (nth, defect) in self.0.iter().enumerate() {
            if nth > 0 {
                f.write_str("; ")?;
            }
            write!(f, "{defect}")?;
        }
        Ok(())
    }
}

/// One thing that is wrong with the document: where, and what belongs there. Never the value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Defect {
    at: String,
    what: Cause,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Cause {
    NotJson { line: usize, column: usize },
    Missing,
    Unknown,
    Wrong(&'static str),
}

impl fmt::Display for Defect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = if self.at.is_empty() { "the document" } else { &self.at };
        match &self.what {
            Cause::NotJson { line, column } => write!(f, "{at} is not JSON (line {line}, column {column})"),
            Cause::Missing => write!(f, "{at} is missing"),
            Cause::Unknown => write!(f, "{at} has a member that is not known"),
            Cause::Wrong(expected) => write!(f, "{at} {expected}"),
        }
    }
}

const TEXT: &str = "must be a text that is not empty and has no spaces around it";
const OBJECT: &str = "must be an object";
const LIST: &str = "must be a list";

/// Walks the document and collects what is wrong. A `None` always comes with a defect.
#[derive(Default)]
struct Reader {
    defects: Vec<Defect>,
}

impl Reader {
    fn defect<T>(&mut self, at: &str, what: Cause) -> Option<T> {
        self.defects.push(Defect { at: at.to_owned(), what });
        None
    }

    fn wrong<T>(&mut self, at: &str, expected: &'static str) -> Option<T> {
        self.defect(at, Cause::Wrong(expected))
    }

    /// An object with no other members than these. An unknown name is not repeated: it may be a misplaced secret.
    fn object<'v>(&mut self, at: &str, value: &'v Value, members: &[&str]) -> Option<&'v Map<String, Value>> {
        let Some(object) = value.as_object() else { return self.wrong(at, OBJECT) };
        if object.keys().any(|name| !members.contains(&name.as_str())) {
            self.defects.push(Defect { at: at.to_owned(), what: Cause::Unknown });
        }
        Some(object)
    }

    fn member<'v>(
        &mut self,
        at: &str,
        object: &'v Map<String, Value>,
        name: &str,
    ) -> Option<(String, &'v Value)> {
        let at = if at.is_empty() { name.to_owned() } else { format!("{at}.{name}") };
        match object.get(name) {
            Some(value) => Some((at, value)),
            None => self.defect(&at, Cause::Missing),
        }
    }

    fn text<'v>(&mut self, at: &str, object: &'v Map<String, Value>, name: &str) -> Option<&'v str> {
        let (at, value) = self.member(at, object, name)?;
        match value.as_str() {
            Some(text) if !text.is_empty() && text.trim() == text => Some(text),
            _ => self.wrong(&at, TEXT),
        }
    }

    fn document(&mut self, value: &Value) -> Option<DeploymentSecret> {
        let members =
            ["providers", "signing_keys", "sealing_keys", "bootstrap_admin_token_sha256", "application"];
        let document = self.object("", value, &members)?;
        let providers =
            self.member("", document, "providers").and_then(|(at, value)| self.providers(&at, value));
        let signing_keys =
            self.member("", document, "signing_keys").and_then(|(at, value)| self.signing_keys(&at, value));
        let sealing_keys =
            self.member("", document, "sealing_keys").and_then(|(at, value)| self.sealing_keys(&at, value));
        let bootstrap_admin_token = match document.get("bootstrap_admin_token_sha256") {
            None | Some(Value::Null) => None,
            Some(value) => match value.as_str().and_then(TokenHash::from_hex) {
                Some(hash) => Some(hash),
                None => self.wrong(
                    "bootstrap_admin_token_sha256",
                    "must be the SHA-256 of the token, written as 64 hexadecimal digits",
                ),
            },
        };
        Some(DeploymentSecret {
            providers: providers?,
            sealing_keys: sealing_keys?,
            bootstrap_admin_token,
            application: match document.get("application") {
                None => Application::default(),
                Some(value) => self.application("application", value)?,
            },
            signing_keys: signing_keys?,
        })
    }

    fn application(&mut self, at: &str, value: &Value) -> Option<Application> {
        const LOGO: &str = "must be a data:image/ URI of at most 64 KiB, in base64";
        let object = self.object(at, value, &["name", "logo"])?;
        let name = self.text(at, object, "name")?;
        if name.chars().count() > 60 {
            return self.wrong(&format!("{at}.name"), "must have at most 60 characters");
        }
        let logo = match object.get("logo") {
            None | Some(Value::Null) => None,
            Some(value) => match value.as_str().filter(|logo| is_embedded_image(logo)) {
                Some(logo) => Some(logo.to_owned()),
                None => return self.wrong(&format!("{at}.logo"), LOGO),
            },
        };
        Some(Application { name: name.to_owned(), logo })
    }

    fn providers(&mut self, at: &str, value: &Value) -> Option<Providers> {
        let object = self.object(at, value, &Provider::ALL.map(Provider::as_str))?;
        let mut clients = BTreeMap::new();
        let mut allowed_tenants = AllowedTenants::Only(BTreeSet::new());
        for provider in Provider::ALL {
            let Some(value) = object.get(provider.as_str()) else { continue };
            let at = format!("{at}.{provider}");
            let members: &[&str] = match provider {
                Provider::Microsoft => &["client_id", "client_secret", "allowed_tenants"],
                Provider::Bitbucket | Provider::Google => &["client_id", "client_secret"],
            };
            let Some(client) = self.object(&at, value, members) else { continue };
            let client_id = self.text(&at, client, "client_id");
            let client_secret = self.text(&at, client, "client_secret");
            if provider == Provider::Microsoft
                && let Some((at, value)) = self.member(&at, client, "allowed_tenants")
                && let Some(tenants) = self.tenants(&at, value)
            {
                allowed_tenants = tenants;
            }
            if let (Some(client_id), Some(client_secret)) = (client_id, client_secret) {
                let client = ProviderClient {
                    client_id: client_id.to_owned(),
                    client_secret: Secret::new(client_secret),
                };
                clients.insert(provider, client);
            }
        }
        if object.is_empty() {
            return self.wrong(at, "must contain at least one of bitbucket, google and microsoft");
        }
        Some(Providers { clients, allowed_tenants })
    }

    fn tenants(&mut self, at: &str, value: &Value) -> Option<AllowedTenants> {
        const EXPECTED: &str = "must be \"any\", or a list of Microsoft tenant ids that is not empty";
        if value.as_str() == Some("any") {
            return Some(AllowedTenants::Any);
        }
        let Some(list) = value.as_array().filter(|list| !list.is_empty()) else {
            return self.wrong(at, EXPECTED);
        };
        let mut tenants = BTreeSet::new();
        for (nth, value) in list.iter().enumerate() {
            match value.as_str().map(str::to_ascii_lowercase).filter(|text| is_uuid(text)) {
                Some(tenant) => _ = tenants.insert(tenant),
                None => {
                    return self
                        .wrong(&format!("{at}[{nth}]"), "must be a tenant id, which is a UUID with dashes");
                }
            }
        }
        Some(AllowedTenants::Only(tenants))
    }

    fn signing_keys(&mut self, at: &str, value: &Value) -> Option<Vec<SigningKey>> {
        let Some(list) = value.as_array() else { return self.wrong(at, LIST) };
        let mut keys: Vec<SigningKey> = Vec::new();
        for (nth, value) in list.iter().enumerate() {
            let at = format!("{at}[{nth}]");
            let Some(key) = self.signing_key(&at, value) else { continue };
            if keys.iter().any(|other| other.kid == key.kid) {
                self.wrong::<()>(&format!("{at}.kid"), "is already the kid of another key");
            }
            keys.push(key);
        }
        if self.defects.is_empty() && keys.iter().filter(|key| key.state == KeyState::Current).count() != 1 {
            return self.wrong(at, "must contain exactly one key whose state is current");
        }
        keys.sort_by_key(|key| match key.state {
            KeyState::Current => 0,
            KeyState::Next => 1,
            KeyState::Previous => 2,
        });
        Some(keys)
    }

    fn signing_key(&mut self, at: &str, value: &Value) -> Option<SigningKey> {
        let object = self.object(at, value, &["kid", "state", "private_key"])?;
        let kid = self.text(at, object, "kid").and_then(|kid| {
            let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
            if kid.len() <= 64 && kid.bytes().all(allowed) {
                Some(kid.to_owned())
            } else {
                self.wrong(
                    &format!("{at}.kid"),
                    "must be 1 to 64 letters, digits, dots, dashes and underscores",
                )
            }
        });
        let state = self.text(at, object, "state").and_then(|state| match state {
            "current" => Some(KeyState::Current),
            "next" => Some(KeyState::Next),
            "previous" => Some(KeyState::Previous),
            _ => self.wrong(&format!("{at}.state"), "must be current, next or previous"),
        });
        // A PEM file ends with a line break, which often comes along.
        let key = self.member(at, object, "private_key").and_then(|(at, value)| {
            let der = value.as_str().and_then(pkcs8);
            match der.filter(|der| EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der).is_ok()) {
                Some(der) => Some(der),
                None => self.wrong(&at, "must be a P-256 private key as PKCS#8, in PEM or in base64"),
            }
        });
        Some(SigningKey { kid: kid?, state: state?, pkcs8: key? })
    }

    fn sealing_keys(&mut self, at: &str, value: &Value) -> Option<SealingKeys> {
        let Some(list) = value.as_array() else { return self.wrong(at, LIST) };
        let mut keys: Vec<SealingKey> = Vec::new();
        for (nth, value) in list.iter().enumerate() {
            let at = format!("{at}[{nth}]");
            let Some(object) = self.object(&at, value, &["id", "key"]) else { continue };
            let id = self.text(&at, object, "id");
            let bytes = self.text(&at, object, "key").and_then(|text| {
                let bytes = base64(text).and_then(|bytes| <[u8; 32]>::try_from(bytes.as_slice()).ok());
                match bytes {
                    Some(bytes) => Some(bytes),
                    None => self.wrong(&format!("{at}.key"), "must be 32 bytes in base64"),
                }
            });
            let (Some(id), Some(bytes)) = (id, bytes) else { continue };
            let Some(key) = SealingKey::new(id, bytes) else {
                self.wrong::<()>(
                    &format!("{at}.id"),
                    "must be 1 to 32 letters, digits, dashes and underscores",
                );
                continue;
            };
            if keys.iter().any(|other| other.id() == key.id()) {
                self.wrong::<()>(&format!("{at}.id"), "is already the id of another key");
            }
            keys.push(key);
        }
        if keys.is_empty() {
            return self.wrong(at, "must contain at least one key that can be used");
        }
        let first = keys.remove(0);
        Some(SealingKeys::new(first, keys))
    }
}

fn is_embedded_image(uri: &str) -> bool {
    let data = uri.strip_prefix("data:image/").and_then(|rest| rest.split_once(";base64,"));
    data.is_some_and(|(kind, data)| {
        uri.len() <= 65_536
            && kind.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'))
            && STANDARD.decode(data).is_ok()
    })
}

fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

/// Base64 in either alphabet, padded or not: people paste all four.
fn base64(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    [STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD]
        .iter()
        .find_map(|engine| engine.decode(text).ok())
        .map(Zeroizing::new)
}

/// The DER bytes of a PKCS#8 key in PEM (RFC 7468 §10) or in plain base64.
fn pkcs8(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    const BEGIN: &str = "-----BEGIN PRIVATE KEY-----";
    const END: &str = "-----END PRIVATE KEY-----";
    let text = text.trim();
    let body = match text.strip_prefix(BEGIN) {
        Some(rest) => rest.strip_suffix(END)?,
        None => text,
    };
    let body: Zeroizing<String> = Zeroizing::new(body.chars().filter(|c| !c.is_ascii_whitespace()).collect());
    base64(&body)
}
