//! Authorization requests of applications (OpenID Connect Core 1.0 §3.1.2, RFC 7636, RFC 9207).

use core::time::Duration;

use rollcall_domain::{ClientId, WorkspaceId};
use url::Url;

use super::authorize_error::{AuthorizeError, AuthorizeRefused};
use super::client::Client;
use super::code::AuthorizationCode;
use super::grant::Scopes;
use crate::parameters::Parameters;
use crate::pkce::Challenge;

/// The longest `state` and `nonce`, in bytes. Some frameworks put what they have to remember into the state, encrypted.
const LONGEST_ECHO: usize = 1500;
/// The longest request, in bytes as it is written after a sign-in: until then it waits in the browser's login cookie.
const LONGEST_REQUEST: usize = 2350;
/// The longest time that `max_age` can ask for, in seconds: a year.
const LONGEST_AGE: u64 = 31_536_000;

/// What `prompt` asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Prompts {
    /// No page may be shown.
    pub none: bool,
    /// The person has to show who they are again.
    pub login: bool,
    /// The person has to choose an account.
    pub select_account: bool,
}

/// What `login_hint` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LoginHint {
    /// The workspace that is meant.
    Workspace(WorkspaceId),
    /// Something else, most often an address.
    Other(String),
}

/// The parameters of a request, before the client is known.
pub struct AuthorizeParameters {
    parameters: Parameters,
    client: ClientId,
}

/// A request that can be served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthorizeRequest {
    /// Which application asks.
    pub client: ClientId,
    /// Where it wants the answer.
    pub redirect_uri: String,
    /// What it asks for.
    pub scopes: Scopes,
    /// What it wants back as it is.
    pub state: Option<String>,
    /// What it wants to see in the ID token.
    pub nonce: Option<String>,
    /// Its PKCE challenge.
    pub challenge: Challenge,
    /// What is to be shown.
    pub prompts: Prompts,
    /// How long ago the sign-in may be.
    pub max_age: Option<Duration>,
    /// Who or what workspace is expected.
    pub login_hint: Option<LoginHint>,
    /// An earlier ID token of the person who is expected.
    pub id_token_hint: Option<String>,
}

impl AuthorizeParameters {
    /// Reads the raw query, without the `?`.
    pub fn parse(query: &str) -> Result<Self, AuthorizeRefused> {
        let parameters = Parameters::from_query(query)?;
        let client =
            parameters.text("client_id").and_then(|id| id.parse().ok()).ok_or(AuthorizeRefused::Client)?;
        Ok(Self { parameters, client })
    }

    /// Which client to look up.
    pub fn client(&self) -> ClientId {
        self.client
    }

    /// Checks everything else against the client that was found. `issuer` is ours, for the answer.
    pub fn check(self, client: Option<&Client>, issuer: &str) -> Result<AuthorizeRequest, AuthorizeRefused> {
        let client = client.filter(|client| client.id == self.client).ok_or(AuthorizeRefused::Client)?;
        let redirect_uri = self
            .parameters
            .text("redirect_uri")
            .filter(|uri| client.may_redirect_to(uri))
            .ok_or(AuthorizeRefused::RedirectUri)?;
        let target = Url::parse(redirect_uri).map_err(|_| AuthorizeRefused::RedirectUri)?;
        // From here on the application can be told.
        let state = self.parameters.text("state");
        self.read(redirect_uri).map_err(|(error, description)| AuthorizeRefused::Redirect {
            error,
            description,
            location: Box::new(error_location(
                target,
                error,
                description,
                state.filter(|state| state.len() <= LONGEST_ECHO),
                issuer,
            )),
        })
    }

    fn read(&self, redirect_uri: &str) -> Result<AuthorizeRequest, (AuthorizeError, &'static str)> {
        use AuthorizeError as E;
        let get = |name: &str| self.parameters.text(name);
        for (name, error) in [
            ("request", E::RequestNotSupported),
            ("request_uri", E::RequestUriNotSupported),
            ("registration", E::RegistrationNotSupported),
        ] {
            if get(name).is_some() {
                return Err((error, "request objects and registration in a request are not supported"));
            }
        }
        match get("response_type") {
            Some("code") => {}
            Some(_) => return Err((E::UnsupportedResponseType, "the only response_type is code")),
            None => return Err((E::InvalidRequest, "response_type is missing; it has to be code")),
        }
        if get("response_mode").is_some_and(|mode| mode != "query") {
            return Err((E::InvalidRequest, "the only response_mode is query"));
        }
        let scopes =
            get("scope").and_then(Scopes::parse).ok_or((E::InvalidScope, "the scope openid is missing"))?;
        if get("code_challenge_method") != Some("S256") {
            return Err((E::InvalidRequest, "PKCE is required, with code_challenge_method=S256"));
        }
        let challenge = get("code_challenge")
            .and_then(Challenge::parse)
            .ok_or((E::InvalidRequest, "code_challenge has to be the base64url SHA-256 of the verifier"))?;
        let echo = |name: &str| match get(name) {
            Some(text) if text.len() > LONGEST_ECHO => {
                Err((E::InvalidRequest, "state and nonce have at most 1500 bytes"))
            }
            other => Ok(other.map(str::to_owned)),
        };
        let max_age = match get("max_age") {
            None => None,
            Some(text) => Some(
                text.parse::<u64>()
                    .ok()
                    .filter(|age| *age <= LONGEST_AGE && text.bytes().all(|byte| byte.is_ascii_digit()))
                    .map(Duration::from_secs)
                    .ok_or((E::InvalidRequest, "max_age has to be a number of seconds"))?,
            ),
        };
        let request = AuthorizeRequest {
            client: self.client,
            redirect_uri: redirect_uri.to_owned(),
            scopes,
            state: echo("state")?,
            nonce: echo("nonce")?,
            challenge,
            prompts: get("prompt").map_or(Ok(Prompts::default()), prompts)?,
            max_age,
            login_hint: get("login_hint").filter(|hint| hint.len() <= 320).map(|hint| {
                hint.parse().map_or_else(|_| LoginHint::Other(hint.to_owned()), LoginHint::Workspace)
            }),
            id_token_hint: get("id_token_hint").map(str::to_owned),
        };
        if request.query_after_sign_in().len() > LONGEST_REQUEST {
            return Err((E::InvalidRequest, "state, nonce and redirect_uri are too long together"));
        }
        Ok(request)
    }
}

fn prompts(text: &str) -> Result<Prompts, (AuthorizeError, &'static str)> {
    let mut prompts = Prompts::default();
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        match word {
            "none" => prompts.none = true,
            "login" => prompts.login = true,
            "select_account" => prompts.select_account = true,
            // There is nothing to consent to: who may use the application, the workspace decides. Values of extensions are
            // left out, as the specification asks.
            _ => {}
        }
    }
    if prompts.none && text.trim() != "none" {
        return Err((AuthorizeError::InvalidRequest, "prompt=none stands alone"));
    }
    Ok(prompts)
}

impl AuthorizeRequest {
    /// Where the browser goes with a code.
    pub fn success(&self, code: &AuthorizationCode, issuer: &str) -> Result<Url, AuthorizeRefused> {
        let mut url = self.target()?;
        url.query_pairs_mut().append_pair("code", code.secret().expose());
        Ok(finished(url, self.state.as_deref(), issuer))
    }

    /// Where the browser goes with an error that came up later.
    pub fn failure(
        &self,
        error: AuthorizeError,
        description: &str,
        issuer: &str,
    ) -> Result<Url, AuthorizeRefused> {
        Ok(error_location(self.target()?, error, description, self.state.as_deref(), issuer))
    }

    /// The query of the same request for the time after a fresh sign-in, without what asks for that sign-in: else the browser would
    /// go in circles.
    pub fn query_after_sign_in(&self) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query
            .append_pair("client_id", &self.client.to_string())
            .append_pair("redirect_uri", &self.redirect_uri)
            .append_pair("response_type", "code")
            .append_pair("scope", &self.scopes.to_string())
            .append_pair("code_challenge", self.challenge.as_str())
            .append_pair("code_challenge_method", "S256");
        if let Some(state) = &self.state {
            query.append_pair("state", state);
        }
        if let Some(nonce) = &self.nonce {
            query.append_pair("nonce", nonce);
        }
        match &self.login_hint {
            Some(LoginHint::Workspace(workspace)) => {
                query.append_pair("login_hint", &workspace.to_string());
            }
            Some(LoginHint::Other(_)) | None => {}
        }
        query.finish()
    }

    fn target(&self) -> Result<Url, AuthorizeRefused> {
        Url::parse(&self.redirect_uri).map_err(|_| AuthorizeRefused::RedirectUri)
    }
}

fn error_location(
    mut url: Url,
    error: AuthorizeError,
    description: &str,
    state: Option<&str>,
    issuer: &str,
) -> Url {
    url.query_pairs_mut().append_pair("error", error.code()).append_pair("error_description", description);
    finished(url, state, issuer)
}

fn finished(mut url: Url, state: Option<&str>, issuer: &str) -> Url {
    {
        let mut query = url.query_pairs_mut();
        if let Some(state) = state {
            query.append_pair("state", state);
        }
        query.append_pair("iss", issuer);
    }
    url
}

#[cfg(test)]
mod tests {
    use super::super::client::tests::{REDIRECT, client};
    use super::*;
    use crate::pkce::Verifier;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    const ISSUER: &str = "https://rollcall.example";

    fn query(changes: &[(&str, Option<&str>)]) -> String {
        let challenge = Verifier::new([1; 32]).challenge();
        let id = client(None).id.to_string();
        let mut parameters = BTreeMap::from([
            ("client_id", id.as_str()),
            ("redirect_uri", REDIRECT),
            ("response_type", "code"),
            ("scope", "openid email"),
            ("state", "s t&a"),
            ("nonce", "n"),
            ("code_challenge", challenge.as_str()),
            ("code_challenge_method", "S256"),
        ]);
        for (name, value) in changes {
            match value {
                Some(value) => parameters.insert(name, value),
                None => parameters.remove(name),
            };
        }
        url::form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish()
    }

    fn check(query: &str) -> Result<AuthorizeRequest, AuthorizeRefused> {
        AuthorizeParameters::parse(query)?.check(Some(&client(None)), ISSUER)
    }

    fn told(changes: &[(&str, Option<&str>)]) -> (AuthorizeError, Url) {
        match check(&query(changes)) {
            Err(AuthorizeRefused::Redirect { error, location, .. }) => (error, *location),
            other => panic!("{changes:?}: {other:?}"),
        }
    }

    #[test]
    fn a_sound_request_is_read() {
        let request = check(&query(&[("max_age", Some("60")), ("prompt", Some("login"))])).unwrap();
        assert_eq!(request.state.as_deref(), Some("s t&a"));
        assert_eq!(request.scopes.to_string(), "openid email");
        assert_eq!(request.max_age, Some(Duration::from_mins(1)));
        assert!(request.prompts.login);
    }

    #[test]
    fn the_workspace_can_be_hinted_and_anything_else_is_only_a_hint() {
        let workspace = WorkspaceId::new(rollcall_domain::Timestamp::EPOCH, [1; 10]);
        let hint = |text: &str| check(&query(&[("login_hint", Some(text))])).unwrap().login_hint;
        assert_eq!(hint(&workspace.to_string()), Some(LoginHint::Workspace(workspace)));
        assert_eq!(hint("ada@example.com"), Some(LoginHint::Other("ada@example.com".into())));
    }

    #[test]
    fn without_a_known_client_and_a_registered_uri_nothing_is_redirected() {
        let unknown = rollcall_domain::ClientId::new(rollcall_domain::Timestamp::EPOCH, [9; 10]).to_string();
        for changes in
            [[("client_id", None)], [("client_id", Some("x"))], [("client_id", Some(unknown.as_str()))]]
        {
            assert!(matches!(check(&query(&changes)), Err(AuthorizeRefused::Client)), "{changes:?}");
        }
        for uri in
            [None, Some("https://evil.example/callback"), Some("https://app.example/callback?x"), Some("/")]
        {
            let refused = check(&query(&[("redirect_uri", uri), ("response_type", Some("token"))]));
            assert!(matches!(refused, Err(AuthorizeRefused::RedirectUri)), "{uri:?}");
        }
        let repeated = format!("{}&redirect_uri=https%3A%2F%2Fevil.example", query(&[]));
        assert!(matches!(check(&repeated), Err(AuthorizeRefused::Parameters(_))));
        let found_none = AuthorizeParameters::parse(&query(&[])).unwrap().check(None, ISSUER);
        assert!(matches!(found_none, Err(AuthorizeRefused::Client)));
    }

    #[test]
    fn every_other_fault_is_told_to_the_application() {
        use AuthorizeError as E;
        let long = "x".repeat(1501);
        let both = "%".repeat(800);
        for (change, expected) in [
            (("response_type", None), E::InvalidRequest),
            (("response_type", Some("token")), E::UnsupportedResponseType),
            (("response_type", Some("code id_token")), E::UnsupportedResponseType),
            (("response_mode", Some("fragment")), E::InvalidRequest),
            (("response_mode", Some("form_post")), E::InvalidRequest),
            (("scope", None), E::InvalidScope),
            (("scope", Some("email")), E::InvalidScope),
            (("code_challenge", None), E::InvalidRequest),
            (("code_challenge", Some("short")), E::InvalidRequest),
            (("code_challenge_method", None), E::InvalidRequest),
            (("code_challenge_method", Some("plain")), E::InvalidRequest),
            (("prompt", Some("none login")), E::InvalidRequest),
            (("prompt", Some("none consent")), E::InvalidRequest),
            (("nonce", Some(both.as_str())), E::InvalidRequest),
            (("max_age", Some("-1")), E::InvalidRequest),
            (("max_age", Some("+1")), E::InvalidRequest),
            (("max_age", Some("1e3")), E::InvalidRequest),
            (("nonce", Some(long.as_str())), E::InvalidRequest),
            (("request", Some("x")), E::RequestNotSupported),
            (("request_uri", Some("https://x.example")), E::RequestUriNotSupported),
            (("registration", Some("{}")), E::RegistrationNotSupported),
        ] {
            let (error, location) = told(&[change]);
            assert_eq!(error, expected, "{change:?}");
            let pairs: BTreeMap<_, _> = location.query_pairs().into_owned().collect();
            assert!(location.as_str().starts_with("https://app.example/callback?"));
            assert_eq!(pairs["error"], expected.code());
            assert_eq!(pairs["state"], "s t&a");
            assert_eq!(pairs["iss"], ISSUER);
        }
    }

    #[test]
    fn the_answer_names_code_state_and_issuer() {
        let request = check(&query(&[])).unwrap();
        let code = AuthorizationCode::new([1; 32]);
        let location = request.success(&code, ISSUER).unwrap();
        let pairs: BTreeMap<_, _> = location.query_pairs().into_owned().collect();
        assert_eq!(pairs["code"], code.secret().expose());
        assert_eq!(pairs["state"], "s t&a");
        assert_eq!(pairs["iss"], ISSUER);
    }

    #[test]
    fn the_request_after_a_sign_in_asks_for_no_other_one() {
        let request = check(&query(&[("max_age", Some("0")), ("prompt", Some("login"))])).unwrap();
        let after = check(&request.query_after_sign_in()).unwrap();
        assert_eq!(after.prompts, Prompts::default());
        assert_eq!(after.max_age, None);
        let same = AuthorizeRequest { prompts: after.prompts, max_age: None, ..request };
        assert_eq!(after, same);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(5_000))]
        #[test]
        fn no_request_leads_anywhere_but_to_the_registered_uri(
            name in "client_id|redirect_uri|response_type|scope|state|prompt|max_age|x", value in "\\PC{0,30}",
        ) {
            let query = query(&[(name.as_str(), Some(value.as_str()))]);
            let location = match check(&query) {
                Ok(request) => request.success(&AuthorizationCode::new([1; 32]), ISSUER).unwrap(),
                Err(AuthorizeRefused::Redirect { location, .. }) => *location,
                Err(_) => return Ok(()),
            };
            prop_assert!(location.as_str().starts_with("https://app.example/callback?"));
        }
    }
}
