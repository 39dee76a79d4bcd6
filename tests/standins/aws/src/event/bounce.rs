//! What SES tells about mails that did not arrive, as it comes through `EventBridge`.

use serde_json::{Value, json};

use crate::account::{ACCOUNT, REGION, arn, new_id};
use crate::event::rfc3339;
use crate::mail::Mail;

/// What became of a mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Feedback {
    /// The recipient's server refuses the address for good.
    PermanentBounce,
    /// The recipient's server refuses it for now (a full mailbox).
    TransientBounce,
    /// The recipient says that it is spam.
    Complaint,
    /// It arrived.
    Delivery,
}

/// The event about a mail and one of its recipients, at a time in milliseconds since 1970.
pub fn mail_feedback(mail: &Mail, recipient: &str, feedback: Feedback, at: i64) -> Value {
    let time = rfc3339(at);
    let bounce = |kind: &str, sub_kind: &str| {
        json!({
            "bounceType": kind,
            "bounceSubType": sub_kind,
            "bouncedRecipients": [{
                "emailAddress": recipient,
                "action": "failed",
                "status": "5.1.1",
                "diagnosticCode": "smtp; 550 5.1.1 user unknown",
            }],
            "timestamp": time,
            "feedbackId": new_id(),
            "reportingMTA": "dns; mail.example",
        })
    };
    let (detail_type, event_type, member, told) = match feedback {
        Feedback::PermanentBounce => ("Email Bounced", "Bounce", "bounce", bounce("Permanent", "General")),
        Feedback::TransientBounce => {
            ("Email Bounced", "Bounce", "bounce", bounce("Transient", "MailboxFull"))
        }
        Feedback::Complaint => (
            "Email Complaint Received",
            "Complaint",
            "complaint",
            json!({
                "complainedRecipients": [{"emailAddress": recipient}],
                "timestamp": time,
                "feedbackId": new_id(),
                "complaintFeedbackType": "abuse",
            }),
        ),
        Feedback::Delivery => (
            "Email Delivered",
            "Delivery",
            "delivery",
            json!({"timestamp": time, "recipients": [recipient], "processingTimeMillis": 812, "smtpResponse": "250 OK"}),
        ),
    };
    let address =
        mail.from.rsplit_once('<').map_or(mail.from.as_str(), |(_, rest)| rest.trim_end_matches('>'));
    let mut detail = json!({"eventType": event_type, "mail": about(mail)});
    detail[member] = told;
    json!({
        "version": "0",
        "id": new_id(),
        "detail-type": detail_type,
        "source": "aws.ses",
        "account": ACCOUNT,
        "time": time,
        "region": REGION,
        "resources": [arn("ses", &format!("identity/{address}"))],
        "detail": detail,
    })
}

fn about(mail: &Mail) -> Value {
    let tags: serde_json::Map<String, Value> =
        mail.tags.iter().map(|(name, value)| (name.clone(), json!([value]))).collect();
    json!({
        "timestamp": rfc3339(mail.sent_at),
        "source": mail.from,
        "sendingAccountId": ACCOUNT,
        "messageId": mail.id,
        "destination": mail.to,
        "headersTruncated": false,
        "headers": [],
        "commonHeaders": {"from": [mail.from], "to": mail.to, "messageId": mail.id, "subject": mail.subject},
        "tags": tags,
    })
}
