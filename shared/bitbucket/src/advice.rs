//! What an operator can do about each error.

use crate::error::Error;

impl Error {
    /// What to do about it, in plain words.
    pub fn advice(&self) -> String {
        match self {
            Self::Unauthorized { .. } => {
                "The token was revoked, has expired or is of the wrong kind. Connect the workspace again with a fresh credential."
                    .to_owned()
            }
            Self::Forbidden { missing, .. } if !missing.is_empty() => format!(
                "Add the scope {} to the credential in Bitbucket, then connect again.",
                missing.join(", ")
            ),
            Self::Forbidden { .. } => {
                "The credential is valid but not allowed to read this. It usually has to be that of a workspace admin.".to_owned()
            }
            Self::NotFound { .. } => {
                "What was asked for is not there, or hidden from the credential. Check that the workspace still exists and that \
                 the credential still belongs to it."
                    .to_owned()
            }
            Self::Gone { change, .. } => format!(
                "Atlassian has switched this endpoint off{}. Nothing is removed meanwhile. Update Rollcall.",
                change.as_ref().map_or(String::new(), |change| format!(" ({change})"))
            ),
            Self::RateLimited { .. } | Self::Paused { .. } => {
                "Nothing to do: it goes on after a pause. If it happens often, something else uses the same credential; give \
                 Rollcall its own."
                    .to_owned()
            }
            Self::BudgetExhausted { .. } => {
                "Nothing to do: it goes on when calls are free again. A workspace access token (Bitbucket Premium) has a larger \
                 allowance."
                    .to_owned()
            }
            Self::BudgetUnavailable { .. } => {
                "The table that counts the calls cannot be reached. Check the function's access to DynamoDB.".to_owned()
            }
            Self::Unavailable { .. } | Self::Timeout { .. } | Self::Unreachable { .. } | Self::Cut { .. } => {
                "Usually passes by itself. If it stays, look at https://bitbucket.status.atlassian.com and at the function's network."
                    .to_owned()
            }
            Self::NotJson { .. } => {
                "Usually a maintenance page or a proxy in between. If it stays, check the configured Bitbucket addresses.".to_owned()
            }
            Self::Refused { .. } | Self::Unexpected { .. } => {
                "Bitbucket behaves differently from its description. Nothing is removed meanwhile. Look for an update of \
                 Rollcall, and report this message if there is none."
                    .to_owned()
            }
            Self::Redirected { .. } | Self::TooLarge { .. } => {
                "Something between here and Bitbucket answers in its place. Check the configured Bitbucket addresses and proxies."
                    .to_owned()
            }
            Self::WrongWorkspace { .. } => {
                "The workspace was renamed while it was read, and its old name went to somebody else. If it happens again, check \
                 which workspace the credential belongs to."
                    .to_owned()
            }
            Self::ForeignNext { .. } => {
                "Nothing was sent there. Check the configured Bitbucket addresses; if they are right, report this message.".to_owned()
            }
            Self::PagesOutOfOrder { .. } | Self::EndUnproven { .. } | Self::Unproven { .. } => {
                "Nothing to do: the listing changed while it was read, and is read again at the next run. If it stays, report \
                 this message."
                    .to_owned()
            }
            Self::Implausible { .. } => {
                "The credential probably sees only a part of the workspace. Check that it belongs to a workspace admin.".to_owned()
            }
            Self::Malformed { .. } => {
                "Those entries were left as they are. Report this message, so that they can be understood.".to_owned()
            }
            Self::ConsumerRefused { code, .. } if code == "invalid_grant" => {
                "Mark the OAuth consumer as a private consumer in Bitbucket's workspace settings.".to_owned()
            }
            Self::ConsumerRefused { .. } => {
                "Check the key and the secret of the OAuth consumer, and connect again with them.".to_owned()
            }
            Self::LockedOut { .. } => {
                "Rollcall waits some minutes before it asks again. If it stays, the secret is wrong: connect again with the right one."
                    .to_owned()
            }
            Self::CodeRefused { .. } => "Sign in again.".to_owned(),
        }
    }
}
