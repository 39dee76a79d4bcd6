//! The workspaces that a person belongs to.

use rollcall_domain::bitbucket::BitbucketWorkspaceUuid;
use rollcall_domain::listing::Keyed;
use serde::Deserialize;

use crate::call::Target;
use crate::error::Error;
use crate::person::UuidWire;
use crate::row::FromRow;
use crate::session::Session;

/// Replaced `/2.0/workspaces` (CHANGE-3022, CHANGE-2770).
const MY_WORKSPACES: &str = "/2.0/user/workspaces";

struct OwnWorkspace(BitbucketWorkspaceUuid);

#[derive(Deserialize)]
struct AccessWire {
    workspace: Option<UuidWire>,
}

impl Keyed for OwnWorkspace {
    type Key = BitbucketWorkspaceUuid;

    fn key(&self) -> BitbucketWorkspaceUuid {
        self.0
    }
}

impl FromRow for OwnWorkspace {
    type Wire = AccessWire;
    const KEY: &'static str = "/workspace/uuid";

    fn from_row(row: AccessWire) -> Result<Self, &'static str> {
        let uuid = row.workspace.and_then(|workspace| workspace.uuid).and_then(|uuid| uuid.parse().ok());
        uuid.map(Self).ok_or("the workspace has no UUID")
    }
}

impl Session {
    /// The workspaces that the person belongs to. `ceil(W/100)` calls; needs `account`.
    pub async fn own_workspaces(&self) -> Result<Vec<BitbucketWorkspaceUuid>, Error> {
        let target =
            Target::new(MY_WORKSPACES, &[]).query("fields", "next,page,pagelen,size,values.workspace.uuid");
        let reading = self.list::<OwnWorkspace>(&target, None).await?;
        Ok(reading.listed.whole()?.into_entries().into_iter().map(|workspace| workspace.0).collect())
    }
}
