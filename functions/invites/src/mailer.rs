//! Sending mail: by Amazon SES, or whatever stands in for it.

use aws_sdk_sesv2::error::{DisplayErrorContext, ProvideErrorMetadata as _};
use aws_sdk_sesv2::types::{Body, Content, Destination, EmailContent, Message, MessageTag};
use futures_util::future::BoxFuture;
use rollcall_domain::identity::EmailAddress;
use rollcall_domain::{InviteId, WorkspaceId};
use thiserror::Error;

use crate::mail::Mail;

/// The tags of a mail, by which a bounce or complaint finds its invite again.
pub const WORKSPACE_TAG: &str = "rollcall-workspace";
/// See [`WORKSPACE_TAG`].
pub const INVITE_TAG: &str = "rollcall-invite";

/// A mail was not taken.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NotSent {
    /// The service refuses this mail, and would refuse it again.
    #[error(
        "the mail service refuses the mail ({code}); is the sender verified, and is SES out of its sandbox?"
    )]
    Refused {
        /// The service's own code.
        code: String,
    },
    /// The service does not answer, or asks to be left alone for a while.
    #[error("the mail service did not take the mail: {why}")]
    Unavailable {
        /// What happened.
        why: String,
    },
}

/// What a mail is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct About {
    /// The workspace.
    pub workspace: WorkspaceId,
    /// The invite.
    pub invite: InviteId,
}

/// Takes mails.
pub trait Mailer: Send + Sync {
    /// Hands a mail over. Being taken is not being delivered.
    fn send<'a>(&'a self, mail: &'a Mail, about: About) -> BoxFuture<'a, Result<(), NotSent>>;
}

/// Amazon SES.
pub struct Ses {
    client: aws_sdk_sesv2::Client,
    sender: EmailAddress,
}

impl Ses {
    /// With the sender that is verified there.
    pub fn new(client: aws_sdk_sesv2::Client, sender: EmailAddress) -> Self {
        Self { client, sender }
    }
}

impl Mailer for Ses {
    fn send<'a>(&'a self, mail: &'a Mail, about: About) -> BoxFuture<'a, Result<(), NotSent>> {
        Box::pin(async move {
            let content = content(mail).map_err(|_| NotSent::Refused { code: "incomplete".to_owned() })?;
            let answer = self
                .client
                .send_email()
                .from_email_address(self.sender.as_str())
                .destination(Destination::builder().to_addresses(mail.to.as_str()).build())
                .content(content)
                .set_email_tags(Some(tags(about)))
                .send()
                .await;
            match answer {
                Ok(_) => Ok(()),
                Err(error) => Err(match error.code() {
                    Some(
                        code @ ("TooManyRequestsException" | "LimitExceededException" | "InternalFailure"),
                    ) => NotSent::Unavailable { why: code.to_owned() },
                    Some(code) => NotSent::Refused { code: code.to_owned() },
                    None => NotSent::Unavailable { why: one_line(&DisplayErrorContext(&error).to_string()) },
                }),
            }
        })
    }
}

fn tags(about: About) -> Vec<MessageTag> {
    [(WORKSPACE_TAG, about.workspace.to_string()), (INVITE_TAG, about.invite.to_string())]
        .into_iter()
        .filter_map(|(name, value)| MessageTag::builder().name(name).value(value).build().ok())
        .collect()
}

fn content(mail: &Mail) -> Result<EmailContent, aws_sdk_sesv2::error::BuildError> {
    let text = |text: &str| Content::builder().data(text).charset("UTF-8").build();
    let body = Body::builder().text(text(&mail.text)?).html(text(&mail.html)?).build();
    let message = Message::builder().subject(text(&mail.subject)?).body(body).build();
    Ok(EmailContent::builder().simple(message).build())
}

/// The first line of an SDK error, which ends in a dump of the failed operation.
fn one_line(text: &str) -> String {
    let first = text.split_once(" (").map_or(text, |(first, _)| first);
    first.chars().filter(|c| !c.is_control()).take(200).collect()
}
