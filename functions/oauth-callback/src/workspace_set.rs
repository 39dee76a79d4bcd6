//! The workspace's private repositories, read at this moment with the connection's own credential.

use futures_util::future::join;
use rollcall_admin::credential;
use rollcall_bitbucket::{BitbucketWorkspace, Listed, Which, WorkspaceRef};
use rollcall_domain::mirror::SeenRepository;
use rollcall_store::connections::Connected;

use crate::callback::Return;
use crate::failure::Failure;
use crate::redeem::unanswered;

/// All private repositories of the connected Bitbucket workspace: a complete listing, or nothing.
pub(crate) async fn read(back: &Return<'_>, connected: &Connected) -> Result<Vec<SeenRepository>, Failure> {
    let connection = &connected.connection;
    let credential = credential::open(
        &back.derived.secret.sealing_keys,
        connection.workspace,
        &connected.sealed_credential,
    )
    .map_err(|error| Failure::unavailable("credential", &error))?;
    let session = back.app.as_connection(&credential);
    let known = BitbucketWorkspace {
        uuid: connection.bitbucket,
        slug: connection.slug.clone(),
        name: connection.name.clone(),
    };
    // Most often the slug is still the workspace's; asking for both at once saves a turn, and a renamed one is listed again.
    let by_uuid = WorkspaceRef::Uuid(connection.bitbucket);
    let (now, listed) = join(session.workspace(&by_uuid), session.repositories(&known, Which::Private)).await;
    let now = now.map_err(|error| unanswered(&error))?;
    let listed =
        if now.slug == known.slug { listed } else { session.repositories(&now, Which::Private).await };
    let whole = listed.and_then(Listed::whole).map_err(|error| unanswered(&error))?;
    Ok(whole.into_entries().into_iter().map(|repository| repository.seen).collect())
}
