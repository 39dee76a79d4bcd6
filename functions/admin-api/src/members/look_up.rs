//! What is shown with members, looked up for all of a page at once.

use std::collections::{BTreeMap, BTreeSet};

use rollcall_domain::bitbucket::{AccountUuid, RepositoryUuid};
use rollcall_domain::member::Member;
use rollcall_domain::mirror::{Person, Team};
use rollcall_domain::{MemberId, TeamId, Timestamp, WorkspaceId};
use rollcall_store::{CoverageRow, Store, StoreError};

use super::view::{CoverageView, MemberView, TeamName};

/// The people, teams and coverages around some members.
pub(super) struct Surroundings {
    people: BTreeMap<AccountUuid, Person>,
    teams: BTreeMap<TeamId, Team>,
    coverages: BTreeMap<MemberId, CoverageRow>,
    slugs: BTreeMap<RepositoryUuid, String>,
    named: usize,
}

impl Surroundings {
    /// Looks up what stands around these members; of each, at most `named` missing repositories by name.
    pub(super) async fn of(
        store: &Store,
        workspace: WorkspaceId,
        members: &[Member],
        named: usize,
    ) -> Result<Self, StoreError> {
        let accounts: BTreeSet<AccountUuid> = members.iter().filter_map(Member::account).collect();
        let people = store.people(workspace, &accounts.into_iter().collect::<Vec<_>>()).await?;
        let people: BTreeMap<AccountUuid, Person> =
            people.into_iter().map(|person| (person.uuid, person)).collect();
        let of_bitbucket = people.values().flat_map(|person| person.teams.iter());
        let of_invites =
            members.iter().filter_map(|member| member.by_invite.as_ref()).flat_map(|invite| &invite.teams);
        let teams: BTreeSet<TeamId> = of_bitbucket.chain(of_invites).copied().collect();
        let teams = store.teams_by_id(workspace, &teams.into_iter().collect::<Vec<_>>()).await?;

        let ids: Vec<MemberId> = members.iter().map(|member| member.id).collect();
        let coverages = store.coverages_of(workspace, &ids).await?;
        let missing: BTreeSet<RepositoryUuid> =
            coverages.values().flat_map(|row| row.named.iter().take(named)).copied().collect();
        let repositories =
            store.repositories_by_uuid(workspace, &missing.into_iter().collect::<Vec<_>>()).await?;
        let slugs = repositories
            .into_iter()
            .map(|repository| (repository.uuid, repository.slug.to_string()))
            .collect();
        Ok(Self { people, teams, coverages, slugs, named })
    }

    /// A member's coverage.
    pub(super) fn coverage(&self, member: MemberId) -> Option<&CoverageRow> {
        self.coverages.get(&member)
    }

    /// A member's coverage, as it is shown.
    pub(super) fn coverage_view(&self, member: MemberId) -> Option<CoverageView> {
        self.coverage(member).map(|row| CoverageView::new(row, &self.slugs, self.named))
    }

    /// Whether an account is in the mirrored Bitbucket workspace.
    pub(super) fn is_present(&self, account: AccountUuid) -> bool {
        self.people.get(&account).is_some_and(|person| !person.left)
    }

    /// A member's teams: those of their Bitbucket groups, and those that an invite named.
    pub(super) fn teams<'a>(&'a self, member: &'a Member) -> impl Iterator<Item = &'a Team> {
        let person =
            member.account().and_then(|account| self.people.get(&account)).filter(|person| !person.left);
        let of_bitbucket = person.into_iter().flat_map(|person| person.teams.iter());
        let of_invite = member.by_invite.iter().flat_map(|invite| invite.teams.iter());
        let ids: BTreeSet<TeamId> = of_bitbucket.chain(of_invite).copied().collect();
        ids.into_iter().filter_map(|id| self.teams.get(&id)).filter(|team| !team.removed)
    }

    /// A member with all of it.
    pub(super) fn view(&self, member: &Member, now: Timestamp) -> MemberView {
        let teams =
            self.teams(member).map(|team| TeamName { id: team.id, name: team.name.clone() }).collect();
        MemberView::new(member, teams, self.coverage_view(member.id), now)
    }
}
