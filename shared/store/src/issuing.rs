//! Issuing invites, many of them in few turns.
//!
//! A transaction takes 100 rows, an invite five or more with what is told of it, and transactions with events wait for one another, for
//! events are numbered without gaps. So only the first of many invites are written with everything. The rows of the others are written
//! beside them, side by side; they count for nothing until one transaction says that they are issued, with their audit entries and
//! events. Whatever breaks off in between leaves rows that no link opens.

use std::collections::BTreeSet;

use futures_util::future::{join, join_all};
use rollcall_domain::InviteId;
use rollcall_domain::invite::Invite;
use rollcall_domain::member::Member;
use serde::{Deserialize, Serialize};

use crate::error::StoreError;
use crate::invites::{put, put_token};
use crate::transaction::{MOST_ITEMS, Numbering, Record, Transaction, When};
use crate::{Store, keys};

/// A new invite, whose place it takes, and what is told of it.
#[derive(Debug, Clone)]
pub struct NewInvite {
    /// The invite.
    pub invite: Invite,
    /// The pending invite to the same address, as it is to be: revoked.
    pub replaces: Option<Invite>,
    /// The invite that the address was last invited by, whatever became of it. If it is another one by now, nothing is written: of
    /// several who invite the same person at the same time, one does.
    pub last: Option<InviteId>,
    /// What is written with it.
    pub record: Record,
}

impl NewInvite {
    /// The first invite to its address, of which nothing is told.
    pub fn first(invite: Invite) -> Self {
        Self { invite, replaces: None, last: None, record: Record::default() }
    }

    /// Rows of what is told.
    fn told(&self) -> usize {
        self.record.audit.len() + self.record.events.len()
    }

    /// All rows.
    fn rows(&self) -> usize {
        let replaced = if self.replaces.is_some() { REPLACED_ROWS } else { 0 };
        ROWS + replaced + self.told()
    }
}

/// Invites that were written together are issued.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Issued {
    pub(crate) first: InviteId,
}

/// Rows that an invite takes: itself, its link, its address.
const ROWS: usize = 3;
/// Rows that the invite takes whose place it takes: itself, and its link.
const REPLACED_ROWS: usize = 2;
/// What a transaction has room for beside the number of the last event and the issuer.
const ROOM: usize = MOST_ITEMS - 2;
/// The name of the issuer in a conflict: they were suspended, disabled or changed otherwise since it was decided that they may issue.
pub const ISSUER: &str = "issuer";

impl Store {
    /// Issues invites, each for itself; those are returned in whose way somebody else was. `issuer`: the member who issues them, as they
    /// were when it was decided that they may; a [`StoreError::Conflict`] if they are not that any more.
    pub async fn issue_invites(
        &self,
        invites: &[NewInvite],
        issuer: Option<&Member>,
        mut known: Numbering,
    ) -> Result<BTreeSet<InviteId>, StoreError> {
        let issuing = Issuing { store: self, issuer };
        let (at_once, later) = divide(invites);
        let (written, prepared) =
            join(issuing.write_all(&at_once, &mut known), issuing.prepare_all(&later)).await;
        let (mut in_the_way, prepared) = (written?, prepared?);
        in_the_way.extend(&prepared);
        for chunk in &later {
            issuing.issue(chunk, &prepared, &mut known).await?;
        }
        // Of several that go together nobody knows in whose way somebody was: each is tried by itself.
        let alone: Vec<Vec<&NewInvite>> =
            invites.iter().filter(|new| in_the_way.contains(&new.invite.id)).map(|new| vec![new]).collect();
        issuing.write_all(&alone, &mut known).await
    }
}

/// Divides invites into those that are written with everything, one transaction each, and those that are issued later, together.
fn divide(invites: &[NewInvite]) -> (Vec<Vec<&NewInvite>>, Vec<Vec<&NewInvite>>) {
    // Taking another's place belongs into the transaction that tells of it: those come first.
    let (replacing, new): (Vec<_>, Vec<_>) = invites.iter().partition(|new| new.replaces.is_some());
    let most_at_once = chunks(replacing.iter().copied(), ROOM, NewInvite::rows).len().max(1);
    let mut at_once = chunks(replacing.into_iter().chain(new), ROOM, NewInvite::rows);
    let rest = at_once.split_off(most_at_once.min(at_once.len()));
    if rest.len() > 1 {
        return (at_once, chunks(rest.into_iter().flatten(), ROOM - 1, NewInvite::told));
    }
    at_once.extend(rest);
    (at_once, Vec::new())
}

/// As many together as there is room for.
fn chunks<'a>(
    invites: impl Iterator<Item = &'a NewInvite>,
    room: usize,
    rows: impl Fn(&NewInvite) -> usize,
) -> Vec<Vec<&'a NewInvite>> {
    let mut chunks: Vec<Vec<&NewInvite>> = Vec::new();
    let mut left = 0;
    for invite in invites {
        let takes = rows(invite);
        match chunks.last_mut() {
            Some(last) if takes <= left => last.push(invite),
            _ => {
                chunks.push(vec![invite]);
                left = room;
            }
        }
        left = left.saturating_sub(takes);
    }
    chunks
}

/// Those in whose way somebody else was.
type InTheWay = BTreeSet<InviteId>;

struct Issuing<'a> {
    store: &'a Store,
    issuer: Option<&'a Member>,
}

impl Issuing<'_> {
    /// Writes invites with everything, one transaction after the other.
    async fn write_all(
        &self,
        chunks: &[Vec<&NewInvite>],
        known: &mut Numbering,
    ) -> Result<InTheWay, StoreError> {
        let mut in_the_way = InTheWay::new();
        for chunk in chunks {
            let mut transaction = self.store.transaction();
            check_issuer(&mut transaction, self.issuer)?;
            for NewInvite { invite, replaces, last, record } in chunk {
                if let Some(former) = replaces {
                    put(&mut transaction, former)?;
                    transaction.delete("former link", &keys::invite_token(former.token), When::Always)?;
                }
                put(&mut transaction, invite)?;
                put_token(&mut transaction, invite, *last)?;
                transaction.record(record.clone())?;
            }
            in_the_way.extend(settle(transaction.commit_after(known).await, chunk)?);
        }
        Ok(in_the_way)
    }

    /// Writes the rows of invites that are issued together later, all side by side.
    async fn prepare_all(&self, chunks: &[Vec<&NewInvite>]) -> Result<InTheWay, StoreError> {
        let writes = chunks.iter().flat_map(|chunk| {
            let first = chunk.first().map(|first| first.invite.id);
            chunk.chunks(MOST_ITEMS / ROWS).map(move |part| self.prepare(first, part))
        });
        let mut in_the_way = InTheWay::new();
        for part in join_all(writes).await {
            in_the_way.extend(part?);
        }
        Ok(in_the_way)
    }

    async fn prepare(&self, first: Option<InviteId>, part: &[&NewInvite]) -> Result<InTheWay, StoreError> {
        let mut transaction = self.store.transaction();
        for NewInvite { invite, last, .. } in part {
            put(&mut transaction, &Invite { together: first, ..invite.clone() })?;
            put_token(&mut transaction, invite, *last)?;
        }
        settle(transaction.commit().await, part)
    }

    /// Says that what was prepared is issued.
    async fn issue(
        &self,
        chunk: &[&NewInvite],
        in_the_way: &InTheWay,
        known: &mut Numbering,
    ) -> Result<(), StoreError> {
        let Some(first) = chunk.first().map(|first| &first.invite) else { return Ok(()) };
        let mut transaction = self.store.transaction();
        check_issuer(&mut transaction, self.issuer)?;
        for NewInvite { invite, record, .. } in chunk {
            if !in_the_way.contains(&invite.id) {
                transaction.record(record.clone())?;
            }
        }
        let key = keys::issued_together(first.workspace, first.id);
        transaction.put("invites", &key, &Issued { first: first.id }, None, When::New)?;
        transaction.commit_after(known).await
    }
}

/// Writes only if the issuer is still who they were.
pub(crate) fn check_issuer(
    transaction: &mut Transaction<'_>,
    issuer: Option<&Member>,
) -> Result<(), StoreError> {
    let Some(issuer) = issuer else { return Ok(()) };
    let key = keys::member(issuer.workspace, issuer.id);
    transaction.check(ISSUER, &key, When::Version(issuer.version))
}

/// In whose way somebody was, if that is all that went wrong.
fn settle(outcome: Result<(), StoreError>, chunk: &[&NewInvite]) -> Result<InTheWay, StoreError> {
    match outcome {
        Ok(()) => Ok(InTheWay::new()),
        Err(StoreError::Conflict { what }) if what != ISSUER => {
            Ok(chunk.iter().map(|new| new.invite.id).collect())
        }
        Err(error) => Err(error),
    }
}
