//! `POST /token`: codes, refresh tokens and machines' own credentials become tokens (RFC 6749 §3.2).

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use futures_util::future::join;
use http::HeaderMap;
use rollcall_domain::Timestamp;
use rollcall_domain::audit::Actor;
use rollcall_identity::FailedCheck as _;
use rollcall_identity::provider::{
    AuthorizationCode, Client, CodeRecord, CodeRefused, Grant, GrantRequest, Issue, RefreshFamily,
    RefreshLimits, RefreshToken, Rotated, TokenAnswer, TokenError, TokenRequest,
};
use rollcall_service::web::ClientAddress;
use rollcall_store::StoreError;
use serde_json::json;

use super::client;
use super::refused::Refused;
use super::standing::{self, Fallen};
use crate::app::{App, Derived};
use crate::audit::{Trail, What};
use rollcall_identity::provider::{CodeRow, GrantRow};

/// A request of a client that has proved who it is.
struct Asked<'a> {
    app: &'a App,
    derived: &'a Derived,
    client: &'a Client,
    trail: &'a Trail,
    now: Timestamp,
}

/// Serves a request.
pub async fn token(
    State(app): State<App>,
    ClientAddress(address): ClientAddress,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refused> {
    let derived = app.derived().await?;
    let request = TokenRequest::parse(&body, client::authorization(&headers)?)?;
    let client = client::proved(&app, &derived, address, &request.client).await?;
    let trail = Trail::new(&app, address);
    let asked = Asked { app: &app, derived: &derived, client: &client, trail: &trail, now: app.now() };
    let answer = match &request.grant {
        GrantRequest::Code { code, redirect_uri, verifier } => {
            let code = code.as_ref().ok_or_else(|| Refused::grant("code.form"))?;
            let row = app.store().code::<CodeRow>(code.hash()).await?;
            let row = row.ok_or_else(|| Refused::grant("code.unknown"))?;
            match row.record.redeem(client.id, redirect_uri, verifier, asked.now) {
                Ok(_) => redeem(&asked, code, row).await?,
                Err(refused) => {
                    if refused == CodeRefused::Reused {
                        revoke(&asked, &row.record.grant, refused.check()).await?;
                    }
                    return Err(Refused::grant(refused.check()));
                }
            }
        }
        GrantRequest::Refresh { token, scope } => {
            let token = token.as_ref().ok_or_else(|| Refused::grant("refresh.form"))?;
            refresh(&asked, token, scope.as_deref()).await?
        }
        GrantRequest::ClientCredentials { scope } => {
            let machine = client.machine_access(scope.as_deref())?;
            derived.issuer.machine_answer(client.id, machine, asked.now, app.bytes())?
        }
    };
    Ok(Json(answer).into_response())
}

async fn redeem(asked: &Asked<'_>, code: &AuthorizationCode, row: CodeRow) -> Result<TokenAnswer, Refused> {
    let Asked { app, client, now, .. } = *asked;
    let grant = &row.record.grant;
    standing::serves(client, grant).map_err(fallen)?;
    let member = standing::member_in_session(app, grant, row.session_hash, now).await.map_err(fallen)?;
    let about = standing::about(app, &member).await?;

    let Rotated { family, token } = RefreshFamily::begin(grant, now, app.bytes(), app.bytes());
    let kept = GrantRow { family, session_hash: row.session_hash };
    let refresh = kept.is_offline().then_some(&token);
    let issue = Issue { grant, scopes: grant.scopes, about: &about, client, refresh };
    // Signed first: a code that was redeemed for nothing would be lost.
    let answer = asked.derived.issuer.answer(&issue, now, app.bytes())?;

    let limits = app.session_limits();
    let redeemed = CodeRow {
        record: CodeRecord { redeemed_at: Some(now), ..row.record.clone() },
        session_hash: row.session_hash,
    };
    let begun = (grant.id, grant.workspace, grant.member, &kept, kept.ends_at(limits));
    let until = kept.code_kept_until(limits);
    match app.store().redeem_code(code.hash(), &redeemed, until, row.session_hash, begun).await {
        Ok(true) => Ok(answer),
        // Somebody redeemed it at the same moment: that is a second use as well.
        Ok(false) => {
            revoke(asked, grant, CodeRefused::Reused.check()).await?;
            Err(Refused::grant(CodeRefused::Reused.check()))
        }
        Err(StoreError::Conflict { what: "session" }) => Err(fallen(Fallen::NoSession)),
        Err(error) => Err(error.into()),
    }
}

async fn refresh(
    asked: &Asked<'_>,
    token: &RefreshToken,
    scope: Option<&str>,
) -> Result<TokenAnswer, Refused> {
    let Asked { app, client, now, .. } = *asked;
    let row = app.store().family::<GrantRow>(token.family()).await?;
    let row = row.ok_or_else(|| Refused::grant("refresh.unknown"))?;
    let grant = &row.family.grant;
    let (member, not_ended) =
        join(app.store().member(grant.workspace, grant.member), standing::not_ended(app, grant)).await;
    let member = member?;
    not_ended.map_err(fallen)?;
    let epoch = member.as_ref().map_or(grant.epoch, |member| member.epoch);
    let limits = RefreshLimits::default();
    let rotated = row.family.rotate(token, client.id, epoch, limits, now, app.bytes());
    let Rotated { family, token } = match rotated {
        Ok(rotated) => rotated,
        Err(refused) => {
            if refused.revokes_family() {
                revoke(asked, grant, refused.check()).await?;
            }
            return Err(Refused::grant(refused.check()));
        }
    };
    // Whoever was suspended or disabled is refused at once, and so is everything issued before what voided it.
    let member = member.ok_or(Fallen::Member).map_err(fallen)?;
    if !member.is_let_in(now) {
        return Err(fallen(Fallen::NotLetIn));
    }
    standing::serves(client, grant).map_err(fallen)?;
    let scopes = grant.scopes.narrowed(scope).ok_or(TokenError::InvalidScope)?;
    let about = standing::about(app, &member).await?;
    let rotated = GrantRow { family, session_hash: row.session_hash };
    let grant = &rotated.family.grant;
    let issue = Issue { grant, scopes, about: &about, client, refresh: Some(&token) };
    let answer = asked.derived.issuer.answer(&issue, now, app.bytes())?;
    let ends = rotated.ends_at(app.session_limits());
    if app.store().rotate_family(grant.id, &rotated, row.family.current, ends).await? {
        return Ok(answer);
    }
    // Somebody used the same token at the same moment. Which of the two has copied it cannot be told.
    revoke(asked, grant, "refresh.reused").await?;
    Err(Refused::grant("refresh.reused"))
}

/// Revokes all that a sign-in gave, because a part of it was used twice: somebody has copied it.
async fn revoke(asked: &Asked<'_>, grant: &Grant, check: &'static str) -> Result<(), Refused> {
    let app = asked.app;
    app.store().revoke_family(grant.id).await?;
    tracing::warn!(check, grant = %grant.id, client = %grant.client, member = %grant.member, "a grant is revoked");
    app.metrics().record().count("GrantsRevokedByReuse", 1).write();
    let entry = asked.trail.entry(
        app,
        What {
            workspace: Some(grant.workspace),
            actor: Actor::System,
            action: "grant.revoked",
            target: Some(grant.member.to_string()),
            why: "a code or refresh token was used twice, so that it may have been copied",
            detail: json!({ "check": check, "grant": grant.id, "client": grant.client, "session": grant.session }),
        },
    );
    // The grant is gone whether or not that can be noted.
    if let Err(error) = app.store().note(&entry).await {
        tracing::error!(%error, "a revoked grant could not be noted in the audit trail");
    }
    Ok(())
}

fn fallen(fallen: Fallen) -> Refused {
    match fallen {
        Fallen::Store(error) => error.into(),
        fallen => Refused::grant(fallen.check()),
    }
}
