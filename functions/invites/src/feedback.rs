//! What the mail service tells later: mails that came back, and recipients who complained.

use rollcall_admin::Admin;
use rollcall_domain::invite::{Delivery, Invite};
use rollcall_store::{Record, StoreError};
use serde_json::Value;

use crate::mailer::{About, INVITE_TAG, WORKSPACE_TAG};

/// What became of an event of the mail service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Feedback {
    /// The invite is marked.
    Marked,
    /// It tells of nothing that is marked: a delivery, a mailbox that is full for now, a mail that is none of an invite.
    Nothing,
}

/// Marks the invite that an event of SES is about (as it comes through `EventBridge`:
/// <https://docs.aws.amazon.com/ses/latest/dg/event-publishing-retrieving-sns-contents.html>).
///
/// An error means that the event is to be delivered again.
pub async fn note_feedback(admin: &Admin, event: &Value) -> Result<Feedback, StoreError> {
    let text = |pointer: &str| event.pointer(pointer).and_then(Value::as_str);
    let delivery = match (text("/detail/eventType"), text("/detail/bounce/bounceType")) {
        (Some("Bounce"), Some("Permanent")) => Delivery::Bounced,
        (Some("Complaint"), _) => Delivery::Complained,
        _ => return Ok(Feedback::Nothing),
    };
    let tag = |name: &str| text(&format!("/detail/mail/tags/{name}/0"));
    let about = tag(WORKSPACE_TAG).zip(tag(INVITE_TAG)).and_then(|(workspace, invite)| {
        Some(About { workspace: workspace.parse().ok()?, invite: invite.parse().ok()? })
    });
    let Some(about) = about else { return Ok(Feedback::Nothing) };
    set(admin, about, delivery).await
}

/// Marks an invite. That it could not be marked is written down, and is no reason to fail.
pub(crate) async fn mark(admin: &Admin, about: About, delivery: Delivery) {
    if let Err(error) = set(admin, about, delivery).await {
        tracing::warn!(%error, invite = %about.invite, "an invite could not be marked");
    }
}

async fn set(admin: &Admin, about: About, delivery: Delivery) -> Result<Feedback, StoreError> {
    let Some(before) = admin.store().invite(about.workspace, about.invite).await? else {
        return Ok(Feedback::Nothing);
    };
    if before.delivery == delivery {
        return Ok(Feedback::Marked);
    }
    let marked = Invite { delivery, ..before.clone() };
    admin.store().update_invite(&marked, &before, None, Record::default()).await?;
    Ok(Feedback::Marked)
}
