//! OAuth 2.0 with Bitbucket: the person's sign-in, and the tokens of a private consumer
//! (<https://developer.atlassian.com/cloud/bitbucket/oauth-2/>).
//!
//! Bitbucket offers neither PKCE nor an ID token: the `state` parameter, bound to the browser by whoever calls this, is what
//! ties a code to a sign-in.

use core::time::Duration;
use std::collections::BTreeSet;

use reqwest::header::HeaderValue;
use rollcall_domain::{Secret, Timestamp};
use serde::Deserialize;
use url::Url;

use crate::call::Call;
use crate::credential::{CredentialId, basic, consumer_id};
use crate::error::{Error, line};
use crate::session::Bitbucket;
use crate::transport::{Body, Bounds};

const TOKEN: Call = Call::post("/site/oauth2/access_token");

/// The longest answer of the token endpoint that is read, in bytes.
const LONGEST_TOKEN_ANSWER: usize = 256 * 1024;

/// The life of a token whose answer does not say how long it lives.
const SHORT_LIFE: Duration = Duration::from_mins(10);

/// The OAuth consumer that people sign in through.
#[derive(Clone)]
pub struct OAuthClient {
    /// The consumer's key.
    pub key: String,
    /// The consumer's secret.
    pub secret: Secret,
}

impl OAuthClient {
    /// What the calls of everybody who signs in through it are counted under.
    pub fn id(&self) -> CredentialId {
        consumer_id(&self.key)
    }
}

/// The token of a person who has just signed in.
pub struct PersonToken {
    /// The access token.
    pub token: Secret,
    /// The scopes that the answer names; empty where it names none.
    pub scopes: BTreeSet<String>,
}

/// An access token with its end.
pub(crate) struct Granted {
    pub(crate) token: Secret,
    pub(crate) scopes: BTreeSet<String>,
    pub(crate) lives: Duration,
}

/// RFC 6749 §5.1, with the older name of `scope` that Bitbucket used until May 2026.
#[derive(Deserialize)]
struct TokenAnswer {
    access_token: Secret,
    expires_in: Option<f64>,
    scope: Option<String>,
    scopes: Option<String>,
    token_type: Option<String>,
}

/// RFC 6749 §5.2.
#[derive(Deserialize)]
struct TokenRefusal {
    error: String,
    #[serde(default)]
    error_description: String,
}

impl Bitbucket {
    /// Where a browser goes to authorise: `state` and `redirect_uri` come back with the code.
    pub fn authorize_url(&self, client: &OAuthClient, state: &str, redirect_uri: &Url) -> Url {
        let mut url = self.web("site/oauth2/authorize");
        url.query_pairs_mut()
            .append_pair("client_id", &client.key)
            .append_pair("response_type", "code")
            .append_pair("state", state)
            .append_pair("redirect_uri", redirect_uri.as_str());
        url
    }

    /// Exchanges the code of a sign-in for the person's token. Tried once: a code is good for one use.
    pub async fn exchange_code(
        &self,
        client: &OAuthClient,
        code: &Secret,
        redirect_uri: &Url,
    ) -> Result<PersonToken, Error> {
        let form = [
            ("grant_type", "authorization_code"),
            ("code", code.expose()),
            ("redirect_uri", redirect_uri.as_str()),
        ];
        let granted = self.token(client, &form).await.map_err(|error| match error {
            Error::ConsumerRefused { code, .. } if code == "invalid_grant" => {
                Error::CodeRefused { call: TOKEN }
            }
            other => other,
        })?;
        Ok(PersonToken { token: granted.token, scopes: granted.scopes })
    }

    /// A fresh token of a private consumer.
    pub(crate) async fn client_credentials(&self, client: &OAuthClient) -> Result<Granted, Error> {
        self.token(client, &[("grant_type", "client_credentials")]).await
    }

    async fn token(&self, client: &OAuthClient, form: &[(&str, &str)]) -> Result<Granted, Error> {
        let authorization = basic(&client.key, &client.secret).map_err(|_| unusable())?;
        let url = self.web("site/oauth2/access_token");
        let limits = self.limits();
        let bounds = Bounds { longest: LONGEST_TOKEN_ANSWER, deadline: limits.deadline };
        let body = self.transport().post_form(url, authorization, form, TOKEN, bounds).await?;
        if body.status == 429 {
            return Err(Error::RateLimited {
                call: TOKEN,
                until: body.pause_until(self.now(), limits.rate_limit_pause),
            });
        }
        read(&body, self.now(), limits.locked_out_pause)
    }

    fn web(&self, path: &str) -> Url {
        let mut url = self.endpoints().web().clone();
        url.set_path(&format!("{}/{path}", url.path().trim_end_matches('/')));
        url
    }
}

fn unusable() -> Error {
    Error::ConsumerRefused {
        call: TOKEN,
        code: "unusable".to_owned(),
        why: "the key or the secret contains characters that cannot be sent".to_owned(),
    }
}

fn read(body: &Body, now: Timestamp, pause: Duration) -> Result<Granted, Error> {
    if (200..300).contains(&body.status) {
        return grant(body);
    }
    // Never more than the code and the description: the answer could repeat what was sent.
    let refusal: TokenRefusal = match serde_json::from_slice(&body.bytes) {
        Ok(refusal) if body.status < 500 => refusal,
        _ => return Err(body.refusal(TOKEN)),
    };
    Err(match refusal.error.as_str() {
        // Bitbucket's answer to a bad secret and, for some minutes, to good ones too.
        "unauthorized_client" => Error::LockedOut { call: TOKEN, until: now.plus(pause) },
        code => {
            Error::ConsumerRefused { call: TOKEN, code: line(code), why: line(&refusal.error_description) }
        }
    })
}

fn grant(body: &Body) -> Result<Granted, Error> {
    let answer: TokenAnswer = body.json(TOKEN)?;
    let unexpected = |why: &str| Error::Unexpected { call: TOKEN, why: why.to_owned() };
    if answer.access_token.is_empty() {
        return Err(unexpected("the access token is empty"));
    }
    if answer.token_type.is_some_and(|kind| !kind.eq_ignore_ascii_case("bearer")) {
        return Err(unexpected("the token is not a bearer token"));
    }
    let lives = answer.expires_in.filter(|seconds| *seconds > 0.0).map(|seconds| seconds.min(86_400.0));
    let scopes = answer.scope.or(answer.scopes).unwrap_or_default();
    Ok(Granted {
        token: answer.access_token,
        scopes: scopes.split([' ', ',']).filter(|scope| !scope.is_empty()).map(str::to_owned).collect(),
        lives: lives.map_or(SHORT_LIFE, Duration::from_secs_f64),
    })
}

/// The header of a token.
pub(crate) fn header(granted: &Granted) -> Result<HeaderValue, Error> {
    crate::credential::bearer(&granted.token).map_err(|_| Error::Unexpected {
        call: TOKEN,
        why: "the access token contains characters that cannot be sent".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, text: &str) -> Result<Granted, Error> {
        read(&Body::of(status, text), Timestamp::EPOCH, Duration::from_mins(10))
    }

    #[test]
    fn both_names_of_the_scopes_are_read() {
        for name in ["scope", "scopes"] {
            let body = format!(
                r#"{{"access_token":"t","token_type":"bearer","expires_in":7200,"{name}":"account email"}}"#
            );
            let granted = answer(200, &body).unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(granted.scopes, BTreeSet::from(["account".to_owned(), "email".to_owned()]));
            assert_eq!(granted.lives, Duration::from_hours(2));
        }
    }

    #[test]
    fn a_wrong_secret_and_a_lock_look_alike_and_both_make_us_wait() {
        let body =
            r#"{"error":"unauthorized_client","error_description":"Invalid OAuth client credentials"}"#;
        let until = Timestamp::from_seconds(600);
        assert_eq!(answer(400, body).err(), Some(Error::LockedOut { call: TOKEN, until }));
    }

    #[test]
    fn a_token_answer_that_is_not_as_described_is_told_without_its_contents() {
        for (status, body) in [
            (200, r#"{"access_token":"sesame","expires_in":"sesame"}"#),
            (200, r#"{"access_token":""}"#),
            (200, r#"{"access_token":"sesame","token_type":"mac"}"#),
            (200, "<html>sesame</html>"),
            (200, r#"{"access_token":"sesa"#),
            (500, "sesame"),
        ] {
            let error = answer(status, body).err().unwrap_or_else(|| panic!("{body}"));
            assert!(!format!("{error} {error:?}").contains("sesa"), "{error:?}");
        }
    }
}
