//! An application that signs people in with Rollcall, and the people who do.

use rollcall_identity::Verifier;
use rollcall_local::api::Api;
use rollcall_local::stack::Stack;
use rollcall_local::world;
use serde_json::{Value, json};
use url::Url;

const REDIRECT: &str = "https://app.example/callback";
/// The owner of the example workspace.
const OWNER: &str = "johanna";

/// What went wrong, in a line.
pub(crate) type Trouble = String;

/// An application that is registered at a base URL.
#[derive(Clone)]
pub(crate) struct Application {
    http: reqwest::Client,
    base: String,
    /// The link on the consent page of Bitbucket's stand-in.
    owner: String,
    workspace: String,
    client: String,
    secret: String,
}

/// What the application holds of somebody who has signed in.
#[derive(Debug, Clone)]
pub(crate) struct Tokens {
    pub(crate) access: String,
    pub(crate) refresh: String,
}

impl Application {
    /// Connects the example workspace and registers an application. The sync is for the caller to run.
    pub(crate) async fn register(stack: &Stack, api: &Api, base: &str) -> Self {
        let workspace = api.post("/v1/workspaces", &json!({ "name": "Acme" })).await.unwrap();
        let workspace = text(&workspace, "id").unwrap();
        let connection = Value::Object(world::connection(stack).unwrap());
        api.put(&format!("/v1/workspaces/{workspace}/connection"), &connection).await.unwrap();
        let client = json!({ "name": "Bench", "redirect_uris": [REDIRECT] });
        let client = api.post("/v1/clients", &client).await.unwrap();
        Self {
            http: stack.http().clone(),
            base: base.to_owned(),
            owner: world::person(stack, OWNER).unwrap().username,
            workspace,
            client: text(&client, "id").unwrap(),
            secret: text(&client, "client_secret").unwrap(),
        }
    }

    /// Somebody begins to sign in and consents at Bitbucket: the address to which they come back, and their cookie.
    pub(crate) async fn consent(&self) -> Result<(Url, String), Trouble> {
        let login = format!("{}/login/bitbucket?workspace={}", self.base, self.workspace);
        let begun = self.http.get(login).send().await.map_err(told)?;
        let cookie = cookies(&begun);
        let mut to = location(&begun)?;
        to.query_pairs_mut().append_pair("_person", &self.owner);
        let consented = self.http.get(to).send().await.map_err(told)?;
        Ok((location(&consented)?, cookie))
    }

    /// They come back: their session's cookie.
    pub(crate) async fn come_back(&self, (to, cookie): (Url, String)) -> Result<String, Trouble> {
        let answer = self.http.get(to).header("cookie", cookie).send().await.map_err(told)?;
        if answer.status() != 303 {
            return Err(format!("a callback was answered with {}", answer.status()));
        }
        Ok(cookies(&answer))
    }

    /// A whole sign-in at Rollcall.
    pub(crate) async fn sign_in(&self) -> Result<String, Trouble> {
        self.come_back(self.consent().await?).await
    }

    /// The tokens that the application gets for a session.
    pub(crate) async fn tokens(&self, session: &str) -> Result<Tokens, Trouble> {
        let verifier = Verifier::new([5; 32]);
        let challenge = verifier.challenge();
        let query = [
            ("client_id", self.client.as_str()),
            ("redirect_uri", REDIRECT),
            ("response_type", "code"),
            ("scope", "openid offline_access"),
            ("state", "state"),
            ("nonce", "nonce"),
            ("code_challenge", challenge.as_str()),
            ("code_challenge_method", "S256"),
        ];
        let authorize = self.http.get(format!("{}/authorize", self.base)).query(&query);
        let answer = authorize.header("cookie", session).send().await.map_err(told)?;
        let back = location(&answer)?;
        let code = back.query_pairs().find(|(name, _)| name == "code");
        let code = code.map(|(_, code)| code.into_owned()).ok_or("there is no code")?;
        self.token(&[
            ("grant_type", "authorization_code"),
            ("code", &code),
            ("redirect_uri", REDIRECT),
            ("code_verifier", verifier.secret().expose()),
        ])
        .await
    }

    /// The next tokens.
    pub(crate) async fn refresh(&self, tokens: &Tokens) -> Result<Tokens, Trouble> {
        self.token(&[("grant_type", "refresh_token"), ("refresh_token", &tokens.refresh)]).await
    }

    async fn token(&self, fields: &[(&str, &str)]) -> Result<Tokens, Trouble> {
        let answer = self.post("/token", fields).await?;
        let missing = |name: &str| format!("there is no {name} in the answer");
        Ok(Tokens {
            access: text(&answer, "access_token").ok_or_else(|| missing("access_token"))?,
            refresh: text(&answer, "refresh_token").ok_or_else(|| missing("refresh_token"))?,
        })
    }

    /// Asks whether an access token is still good. It has to be.
    pub(crate) async fn introspect(&self, tokens: &Tokens) -> Result<(), Trouble> {
        let answer = self.post("/introspect", &[("token", &tokens.access)]).await?;
        if answer["active"] == true { Ok(()) } else { Err("a good token was called inactive".to_owned()) }
    }

    async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Result<Value, Trouble> {
        let request = self.http.post(format!("{}{path}", self.base)).form(fields);
        let answer = request.basic_auth(&self.client, Some(&self.secret)).send().await.map_err(told)?;
        let status = answer.status();
        if !status.is_success() {
            return Err(format!("POST {path} was answered with {status}"));
        }
        answer.json().await.map_err(told)
    }
}

/// Without the address, which may hold a code.
#[allow(clippy::needless_pass_by_value, reason = "it is what map_err hands over")]
fn told(error: reqwest::Error) -> Trouble {
    if error.is_timeout() { "no answer in time".to_owned() } else { error.without_url().to_string() }
}

fn text(value: &Value, name: &str) -> Option<String> {
    value[name].as_str().map(str::to_owned)
}

fn location(answer: &reqwest::Response) -> Result<Url, Trouble> {
    let to = answer.headers().get("location").and_then(|to| to.to_str().ok());
    let to = to.ok_or_else(|| format!("no redirect, but {}", answer.status()))?;
    answer.url().join(to).map_err(|error| error.to_string())
}

fn cookies(answer: &reqwest::Response) -> String {
    let all = answer.headers().get_all("set-cookie").iter().filter_map(|cookie| cookie.to_str().ok());
    let pairs = all.filter_map(|cookie| cookie.split(';').next()).filter(|pair| !pair.ends_with('='));
    pairs.collect::<Vec<_>>().join("; ")
}
