//! Logout that an application asks for (OpenID Connect RP-Initiated Logout 1.0).

use rollcall_domain::{ClientId, MemberId, SessionId};
use thiserror::Error;
use url::Url;

use super::client::Client;
use super::tokens::TokenIssuer;
use super::verify::{Hint, TokenRefused};
use crate::FailedCheck;
use crate::parameters::{Parameters, RefusedParameters};

/// Why a logout request is refused. A page tells so, with a way to end the session all the same.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum LogoutRefused {
    /// The parameters cannot be read without ambiguity.
    #[error("the request cannot be read: {0}")]
    Parameters(#[from] RefusedParameters),
    /// The hint is no ID token of ours.
    #[error("the ID token hint is not one of ours")]
    Hint(TokenRefused),
    /// The client id is unknown, or another one than the hint's.
    #[error("the client id of this request does not fit")]
    Client,
    /// The application has not registered this place.
    #[error("the application has not registered the place that the browser should go to after logout")]
    Redirect,
}

impl FailedCheck for LogoutRefused {
    fn check(&self) -> &'static str {
        match self {
            Self::Parameters(refused) => refused.check(),
            Self::Hint(_) => "logout.id_token_hint",
            Self::Client => "logout.client",
            Self::Redirect => "logout.redirect_uri",
        }
    }
}

/// A logout request, before the client is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogoutRequest {
    /// Which client to look up, where one is named.
    pub client: Option<ClientId>,
    hint: Option<Hint>,
    redirect: Option<String>,
    state: Option<String>,
}

/// What a logout request leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogoutTarget {
    /// Whether the person has to be asked first: nothing in the request shows that it is about the session of this browser.
    pub ask_first: bool,
    /// Where to send the browser afterwards; `None`: a page of ours says that they are signed out.
    pub location: Option<Url>,
}

impl LogoutRequest {
    /// Reads the parameters, from the query or the form.
    pub fn parse(parameters: &Parameters, issuer: &TokenIssuer) -> Result<Self, LogoutRefused> {
        let hint = parameters
            .text("id_token_hint")
            .map(|token| issuer.hint(token))
            .transpose()
            .map_err(LogoutRefused::Hint)?;
        let named = match parameters.text("client_id") {
            None => None,
            Some(id) => Some(id.parse::<ClientId>().map_err(|_| LogoutRefused::Client)?),
        };
        let client = match (named, hint.as_ref().map(|hint| hint.client)) {
            (Some(named), Some(hinted)) if named != hinted => return Err(LogoutRefused::Client),
            (named, hinted) => named.or(hinted),
        };
        Ok(Self {
            client,
            hint,
            redirect: parameters.text("post_logout_redirect_uri").map(str::to_owned),
            state: parameters.text("state").filter(|state| state.len() <= 1500).map(str::to_owned),
        })
    }

    /// Checks the rest against the client that was found, and against who is signed in.
    pub fn check(
        self,
        client: Option<&Client>,
        session: Option<(MemberId, SessionId)>,
    ) -> Result<LogoutTarget, LogoutRefused> {
        if client.map(|client| client.id) != self.client {
            return Err(LogoutRefused::Client);
        }
        let location = match &self.redirect {
            None => None,
            Some(uri) => {
                if !client.is_some_and(|client| client.may_return_to(uri)) {
                    return Err(LogoutRefused::Redirect);
                }
                let mut url = Url::parse(uri).map_err(|_| LogoutRefused::Redirect)?;
                if let Some(state) = &self.state {
                    url.query_pairs_mut().append_pair("state", state);
                }
                Some(url)
            }
        };
        // Without a sound hint about this very session, any page on the web could sign people out.
        let ask_first = match (session, &self.hint) {
            (None, _) => false,
            (Some((member, session)), Some(hint)) => hint.member != member || hint.session != session,
            (Some(_), None) => true,
        };
        Ok(LogoutTarget { ask_first, location })
    }
}

#[cfg(test)]
mod tests {
    use super::super::client::tests::client;
    use super::super::grant::tests::grant;
    use super::super::{About, Issue, SigningKeys, generate_signing_key};
    use super::*;
    use rollcall_domain::Timestamp;

    const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);

    fn issuer() -> TokenIssuer {
        TokenIssuer::new(
            "https://rollcall.example",
            SigningKeys::load(&generate_signing_key().unwrap(), None, &[]).unwrap(),
        )
    }

    fn id_token(issuer: &TokenIssuer) -> String {
        let about = About {
            role: rollcall_domain::member::Role::Member,
            teams: vec![],
            name: "Ada".into(),
            email: None,
        };
        let (grant, client) = (grant(), client(None));
        let issue =
            Issue { grant: &grant, scopes: grant.scopes, about: &about, client: &client, refresh: None };
        let answer = issuer.answer(&issue, NOW, [1; 16]).unwrap();
        serde_json::to_value(answer).unwrap()["id_token"].as_str().unwrap().to_owned()
    }

    fn parse(issuer: &TokenIssuer, pairs: &[(&str, &str)]) -> Result<LogoutRequest, LogoutRefused> {
        let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
        LogoutRequest::parse(&Parameters::from_query(&query).unwrap_or_else(|_| panic!()), issuer)
    }

    #[test]
    fn a_hint_about_this_session_signs_out_at_once_and_returns() {
        let issuer = issuer();
        let token = id_token(&issuer);
        let pairs = [
            ("id_token_hint", token.as_str()),
            ("post_logout_redirect_uri", "https://app.example/bye"),
            ("state", "a b"),
        ];
        let request = parse(&issuer, &pairs).unwrap();
        assert_eq!(request.client, Some(grant().client));
        let target = request.check(Some(&client(None)), Some((grant().member, grant().session))).unwrap();
        assert!(!target.ask_first);
        assert_eq!(target.location.unwrap().as_str(), "https://app.example/bye?state=a+b");
    }

    #[test]
    fn without_a_fitting_hint_the_person_is_asked() {
        let issuer = issuer();
        let session = Some((grant().member, grant().session));
        assert!(parse(&issuer, &[]).unwrap().check(None, session).unwrap().ask_first);
        assert!(!parse(&issuer, &[]).unwrap().check(None, None).unwrap().ask_first);
        let token = id_token(&issuer);
        let request = parse(&issuer, &[("id_token_hint", &token)]).unwrap();
        let other = Some((grant().member, SessionId::new(NOW, [9; 10])));
        assert!(request.check(Some(&client(None)), other).unwrap().ask_first);
    }

    #[test]
    fn the_browser_is_sent_to_registered_places_only() {
        let issuer = issuer();
        let id = grant().client.to_string();
        for uri in ["https://evil.example/", "https://app.example/callback", "https://app.example/bye?x"] {
            let request = parse(&issuer, &[("client_id", &id), ("post_logout_redirect_uri", uri)]).unwrap();
            assert_eq!(request.check(Some(&client(None)), None), Err(LogoutRefused::Redirect), "{uri}");
        }
        let nameless = parse(&issuer, &[("post_logout_redirect_uri", "https://app.example/bye")]).unwrap();
        assert_eq!(nameless.check(None, None), Err(LogoutRefused::Redirect));
    }

    #[test]
    fn foreign_hints_and_contradicting_clients_are_refused() {
        let issuer_here = issuer();
        let foreign = id_token(&issuer());
        assert!(matches!(parse(&issuer_here, &[("id_token_hint", &foreign)]), Err(LogoutRefused::Hint(_))));
        let other = ClientId::new(NOW, [9; 10]).to_string();
        let token = id_token(&issuer_here);
        assert_eq!(
            parse(&issuer_here, &[("id_token_hint", &token), ("client_id", &other)]),
            Err(LogoutRefused::Client)
        );
        assert_eq!(parse(&issuer_here, &[("client_id", "x")]), Err(LogoutRefused::Client));
        let unknown = parse(&issuer_here, &[("client_id", &other)]).unwrap();
        assert_eq!(unknown.check(None, None), Err(LogoutRefused::Client));
    }
}
