//! A relying party in a few lines, to walk a login with.

use reqwest::{Client as Http, Response, Url};
use serde_json::Value;
use standin_openid::{Client, Flavour, Person, Running, start};

pub(crate) const REDIRECT: &str = "http://localhost:8080/callback/op?from=here";
pub(crate) const SECRET: &str = "s:e/c ret+";
pub(crate) const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
/// The SHA-256 of the verifier (RFC 7636, appendix B).
pub(crate) const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
pub(crate) const NONCE: &str = "a-nonce";

pub(crate) struct Rig {
    pub(crate) provider: Running,
    pub(crate) http: Http,
    pub(crate) metadata: Value,
}

pub(crate) async fn rig(flavour: Flavour, people: Vec<Person>) -> Rig {
    let client = Client::new("rollcall", SECRET, REDIRECT);
    let provider = start(flavour, vec![client], people, "127.0.0.1:0".parse().unwrap()).await.unwrap();
    let http = Http::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().build().unwrap();
    let place = format!("{}/.well-known/openid-configuration", provider.issuer());
    let metadata = http.get(place).send().await.unwrap().json().await.unwrap();
    Rig { provider, http, metadata }
}

impl Rig {
    pub(crate) fn endpoint(&self, name: &str) -> Url {
        self.metadata[name].as_str().unwrap_or_else(|| panic!("{name} in {}", self.metadata)).parse().unwrap()
    }

    pub(crate) async fn authorize(&self, parameters: &[(&'static str, String)]) -> Response {
        let mut url = self.endpoint("authorization_endpoint");
        url.query_pairs_mut().extend_pairs(parameters);
        self.http.get(url).send().await.unwrap()
    }

    /// Signs somebody in, and gives what the browser brings back.
    pub(crate) async fn answer(&self, person: &str) -> Vec<(String, String)> {
        let mut parameters = login();
        parameters.push(("_person", person.to_owned()));
        location(&self.authorize(&parameters).await)
    }

    pub(crate) async fn code(&self, person: &str) -> String {
        let answer = self.answer(person).await;
        answer.into_iter().find(|(name, _)| name == "code").expect("a code").1
    }

    pub(crate) async fn redeem(&self, form: &[(&'static str, String)]) -> Response {
        let mut form = form.to_vec();
        form.push(("client_id", "rollcall".into()));
        form.push(("client_secret", SECRET.into()));
        self.http.post(self.endpoint("token_endpoint")).form(&form).send().await.unwrap()
    }

    /// Signs somebody in and gives the token endpoint's answer.
    pub(crate) async fn tokens(&self, person: &str) -> Value {
        let code = self.code(person).await;
        self.redeem(&form(&code)).await.json().await.unwrap()
    }

    pub(crate) async fn id_token(&self, person: &str) -> String {
        self.tokens(person).await["id_token"].as_str().expect("an ID token").to_owned()
    }

    pub(crate) async fn keys(&self) -> Value {
        self.http.get(self.endpoint("jwks_uri")).send().await.unwrap().json().await.unwrap()
    }
}

/// The parameters of a good login.
pub(crate) fn login() -> Vec<(&'static str, String)> {
    [
        ("client_id", "rollcall"),
        ("redirect_uri", REDIRECT),
        ("response_type", "code"),
        ("scope", "openid email profile"),
        ("state", "a state & more"),
        ("nonce", NONCE),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
    ]
    .map(|(name, value)| (name, value.to_owned()))
    .to_vec()
}

/// The form that redeems a code.
pub(crate) fn form(code: &str) -> Vec<(&'static str, String)> {
    [
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", REDIRECT),
        ("code_verifier", VERIFIER),
    ]
    .map(|(name, value)| (name, value.to_owned()))
    .to_vec()
}

/// The parameters that the browser is sent back with.
pub(crate) fn location(response: &Response) -> Vec<(String, String)> {
    assert_eq!(response.status(), 302);
    let location: Url = response.headers()["location"].to_str().unwrap().parse().unwrap();
    assert!(location.as_str().starts_with("http://localhost:8080/callback/op?from=here"), "{location}");
    location.query_pairs().into_owned().collect()
}

pub(crate) fn decoded(part: &str) -> Value {
    use base64::Engine as _;
    let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(part).unwrap();
    serde_json::from_slice(&bytes).unwrap()
}

pub(crate) fn header(token: &str) -> Value {
    decoded(token.split('.').next().unwrap())
}

pub(crate) fn claims(token: &str) -> Value {
    decoded(token.split('.').nth(1).unwrap())
}

/// Verifies with a library, as a relying party does that knows what it wants.
pub(crate) fn verify(token: &str, keys: &Value, issuer: &str) -> Result<Value, jsonwebtoken::errors::Error> {
    let mut rules = jsonwebtoken::Validation::new(jsonwebtoken::Algorithm::RS256);
    rules.set_audience(&["rollcall"]);
    rules.set_issuer(&[issuer]);
    rules.set_required_spec_claims(&["exp", "aud", "iss", "sub"]);
    decode(token, keys, &rules)
}

/// The same by rules of one's choice.
pub(crate) fn decode(
    token: &str,
    keys: &Value,
    rules: &jsonwebtoken::Validation,
) -> Result<Value, jsonwebtoken::errors::Error> {
    let head = jsonwebtoken::decode_header(token)?;
    let kid = head.kid.expect("a kid");
    let jwk = keys["keys"]
        .as_array()
        .unwrap()
        .iter()
        .find(|key| key["kid"] == kid.as_str())
        .expect("a published key");
    let key = jsonwebtoken::DecodingKey::from_jwk(&serde_json::from_value(jwk.clone()).unwrap())?;
    Ok(jsonwebtoken::decode::<Value>(token, &key, rules)?.claims)
}
