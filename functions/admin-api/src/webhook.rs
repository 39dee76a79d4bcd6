//! A workspace's webhook: where its events are posted, signed (Standard Webhooks).

use axum::extract::State;
use http::StatusCode;
use rollcall_admin::{Act, Failure, InWorkspace, schema};
use rollcall_delivery::webhook::{FORMER_LASTS, SigningSecret, parse_url};
use rollcall_domain::Timestamp;
use rollcall_service::rfc3339;
use rollcall_service::web::{EntityTag, FieldError, IfMatch, Json, Problem};
use rollcall_store::Record;
use rollcall_store::deliveries::{Failing, Progress, Webhook};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use crate::App;

/// That a webhook does not take what it is told.
#[derive(Serialize, ToSchema)]
#[schema(as = WebhookFailing)]
struct FailingView {
    /// Since when.
    #[serde(with = "rfc3339::serde")]
    #[schema(value_type = schema::Time)]
    since: Timestamp,
    /// How often it was tried.
    tries: u32,
    /// When it is tried again.
    #[serde(with = "rfc3339::serde")]
    #[schema(value_type = schema::Time)]
    again_at: Timestamp,
    /// What came of the last attempt.
    why: String,
}

impl From<&Failing> for FailingView {
    fn from(failing: &Failing) -> Self {
        Self {
            since: failing.since,
            tries: failing.tries,
            again_at: failing.again_at,
            why: failing.why.clone(),
        }
    }
}

/// A webhook, without its secret.
#[derive(Serialize, ToSchema)]
#[schema(as = Webhook)]
pub(crate) struct WebhookView {
    /// Where events are posted.
    url: String,
    /// When it was registered.
    #[serde(with = "rfc3339::serde")]
    #[schema(value_type = schema::Time)]
    created_at: Timestamp,
    /// Whether it fails; `null` while it takes what it is told.
    #[schema(required)]
    failing: Option<FailingView>,
}

impl WebhookView {
    fn new(webhook: &Webhook, progress: &Progress) -> Self {
        Self {
            url: webhook.url.clone(),
            created_at: webhook.created_at,
            failing: progress.failing.as_ref().map(FailingView::from),
        }
    }
}

/// A webhook with a secret that was just made.
#[derive(Serialize, ToSchema)]
pub(crate) struct MadeWebhook {
    /// About it.
    #[serde(flatten)]
    about: WebhookView,
    /// What its messages are signed with, shown this once; `null` where only the address was changed.
    #[schema(required)]
    secret: Option<String>,
}

/// A webhook to register, or the new address of one.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PutWebhook {
    /// Where events are posted: an `https:` address of the public internet.
    #[schema(max_length = 2000, pattern = "^https?://[!-~]+$", example = "https://app.example.com/rollcall")]
    url: String,
}

/// Shows the webhook.
#[utoipa::path(
    get, path = "/v1/workspaces/{workspace}/webhook", tag = "webhook", operation_id = "get_webhook",
    params(("workspace" = schema::WorkspaceId, Path, description = "The workspace.")),
    responses((status = 200, description = "The webhook.", body = WebhookView, headers(("ETag" = String, description = "Its version, for `If-Match`.")))),
)]
pub(crate) async fn read(
    State(app): State<App>,
    asked: InWorkspace,
) -> Result<impl axum::response::IntoResponse, Failure> {
    let webhook = find(&app, &asked).await?;
    let progress = app.admin.store().progress(asked.workspace).await?;
    Ok((EntityTag::of_version(webhook.version), Json(WebhookView::new(&webhook, &progress))))
}

/// Registers the webhook, or changes its address. A new one hears of what happens from now on, and its secret is shown in this answer
/// and never again.
#[utoipa::path(
    put, path = "/v1/workspaces/{workspace}/webhook", tag = "webhook", operation_id = "put_webhook",
    params(
        ("workspace" = schema::WorkspaceId, Path, description = "The workspace."),
        ("If-Match" = Option<String>, Header, description = "The `ETag` of what is to be changed."),
    ),
    request_body = PutWebhook,
    responses(
        (status = 200, description = "The webhook with its new address.", body = MadeWebhook, headers(("ETag" = String, description = "Its version, for `If-Match`."))),
        (status = 201, description = "The webhook.", body = MadeWebhook, headers(("ETag" = String, description = "Its version, for `If-Match`."))),
    ),
)]
pub(crate) async fn put(
    State(app): State<App>,
    asked: InWorkspace,
    if_match: Option<IfMatch>,
    Json(put): Json<PutWebhook>,
) -> Result<impl axum::response::IntoResponse, Failure> {
    let url = address(&app, &put.url)?;
    let store = app.admin.store();
    app.admin.workspace(asked.workspace).await?;
    let (before, progress) =
        futures_util::future::try_join(store.webhook(asked.workspace), store.progress(asked.workspace))
            .await?;
    if let Some(if_match) = if_match {
        let tag = before.as_ref().map(|webhook| EntityTag::of_version(webhook.version));
        if_match.check(&tag.ok_or_else(Problem::not_found)?)?;
    }
    let now = app.admin.now();
    let record = |action, why: &str| {
        let act = Act {
            workspace: Some(asked.workspace),
            action,
            target: Some(asked.workspace.to_string()),
            why: why.to_owned(),
            detail: json!({ "url": url }),
        };
        Record { audit: vec![app.admin.audit(&asked.caller, now, act)], events: Vec::new() }
    };
    let (status, webhook, secret) = if let Some(before) = before {
        let after = Webhook { url: url.clone(), ..before };
        let record = record("webhook.changed", "An admin changed the address of the webhook.");
        (StatusCode::OK, store.put_webhook(&after, false, record).await?, None)
    } else {
        let secret = SigningSecret::new(rollcall_service::random::bytes(app.admin.random()));
        let keys = app.admin.keys().await?;
        let webhook = Webhook {
            workspace: asked.workspace,
            url: url.clone(),
            sealed_secret: sealed(&secret, &keys.sealing, &asked)?,
            former: None,
            created_at: now,
            version: 0,
        };
        let record = record("webhook.created", "An admin registered a webhook.");
        (StatusCode::CREATED, store.put_webhook(&webhook, true, record).await?, Some(secret))
    };
    let progress = if secret.is_some() { Progress::default() } else { progress };
    let made =
        MadeWebhook { about: WebhookView::new(&webhook, &progress), secret: secret.as_ref().map(shown) };
    Ok((status, EntityTag::of_version(webhook.version), Json(made)))
}

/// Makes a new signing secret, shown in this answer and never again. For a day, messages are signed with the former one too.
#[utoipa::path(
    post, path = "/v1/workspaces/{workspace}/webhook/rotate", tag = "webhook", operation_id = "rotate_webhook_secret",
    params(("workspace" = schema::WorkspaceId, Path, description = "The workspace.")),
    responses((status = 200, description = "The webhook with its new secret.", body = MadeWebhook, headers(("ETag" = String, description = "Its version, for `If-Match`.")))),
)]
pub(crate) async fn rotate(
    State(app): State<App>,
    asked: InWorkspace,
) -> Result<impl axum::response::IntoResponse, Failure> {
    let before = find(&app, &asked).await?;
    let progress = app.admin.store().progress(asked.workspace).await?;
    let now = app.admin.now();
    let secret = SigningSecret::new(rollcall_service::random::bytes(app.admin.random()));
    let keys = app.admin.keys().await?;
    let after = Webhook {
        sealed_secret: sealed(&secret, &keys.sealing, &asked)?,
        former: Some((before.sealed_secret.clone(), now.plus(FORMER_LASTS))),
        ..before
    };
    let act = Act {
        workspace: Some(asked.workspace),
        action: "webhook.rotated",
        target: Some(asked.workspace.to_string()),
        why: "An admin made a new signing secret for the webhook.".to_owned(),
        detail: json!({}),
    };
    let record = Record { audit: vec![app.admin.audit(&asked.caller, now, act)], events: Vec::new() };
    let webhook = app.admin.store().put_webhook(&after, false, record).await?;
    let made = MadeWebhook { about: WebhookView::new(&webhook, &progress), secret: Some(shown(&secret)) };
    Ok((EntityTag::of_version(webhook.version), Json(made)))
}

/// Removes the webhook. What happened meanwhile can be read at `GET /v1/events`.
#[utoipa::path(
    delete, path = "/v1/workspaces/{workspace}/webhook", tag = "webhook", operation_id = "delete_webhook",
    params(
        ("workspace" = schema::WorkspaceId, Path, description = "The workspace."),
        ("If-Match" = Option<String>, Header, description = "The `ETag` of what is to be removed."),
    ),
    responses((status = 204, description = "The webhook is removed.")),
)]
pub(crate) async fn delete(
    State(app): State<App>,
    asked: InWorkspace,
    if_match: Option<IfMatch>,
) -> Result<StatusCode, Failure> {
    let webhook = find(&app, &asked).await?;
    if let Some(if_match) = if_match {
        if_match.check(&EntityTag::of_version(webhook.version))?;
    }
    let act = Act {
        workspace: Some(asked.workspace),
        action: "webhook.deleted",
        target: Some(asked.workspace.to_string()),
        why: "An admin removed the webhook.".to_owned(),
        detail: json!({ "url": webhook.url }),
    };
    let record =
        Record { audit: vec![app.admin.audit(&asked.caller, app.admin.now(), act)], events: Vec::new() };
    app.admin.store().delete_webhook(&webhook, record).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn find(app: &App, asked: &InWorkspace) -> Result<Webhook, Failure> {
    Ok(app.admin.store().webhook(asked.workspace).await?.ok_or_else(Problem::not_found)?)
}

fn address(app: &App, text: &str) -> Result<String, Problem> {
    let refused = |why: String| Problem::invalid(vec![FieldError::at("/url", why)]);
    if text.len() > 2000 {
        return Err(refused("has more than 2000 characters".to_owned()));
    }
    if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(refused("has characters that no URL has; write its name in ASCII (xn--…)".to_owned()));
    }
    let local = !app.admin.config().public_url.is_https();
    let url = parse_url(text, local).map_err(|error| refused(error.to_string()))?;
    Ok(url.into())
}

fn sealed(
    secret: &SigningSecret,
    keys: &rollcall_service::seal::SealingKeys,
    asked: &InWorkspace,
) -> Result<String, Problem> {
    secret.sealed(keys, asked.workspace).map_err(|error| {
        tracing::error!(%error, "a webhook's secret could not be sealed");
        Problem::internal()
    })
}

fn shown(secret: &SigningSecret) -> String {
    secret.shown().expose().to_owned()
}
