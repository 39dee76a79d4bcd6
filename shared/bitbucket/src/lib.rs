//! Bitbucket Cloud, as far as sign-in and the sync need it: read-only, typed, and never taking a failure for an answer.
//!
//! [`Bitbucket`] is built once. [`Bitbucket::session`] ties it to a credential, a call budget and a purpose; the calls are methods
//! of the [`Session`]. A listing comes back only if every page was read and nothing contradicts it ([`Listed`]); whatever else
//! happened is an [`Error`] that names the call, says what was wrong and what an operator can do about it.
//!
//! The API is described at <https://developer.atlassian.com/cloud/bitbucket/rest/>.

mod advice;
mod answer;
mod budget;
mod bulk;
mod call;
mod credential;
mod endpoint;
mod error;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod groups_v1;
mod lanes;
mod listing;
mod oauth;
mod own_workspaces;
mod page;
mod person;
mod probe;
mod row;
mod session;
mod structure;
mod token;
mod transport;
mod workspace;

pub use budget::{BudgetLedger, CallBudget, ChunkSizes, LedgerError, MemoryLedger, Pause, Refusal};
pub use call::Call;
pub use credential::{Credential, CredentialId};
pub use endpoint::{Endpoints, InvalidEndpoint};
pub use error::Error;
pub use groups_v1::{GroupPrivilege, PrivilegeKey};
pub use lanes::{MembersListing, StructureListing};
pub use oauth::{OAuthClient, PersonToken};
pub use person::{Email, OwnPermission, OwnRepositories, OwnRepository, Standing, WorkspaceRole};
pub use probe::{Need, Outcome, ProbeLine, ProbeReport};
pub use row::{Listed, Malformed};
pub use session::{Bitbucket, Clock, Limits, Session};
pub use structure::{Grantee, Repository, Which};
pub use workspace::{AccountStatus, BitbucketWorkspace, Owner, Presence, WorkspaceRef};
