//! SES v2: `SendEmail`. What is sent goes into an outbox and no further.

pub(crate) mod page;

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::account::new_id;
use crate::aws::Aws;
use crate::protocol::{Answer, AwsError, answer, read};

/// A mail has at most so many recipients.
const MOST_RECIPIENTS: usize = 50;

/// What was sent, and who may send.
#[derive(Default)]
pub(crate) struct Mailbox {
    mails: Vec<Mail>,
    /// Empty: everybody may send.
    verified_senders: Vec<String>,
}

/// A mail that was sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mail {
    /// The id that SES gave it.
    pub id: String,
    /// Whom it is from.
    pub from: String,
    /// Whom it goes to.
    pub to: Vec<String>,
    /// Who gets a copy.
    pub cc: Vec<String>,
    /// Who gets a copy that the others do not see.
    pub bcc: Vec<String>,
    /// Where answers go.
    pub reply_to: Vec<String>,
    /// The subject.
    pub subject: String,
    /// The plain text.
    pub text: Option<String>,
    /// The HTML.
    pub html: Option<String>,
    /// Further header fields, in order.
    pub headers: Vec<(String, String)>,
    /// Tags, by which bounces are matched.
    pub tags: Vec<(String, String)>,
    /// The configuration set, by which bounces are told.
    pub configuration_set: Option<String>,
    /// When it was sent, in milliseconds since 1970.
    pub sent_at: i64,
}

/// What SES has sent, seen from the same process.
pub struct Outbox<'a>(pub(crate) &'a Aws);

impl Outbox<'_> {
    /// Every mail so far, oldest first.
    pub fn all(&self) -> Vec<Mail> {
        self.0.world().mailbox.mails.clone()
    }

    /// The mails to an address, oldest first.
    pub fn to(&self, address: &str) -> Vec<Mail> {
        self.all().into_iter().filter(|mail| mail.to.iter().any(|to| to == address)).collect()
    }

    /// From now on only verified senders may send.
    pub fn verify_sender(&self, address: &str) {
        self.0.world().mailbox.verified_senders.push(address.to_owned());
    }

    /// Empties the outbox.
    pub fn clear(&self) {
        self.0.world().mailbox.mails.clear();
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Send {
    from_email_address: Option<String>,
    #[serde(default)]
    destination: Destination,
    #[serde(default)]
    reply_to_addresses: Vec<String>,
    content: Content,
    #[serde(default)]
    email_tags: Vec<NamedValue>,
    configuration_set_name: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Destination {
    #[serde(rename = "ToAddresses")]
    to: Vec<String>,
    #[serde(rename = "CcAddresses")]
    cc: Vec<String>,
    #[serde(rename = "BccAddresses")]
    bcc: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Content {
    simple: Option<Simple>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Simple {
    subject: Data,
    body: Body,
    #[serde(default)]
    headers: Vec<NamedValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Body {
    text: Option<Data>,
    html: Option<Data>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Data {
    data: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct NamedValue {
    name: String,
    value: String,
}

impl From<NamedValue> for (String, String) {
    fn from(pair: NamedValue) -> Self {
        (pair.name, pair.value)
    }
}

/// `POST /v2/email/outbound-emails`.
pub(crate) async fn send_email(State(aws): State<Arc<Aws>>, body: Bytes) -> Response {
    answer(&aws, "SendEmail", &body, async |request| send(&aws, request)).await
}

fn send(aws: &Aws, request: Value) -> Answer {
    let request: Send = read(request)?;
    let bad = |message: &str| AwsError::refused("BadRequestException", message);
    let from = request.from_email_address.ok_or_else(|| bad("FromEmailAddress is missing."))?;
    let content = request.content.simple.ok_or_else(|| bad("This stand-in sends simple content only."))?;
    let Destination { to, cc, bcc } = request.destination;
    let recipients = to.len() + cc.len() + bcc.len();
    if !(1..=MOST_RECIPIENTS).contains(&recipients) {
        return Err(bad("A mail has between 1 and 50 recipients."));
    }
    let fields = content.headers.iter().flat_map(|field| [&field.name, &field.value]);
    let spoken = to.iter().chain(&cc).chain(&bcc).chain([&from, &content.subject.data]).chain(fields);
    if spoken.into_iter().any(|text| text.contains(['\r', '\n'])) {
        return Err(bad("A header field has a line break in it."));
    }
    if content.body.text.is_none() && content.body.html.is_none() {
        return Err(bad("The mail has no body."));
    }
    let now = aws.now();
    let mailbox = &mut aws.world().mailbox;
    let address = address_in(&from);
    let verified = &mailbox.verified_senders;
    if !verified.is_empty() && !verified.iter().any(|known| known.eq_ignore_ascii_case(address)) {
        let message =
            format!("Email address is not verified. The following identities failed the check: {address}");
        return Err(AwsError::refused("MessageRejected", message));
    }
    let id = new_id();
    mailbox.mails.push(Mail {
        id: id.clone(),
        from,
        to,
        cc,
        bcc,
        reply_to: request.reply_to_addresses,
        subject: content.subject.data,
        text: content.body.text.map(|part| part.data),
        html: content.body.html.map(|part| part.data),
        headers: content.headers.into_iter().map(Into::into).collect(),
        tags: request.email_tags.into_iter().map(Into::into).collect(),
        configuration_set: request.configuration_set_name,
        sent_at: now,
    });
    Ok(json!({ "MessageId": id }))
}

/// The address in `Name <address>`.
fn address_in(from: &str) -> &str {
    from.rsplit_once('<').and_then(|(_, rest)| rest.strip_suffix('>')).unwrap_or(from)
}
