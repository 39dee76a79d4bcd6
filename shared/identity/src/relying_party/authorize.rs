//! Where the browser is sent to sign in.

use core::time::Duration;

use rollcall_domain::identity::Provider;
use url::Url;

use super::discovery::Metadata;
use super::transaction::LoginTransaction;

/// Exactly what is needed: who it is, what to call them, and a verified address.
const SCOPES: &str = "openid email profile";

/// What the provider is asked to show (OpenID Connect Core 1.0 §3.1.2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Prompt {
    /// The list of accounts, even if only one is signed in.
    SelectAccount,
    /// The sign-in form, even if somebody is signed in.
    Login,
}

/// What a login may be helped with.
#[derive(Debug, Clone, Default)]
pub struct AuthorizeHints {
    /// What to show.
    pub prompt: Option<Prompt>,
    /// The account that is expected, for example the address of an invite. It grants nothing.
    pub login_hint: Option<String>,
}

/// The authorization request to an OpenID provider. `None` for a login that was not started at one.
pub(crate) fn openid(
    metadata: &Metadata,
    client_id: &str,
    callback: &Url,
    login: &LoginTransaction,
    hints: &AuthorizeHints,
) -> Option<Url> {
    let proof = login.proof.as_ref()?;
    let mut url = metadata.authorization_endpoint.clone();
    {
        let mut query = url.query_pairs_mut();
        query
            .append_pair("response_type", "code")
            .append_pair("client_id", client_id)
            .append_pair("redirect_uri", callback.as_str())
            .append_pair("scope", SCOPES)
            // The other modes come back as a cross-site POST, for which browsers withhold the login cookie.
            .append_pair("response_mode", "query")
            .append_pair("state", login.state.expose())
            .append_pair("nonce", proof.nonce.expose())
            .append_pair("code_challenge", proof.verifier.challenge().as_str())
            .append_pair("code_challenge_method", "S256");
        let prompt = match (hints.prompt, login.provider) {
            (None, _) => None,
            // Google knows no `login`; the choice of accounts is the page that it can be asked to show.
            (Some(Prompt::SelectAccount), _) | (Some(Prompt::Login), Provider::Google) => {
                Some("select_account")
            }
            (Some(Prompt::Login), _) => Some("login"),
        };
        if let Some(prompt) = prompt {
            query.append_pair("prompt", prompt);
        }
        if let Some(hint) = hints.login_hint.as_deref().filter(|hint| hint.len() <= 320) {
            query.append_pair("login_hint", hint);
        }
        if let Some(age) = login.max_age.as_ref().map(Duration::as_secs) {
            query.append_pair("max_age", &age.to_string());
        }
    }
    Some(url)
}

/// The authorization request to Bitbucket Cloud at its web origin.
///
/// It has no PKCE, no nonce, and takes its scopes from the consumer's registration. The callback is sent although only one is
/// registered, because Bitbucket compares it: an answer can go nowhere else.
pub fn bitbucket_authorize_url(web: &Url, client_id: &str, callback: &Url, login: &LoginTransaction) -> Url {
    let mut url = web.clone();
    url.set_path("/site/oauth2/authorize");
    url.set_fragment(None);
    url.query_pairs_mut()
        .clear()
        .append_pair("response_type", "code")
        .append_pair("client_id", client_id)
        .append_pair("redirect_uri", callback.as_str())
        .append_pair("state", login.state.expose());
    url
}

#[cfg(test)]
mod tests {
    use super::super::discovery::ClientAuthentication;
    use super::super::transaction::tests::login;
    use super::*;
    use rollcall_domain::Timestamp;
    use std::collections::BTreeMap;

    fn pairs(url: &Url) -> BTreeMap<String, String> {
        let pairs: Vec<_> = url.query_pairs().into_owned().collect();
        let map: BTreeMap<_, _> = pairs.iter().cloned().collect();
        assert_eq!(map.len(), pairs.len(), "no parameter twice");
        map
    }

    #[test]
    fn bitbucket_gets_a_state_and_no_scope_nonce_or_challenge() {
        let login = login(Provider::Bitbucket, 1, Timestamp::EPOCH);
        let callback = Url::parse("https://rollcall.example/callback/bitbucket").unwrap();
        let url =
            bitbucket_authorize_url(&Url::parse("https://bitbucket.org").unwrap(), "key", &callback, &login);
        assert!(url.as_str().starts_with("https://bitbucket.org/site/oauth2/authorize?"));
        let pairs = pairs(&url);
        assert_eq!(
            pairs.keys().map(String::as_str).collect::<Vec<_>>(),
            ["client_id", "redirect_uri", "response_type", "state"]
        );
        assert_eq!(pairs["state"], login.state.expose());
        assert_eq!(pairs["redirect_uri"], callback.as_str());
    }

    #[test]
    fn an_openid_provider_gets_everything_that_ties_its_answer_to_this_login() {
        let metadata = Metadata {
            authorization_endpoint: Url::parse("https://op.example/authorize?tenant=1").unwrap(),
            token_endpoint: Url::parse("https://op.example/token").unwrap(),
            jwks_uri: Url::parse("https://op.example/jwks").unwrap(),
            client_authentication: ClientAuthentication::Post,
            answers_name_issuer: false,
        };
        let mut login = login(Provider::Microsoft, 1, Timestamp::EPOCH);
        login.max_age = Some(Duration::ZERO);
        let callback = Url::parse("https://rollcall.example/callback/google").unwrap();
        let hints =
            AuthorizeHints { prompt: Some(Prompt::Login), login_hint: Some("ada@example.com".into()) };
        let pairs = pairs(&openid(&metadata, "client", &callback, &login, &hints).unwrap());
        let expected = [
            ("tenant", "1"),
            ("response_type", "code"),
            ("scope", "openid email profile"),
            ("response_mode", "query"),
            ("code_challenge_method", "S256"),
            ("prompt", "login"),
            ("login_hint", "ada@example.com"),
            ("max_age", "0"),
            ("redirect_uri", callback.as_str()),
        ];
        for (name, value) in expected {
            assert_eq!(pairs[name], value, "{name}");
        }
        assert!(
            !pairs.values().any(|value| value == login.proof.as_ref().unwrap().verifier.secret().expose())
        );
    }
}
