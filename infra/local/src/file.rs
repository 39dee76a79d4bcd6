//! The file that `--config` names.
//!
//! ```json
//! {
//!   "workspace": "Acme",
//!   "connection": {
//!     "bitbucket_workspace": "acme",
//!     "credential": { "kind": "oauth_consumer", "key": "…", "secret": "…" },
//!     "policy": "all_repositories",
//!     "offboard_on": "left_workspace"
//!   },
//!   "providers": {
//!     "bitbucket": { "client_id": "…", "client_secret": "…" },
//!     "google":    { "client_id": "…", "client_secret": "…" },
//!     "microsoft": { "client_id": "…", "client_secret": "…", "allowed_tenants": "any" }
//!   },
//!   "clients": [ { "name": "My application", "redirect_uris": ["http://localhost:3000/callback"] } ],
//!   "admin_token": "…"
//! }
//! ```
//!
//! Everything may be left out. `connection` and `clients` are sent to the admin API as they stand, which checks them;
//! `providers` goes into the deployment secret.

use std::path::{Path, PathBuf};

use rollcall_domain::Secret;
use serde::Deserialize;
use serde_json::{Map, Value};
use thiserror::Error;

/// The longest file that is read.
const LONGEST: u64 = 1024 * 1024;

/// The file's content.
#[derive(Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct File {
    /// The workspace's name.
    pub workspace: Option<String>,
    /// The body of `PUT …/connection`.
    pub connection: Option<Map<String, Value>>,
    /// `providers` of the deployment secret.
    pub providers: Map<String, Value>,
    /// The bodies of `POST /v1/clients`.
    pub clients: Vec<Map<String, Value>>,
    /// The first admin token.
    pub admin_token: Option<Secret>,
}

/// The file cannot be used.
#[derive(Debug, Error)]
pub enum FileError {
    /// It cannot be read.
    #[error("--config: {} cannot be read: {source}", .path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It is far too long to be meant.
    #[error("--config: {} has more than 1 MiB", .path.display())]
    TooLong {
        /// Which.
        path: PathBuf,
    },
    /// It is not JSON, or not of the right form. Where, and never what: it holds secrets.
    #[error("--config: {}, line {line}, column {column}: {what}", .path.display())]
    Malformed {
        /// Which.
        path: PathBuf,
        /// Where.
        line: usize,
        /// Where in the line.
        column: usize,
        /// What is wrong.
        what: &'static str,
    },
}

impl File {
    /// Reads the file.
    pub fn read(path: &Path) -> Result<Self, FileError> {
        let unreadable = |source| FileError::Unreadable { path: path.to_owned(), source };
        if std::fs::metadata(path).map_err(unreadable)?.len() > LONGEST {
            return Err(FileError::TooLong { path: path.to_owned() });
        }
        let text = std::fs::read_to_string(path).map_err(unreadable)?;
        serde_json::from_str(&text).map_err(|error| FileError::Malformed {
            path: path.to_owned(),
            line: error.line(),
            column: error.column(),
            what: match error.classify() {
                serde_json::error::Category::Eof => "the file ends too early",
                serde_json::error::Category::Data => {
                    "a name or a value is not as expected; there are workspace, connection, providers, clients and admin_token"
                }
                serde_json::error::Category::Syntax | serde_json::error::Category::Io => "this is not JSON",
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn read(text: &str) -> Result<File, FileError> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        File::read(file.path())
    }

    #[test]
    fn everything_may_be_left_out() {
        let file = read("{}").ok().unwrap();
        assert!(file.workspace.is_none() && file.connection.is_none() && file.clients.is_empty());
    }

    #[test]
    fn a_defect_is_told_by_its_place_in_one_line_that_repeats_nothing() {
        for (text, place) in [
            ("{\"admin_token\": 1}", "line 1"),
            ("{\n\"hunter2\": 1}", "line 2"),
            ("{\"workspace\": \"hunter2", "line 1"),
            ("hunter2", "line 1"),
        ] {
            let line = read(text).err().unwrap().to_string();
            assert!(line.contains(place) && !line.contains("hunter2") && !line.contains('\n'), "{line}");
        }
    }

    #[test]
    fn a_missing_file_is_named() {
        let line = File::read(Path::new("/nowhere/rollcall.json")).err().unwrap().to_string();
        assert!(line.starts_with("--config: /nowhere/rollcall.json cannot be read"), "{line}");
    }
}
