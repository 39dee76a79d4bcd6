//! The workspaces of the application.

use axum::extract::State;
use http::StatusCode;
use http::header::LOCATION;
use rollcall_admin::page::{Limit, List, Page};
use rollcall_admin::text::Name;
use rollcall_admin::{Act, Caller, Failure, InWorkspace, schema};
use rollcall_domain::invite::DomainRules;
use rollcall_domain::{Timestamp, WorkspaceId};
use rollcall_service::rfc3339;
use rollcall_service::web::{EntityTag, FieldError, IfMatch, Json, Problem, Query};
use rollcall_store::workspaces::Workspace;
use rollcall_store::{Position, Record};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::BTreeSet;
use utoipa::{IntoParams, ToSchema};

use crate::App;

/// Which addresses and tenants may be invited. Refusals win; an empty list of accepted ones accepts all.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = DomainRules)]
struct RulesView {
    /// Only these e-mail domains; empty: any.
    #[serde(default)]
    #[schema(value_type = Vec<schema::EmailDomain>, max_items = 500)]
    accepted_domains: Vec<String>,
    /// Never these e-mail domains.
    #[serde(default)]
    #[schema(value_type = Vec<schema::EmailDomain>, max_items = 500)]
    refused_domains: Vec<String>,
    /// Only these Microsoft tenants; empty: any.
    #[serde(default)]
    #[schema(value_type = Vec<schema::MicrosoftTenant>, max_items = 500)]
    accepted_tenants: Vec<String>,
    /// Never these Microsoft tenants.
    #[serde(default)]
    #[schema(value_type = Vec<schema::MicrosoftTenant>, max_items = 500)]
    refused_tenants: Vec<String>,
}

impl From<&DomainRules> for RulesView {
    fn from(rules: &DomainRules) -> Self {
        Self {
            accepted_domains: rules.accepted_domains.iter().cloned().collect(),
            refused_domains: rules.refused_domains.iter().cloned().collect(),
            accepted_tenants: rules.accepted_tenants.iter().cloned().collect(),
            refused_tenants: rules.refused_tenants.iter().cloned().collect(),
        }
    }
}

impl RulesView {
    fn into_rules(self) -> Result<DomainRules, Problem> {
        const MOST: usize = 500;
        let mut errors = Vec::new();
        let mut read = |name: &str, texts: &[String], fits: fn(&str) -> bool| {
            // Counted as they were sent, repetitions included.
            let texts: Vec<String> = texts.iter().map(|text| text.to_ascii_lowercase()).collect();
            if texts.len() > MOST {
                errors.push(FieldError::at(
                    format!("/invite_rules/{name}"),
                    format!("has more than {MOST} entries"),
                ));
            }
            if let Some(at) = texts.iter().position(|text| !fits(text)) {
                errors.push(FieldError::at(format!("/invite_rules/{name}/{at}"), "is not acceptable here"));
            }
            BTreeSet::from_iter(texts)
        };
        let rules = DomainRules {
            accepted_domains: read("accepted_domains", &self.accepted_domains, is_domain),
            refused_domains: read("refused_domains", &self.refused_domains, is_domain),
            accepted_tenants: read("accepted_tenants", &self.accepted_tenants, is_tenant),
            refused_tenants: read("refused_tenants", &self.refused_tenants, is_tenant),
        };
        if errors.is_empty() { Ok(rules) } else { Err(Problem::invalid(errors)) }
    }
}

/// What can stand behind the `@` of an address.
fn is_domain(text: &str) -> bool {
    format!("a@{text}").parse::<rollcall_domain::identity::EmailAddress>().is_ok()
}

fn is_tenant(text: &str) -> bool {
    text.len() == 36 && text.parse::<rollcall_domain::bitbucket::AccountUuid>().is_ok()
}

/// A language tag (RFC 5646), as far as it is looked at.
fn is_language(text: &str) -> bool {
    (2..=35).contains(&text.len())
        && text
            .split('-')
            .all(|part| (1..=8).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphanumeric()))
        && text.bytes().take(2).all(|b| b.is_ascii_alphabetic())
}

/// A workspace of the application.
#[derive(Serialize, ToSchema)]
#[schema(as = Workspace)]
pub(crate) struct WorkspaceView {
    /// Its id.
    #[schema(value_type = schema::WorkspaceId)]
    id: WorkspaceId,
    /// Its name.
    name: String,
    /// The language of its mails.
    language: String,
    /// Which addresses and tenants may be invited.
    invite_rules: RulesView,
    /// When it was made.
    #[serde(with = "rfc3339::serde")]
    #[schema(value_type = schema::Time)]
    created_at: Timestamp,
}

impl From<&Workspace> for WorkspaceView {
    fn from(workspace: &Workspace) -> Self {
        Self {
            id: workspace.id,
            name: workspace.name.clone(),
            language: workspace.language.clone(),
            invite_rules: RulesView::from(&workspace.invite_rules),
            created_at: workspace.created_at,
        }
    }
}

/// A workspace to make.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewWorkspace {
    /// Its name.
    #[schema(value_type = schema::Name)]
    name: Name,
    /// The language of its mails (RFC 5646). Default: `en`.
    #[schema(value_type = Option<schema::Language>)]
    language: Option<String>,
}

/// What is to change; what is left out stays.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct WorkspaceChange {
    /// Its name.
    #[schema(value_type = Option<schema::Name>)]
    name: Option<Name>,
    /// The language of its mails.
    #[schema(value_type = Option<schema::Language>)]
    language: Option<String>,
    /// Which addresses and tenants may be invited, all of it.
    invite_rules: Option<RulesView>,
}

/// Where in the list.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Paging {
    /// How many entries at most.
    #[param(value_type = Option<u16>, minimum = 1, maximum = 100)]
    pub(crate) limit: Option<Limit>,
    /// Where to go on: `next` of the page before.
    #[param(value_type = Option<schema::Cursor>, inline)]
    pub(crate) cursor: Option<String>,
}

/// Lists the workspaces. A credential that is bound to one workspace sees that one.
#[utoipa::path(
    get, path = "/v1/workspaces", tag = "workspaces", operation_id = "list_workspaces", params(Paging),
    responses((status = 200, description = "A page of the workspaces.", body = Page<WorkspaceView>)),
)]
pub(crate) async fn list(
    State(app): State<App>,
    caller: Caller,
    Query(paging): Query<Paging>,
) -> Result<Json<Page<WorkspaceView>>, Failure> {
    let keys = app.admin.keys().await?;
    let list = List::new(&keys.cursors, "workspaces");
    let after: Option<Position> = list.start(paging.cursor.as_deref())?;
    if let Some(only) = caller.workspace() {
        let workspace = app.admin.workspace(only).await?;
        return Ok(Json(list.page::<_, Position>(vec![WorkspaceView::from(&workspace)], None)?));
    }
    let page = app.admin.store().workspaces(after.as_ref(), paging.limit.unwrap_or_default().get()).await?;
    let items = page.items.iter().map(WorkspaceView::from).collect();
    Ok(Json(list.page(items, page.next.as_ref())?))
}

/// Makes a workspace.
#[utoipa::path(
    post, path = "/v1/workspaces", tag = "workspaces", operation_id = "create_workspace",
    request_body = NewWorkspace,
    responses((status = 201, description = "The workspace.", body = WorkspaceView, headers(("ETag" = String, description = "Its version, for `If-Match`."), ("Location" = String, description = "Where it is.")))),
)]
pub(crate) async fn create(
    State(app): State<App>,
    caller: Caller,
    Json(new): Json<NewWorkspace>,
) -> Result<impl axum::response::IntoResponse, Failure> {
    let now = app.admin.now();
    let language = new.language.unwrap_or_else(|| "en".to_owned());
    check_language(&language)?;
    let workspace = Workspace {
        id: app.admin.new_id(now),
        name: new.name.into(),
        language,
        invite_rules: DomainRules::default(),
        created_at: now,
        version: 1,
    };
    let act = Act {
        workspace: Some(workspace.id),
        action: "workspace.created",
        target: Some(workspace.id.to_string()),
        why: "A workspace was made.".to_owned(),
        detail: json!({ "name": workspace.name, "language": workspace.language }),
    };
    let record = Record { audit: vec![app.admin.audit(&caller, now, act)], events: Vec::new() };
    app.admin.store().create_workspace(&workspace, record).await?;
    let location = [(LOCATION, format!("/v1/workspaces/{}", workspace.id))];
    Ok((StatusCode::CREATED, location, EntityTag::of_version(1), Json(WorkspaceView::from(&workspace))))
}

/// Shows a workspace.
#[utoipa::path(
    get, path = "/v1/workspaces/{workspace}", tag = "workspaces", operation_id = "get_workspace",
    params(("workspace" = schema::WorkspaceId, Path, description = "The workspace.")),
    responses((status = 200, description = "The workspace.", body = WorkspaceView, headers(("ETag" = String, description = "Its version, for `If-Match`.")))),
)]
pub(crate) async fn read(
    State(app): State<App>,
    asked: InWorkspace,
) -> Result<impl axum::response::IntoResponse, Failure> {
    let workspace = app.admin.workspace(asked.workspace).await?;
    Ok((EntityTag::of_version(workspace.version), Json(WorkspaceView::from(&workspace))))
}

/// Changes a workspace's name, language or rules for invites.
#[utoipa::path(
    patch, path = "/v1/workspaces/{workspace}", tag = "workspaces", operation_id = "change_workspace",
    params(
        ("workspace" = schema::WorkspaceId, Path, description = "The workspace."),
        ("If-Match" = Option<String>, Header, description = "The `ETag` of what is to be changed."),
    ),
    request_body = WorkspaceChange,
    responses((status = 200, description = "The workspace as it is now.", body = WorkspaceView, headers(("ETag" = String, description = "Its version, for `If-Match`.")))),
)]
pub(crate) async fn change(
    State(app): State<App>,
    asked: InWorkspace,
    if_match: Option<IfMatch>,
    Json(change): Json<WorkspaceChange>,
) -> Result<impl axum::response::IntoResponse, Failure> {
    let now = app.admin.now();
    let before = app.admin.workspace(asked.workspace).await?;
    if let Some(if_match) = if_match {
        if_match.check(&EntityTag::of_version(before.version))?;
    }
    if let Some(language) = &change.language {
        check_language(language)?;
    }
    let mut after = before.clone();
    after.name = change.name.map_or(after.name, String::from);
    after.language = change.language.unwrap_or(after.language);
    after.invite_rules = change.invite_rules.map_or(Ok(after.invite_rules), RulesView::into_rules)?;
    if after == before {
        return Ok((EntityTag::of_version(before.version), Json(WorkspaceView::from(&before))));
    }
    let act = Act {
        workspace: Some(after.id),
        action: "workspace.changed",
        target: Some(after.id.to_string()),
        why: "An admin changed the workspace.".to_owned(),
        detail: json!({
            "before": WorkspaceView::from(&before),
            "after": WorkspaceView::from(&after),
        }),
    };
    let record = Record { audit: vec![app.admin.audit(&asked.caller, now, act)], events: Vec::new() };
    app.admin.store().update_workspace(&after, record).await?;
    Ok((EntityTag::of_version(after.version + 1), Json(WorkspaceView::from(&after))))
}

fn check_language(language: &str) -> Result<(), Problem> {
    if is_language(language) {
        Ok(())
    } else {
        Err(Problem::invalid(vec![FieldError::at("/language", "is not a language tag, as in en or de-AT")]))
    }
}
