//! What the admin API shows beside a page: looked up for all its entries at once, never one by one.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::try_join;
use rollcall_domain::bitbucket::{ProjectUuid, RepositoryUuid};
use rollcall_domain::identity::{EmailAddress, Identity};
use rollcall_domain::invite::{Invite, InviteState};
use rollcall_domain::member::Member;
use rollcall_domain::mirror::{Project, Team};
use rollcall_domain::{InviteId, MemberId, TeamId, Timestamp, WorkspaceId};

use crate::error::StoreError;
use crate::issuing::Issued;
use crate::members::Membership;
use crate::mirror::Responsibility;
use crate::{CoverageRow, Store, invites, keys};

impl Store {
    /// The coverages of some members.
    pub async fn coverages_of(
        &self,
        workspace: WorkspaceId,
        members: &[MemberId],
    ) -> Result<BTreeMap<MemberId, CoverageRow>, StoreError> {
        let wanted: Vec<_> = members.iter().map(|member| keys::coverage(workspace, *member)).collect();
        let rows: Vec<CoverageRow> = self.get_many(&wanted).await?;
        Ok(rows.into_iter().map(|row| (row.member, row)).collect())
    }

    /// Some teams, those removed included.
    pub async fn teams_by_id(
        &self,
        workspace: WorkspaceId,
        teams: &[TeamId],
    ) -> Result<BTreeMap<TeamId, Team>, StoreError> {
        let wanted: Vec<_> = teams.iter().map(|team| keys::team(workspace, *team)).collect();
        let rows: Vec<Team> = self.get_many(&wanted).await?;
        Ok(rows.into_iter().map(|team| (team.id, team)).collect())
    }

    /// The members that some identities sign in as.
    pub async fn members_by_identities(
        &self,
        workspace: WorkspaceId,
        identities: &[Identity],
    ) -> Result<Vec<Member>, StoreError> {
        let wanted: Vec<_> = identities.iter().map(|identity| keys::identity(workspace, identity)).collect();
        let memberships: Vec<Membership> = self.get_many(&wanted).await?;
        let mut wanted: Vec<_> =
            memberships.iter().map(|membership| keys::member(workspace, membership.member)).collect();
        wanted.sort_unstable();
        wanted.dedup();
        self.get_many(&wanted).await
    }

    /// The invites that some addresses were last invited by, whatever became of them.
    pub async fn invites_to(
        &self,
        workspace: WorkspaceId,
        addresses: &[EmailAddress],
    ) -> Result<BTreeMap<EmailAddress, Invite>, StoreError> {
        let wanted: Vec<_> =
            addresses.iter().map(|address| keys::pending_invite(workspace, address)).collect();
        let rows: Vec<invites::TokenRow> = self.get_many(&wanted).await?;
        let mut wanted: Vec<_> = rows.iter().map(|row| keys::invite(workspace, row.invite)).collect();
        wanted.sort_unstable();
        wanted.dedup();
        let found: Vec<Invite> = self.get_many(&wanted).await?;
        Ok(found.into_iter().map(|invite| (invite.email.clone(), invite)).collect())
    }

    /// Which of these invites were voided with everything that was issued to or by the same person before, or were never issued with
    /// those that they were written together with.
    pub async fn voided(&self, found: &[Invite]) -> Result<BTreeSet<InviteId>, StoreError> {
        let pending = || found.iter().filter(|invite| invite.state == InviteState::Pending);
        let wanted: BTreeSet<_> = pending()
            .flat_map(|invite| {
                invites::barriers(invite).into_iter().map(|who| keys::barrier(invite.workspace, &who))
            })
            .collect();
        let together: BTreeSet<_> = pending()
            .filter_map(|invite| Some(keys::issued_together(invite.workspace, invite.together?)))
            .collect();
        let (wanted, together): (Vec<_>, Vec<_>) =
            (wanted.into_iter().collect(), together.into_iter().collect());
        let (barriers, issued): (Vec<invites::Barrier>, Vec<Issued>) =
            try_join(self.get_many(&wanted), self.get_many(&together)).await?;
        let issued: BTreeSet<InviteId> = issued.into_iter().map(|issued| issued.first).collect();
        let barriers: BTreeMap<String, Timestamp> =
            barriers.into_iter().map(|barrier| (barrier.who, barrier.at)).collect();
        let is_void = |invite: &&Invite| {
            let mut who = invites::barriers(invite).into_iter();
            who.any(|who| barriers.get(&who).is_some_and(|at| invite.issued_at <= *at))
                || invite.together.is_some_and(|first| !issued.contains(&first))
        };
        Ok(pending().filter(is_void).map(|invite| invite.id).collect())
    }

    /// Some projects.
    pub async fn projects_by_uuid(
        &self,
        workspace: WorkspaceId,
        uuids: &[ProjectUuid],
    ) -> Result<Vec<Project>, StoreError> {
        let wanted: Vec<_> = uuids.iter().map(|uuid| keys::project(workspace, *uuid)).collect();
        self.get_many(&wanted).await
    }

    /// Who is responsible for the repositories from one to another, as a page of them has them.
    pub async fn responsibilities_between(
        &self,
        workspace: WorkspaceId,
        first: RepositoryUuid,
        last: RepositoryUuid,
    ) -> Result<Vec<Responsibility>, StoreError> {
        // `~` comes after everything that a team's id begins with.
        let (from, to) = (format!("{first}#"), format!("{last}#~"));
        self.query_between(&keys::of(workspace, "responsible-teams"), &from, &to).await
    }

    /// How many people are in a team.
    pub async fn count_people_of_team(
        &self,
        workspace: WorkspaceId,
        team: TeamId,
    ) -> Result<usize, StoreError> {
        self.count(&keys::team_people(workspace, team)).await
    }

    /// Every team, those removed included.
    pub async fn all_teams(&self, workspace: WorkspaceId) -> Result<Vec<Team>, StoreError> {
        self.query_all(&keys::of(workspace, "teams")).await
    }
}
