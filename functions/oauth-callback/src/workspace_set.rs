//! The workspace's private repositories, read at this moment with the connection's own credential.

use futures_util::future::join;
use rollcall_admin::credential;
use rollcall_bitbucket::{BitbucketWorkspace, Listed, Session, Which, WorkspaceRef};
use rollcall_domain::mirror::SeenRepository;
use rollcall_store::connections::Connected;

use crate::callback::Return;
use crate::failure::Failure;
use crate::redeem::unanswered;

/// Bitbucket with the connection's credential, and the workspace as it was called last.
fn open(back: &Return<'_>, connected: &Connected) -> Result<(Session, BitbucketWorkspace), Failure> {
    let connection = &connected.connection;
    let credential = credential::open(
        &back.derived.secret.sealing_keys,
        connection.workspace,
        &connected.sealed_credential,
    )
    .map_err(|error| Failure::unavailable("credential", &error))?;
    let known = BitbucketWorkspace {
        uuid: connection.bitbucket,
        slug: connection.slug.clone(),
        name: connection.name.clone(),
    };
    Ok((back.app.as_connection(&credential), known))
}

/// How many private repositories there are at this moment; `None` where that cannot be told by one call.
pub(crate) async fn count(back: &Return<'_>, connected: &Connected) -> Result<Option<u64>, Failure> {
    let (session, known) = open(back, connected)?;
    session.foresee(1);
    Ok(session.private_count(&known).await.unwrap_or_else(|error| {
        tracing::info!(%error, "the workspace's repositories could not be counted and are listed");
        None
    }))
}

/// All private repositories of the connected Bitbucket workspace: a complete listing, or nothing.
pub(crate) async fn read(back: &Return<'_>, connected: &Connected) -> Result<Vec<SeenRepository>, Failure> {
    let (session, known) = open(back, connected)?;
    session.foresee(2);
    // Most often the slug is still the workspace's; asking for both at once saves a turn, and a renamed one is listed again.
    let by_uuid = WorkspaceRef::Uuid(known.uuid);
    let (now, listed) = join(session.workspace(&by_uuid), session.repositories(&known, Which::Private)).await;
    let now = now.map_err(|error| unanswered(&error))?;
    let listed =
        if now.slug == known.slug { listed } else { session.repositories(&now, Which::Private).await };
    let whole = listed.and_then(Listed::whole).map_err(|error| unanswered(&error))?;
    Ok(whole.into_entries().into_iter().map(|repository| repository.seen).collect())
}
