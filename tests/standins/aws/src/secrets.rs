//! Secrets Manager: `CreateSecret`, `PutSecretValue`, `GetSecretValue`, `DescribeSecret`.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::{Value, json};

use crate::account::{arn, new_id};
use crate::aws::Aws;
use crate::protocol::{Answer, AwsError, read, unknown};

/// The stage of the version that is in use.
const CURRENT: &str = "AWSCURRENT";
/// The stage of the version that was in use before.
const PREVIOUS: &str = "AWSPREVIOUS";

/// All secrets, by name.
#[derive(Default)]
pub(crate) struct Vault {
    secrets: BTreeMap<String, Secret>,
}

struct Secret {
    arn: String,
    created_at: i64,
    versions: Vec<Version>,
}

#[derive(Clone)]
struct Version {
    id: String,
    value: Content,
    stages: BTreeSet<String>,
    created_at: i64,
}

#[derive(Clone, PartialEq, Eq)]
enum Content {
    Text(String),
    /// In base64, as it came.
    Binary(String),
}

/// Secrets Manager, seen from the same process.
pub struct Secrets<'a>(pub(crate) &'a Aws);

impl Secrets<'_> {
    /// Writes a secret: a new one, or a new version of one that is there (a rotation). Gives the version's id.
    pub fn put(&self, name: &str, text: &str) -> String {
        let now = self.0.now();
        let mut world = self.0.world();
        let secret = world.vault.secrets.entry(name.to_owned()).or_insert_with(|| Secret::new(name, now));
        let id = new_id();
        secret.add(id.clone(), Content::Text(text.to_owned()), &[CURRENT.to_owned()], now);
        drop(world);
        self.0.changed();
        id
    }

    /// The text of the version in use.
    pub fn current(&self, name: &str) -> Option<String> {
        let world = self.0.world();
        let version = world.vault.secrets.get(name)?.staged(CURRENT)?;
        match &version.value {
            Content::Text(text) => Some(text.clone()),
            Content::Binary(_) => None,
        }
    }

    /// Removes a secret, at once and for good. Whether there was one.
    pub fn remove(&self, name: &str) -> bool {
        self.0.world().vault.secrets.remove(name).is_some()
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Create {
    name: String,
    client_request_token: Option<String>,
    secret_string: Option<String>,
    secret_binary: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Put {
    secret_id: String,
    client_request_token: Option<String>,
    secret_string: Option<String>,
    secret_binary: Option<String>,
    version_stages: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Get {
    secret_id: String,
    version_id: Option<String>,
    version_stage: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Describe {
    secret_id: String,
}

pub(crate) fn perform(aws: &Aws, operation: &str, request: Value) -> Answer {
    let now = aws.now();
    let vault = &mut aws.world().vault;
    match operation {
        "CreateSecret" => vault.create(read(request)?, now),
        "PutSecretValue" => vault.put(read(request)?, now),
        "GetSecretValue" => vault.get(&read(request)?),
        "DescribeSecret" => vault.describe(&read(request)?),
        other => Err(unknown(other)),
    }
}

impl Vault {
    fn create(&mut self, request: Create, now: i64) -> Answer {
        if self.secrets.contains_key(&request.name) {
            let message = format!("The operation failed because the secret {} already exists.", request.name);
            return Err(AwsError::refused("ResourceExistsException", message));
        }
        let mut secret = Secret::new(&request.name, now);
        let mut answer = json!({"ARN": secret.arn, "Name": request.name});
        if let Some(value) = content(request.secret_string, request.secret_binary)? {
            let id = request.client_request_token.unwrap_or_else(new_id);
            answer["VersionId"] = id.clone().into();
            secret.add(id, value, &[CURRENT.to_owned()], now);
        }
        self.secrets.insert(request.name, secret);
        Ok(answer)
    }

    fn put(&mut self, request: Put, now: i64) -> Answer {
        let (name, secret) = self.find_mut(&request.secret_id)?;
        let value = content(request.secret_string, request.secret_binary)?.ok_or_else(|| {
            AwsError::refused(
                "InvalidRequestException",
                "You must provide either SecretString or SecretBinary.",
            )
        })?;
        let id = request.client_request_token.unwrap_or_else(new_id);
        match secret.versions.iter().find(|version| version.id == id) {
            Some(version) if version.value != value => {
                let message = "A resource with the ID you requested already exists.";
                return Err(AwsError::refused("ResourceExistsException", message));
            }
            Some(_) => {}
            None => {
                let stages = request.version_stages.unwrap_or_else(|| vec![CURRENT.to_owned()]);
                secret.add(id.clone(), value, &stages, now);
            }
        }
        let stages = &secret.version(&id).expect("it was added or found").stages;
        Ok(json!({"ARN": secret.arn, "Name": name, "VersionId": id, "VersionStages": stages}))
    }

    fn get(&self, request: &Get) -> Answer {
        let (name, secret) = self.find(&request.secret_id)?;
        let stage = request.version_stage.as_deref();
        let version = match (&request.version_id, stage) {
            (Some(id), stage) => secret
                .version(id)
                .filter(|version| stage.is_none_or(|stage| version.stages.contains(stage)))
                .ok_or_else(|| not_found(&format!("secret value for VersionId: {id}"))),
            (None, stage) => {
                let stage = stage.unwrap_or(CURRENT);
                secret
                    .staged(stage)
                    .ok_or_else(|| not_found(&format!("secret value for staging label: {stage}")))
            }
        }?;
        let mut answer = json!({
            "ARN": secret.arn,
            "Name": name,
            "VersionId": version.id,
            "VersionStages": version.stages,
            "CreatedDate": seconds(version.created_at),
        });
        match &version.value {
            Content::Text(text) => answer["SecretString"] = text.clone().into(),
            Content::Binary(base64) => answer["SecretBinary"] = base64.clone().into(),
        }
        Ok(answer)
    }

    fn describe(&self, request: &Describe) -> Answer {
        let (name, secret) = self.find(&request.secret_id)?;
        let staged = secret.versions.iter().filter(|version| !version.stages.is_empty());
        let versions: BTreeMap<_, _> = staged.map(|version| (&version.id, &version.stages)).collect();
        let changed_at = secret.versions.last().map_or(secret.created_at, |version| version.created_at);
        Ok(json!({
            "ARN": secret.arn,
            "Name": name,
            "CreatedDate": seconds(secret.created_at),
            "LastChangedDate": seconds(changed_at),
            "VersionIdsToStages": versions,
        }))
    }

    fn find(&self, id: &str) -> Result<(&str, &Secret), AwsError> {
        self.secrets
            .iter()
            .find(|(name, secret)| secret.is_called(name, id))
            .map(|(name, secret)| (name.as_str(), secret))
            .ok_or_else(|| not_found("secret."))
    }

    fn find_mut(&mut self, id: &str) -> Result<(&str, &mut Secret), AwsError> {
        self.secrets
            .iter_mut()
            .find(|(name, secret)| secret.is_called(name, id))
            .map(|(name, secret)| (name.as_str(), secret))
            .ok_or_else(|| not_found("secret."))
    }
}

impl Secret {
    fn new(name: &str, now: i64) -> Self {
        // AWS puts six random characters at the end of the ARN.
        let suffix: String = new_id().chars().take(6).collect();
        Self {
            arn: arn("secretsmanager", &format!("secret:{name}-{suffix}")),
            created_at: now,
            versions: Vec::new(),
        }
    }

    /// A secret is asked for by its name, its ARN, or its ARN without the six characters.
    fn is_called(&self, name: &str, id: &str) -> bool {
        name == id || self.arn == id || self.arn.rsplit_once('-').is_some_and(|(partial, _)| partial == id)
    }

    fn version(&self, id: &str) -> Option<&Version> {
        self.versions.iter().find(|version| version.id == id)
    }

    fn staged(&self, stage: &str) -> Option<&Version> {
        self.versions.iter().find(|version| version.stages.contains(stage))
    }

    /// A stage is on one version at a time; what was current becomes the previous one.
    fn add(&mut self, id: String, value: Content, stages: &[String], now: i64) {
        let replaces_current = stages.iter().any(|stage| stage == CURRENT);
        for version in &mut self.versions {
            let was_current = version.stages.contains(CURRENT);
            version.stages.retain(|stage| {
                let moves = stages.contains(stage) || (replaces_current && stage == PREVIOUS);
                !moves
            });
            if was_current && replaces_current {
                version.stages.insert(PREVIOUS.to_owned());
            }
        }
        self.versions.push(Version { id, value, stages: stages.iter().cloned().collect(), created_at: now });
    }
}

fn content(text: Option<String>, binary: Option<String>) -> Result<Option<Content>, AwsError> {
    match (text, binary) {
        (Some(_), Some(_)) => Err(AwsError::refused(
            "InvalidParameterException",
            "You can't specify both a binary secret value and a string secret value in the same secret.",
        )),
        (Some(text), None) => Ok(Some(Content::Text(text))),
        (None, Some(binary)) => Ok(Some(Content::Binary(binary))),
        (None, None) => Ok(None),
    }
}

fn not_found(what: &str) -> AwsError {
    AwsError::refused("ResourceNotFoundException", format!("Secrets Manager can't find the specified {what}"))
}

#[allow(
    clippy::cast_precision_loss,
    reason = "AWS tells times as seconds with a fraction; 52 bits hold them"
)]
fn seconds(milliseconds: i64) -> f64 {
    milliseconds as f64 / 1_000.0
}
