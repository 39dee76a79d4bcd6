//! Where a run gets the connection's credential from.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use rollcall_bitbucket::Credential;
use rollcall_domain::WorkspaceId;
use rollcall_service::secrets::Secrets;
use thiserror::Error;

/// The credential cannot be had. Says why, and never what it is.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct NoCredential(pub String);

/// Opens sealed credentials.
pub trait Credentials: Send + Sync {
    /// The credential of a workspace's connection.
    fn open<'a>(
        &'a self,
        workspace: WorkspaceId,
        sealed: &'a str,
    ) -> BoxFuture<'a, Result<Credential, NoCredential>>;
}

/// Opens them with the deployment's sealing keys.
#[derive(Clone)]
pub struct SealedCredentials(Arc<Secrets>);

impl SealedCredentials {
    /// With these secrets.
    pub const fn new(secrets: Arc<Secrets>) -> Self {
        Self(secrets)
    }
}

impl Credentials for SealedCredentials {
    fn open<'a>(
        &'a self,
        workspace: WorkspaceId,
        sealed: &'a str,
    ) -> BoxFuture<'a, Result<Credential, NoCredential>> {
        Box::pin(async move {
            let secret = self.0.current().await.map_err(|error| NoCredential(error.to_string()))?;
            match rollcall_admin::credential::open(&secret.sealing_keys, workspace, sealed) {
                Ok(credential) => Ok(credential),
                // The sealing keys may have been rotated since they were read.
                Err(error) => {
                    let fresh = self.0.refresh_once(&secret).await;
                    let fresh = fresh.ok_or_else(|| NoCredential(error.to_string()))?;
                    rollcall_admin::credential::open(&fresh.sealing_keys, workspace, sealed)
                        .map_err(|error| NoCredential(error.to_string()))
                }
            }
        })
    }
}
