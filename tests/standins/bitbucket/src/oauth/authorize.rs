//! The authorization endpoint: `/site/oauth2/authorize`.
//!
//! A test that adds `_person=USERNAME` is sent back at once, as if that person had consented; `_deny=1` as if they had not.

use serde_json::json;
use url::Url;

use super::{Code, Sessions, page, value};
use crate::reply::{Content, Reply};
use crate::world::{Consumer, Kind, World};

/// Asks who is in front of the browser, or sends them back.
pub(crate) fn authorize(world: &World, sessions: &mut Sessions, query: &str, now_ms: i64) -> Reply {
    let parameters = super::pairs(query.as_bytes());
    let parameter = |name| value(&parameters, name);
    let Some(consumer) = parameter("client_id").and_then(|key| world.consumers.get(key)) else {
        return page::refusal("Invalid client_id", "No OAuth consumer has this client_id.");
    };
    let given = parameter("redirect_uri");
    let back = match callback(consumer, given) {
        Ok(back) => back,
        Err(Unfit::NoCallback) => {
            let description = "No callback uri defined for the OAuth client.";
            return Reply::json(400, json!({"error": "invalid_request", "error_description": description}));
        }
        Err(Unfit::Mismatch) => {
            return page::refusal(
                "Invalid redirect_uri",
                "The redirect_uri does not match the callback URL of the OAuth consumer.",
            );
        }
    };
    let state = parameter("state");
    let refuse = |error, description| {
        send_back(
            &back,
            &[("error", Some(error)), ("error_description", Some(description)), ("state", state)],
        )
    };
    match parameter("response_type") {
        Some("code") => {}
        Some("token") => {
            return refuse("unsupported_response_type", "The implicit grant is no longer supported.");
        }
        _ => return refuse("invalid_request", "response_type must be code."),
    }
    if parameter("_deny").is_some() {
        return refuse("access_denied", "The user denied access.");
    }
    let Some(username) = parameter("_person") else {
        return page::consent(world, consumer, query);
    };
    match world.person(username) {
        Some(account) if account.active && account.kind == Kind::User => {
            let code = sessions.put_code(Code {
                consumer: consumer.key.clone(),
                user: account.uuid,
                redirect_uri: given.map(str::to_owned),
                issued_ms: now_ms,
            });
            send_back(&back, &[("code", Some(code.as_str())), ("state", state)])
        }
        Some(_) => page::refusal("You cannot sign in", "This account is not in use."),
        None => page::refusal("You cannot sign in", "Nobody here has this username."),
    }
}

enum Unfit {
    NoCallback,
    Mismatch,
}

/// Where the browser goes back to: the consumer's callback, or what was given if it is the same or extends its path.
fn callback(consumer: &Consumer, given: Option<&str>) -> Result<Url, Unfit> {
    let registered = consumer.callback.as_deref().filter(|callback| !callback.is_empty());
    let registered = registered.and_then(|callback| Url::parse(callback).ok()).ok_or(Unfit::NoCallback)?;
    let Some(given) = given else { return Ok(registered) };
    let given = Url::parse(given).map_err(|_| Unfit::Mismatch)?;
    if given == registered {
        return Ok(given);
    }
    let below = format!("{}/", registered.path().trim_end_matches('/'));
    let plain = given.username().is_empty() && given.password().is_none();
    let extends = plain
        && given.origin() == registered.origin()
        && given.path().starts_with(&below)
        && given.query() == registered.query()
        && given.fragment().is_none();
    if extends { Ok(given) } else { Err(Unfit::Mismatch) }
}

fn send_back(to: &Url, parameters: &[(&str, Option<&str>)]) -> Reply {
    let mut to = to.clone();
    for (name, value) in parameters {
        if let Some(value) = value {
            to.query_pairs_mut().append_pair(name, value);
        }
    }
    Reply::found(to.as_str())
}

/// A page, which nothing may frame or keep.
pub(super) fn html(status: u16, html: String) -> Reply {
    Reply::new(status, Content::Html(html))
        .with(
            "content-security-policy",
            "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'",
        )
        .with("referrer-policy", "no-referrer")
}
