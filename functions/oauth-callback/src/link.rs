//! Linking a second identity: both logins are shown, the session's and the new one, and nothing is merged by e-mail.

use axum::response::Response;
use futures_util::future::join;
use rollcall_domain::SessionId;
use rollcall_domain::audit::Actor;
use serde_json::json;

use crate::audit::What;
use crate::callback::Return;
use crate::failure::Failure;
use crate::{enter, login, redeem, session};

/// Finishes a login that was started to link an account to the member who is signed in with this session.
pub async fn finish(back: &Return<'_>, started_with: SessionId) -> Result<Response, Failure> {
    let provider = Some(back.login.provider);
    let current = session::current(back.app, back.headers).await?;
    let current = current
        .filter(|current| current.record.id == started_with)
        .ok_or(Failure::check(provider, "link.session"))?;
    let visitor = redeem::visitor(back).await?;
    let store = back.app.store();
    let before = current.member;
    let counted = login::limit_account(back.app, back.derived, &visitor.identity);
    let (counted, linked) =
        join(counted, store.member_by_identity(before.workspace, &visitor.identity)).await;
    counted?;
    match linked? {
        Some(other) if other.id != before.id => return Err(Failure::check(provider, "link.taken")),
        _ => {}
    }
    let mut member = before.clone();
    member.link(visitor.identity.clone());
    let audit = back.trail.entry(
        back.app,
        What {
            workspace: Some(member.workspace),
            actor: Actor::Member { id: member.id },
            action: "member.identity_linked",
            target: Some(member.id.to_string()),
            why: "signed in with both accounts",
            detail: json!({ "identity": visitor.identity }),
        },
    );
    enter::session(back, &visitor, member, Some(before), audit, Vec::new()).await
}
