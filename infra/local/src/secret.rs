//! The deployment secret of the local stack: fresh keys for each start, or kept beside the table.

use std::io;
use std::path::{Path, PathBuf};

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rollcall_domain::{Secret, TokenHash};
use rollcall_service::random::{self, Random as _, SystemRandom};
use serde_json::{Map, Value, json};
use thiserror::Error;

/// The prefix of admin tokens.
const TOKEN_PREFIX: &str = "rca_";

/// The keys cannot be made or kept.
#[derive(Debug, Error)]
pub enum KeysError {
    /// The file beside the table cannot be read or written.
    #[error("--data: the keys beside it, {}, cannot be {what}: {source}", .path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// `read` or `written`.
        what: &'static str,
        /// Why.
        source: io::Error,
    },
    /// The file beside the table is not ours.
    #[error("--data: {} does not hold the keys of a local stack; remove it and the table to begin anew", .0.display())]
    Malformed(PathBuf),
    /// No key could be made.
    #[error("a signing key could not be made")]
    NoKey,
}

/// What has to stay the same for as long as the table is kept, and the first admin token.
pub struct Keys {
    document: Map<String, Value>,
    /// The first admin token.
    pub admin_token: Secret,
}

impl Keys {
    /// Fresh keys.
    pub fn fresh() -> Result<Self, KeysError> {
        let signing = EcdsaKeyPair::generate_pkcs8(
            &ECDSA_P256_SHA256_FIXED_SIGNING,
            &aws_lc_rs::rand::SystemRandom::new(),
        )
        .map_err(|_| KeysError::NoKey)?;
        let sealing: [u8; 32] = random::bytes(&SystemRandom);
        let document = json!({
            "signing_keys": [{ "kid": "local", "state": "current", "private_key": STANDARD.encode(signing) }],
            "sealing_keys": [{ "id": "local", "key": STANDARD.encode(sealing) }],
        });
        let Value::Object(document) = document else { return Err(KeysError::NoKey) };
        Ok(Self { document, admin_token: SystemRandom.token_256(TOKEN_PREFIX) })
    }

    /// The keys that are kept beside a table; made and written if there are none yet.
    pub fn beside(table: &Path) -> Result<Self, KeysError> {
        let mut path = table.as_os_str().to_owned();
        path.push(".keys.json");
        let path = PathBuf::from(path);
        match std::fs::read_to_string(&path) {
            Ok(text) => Self::parse(&text).ok_or(KeysError::Malformed(path)),
            Err(missing) if missing.kind() == io::ErrorKind::NotFound => {
                let keys = Self::fresh()?;
                let mut document = keys.document.clone();
                document.insert("admin_token".to_owned(), keys.admin_token.expose().into());
                write_private(&path, &Value::Object(document).to_string())
                    .map_err(|source| KeysError::File { path, what: "written", source })?;
                Ok(keys)
            }
            Err(source) => Err(KeysError::File { path, what: "read", source }),
        }
    }

    fn parse(text: &str) -> Option<Self> {
        let mut document: Map<String, Value> = serde_json::from_str(text).ok()?;
        let admin_token = Secret::new(document.remove("admin_token")?.as_str()?);
        (document.contains_key("signing_keys") && document.contains_key("sealing_keys"))
            .then_some(Self { document, admin_token })
    }

    /// The deployment secret with these clients at the providers.
    pub fn deployment_secret(&self, providers: Map<String, Value>) -> String {
        let mut document = self.document.clone();
        document.insert("providers".to_owned(), Value::Object(providers));
        document.insert(
            "bootstrap_admin_token_sha256".to_owned(),
            TokenHash::of(&self.admin_token).to_string().into(),
        );
        Value::Object(document).to_string()
    }
}

/// Writes a file that nobody else can read.
fn write_private(path: &Path, text: &str) -> io::Result<()> {
    use std::io::Write as _;
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)?.write_all(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use rollcall_service::secrets::DeploymentSecret;

    use super::*;

    fn providers() -> Map<String, Value> {
        json!({"google": {"client_id": "a", "client_secret": "b"}}).as_object().unwrap().clone()
    }

    #[test]
    fn fresh_keys_make_a_deployment_secret_that_the_functions_accept() {
        let keys = Keys::fresh().unwrap();
        let secret = DeploymentSecret::parse(&keys.deployment_secret(providers())).ok().unwrap();
        assert_eq!(secret.bootstrap_admin_token, Some(TokenHash::of(&keys.admin_token)));
    }

    #[test]
    fn keys_beside_a_table_are_the_same_at_the_next_start_and_nobody_elses() {
        let folder = tempfile::tempdir().unwrap();
        let table = folder.path().join("rollcall.db");
        let first = Keys::beside(&table).unwrap();
        let second = Keys::beside(&table).unwrap();
        assert_eq!(first.deployment_secret(providers()), second.deployment_secret(providers()));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode =
                std::fs::metadata(folder.path().join("rollcall.db.keys.json")).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
    }

    #[test]
    fn a_file_that_holds_no_keys_is_refused_and_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let table = folder.path().join("rollcall.db");
        let keys = folder.path().join("rollcall.db.keys.json");
        std::fs::write(&keys, "{}").unwrap();
        let line = Keys::beside(&table).err().unwrap().to_string();
        assert!(line.starts_with("--data: ") && !line.contains('\n'), "{line}");
        assert_eq!(std::fs::read_to_string(&keys).unwrap(), "{}");
    }
}
