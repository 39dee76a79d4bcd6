//! What a fault does to an answer.

use core::time::Duration;

use axum::body::Body;
use axum::http::header;
use axum::response::Response;
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use serde_json::Value;

use super::Act;
use crate::refusal::Refusal;
use crate::reply::{Content, Reply};

/// What is answered instead, if the request does not get through.
pub(crate) enum Instead {
    Reply(Reply),
    Silence,
    /// Nothing, but only after so long.
    Later(Duration),
    /// Nothing, but only when the fault has gone.
    WhenGone,
}

/// What happens before a request is looked at.
pub(crate) fn before(act: &Act, as_json_429: bool, path_and_query: &str) -> Option<Instead> {
    let reply = match act {
        Act::Status(429) => Refusal::rate_limit(as_json_429).into(),
        Act::Status(410) => Refusal::change_2770().into(),
        Act::Status(status) => Refusal::message(*status, words(*status)).into(),
        Act::Answer { status, media_type, body } => {
            Reply::new(*status, Content::Text(body.clone())).with("content-type", media_type)
        }
        Act::Html200 => {
            let page =
                "<!doctype html><html><head><title>Bitbucket</title></head><body>We are down.</body></html>";
            Reply::new(200, Content::Html(page.to_owned()))
        }
        Act::Text200 => Reply::new(200, Content::Text("OK".to_owned())),
        Act::Nothing200 => Reply::new(200, Content::Empty),
        Act::Redirect(origin) => Reply::found(&format!("{}{path_and_query}", origin.trim_end_matches('/'))),
        Act::Hang => return Some(Instead::Silence),
        Act::Delay(milliseconds) => return Some(Instead::Later(Duration::from_millis(*milliseconds))),
        Act::Wait => return Some(Instead::WhenGone),
        _ => return None,
    };
    Some(Instead::Reply(reply))
}

fn words(status: u16) -> &'static str {
    match status {
        401 => "Token is invalid, expired, or not supported for this endpoint.",
        403 => "Your credentials lack the permission to do this.",
        404 => "Resource not found",
        500 => "Something went wrong",
        502 => "Bad gateway",
        503 => "Service unavailable",
        504 => "The request timed out",
        _ => "An error of the test",
    }
}

/// What happens to a good answer on its way out.
pub(crate) fn after(act: &Act, mut reply: Reply) -> Response {
    if let Content::Json(value) = &mut reply.content {
        change(act, value);
    }
    match act {
        Act::CutJson => {
            let body = reply.body().1;
            reply.response_with(Body::from(half(&body).to_owned()))
        }
        Act::BreakOff => {
            let body = reply.body().1;
            let begins = Bytes::from(half(&body).to_owned());
            let parts = stream::iter([Ok(begins)]).chain(stream::once(async {
                // What was written goes out while nothing else is to be written.
                tokio::task::yield_now().await;
                Err(std::io::Error::new(std::io::ErrorKind::ConnectionReset, "broken off by a fault"))
            }));
            let mut response = reply.response_with(Body::from_stream(parts));
            response.headers_mut().insert(header::CONTENT_LENGTH, body.len().into());
            response
        }
        Act::Padding(bytes) => {
            const PIECE: u64 = 64 * 1024;
            let blank = Bytes::from(vec![b' '; 64 * 1024]);
            let pieces =
                std::iter::repeat_n(blank, usize::try_from(bytes.div_ceil(PIECE)).unwrap_or(usize::MAX));
            let end = std::iter::once(Bytes::from(reply.body().1));
            let all = pieces.chain(end).map(Ok::<_, std::io::Error>);
            reply.response_with(Body::from_stream(stream::iter(all)))
        }
        _ => reply.into_response(),
    }
}

/// The first half of a text, at the end of a sign.
fn half(text: &str) -> &str {
    let mut end = text.len() / 2;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// The rows of a page, or of an unpaged listing.
fn rows(value: &mut Value) -> Option<&mut Vec<Value>> {
    match value {
        Value::Array(rows) => Some(rows),
        other => other.get_mut("values")?.as_array_mut(),
    }
}

fn change(act: &Act, value: &mut Value) {
    match act {
        Act::DuplicateRow => {
            if let Some(rows) = rows(value) {
                let first = rows.first().cloned();
                // A single row is not replaced by itself: it comes again.
                if rows.len() > 1 {
                    rows.pop();
                }
                rows.extend(first);
            }
        }
        Act::RepeatRow => {
            if let Some(rows) = rows(value) {
                rows.extend(rows.first().cloned());
            }
        }
        Act::OmitRow { hide } => {
            rows(value).and_then(Vec::pop);
            if let (true, Some(size)) = (*hide, value.get("size").and_then(Value::as_u64)) {
                value["size"] = size.saturating_sub(1).into();
            }
        }
        Act::EmptyPage => clear(value),
        Act::EmptyListing => {
            clear(value);
            if let Some(page) = value.as_object_mut() {
                page.remove("next");
                if page.contains_key("size") {
                    page.insert("size".into(), 0.into());
                }
            }
        }
        Act::LoopNext(page) => change_next(value, |next| {
            let others: Vec<(String, String)> = next
                .query_pairs()
                .filter(|(name, _)| name != "page")
                .map(|(n, v)| (n.into(), v.into()))
                .collect();
            next.query_pairs_mut().clear().extend_pairs(others).append_pair("page", &page.to_string());
        }),
        Act::ForeignNext(origin) => change_next(value, |next| {
            if let Ok(mut elsewhere) = url::Url::parse(origin) {
                elsewhere.set_path(next.path());
                elsewhere.set_query(next.query());
                *next = elsewhere;
            }
        }),
        Act::NoNext => remove(value, "next"),
        Act::NoSize => remove(value, "size"),
        Act::Size(size) => {
            if let Some(page) = value.as_object_mut() {
                page.insert("size".into(), (*size).into());
            }
        }
        Act::WrongWorkspace => wrong_workspace(value),
        Act::MissingId => change_row(value, |row| names(row, |name| name.map(|_| Value::Null))),
        Act::WrongType => change_row(value, |row| names(row, |name| name.map(|_| 7.into()))),
        Act::NotAnObject => change_row(value, |row| *row = "a row that is not one".into()),
        _ => {}
    }
}

fn clear(value: &mut Value) {
    if let Some(rows) = rows(value) {
        rows.clear();
    }
}

fn remove(value: &mut Value, name: &str) {
    if let Some(members) = value.as_object_mut() {
        members.remove(name);
    }
}

fn change_next(value: &mut Value, change: impl FnOnce(&mut url::Url)) {
    let next = value.get("next").and_then(Value::as_str).and_then(|next| url::Url::parse(next).ok());
    if let Some(mut next) = next {
        change(&mut next);
        value["next"] = next.to_string().into();
    }
}

/// Changes the row in the middle, or the answer itself where it has no rows.
fn change_row(value: &mut Value, change: impl FnOnce(&mut Value)) {
    match rows(value) {
        Some(rows) => {
            let middle = rows.len() / 2;
            if let Some(row) = rows.get_mut(middle) {
                change(row);
            }
        }
        None => change(value),
    }
}

/// Changes whatever names a row: of the row itself and of what it is about. What becomes null is removed.
fn names(row: &mut Value, change: impl Fn(Option<&Value>) -> Option<Value> + Copy) {
    let Some(members) = row.as_object_mut() else { return };
    for name in ["uuid", "slug", "full_name", "account_id", "email", "key", "full_slug"] {
        match change(members.get(name)) {
            Some(Value::Null) => {
                members.remove(name);
            }
            Some(other) => {
                members.insert(name.to_owned(), other);
            }
            None => {}
        }
    }
    for about in ["user", "group", "repository"] {
        if let Some(about) = members.get_mut(about) {
            names(about, change);
        }
    }
}

/// Gives every workspace another UUID, also where it stands as the owner of something.
fn wrong_workspace(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(wrong_workspace),
        Value::Object(members) => {
            for (name, member) in members.iter_mut() {
                if matches!(name.as_str(), "workspace" | "owner") && member.get("uuid").is_some() {
                    member["uuid"] = "{0badc0de-0000-4000-8000-000000000000}".into();
                }
                wrong_workspace(member);
            }
            let is_workspace = members.get("type").is_some_and(|kind| kind == "workspace");
            if is_workspace && members.contains_key("uuid") {
                members.insert("uuid".into(), "{0badc0de-0000-4000-8000-000000000000}".into());
            }
        }
        _ => {}
    }
}
