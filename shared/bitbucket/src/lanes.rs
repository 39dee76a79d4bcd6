//! What a sync lane reads, by the fewest calls that are correct.

use std::collections::BTreeMap;

use rollcall_domain::access::Grants;
use rollcall_domain::bitbucket::{BitbucketWorkspaceUuid, GroupSlug, ProjectUuid};
use rollcall_domain::listing::Complete;
use rollcall_domain::mirror::{SeenGroup, SeenPerson, SeenProject};

use crate::error::Error;
use crate::row::Listed;
use crate::session::Session;
use crate::structure::{Repository, Which};
use crate::workspace::{BitbucketWorkspace, Owner, WorkspaceRef};

/// What the members lane reads. Owners and groups may each fail without keeping a proven leaver in.
#[derive(Debug, Clone)]
pub struct MembersListing {
    /// The workspace, with its present slug and name.
    pub workspace: BitbucketWorkspace,
    /// Its members, those whose accounts are not in use included.
    pub members: Listed<SeenPerson>,
    /// Its owners, or why they could not be read.
    pub owners: Result<Complete<Owner>, Error>,
    /// Its groups with their members, or why they could not be read.
    pub groups: Result<Listed<SeenGroup>, Error>,
}

/// What the structure lane reads.
#[derive(Debug, Clone)]
pub struct StructureListing {
    /// The workspace, the same before and after.
    pub workspace: BitbucketWorkspace,
    /// Its repositories.
    pub repositories: Listed<Repository>,
    /// Its projects.
    pub projects: Listed<SeenProject>,
    /// What each project that was asked for grants, or why that could not be read.
    pub grants: BTreeMap<ProjectUuid, Result<Grants<GroupSlug>, Error>>,
}

impl Session {
    /// Reads the members lane: `ceil(M/100) + 3` calls for M members and up to 100 owners.
    ///
    /// The workspace is asked for by its UUID first; then all at once, by the slug it has. The rows of each listing name the
    /// workspace again, or else one call more asks whether it still has that slug.
    pub async fn read_members_lane(
        &self,
        workspace: BitbucketWorkspaceUuid,
    ) -> Result<MembersListing, Error> {
        let workspace = self.workspace(&WorkspaceRef::Uuid(workspace)).await?;
        let others =
            async { Ok(futures_util::future::join(self.groups(&workspace), self.owners(&workspace)).await) };
        let (members, (groups, owners)) =
            futures_util::future::try_join(self.members(&workspace), others).await?;
        Ok(MembersListing { workspace, members, owners, groups })
    }

    /// Reads the structure lane: `ceil(R/100) + ceil(P/100) + 2 P + 2` calls for R repositories and P projects with up to 100
    /// grants of each kind. Grants are read of those projects only for which `wanted` is true.
    ///
    /// Where the budget ends among the grants, the projects left carry that error, and the listings stand: go on later with
    /// [`Session::grants_of_projects`].
    pub async fn read_structure_lane(
        &self,
        workspace: BitbucketWorkspaceUuid,
        wanted: impl Fn(&SeenProject) -> bool + Send,
    ) -> Result<StructureListing, Error> {
        let workspace = self.workspace(&WorkspaceRef::Uuid(workspace)).await?;
        let listings = futures_util::future::try_join(
            self.repositories(&workspace, Which::All),
            self.projects(&workspace),
        );
        let (repositories, projects) = listings.await?;
        let asked: Vec<SeenProject> =
            projects.seen().entries().iter().filter(|project| wanted(project)).cloned().collect();
        // Asked first: where the budget ends among the grants, the listings have been proven all the same.
        let unchanged = self.unchanged(&workspace);
        let grants = async { Ok(self.grants_of_projects(&workspace, asked).await) };
        let ((), grants) = futures_util::future::try_join(unchanged, grants).await?;
        Ok(StructureListing { workspace, repositories, projects, grants })
    }
}
