//! The authorization endpoint (RFC 6749 §4.1.1, OpenID Connect Core 1.0 §3.1.2): who is in front of the browser?

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::extract::{Path, RawQuery, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use url::Url;

use crate::behaviour::AnswerIssuer;
use crate::flavour::Flavour;
use crate::keys::random;
use crate::page;
use crate::people::Person;
use crate::provider::{Grant, Provider};
use crate::routes::pairs;

/// A login that has been checked.
struct Asked {
    client_id: String,
    /// As it was given, to be compared to the letter when the code is redeemed.
    redirect_uri: String,
    state: String,
    scope: String,
    nonce: String,
    challenge: String,
}

pub(crate) async fn authorize(
    State(provider): State<Arc<Provider>>,
    tenant: Option<Path<String>>,
    RawQuery(query): RawQuery,
) -> Response {
    let tenant = tenant.map(|Path(tenant)| tenant).unwrap_or_default();
    let query = query.unwrap_or_default();
    let parameters = pairs(query.as_bytes());
    let stay_here = |why| (StatusCode::BAD_REQUEST, page::refusal(&provider.flavour, why)).into_response();
    let (client_id, redirect_uri) = match client(&provider, &parameters) {
        Ok(known) => known,
        Err(why) => return stay_here(why),
    };
    let asked = match check(client_id, &parameters) {
        Ok(asked) => asked,
        Err((error, description)) => {
            let state = value(&parameters, "state");
            return send_back(redirect_uri, &error_answer(state.as_deref(), error, description));
        }
    };
    if value(&parameters, "_deny").is_some() {
        let answer = error_answer(Some(&asked.state), "access_denied", "The person cancelled the sign-in.");
        return send_back(redirect_uri, &answer);
    }
    let people: Vec<Person> = {
        let world = provider.world();
        let admitted = |person: &&Person| provider.flavour.admits(&tenant, person.tid.as_deref());
        world.people.iter().filter(admitted).cloned().collect()
    };
    let Some(name) = value(&parameters, "_person") else {
        return page::chooser(&provider.flavour, &asked.client_id, &query, &people).into_response();
    };
    match people.into_iter().find(|person| person.is_called(&name)) {
        Some(person) => send_back(redirect_uri, &let_in(&provider, asked, person)),
        None => stay_here("Nobody of that name has an account here, or not at this endpoint."),
    }
}

/// The value of a parameter. An empty one counts as missing (RFC 6749 §3.1).
fn value(parameters: &[(String, String)], name: &str) -> Option<String> {
    parameters
        .iter()
        .find(|(known, value)| known == name && !value.is_empty())
        .map(|(_, value)| value.clone())
}

/// The client and its redirect URI. As long as these are not certain, the browser is sent nowhere (RFC 6749 §4.1.2.1).
fn client(provider: &Provider, parameters: &[(String, String)]) -> Result<(String, Url), &'static str> {
    let mut names = BTreeSet::new();
    if !parameters.iter().all(|(name, _)| names.insert(name)) {
        return Err("A parameter is given twice.");
    }
    let client_id =
        value(parameters, "client_id").ok_or("The application does not say who it is (client_id).")?;
    let redirect_uri = value(parameters, "redirect_uri").ok_or("The application gives no redirect_uri.")?;
    let world = provider.world();
    let client = world
        .clients
        .iter()
        .find(|client| client.id == client_id)
        .ok_or("No application with this client_id is registered.")?;
    if !client.redirect_uris.contains(&redirect_uri) {
        return Err("The redirect_uri is not one that the application registered.");
    }
    let redirect_uri = Url::parse(&redirect_uri).map_err(|_| "The registered redirect_uri is not a URL.")?;
    Ok((client_id, redirect_uri))
}

/// Checks the rest. The error is what the relying party is told: code and description.
fn check(client_id: String, parameters: &[(String, String)]) -> Result<Asked, (&'static str, &'static str)> {
    let value = |name| value(parameters, name);
    let invalid = |description| ("invalid_request", description);
    if value("response_type").as_deref() != Some("code") {
        return Err(("unsupported_response_type", "Only response_type=code is offered."));
    }
    if value("response_mode").is_some_and(|mode| mode != "query") {
        return Err(invalid("Only response_mode=query is offered."));
    }
    let scope = value("scope").unwrap_or_default();
    if !scope.split(' ').any(|part| part == "openid") {
        return Err(("invalid_scope", "The scope openid is missing."));
    }
    if value("prompt").as_deref() == Some("none") {
        return Err(("login_required", "Nobody is signed in without being asked."));
    }
    let redirect_uri = value("redirect_uri").unwrap_or_default();
    let state = value("state").ok_or(invalid("state is missing."))?;
    let nonce = value("nonce").ok_or(invalid("nonce is missing."))?;
    if value("code_challenge_method").as_deref() != Some("S256") {
        return Err(invalid("code_challenge_method is not S256."));
    }
    // The SHA-256 of the verifier in base64url always has 43 characters (RFC 7636 §4.2).
    let challenge = value("code_challenge")
        .filter(|challenge| challenge.len() == 43)
        .ok_or(invalid("code_challenge is missing or malformed."))?;
    Ok(Asked { client_id, redirect_uri, state, scope, nonce, challenge })
}

/// Issues a code, and gives the answer that carries it.
fn let_in(provider: &Provider, asked: Asked, person: Person) -> Vec<(String, String)> {
    let code = random(24);
    let mut answer = vec![("state".to_owned(), asked.state), ("code".to_owned(), code.clone())];
    // What the real providers send along, which a relying party has to pass over.
    match provider.flavour {
        Flavour::Google => {
            answer.push(("scope".into(), asked.scope.clone()));
            answer.push(("authuser".into(), "0".into()));
            answer.extend(person.hd.clone().map(|domain| ("hd".into(), domain)));
            answer.push(("prompt".into(), "consent".into()));
        }
        Flavour::Microsoft { .. } => answer.push(("session_state".into(), random(16))),
    }
    let issuer = provider.flavour.token_issuer(&provider.origin, person.tid.as_deref());
    let mut world = provider.world();
    let named = match &world.behaviour.answer_issuer {
        AnswerIssuer::Absent => Vec::new(),
        AnswerIssuer::Right => vec![issuer],
        AnswerIssuer::Other(other) => vec![other.clone()],
        AnswerIssuer::Twice => vec![issuer.clone(), issuer],
    };
    answer.extend(named.into_iter().map(|issuer| ("iss".into(), issuer)));
    answer.extend(world.behaviour.answer_parameters.clone());
    let grant = Grant {
        client_id: asked.client_id,
        redirect_uri: asked.redirect_uri,
        person,
        scope: asked.scope,
        nonce: asked.nonce,
        challenge: asked.challenge,
        issued_at: world.now(),
        used: false,
    };
    world.codes.insert(code, grant);
    answer
}

fn error_answer(state: Option<&str>, error: &str, description: &str) -> Vec<(String, String)> {
    let mut answer = vec![
        ("error".to_owned(), error.to_owned()),
        ("error_description".to_owned(), description.to_owned()),
    ];
    answer.extend(state.map(|state| ("state".to_owned(), state.to_owned())));
    answer
}

fn send_back(mut redirect_uri: Url, answer: &[(String, String)]) -> Response {
    redirect_uri.query_pairs_mut().extend_pairs(answer);
    (StatusCode::FOUND, [(header::LOCATION, redirect_uri.as_str())]).into_response()
}
