//! The deployment secret: one JSON document in Secrets Manager, read at start, kept for five minutes, and read again at once when a
//! provider says that a client secret is wrong.
//!
//! ```json
//! {
//!   "providers": {
//!     "bitbucket": { "client_id": "…", "client_secret": "…" },
//!     "google":    { "client_id": "…", "client_secret": "…" },
//!     "microsoft": { "client_id": "…", "client_secret": "…", "allowed_tenants": ["72f988bf-86f1-41af-91ab-2d7cd011db47"] }
//!   },
//!   "signing_keys": [
//!     { "kid": "2026-11", "state": "current", "private_key": "-----BEGIN PRIVATE KEY-----\n…" },
//!     { "kid": "2027-02", "state": "next",    "private_key": "MIGHAgEAMBMGByqGSM49…" }
//!   ],
//!   "sealing_keys": [ { "id": "2026-11", "key": "32 bytes in base64" } ],
//!   "bootstrap_admin_token_sha256": "64 hexadecimal digits",
//!   "application": { "name": "Shop", "logo": "data:image/svg+xml;base64,…" }
//! }
//! ```
//!
//! - `providers`: at least one. `allowed_tenants` is a list of Microsoft tenant ids, or `"any"`.
//! - `signing_keys`: P-256 private keys as PKCS#8, in PEM or in base64 (`openssl genpkey -algorithm EC -pkeyopt
//!   ec_paramgen_curve:P-256`). Exactly one is `current` and signs. `next` is published before it is used, `previous` for as long
//!   as its tokens live.
//! - `sealing_keys`: the first one seals, all of them open (`openssl rand -base64 32`).
//! - `bootstrap_admin_token_sha256`: optional; the SHA-256 of the first admin token (`printf %s "$TOKEN" | sha256sum`).
//! - `application`: optional; what the pages call the application, and its logo.
//!
//! Whatever is missing, malformed or unknown is refused with a line that names its place and never its value. If a changed document
//! cannot be read or understood, the last good one stays in use and the logs say so.

mod cache;
mod document;

pub use cache::{FetchFailed, Secrets, SecretsError, Source};
pub use document::{
    AllowedTenants, Application, Defect, Defects, DeploymentSecret, KeyState, ProviderClient, Providers,
    SigningKey,
};
