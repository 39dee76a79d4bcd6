//! A connection's credential as it lies in the table: sealed, and bound to its workspace.
//!
//! Inside the seal is one JSON object, told apart by `kind`:
//!
//! ```json
//! {"kind":"access_token","token":"…"}
//! {"kind":"oauth_consumer","key":"…","secret":"…"}
//! {"kind":"api_token","email":"…","token":"…"}
//! ```
//!
//! The seal's purpose is [`Purpose::Credential`] and its context `credential/{workspace}`, so that a sealed credential that is copied
//! to another workspace's row does not open there.

use rollcall_bitbucket::Credential;
use rollcall_domain::connection::CredentialKind;
use rollcall_domain::{Secret, WorkspaceId};
use rollcall_service::seal::{OpenFailed, Purpose, SealFailed, Sealer, SealingKeys};
use serde::{Deserialize, Serialize};
use thiserror::Error;
use zeroize::Zeroizing;

/// The sealed credential cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum CredentialUnreadable {
    /// The seal does not open.
    #[error("the stored credential cannot be opened: {0}")]
    Sealed(#[from] OpenFailed),
    /// What is inside is not what this version writes.
    #[error("the stored credential has an unknown form; connect the workspace again with its credential")]
    Form,
}

/// A kind of credential that is never stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum NotSealed {
    /// A person's token is used for their sign-in and dropped.
    #[error("a person's token is never stored")]
    OfAPerson,
    /// The seal failed.
    #[error(transparent)]
    Seal(#[from] SealFailed),
}

/// As it is written. Borrowed, so that the secret is copied once, into memory that is wiped.
#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Written<'a> {
    AccessToken { token: &'a str },
    OauthConsumer { key: &'a str, secret: &'a str },
    ApiToken { email: &'a str, token: &'a str },
}

#[derive(Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
enum Read {
    AccessToken { token: Secret },
    OauthConsumer { key: String, secret: Secret },
    ApiToken { email: String, token: Secret },
}

fn context(workspace: WorkspaceId) -> String {
    format!("credential/{workspace}")
}

/// The kind of a credential; `None` for a person's token, which is none of a connection's.
pub const fn kind(credential: &Credential) -> Option<CredentialKind> {
    match credential {
        Credential::WorkspaceAccessToken(_) => Some(CredentialKind::AccessToken),
        Credential::OAuthConsumer { .. } => Some(CredentialKind::OauthConsumer),
        Credential::ApiToken { .. } => Some(CredentialKind::ApiToken),
        Credential::PersonToken(_) => None,
    }
}

/// Seals a credential for a workspace's row.
pub fn seal(
    keys: &SealingKeys,
    workspace: WorkspaceId,
    credential: &Credential,
) -> Result<String, NotSealed> {
    let written = match credential {
        Credential::WorkspaceAccessToken(token) => Written::AccessToken { token: token.expose() },
        Credential::OAuthConsumer { key, secret } => Written::OauthConsumer { key, secret: secret.expose() },
        Credential::ApiToken { email, token } => Written::ApiToken { email, token: token.expose() },
        Credential::PersonToken(_) => return Err(NotSealed::OfAPerson),
    };
    // Texts only, which always serialise.
    let plain = Zeroizing::new(serde_json::to_vec(&written).unwrap_or_default());
    Ok(Sealer::new(keys, Purpose::Credential).seal(&context(workspace), &plain)?)
}

/// Opens a workspace's credential.
pub fn open(
    keys: &SealingKeys,
    workspace: WorkspaceId,
    sealed: &str,
) -> Result<Credential, CredentialUnreadable> {
    let plain = Sealer::new(keys, Purpose::Credential).open(&context(workspace), sealed)?;
    Ok(match serde_json::from_slice(&plain).map_err(|_| CredentialUnreadable::Form)? {
        Read::AccessToken { token } => Credential::WorkspaceAccessToken(token),
        Read::OauthConsumer { key, secret } => Credential::OAuthConsumer { key, secret },
        Read::ApiToken { email, token } => Credential::ApiToken { email, token },
    })
}

#[cfg(test)]
mod tests {
    use rollcall_domain::Timestamp;
    use rollcall_service::seal::SealingKey;

    use super::*;

    fn keys() -> SealingKeys {
        SealingKeys::new(SealingKey::new("k", [1; 32]).unwrap(), Vec::new())
    }

    fn workspace(n: u8) -> WorkspaceId {
        WorkspaceId::new(Timestamp::EPOCH, [n; 10])
    }

    #[test]
    fn every_kind_opens_as_it_was_sealed_in_its_own_workspace_only() {
        for credential in [
            Credential::WorkspaceAccessToken(Secret::new("hunter2")),
            Credential::OAuthConsumer { key: "hunter2".into(), secret: Secret::new("s") },
            Credential::ApiToken { email: "ada@example.com".into(), token: Secret::new("hunter2") },
        ] {
            let sealed = seal(&keys(), workspace(1), &credential).unwrap();
            assert!(!sealed.contains("hunter2"));
            let opened = open(&keys(), workspace(1), &sealed).ok().unwrap();
            assert_eq!((opened.id(), kind(&opened)), (credential.id(), kind(&credential)));
            let elsewhere = open(&keys(), workspace(2), &sealed).err();
            assert_eq!(elsewhere, Some(CredentialUnreadable::Sealed(OpenFailed::NotGenuine)));
        }
    }

    #[test]
    fn a_persons_token_is_never_stored() {
        let token = Credential::PersonToken(Secret::new("t"));
        assert_eq!(seal(&keys(), workspace(1), &token), Err(NotSealed::OfAPerson));
    }

    #[test]
    fn an_unknown_form_is_refused_and_not_guessed() {
        let sealer = Sealer::new(&keys(), Purpose::Credential);
        for inside in
            ["{}", r#"{"kind":"password","token":"x"}"#, r#"{"kind":"access_token","token":"x","y":1}"#]
        {
            let sealed = sealer.seal(&context(workspace(1)), inside.as_bytes()).unwrap();
            assert_eq!(
                open(&keys(), workspace(1), &sealed).err(),
                Some(CredentialUnreadable::Form),
                "{inside}"
            );
        }
    }
}
