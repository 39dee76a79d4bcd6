//! Signing applications' users in: Rollcall as an ordinary OpenID provider.
//!
//! Authorization code with PKCE (S256 only), ES256, rotating refresh tokens, introspection, revocation, RP-initiated and
//! back-channel logout, and client credentials for machines. What is stored is described by records that the caller keeps:
//! [`Client`], [`CodeRecord`], [`RefreshFamily`].

mod authorize;
mod authorize_error;
mod client;
mod code;
mod grant;
mod logout;
mod metadata;
mod records;
mod refresh;
mod signing;
mod step;
mod token_request;
mod tokens;
mod verify;

pub use crate::jwk::PublicKey;
pub use authorize::{AuthorizeParameters, AuthorizeRequest, LoginHint, Prompts};
pub use authorize_error::{AuthorizeError, AuthorizeRefused};
pub use client::{Client, InvalidRedirectUri, MachineAccess, RedirectUri, new_client_secret};
pub use code::{AuthorizationCode, CodeRecord, CodeRefused};
pub use grant::{Grant, Scopes};
pub use logout::{LogoutRefused, LogoutRequest, LogoutTarget};
pub use metadata::{Introspection, ProviderMetadata, UserInfo};
pub use records::{CodeRow, GrantRow};
pub use refresh::{RefreshFamily, RefreshLimits, RefreshRefused, RefreshToken, Rotated};
pub use signing::{InvalidSigningKey, KeySet, SigningFailed, SigningKeys, generate_signing_key};
pub use step::{CurrentSession, Step};
pub use token_request::{
    ClientCredentials, GrantRequest, TokenError, TokenErrorBody, TokenQuery, TokenRequest, authenticate,
};
pub use tokens::{About, Issue, MAX_TEAMS_IN_TOKEN, TokenAnswer, TokenIssuer};
pub use verify::{Hint, MachineToken, MemberToken, TokenRefused};
