//! Members: who they are, where they stand, and why.

pub(crate) mod change;
mod explanation;
mod look_up;
mod view;

use axum::extract::State;
use rollcall_admin::page::{Limit, List, Page};
use rollcall_admin::{Failure, InWorkspace, schema};
use rollcall_domain::member::{Member, Origin, State as MemberState};
use rollcall_domain::{MemberId, TeamId};
use rollcall_service::web::{EntityTag, Json, Path, Problem, Query};
use rollcall_store::Position;
use serde::Deserialize;
use utoipa::IntoParams;

use crate::App;
use explanation::{Explanation, Facts};
use look_up::Surroundings;
use view::{EntitlementView, MOST_NAMED, MOST_NAMED_IN_LISTS, MemberView};

/// As many members are looked at for one page of a filtered list.
const MOST_LOOKED_AT: usize = 1_000;

/// What else to show.
#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Include {
    Suspended,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum StateFilter {
    Active,
    Suspended,
    Disabled,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum CoverageFilter {
    All,
    Missing,
    Unknown,
}

/// Which members, and where in the list.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct MembersQuery {
    /// How many entries at most. A page of a filtered list can be shorter although more follow.
    #[param(value_type = Option<u16>, minimum = 1, maximum = 100)]
    limit: Option<Limit>,
    /// Where to go on: `next` of the page before.
    #[param(value_type = Option<schema::Cursor>, inline)]
    cursor: Option<String>,
    /// `suspended`: also those who are suspended or disabled.
    #[param(value_type = Option<String>, pattern = "^suspended$")]
    include: Option<Include>,
    /// Only those in this state: `active`, `suspended` or `disabled`.
    #[param(value_type = Option<schema::MemberState>, inline)]
    state: Option<StateFilter>,
    /// Only those whom this first let in.
    #[param(value_type = Option<schema::Origin>, inline)]
    origin: Option<Origin>,
    /// Only those of this team.
    #[param(value_type = Option<schema::TeamId>, inline)]
    team: Option<TeamId>,
    /// Only those who can access all private repositories, who miss some, or of whom it is not known: `all`, `missing` or `unknown`.
    #[param(value_type = Option<String>, pattern = "^(all|missing|unknown)$")]
    coverage: Option<CoverageFilter>,
}

impl MembersQuery {
    /// By the member alone.
    fn fits(&self, member: &Member) -> bool {
        let state = match member.state {
            MemberState::Active => StateFilter::Active,
            MemberState::Suspended { .. } => StateFilter::Suspended,
            MemberState::Disabled { .. } => StateFilter::Disabled,
        };
        let shown = match (self.state, self.include) {
            (Some(wanted), _) => state == wanted,
            (None, Some(Include::Suspended)) => true,
            (None, None) => state == StateFilter::Active,
        };
        shown && self.origin.is_none_or(|origin| member.origin == origin)
    }

    /// By what stands around the member.
    fn fits_around(&self, member: &Member, around: &Surroundings) -> bool {
        let coverage = around.coverage(member.id).map_or(CoverageFilter::Unknown, |row| match row {
            row if row.missing > 0 => CoverageFilter::Missing,
            row if row.covers_all() => CoverageFilter::All,
            _ => CoverageFilter::Unknown,
        });
        self.team.is_none_or(|team| around.teams(member).any(|of| of.id == team))
            && self.coverage.is_none_or(|wanted| wanted == coverage)
    }
}

/// Lists the members.
#[utoipa::path(
    get, path = "/v1/workspaces/{workspace}/members", tag = "members", operation_id = "list_members",
    params(("workspace" = schema::WorkspaceId, Path, description = "The workspace."), MembersQuery),
    responses((status = 200, description = "A page of the members.", body = Page<MemberView>)),
)]
pub(crate) async fn list(
    State(app): State<App>,
    asked: InWorkspace,
    Query(query): Query<MembersQuery>,
) -> Result<Json<Page<MemberView>>, Failure> {
    let keys = app.admin.keys().await?;
    let list = List::new(&keys.cursors, format!("{}/members", asked.workspace));
    let mut after: Option<Position> = list.start(query.cursor.as_deref())?;
    app.admin.workspace(asked.workspace).await?;
    let store = app.admin.store();
    let limit = query.limit.unwrap_or_default().get();
    let now = app.admin.now();
    let mut items = Vec::new();
    let mut looked_at = 0;
    loop {
        let page = store.members(asked.workspace, after.as_ref(), limit).await?;
        looked_at += page.items.len();
        let fitting: Vec<Member> = page.items.into_iter().filter(|member| query.fits(member)).collect();
        let around = Surroundings::of(store, asked.workspace, &fitting, MOST_NAMED_IN_LISTS).await?;
        for member in fitting.iter().filter(|member| query.fits_around(member, &around)) {
            if items.len() == limit {
                // The rest of what was read is the next page's.
                return Ok(Json(list.page(items, after.as_ref())?));
            }
            items.push(around.view(member, now));
            after = Some(Position(member.id.to_string()));
        }
        after = page.next;
        if after.is_none() || items.len() == limit || looked_at >= MOST_LOOKED_AT {
            return Ok(Json(list.page(items, after.as_ref())?));
        }
    }
}

/// The places in a path.
#[derive(Deserialize)]
pub(crate) struct Place {
    member: MemberId,
}

/// Shows a member.
#[utoipa::path(
    get, path = "/v1/workspaces/{workspace}/members/{member}", tag = "members", operation_id = "get_member",
    params(
        ("workspace" = schema::WorkspaceId, Path, description = "The workspace."),
        ("member" = schema::MemberId, Path, description = "The member."),
    ),
    responses((status = 200, description = "The member.", body = MemberView, headers(("ETag" = String, description = "Its version, for `If-Match`.")))),
)]
pub(crate) async fn read(
    State(app): State<App>,
    asked: InWorkspace,
    Path(Place { member }): Path<Place>,
) -> Result<impl axum::response::IntoResponse, Failure> {
    let member = find(&app, &asked, member).await?;
    shown(&app, &member).await
}

/// Says why a member is in or out: in words, and in data.
#[utoipa::path(
    get, path = "/v1/workspaces/{workspace}/members/{member}/explanation", tag = "members", operation_id = "explain_member",
    params(
        ("workspace" = schema::WorkspaceId, Path, description = "The workspace."),
        ("member" = schema::MemberId, Path, description = "The member."),
    ),
    responses((status = 200, description = "Why they are in or out.", body = Explanation)),
)]
pub(crate) async fn explain(
    State(app): State<App>,
    asked: InWorkspace,
    Path(Place { member }): Path<Place>,
) -> Result<Json<Explanation>, Failure> {
    let member = find(&app, &asked, member).await?;
    let store = app.admin.store();
    let now = app.admin.now();
    let connected = store.connection(asked.workspace).await?;
    let state = store.sync_state(asked.workspace).await?;
    let around = Surroundings::of(store, asked.workspace, std::slice::from_ref(&member), MOST_NAMED).await?;
    let facts = Facts {
        member: &member,
        connection: connected.as_ref().map(|connected| &connected.connection),
        in_bitbucket: member.account().map(|account| around.is_present(account)),
        coverage: around.coverage_view(member.id),
        members_read_at: state.members.succeeded_at,
        now,
    };
    let invite = member.by_invite.as_ref().map(|invite| EntitlementView::new(invite, now));
    Ok(Json(Explanation::new(facts, invite)))
}

async fn find(app: &App, asked: &InWorkspace, member: MemberId) -> Result<Member, Failure> {
    Ok(app.admin.store().member(asked.workspace, member).await?.ok_or_else(Problem::not_found)?)
}

async fn shown(app: &App, member: &Member) -> Result<(EntityTag, Json<MemberView>), Failure> {
    let around =
        Surroundings::of(app.admin.store(), member.workspace, std::slice::from_ref(member), MOST_NAMED)
            .await?;
    Ok((EntityTag::of_version(member.version), Json(around.view(member, app.admin.now()))))
}
