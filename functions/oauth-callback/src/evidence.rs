//! What Bitbucket says of somebody who has just come back with a code, asked with their own token and all at once.

use core::pin::pin;
use core::sync::atomic::{AtomicBool, Ordering};
use std::collections::BTreeSet;
use std::sync::Arc;

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Either, join3, select};
use rollcall_bitbucket::{Email, Error, OwnRepositories, Session, Standing as Answered, WorkspaceRole};
use rollcall_domain::admission::{self, MOST_LISTING_CALLS, Standing};
use rollcall_domain::bitbucket::{BitbucketWorkspaceUuid, RepositoryUuid};
use rollcall_domain::connection::Policy;
use rollcall_domain::identity::{Identity, Visitor};
use rollcall_domain::mirror::SeenPerson;

/// The person's private repositories, as far as they were listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listing {
    /// Not needed: their standing alone decides.
    NotNeeded,
    /// All of them.
    All(BTreeSet<RepositoryUuid>),
    /// Not read to the end, because it would take too many calls while the last lap's verified set may stand for it.
    TooLong {
        /// How many there are, as Bitbucket says: other than the workspace's may refuse, equal admits nobody.
        size: u64,
    },
}

/// Everything that is known of the person from Bitbucket itself.
#[derive(Debug)]
pub struct Evidence {
    /// The account.
    pub person: SeenPerson,
    /// Their addresses.
    pub emails: Vec<Email>,
    /// Whether they are in the Bitbucket workspace.
    pub standing: Standing,
    /// What they can access there.
    pub listing: Listing,
}

/// The visitor that an account is. Only confirmed addresses are the person's.
pub fn visitor(person: &SeenPerson, emails: &[Email], issuer: &str) -> Visitor {
    let confirmed = emails.iter().filter(|email| email.confirmed).map(|email| email.address.clone());
    Visitor {
        identity: Identity::bitbucket(issuer, person.uuid),
        display_name: person.display_name.clone(),
        verified_emails: confirmed.collect(),
        organisation: None,
    }
}

/// Who somebody is at Bitbucket, where no workspace's rule has to be checked: to accept an invite, or to link an account.
pub async fn identify(session: &Session) -> Result<(SeenPerson, Vec<Email>), Error> {
    let (person, emails) = futures_util::future::join(session.user(), session.emails()).await;
    Ok((person?, emails?))
}

/// A page of a listing that was asked for beside what has decided without it.
#[derive(Default)]
pub struct Unneeded<'a>(Option<BoxFuture<'a, ()>>);

impl Unneeded<'_> {
    /// Does the work and, meanwhile, lets the page arrive, for which nobody waits: a call that is broken off takes its connection with
    /// it, and the next sign-in would have to open another one.
    pub async fn beside<T>(self, work: impl Future<Output = T>) -> T {
        let Some(page) = self.0 else { return work.await };
        match select(page, pin!(work)).await {
            Either::Left(((), work)) => work.await,
            Either::Right((done, _)) => done,
        }
    }
}

/// Asks everything that decides about a sign-in, side by side. Three calls, and the pages of the listing where it is needed.
///
/// The listing starts with the other calls and goes no further than its first page where the standing alone decides. It ends there as
/// well where it would take more than [`MOST_LISTING_CALLS`] calls and `may_stand_in` says that the verified set may be looked at.
pub async fn gather(
    session: &Session,
    workspace: BitbucketWorkspaceUuid,
    policy: Policy,
    may_stand_in: bool,
) -> Result<(Evidence, Unneeded<'_>), Error> {
    session.foresee(if policy == Policy::WorkspaceMember { 3 } else { 4 });
    let basics = join3(session.user(), session.emails(), session.permission_in(workspace));
    if policy == Policy::WorkspaceMember {
        let (person, emails, standing) = basics.await;
        let standing = understood(&standing?);
        let evidence = Evidence { person: person?, emails: emails?, standing, listing: Listing::NotNeeded };
        return Ok((evidence, Unneeded::default()));
    }
    let decided = Arc::new(AtomicBool::new(false));
    let enough = {
        let decided = Arc::clone(&decided);
        move |_size, calls| {
            decided.load(Ordering::Relaxed) || (may_stand_in && calls > MOST_LISTING_CALLS as u64)
        }
    };
    let listing = Box::pin(session.own_private_repositories(workspace, enough));
    let (basics, listing) = match select(Box::pin(basics), listing).await {
        Either::Left((basics, listing)) => (basics, Either::Left(listing)),
        Either::Right((listing, basics)) => (basics.await, Either::Right(listing)),
    };
    let (person, emails, standing) = basics;
    let (person, emails, standing) = (person?, emails?, understood(&standing?));
    if admission::by_standing(policy, standing).is_some() {
        decided.store(true, Ordering::Relaxed);
        let unneeded = match listing {
            Either::Left(listing) => Unneeded(Some(listing.map(drop).boxed())),
            Either::Right(_) => Unneeded::default(),
        };
        return Ok((Evidence { person, emails, standing, listing: Listing::NotNeeded }, unneeded));
    }
    let listing = match listing {
        Either::Left(listing) => listing.await,
        Either::Right(listing) => listing,
    };
    Ok((Evidence { person, emails, standing, listing: listed(listing?) }, Unneeded::default()))
}

/// The listing to its end, where the verified set did not stand for it.
pub async fn list(session: &Session, workspace: BitbucketWorkspaceUuid) -> Result<Listing, Error> {
    session.own_private_repositories(workspace, |_, _| false).await.map(listed)
}

fn listed(listing: OwnRepositories) -> Listing {
    match listing {
        OwnRepositories::All(all) => Listing::All(all.into_iter().collect()),
        OwnRepositories::Stopped { size, .. } => Listing::TooLong { size },
    }
}

fn understood(standing: &Answered) -> Standing {
    match standing {
        Answered::NotInWorkspace => Standing::Outside,
        Answered::In(WorkspaceRole::Owner) => Standing::Owner,
        Answered::In(WorkspaceRole::Member | WorkspaceRole::Other(_)) => Standing::Member,
    }
}
