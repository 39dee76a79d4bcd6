//! The members lane: people, owners, groups with their members. It offboards.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::join_all;
use rollcall_bitbucket::{AccountStatus, Error, MembersListing, Session};
use rollcall_domain::bitbucket::{AccountUuid, GroupSlug};
use rollcall_domain::mirror::{MembersSnapshot, Mirror, Read, SeenGroup, SeenPerson};
use rollcall_domain::plan::guard::Held;
use rollcall_domain::plan::{self, Change, Kept, Lane, Plan};
use rollcall_store::StoreError;
use serde_json::json;

use crate::carry_out::{Carried, Witness};
use crate::run::{LaneEnd, Run, passes_by_itself};

/// Accounts that were not in use when last heard of, asked for by name in a run.
const MOST_ASKED: usize = 20;

pub(crate) async fn lane(run: &mut Run<'_>, session: &Session) -> Result<LaneEnd, StoreError> {
    let listing = match session.read_members_lane(run.connection().bitbucket).await {
        Ok(listing) => listing,
        Err(error) => {
            end_invites(run).await?;
            return Ok(LaneEnd::Failed(error));
        }
    };
    // A removed endpoint stops everything, whatever else could be read; and where the calls are used up, it is all read again.
    for error in [listing.owners.as_ref().err(), listing.groups.as_ref().err()].into_iter().flatten() {
        if matches!(error, Error::Gone { .. }) || passes_by_itself(error) {
            let error = error.clone();
            end_invites(run).await?;
            return Ok(LaneEnd::Failed(error));
        }
    }
    let trouble = unreadable(run, &listing);
    run.record.evidence.push(json!({
        "listing": "members",
        "entries": listing.members.seen().len(),
        "not_understood": listing.members.malformed().len(),
        "complete": true,
    }));
    run.note_names(&listing.workspace);
    let workspace = listing.workspace.clone();
    let witness = known_member(&run.mirror, listing.members.seen().entries());
    let asked = ask_unused(run, session, &listing).await;
    let mut snapshot = MembersSnapshot {
        people: listing.members.into_read(),
        owners: listing.owners.ok().map(|owners| owners.entries().iter().map(|owner| owner.uuid).collect()),
        groups: listing.groups.ok().map(rollcall_bitbucket::Listed::into_read),
        asked,
    };
    let settings = &run.connection().settings;
    let plan_of = |snapshot: &MembersSnapshot| {
        plan::members::plan(run.connection().workspace, &run.mirror, snapshot, settings, run.now)
    };
    let mut plan = plan_of(&snapshot);
    // The groups come in one piece, without anything that would tell whether it is all of them: before anything is removed on the
    // strength of it, it is read again, and has to be the same.
    if plan.changes.iter().any(is_removed_from_teams) {
        let again = session.groups(&workspace).await.map(rollcall_bitbucket::Listed::into_read);
        let is_same = |again: &Read<SeenGroup>| {
            snapshot.groups.as_ref().is_some_and(|first| in_order(first) == in_order(again))
        };
        if !again.as_ref().is_ok_and(is_same) {
            snapshot.groups = None;
            plan = plan_of(&snapshot);
            let why = "read twice, they were not the same; they are looked at again at the next tick";
            plan.kept.push(Kept::new("groups", why));
        }
    }
    if run.waits_for_first_approval() && run.approved() == Some(&plan.hash()) {
        run.state.started = true;
        run.state.frozen.remove(&Lane::Members);
    }
    if run.only_shows() {
        show(run, plan).await?;
        return Ok(LaneEnd::Done(trouble));
    }
    let witness = Witness { session, workspace: &workspace, member: witness };
    let carried = run.carry_out(plan, &witness, true).await?;
    if carried == Carried::Partly {
        return Ok(LaneEnd::Later("the time of this run was used up".to_owned()));
    }
    Ok(LaneEnd::Done(trouble))
}

fn is_removed_from_teams(change: &Change) -> bool {
    matches!(change, Change::RemoveTeam { .. } | Change::RemoveTeamMember { .. })
}

fn in_order(groups: &Read<SeenGroup>) -> BTreeMap<&GroupSlug, &SeenGroup> {
    groups.seen.entries().iter().map(|group| (&group.slug, group)).collect()
}

/// Shows the plan. The first plan of a connection that asks for it waits for approval as a whole.
async fn show(run: &mut Run<'_>, plan: Plan) -> Result<(), StoreError> {
    if run.waits_for_first_approval() {
        if run.approved().is_some() {
            run.keep(
                "approval",
                "the plan has changed since it was approved; it waits for an approval of what is shown now",
            );
        }
        run.freeze(&plan, vec![Held::First]).await?;
    } else {
        run.record.plan_hash = Some(plan.hash());
    }
    run.show(&plan).await
}

/// What the clock ends needs nothing from Bitbucket.
async fn end_invites(run: &mut Run<'_>) -> Result<(), StoreError> {
    let plan = plan::members::plan_ended_invites(&run.mirror, &run.connection().settings, run.now);
    if run.only_shows() || plan.is_empty() {
        return Ok(());
    }
    run.keep_plan(&plan).await?;
    run.write(plan, Vec::new(), false).await.map(|_| ())
}

/// Notes what could not be read beside the members. It keeps the teams or the owners as they are, and nobody in.
fn unreadable(run: &mut Run<'_>, listing: &MembersListing) -> Option<String> {
    let errors = [listing.owners.as_ref().err(), listing.groups.as_ref().err()];
    let whys: Vec<String> =
        errors.into_iter().flatten().map(|error| format!("{error}. {}", error.advice())).collect();
    let why = whys.first()?.clone();
    for why in whys {
        run.keep("a listing", why);
    }
    Some(why)
}

/// Somebody whom the listing and the mirror both have: if the credential finds them, it sees members.
fn known_member(mirror: &Mirror, present: &[SeenPerson]) -> Option<AccountUuid> {
    let known = |person: &&SeenPerson| mirror.people.get(&person.uuid).is_some_and(|known| !known.left);
    let mut humans = present.iter().filter(|person| person.human);
    humans.clone().find(known).or_else(|| humans.next()).map(|person| person.uuid)
}

/// Asks for accounts that were not in use and of which no group says anything now, members of the application first.
async fn ask_unused(
    run: &Run<'_>,
    session: &Session,
    listing: &MembersListing,
) -> BTreeMap<AccountUuid, bool> {
    let present: BTreeSet<AccountUuid> =
        listing.members.seen().entries().iter().map(|person| person.uuid).collect();
    let in_groups: BTreeSet<AccountUuid> = listing
        .groups
        .iter()
        .flat_map(|groups| groups.seen().entries())
        .flat_map(|group| group.members.keys().copied())
        .collect();
    let members: BTreeSet<AccountUuid> =
        run.mirror.members.values().filter_map(|member| member.account).collect();
    let unused = run.mirror.people.values().filter(|person| {
        person.inactive
            && !person.left
            && present.contains(&person.uuid)
            && !in_groups.contains(&person.uuid)
            && members.contains(&person.uuid)
    });
    let asked = unused
        .take(MOST_ASKED)
        .map(|person| async { (person.uuid, session.account_status(person.uuid).await) });
    let answers = join_all(asked).await.into_iter();
    answers
        .filter_map(|(uuid, status)| match status {
            Ok(AccountStatus::Active) => Some((uuid, true)),
            Ok(AccountStatus::Inactive) => Some((uuid, false)),
            Ok(AccountStatus::Unclear(_)) | Err(_) => None,
        })
        .collect()
}
