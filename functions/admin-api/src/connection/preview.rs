//! Whom another policy would affect, before it is set.

use axum::extract::State;
use rollcall_admin::{Failure, InWorkspace, schema};
use rollcall_domain::MemberId;
use rollcall_domain::connection::{OffboardOn, Policy};
use rollcall_domain::member::Member;
use rollcall_service::web::{Json, Problem, Query};
use rollcall_store::CoverageRow;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::App;

/// As many people are named. The numbers are always exact.
const MOST_NAMED: usize = 500;

/// The settings to try; what is left out is as it is.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct PreviewQuery {
    /// Who would be let in at sign-in.
    #[param(value_type = Option<schema::Policy>, inline)]
    policy: Option<Policy>,
    /// What would end a membership.
    #[param(value_type = Option<schema::OffboardOn>, inline)]
    offboard_on: Option<OffboardOn>,
}

/// Somebody whom the settings would affect.
#[derive(Serialize, ToSchema)]
struct Affected {
    /// Who.
    #[schema(value_type = schema::MemberId)]
    member: MemberId,
    /// What they call themselves.
    display_name: String,
    /// `suspended` by the next sync, or `refused_at_sign_in`.
    #[schema(pattern = "^(suspended|refused_at_sign_in)$")]
    effect: &'static str,
    /// How many private repositories they cannot access.
    missing: usize,
}

/// Whom the settings would affect.
#[derive(Serialize, ToSchema)]
pub(crate) struct Preview {
    /// The policy that was tried.
    #[schema(value_type = schema::Policy)]
    policy: Policy,
    /// What would end a membership.
    #[schema(value_type = schema::OffboardOn)]
    offboard_on: OffboardOn,
    /// Members who stand on Bitbucket alone: only these can be affected.
    considered: usize,
    /// How many would be suspended by the next sync.
    suspended: usize,
    /// How many would stay and be refused at their next sign-in.
    refused_at_sign_in: usize,
    /// Of how many it is not known yet what they can access. They would not be suspended.
    unknown: usize,
    /// Who they are, at most 500.
    #[schema(max_items = 500)]
    affected: Vec<Affected>,
}

/// Shows whom other settings would affect, and changes nothing.
#[utoipa::path(
    get, path = "/v1/workspaces/{workspace}/connection/preview", tag = "connection", operation_id = "preview_connection",
    params(("workspace" = schema::WorkspaceId, Path, description = "The workspace."), PreviewQuery),
    responses((status = 200, description = "Whom the settings would affect.", body = Preview)),
)]
pub(crate) async fn preview(
    State(app): State<App>,
    asked: InWorkspace,
    Query(query): Query<PreviewQuery>,
) -> Result<Json<Preview>, Failure> {
    let store = app.admin.store();
    let connected = store.connection(asked.workspace).await?.ok_or_else(Problem::not_found)?;
    let settings = &connected.connection.settings;
    let policy = query.policy.unwrap_or(settings.policy);
    let offboard_on = query.offboard_on.unwrap_or(settings.offboard_on);
    let now = app.admin.now();
    let coverages = store.coverages(asked.workspace).await?;
    let mut preview = Preview {
        policy,
        offboard_on,
        considered: 0,
        suspended: 0,
        refused_at_sign_in: 0,
        unknown: 0,
        affected: Vec::new(),
    };
    let stands_on_bitbucket = |member: &Member| {
        member.is_let_in(now)
            && member.by_bitbucket
            && !member.has_valid_invite(now)
            && member.account().is_some_and(|account| !settings.ignored.contains(&account))
    };
    for member in
        store.all_members(asked.workspace).await?.iter().filter(|member| stands_on_bitbucket(member))
    {
        preview.considered += 1;
        let coverage = coverages.get(&member.id);
        match coverage.and_then(|coverage| fulfils(policy, coverage)) {
            Some(true) => {}
            None if policy == Policy::WorkspaceMember => {}
            None => preview.unknown += 1,
            Some(false) => {
                let effect = match offboard_on {
                    OffboardOn::LostAccess => "suspended",
                    OffboardOn::LeftWorkspace => "refused_at_sign_in",
                };
                match offboard_on {
                    OffboardOn::LostAccess => preview.suspended += 1,
                    OffboardOn::LeftWorkspace => preview.refused_at_sign_in += 1,
                }
                if preview.affected.len() < MOST_NAMED {
                    preview.affected.push(Affected {
                        member: member.id,
                        display_name: member.display_name.clone(),
                        effect,
                        missing: coverage.map_or(0, |coverage| coverage.missing),
                    });
                }
            }
        }
    }
    Ok(Json(preview))
}

/// Whether a member fulfils a policy; `None`: not known.
fn fulfils(policy: Policy, coverage: &CoverageRow) -> Option<bool> {
    if policy == Policy::WorkspaceMember {
        return Some(true);
    }
    if coverage.of == 0 {
        return None;
    }
    let reached = coverage.of.saturating_sub(coverage.missing + coverage.unread);
    match policy {
        Policy::AllRepositories if coverage.missing > 0 => Some(false),
        Policy::AllRepositories if coverage.unread > 0 => None,
        Policy::AnyRepository if reached > 0 => Some(true),
        Policy::AnyRepository if coverage.unread > 0 => None,
        Policy::AnyRepository => Some(false),
        Policy::AllRepositories | Policy::WorkspaceMember => Some(true),
    }
}

#[cfg(test)]
mod tests {
    use rollcall_domain::Timestamp;

    use super::*;

    #[test]
    fn what_is_not_read_is_neither_yes_nor_no() {
        let row = |of, missing, unread| CoverageRow {
            member: MemberId::new(Timestamp::EPOCH, [0; 10]),
            of,
            missing,
            named: Vec::new(),
            unread,
        };
        for (row, all, any) in [
            (row(3, 0, 0), Some(true), Some(true)),
            (row(3, 1, 0), Some(false), Some(true)),
            (row(3, 1, 2), Some(false), None),
            (row(3, 0, 3), None, None),
            (row(3, 3, 0), Some(false), Some(false)),
            (row(0, 0, 0), None, None),
        ] {
            assert_eq!(fulfils(Policy::AllRepositories, &row), all, "{row:?}");
            assert_eq!(fulfils(Policy::AnyRepository, &row), any, "{row:?}");
            assert_eq!(fulfils(Policy::WorkspaceMember, &row), Some(true), "{row:?}");
        }
    }
}
