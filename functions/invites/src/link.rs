//! The link of an invite: the token in the fragment, which no browser sends to a server and no log has.

use rollcall_domain::{Secret, TokenHash};
use rollcall_service::config::Origin;
use rollcall_service::random::Random;

/// A new link. Only its hash is kept.
pub(crate) struct Link {
    token: Secret,
    url: String,
}

impl Link {
    /// With 128 new random bits.
    pub(crate) fn new(public_url: &Origin, random: &dyn Random) -> Self {
        let token = random.token_128();
        Self { url: format!("{}/invite#{}", public_url.as_str(), token.expose()), token }
    }

    /// The hash that the table keeps.
    pub(crate) fn hash(&self) -> TokenHash {
        TokenHash::of(&self.token)
    }

    /// The link, for the mail or the one answer that shows it.
    pub(crate) fn expose(&self) -> &str {
        &self.url
    }
}
