//! What an answer says: JSON of the described shape, or why not.

use serde::Deserialize;
use serde_json::Value;
use serde_json::error::Category;

use crate::call::Call;
use crate::error::{Error, line};

/// Reads JSON. The contents never get into the error.
pub(crate) fn json<'a, T: Deserialize<'a>>(bytes: &'a [u8], call: Call) -> Result<T, Error> {
    serde_json::from_slice(bytes).map_err(|error| match error.classify() {
        Category::Eof if bytes.iter().all(u8::is_ascii_whitespace) => {
            Error::NotJson { call, what: "it is empty" }
        }
        Category::Eof => Error::Cut { call },
        Category::Data => Error::Unexpected {
            call,
            why: format!(
                "a field has another type than described, near line {} column {}",
                error.line(),
                error.column()
            ),
        },
        Category::Syntax | Category::Io => Error::NotJson { call, what: looks_like(bytes) },
    })
}

fn looks_like(bytes: &[u8]) -> &'static str {
    match bytes.iter().find(|byte| !byte.is_ascii_whitespace()) {
        Some(b'<') => "it looks like a web page",
        Some(b'{' | b'[') => "it begins like JSON and is damaged",
        _ => "it looks like plain text",
    }
}

/// The error behind a status other than 200.
///
/// 429 is not told here: when the pause ends is for the caller to say.
pub(crate) fn refusal(status: u16, bytes: &[u8], call: Call) -> Error {
    let complaint = Complaint::read(bytes);
    match status {
        401 => Error::Unauthorized { call, why: complaint.message },
        403 => Error::Forbidden { call, missing: complaint.missing, why: complaint.message },
        404 => Error::NotFound { call, why: complaint.message },
        410 => Error::Gone { call, change: change_number(bytes) },
        300..=399 => Error::Redirected { call },
        500..=599 => Error::Unavailable { call, status },
        _ => Error::Refused { call, status, why: complaint.message },
    }
}

/// What Bitbucket says when it refuses: JSON with `error.message` and an `error.detail` that is a text or an object; or text.
#[derive(Default)]
struct Complaint {
    message: String,
    missing: Vec<String>,
}

impl Complaint {
    fn read(bytes: &[u8]) -> Self {
        let Ok(value) = serde_json::from_slice::<Value>(bytes) else {
            let text = String::from_utf8_lossy(bytes);
            let message = if text.trim_start().starts_with('<') { String::new() } else { line(&text) };
            return Self { message, missing: Vec::new() };
        };
        let error = value.get("error");
        let message = error
            .and_then(|error| error.get("message"))
            .or_else(|| value.get("error_description"))
            .or_else(|| value.get("message"))
            .and_then(Value::as_str)
            .or_else(|| error.and_then(Value::as_str));
        let detail = error.and_then(|error| error.get("detail"));
        let mut message = line(message.unwrap_or_default());
        if let Some(detail) = detail.and_then(Value::as_str) {
            message = line(&format!("{message} {detail}"));
        }
        let scopes = |name: &str| -> Vec<String> {
            match detail.and_then(|detail| detail.get(name)) {
                Some(Value::Array(scopes)) => scopes.iter().filter_map(Value::as_str).map(line).collect(),
                Some(Value::String(scopes)) => scopes.split([' ', ',']).map(line).collect(),
                _ => Vec::new(),
            }
        };
        let granted = scopes("granted");
        let missing =
            scopes("required").into_iter().filter(|scope| !scope.is_empty() && !granted.contains(scope));
        Self { message, missing: missing.collect() }
    }
}

/// `CHANGE-2770` and the like, wherever it stands in the answer.
fn change_number(bytes: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(bytes);
    let (_, after) = text.split_once("CHANGE-")?;
    let digits: String = after.chars().take_while(char::is_ascii_digit).take(8).collect();
    (!digits.is_empty()).then(|| format!("CHANGE-{digits}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CALL: Call = Call::get("/2.0/user");

    #[test]
    fn a_missing_scope_is_named_and_a_detail_that_is_a_text_is_read_too() {
        let scopes = r#"{"type":"error","error":{"message":"Your credentials lack one or more required privilege scopes.",
            "detail":{"granted":["account"],"required":["account","project:admin"]}}}"#;
        let Error::Forbidden { missing, .. } = refusal(403, scopes.as_bytes(), CALL) else { panic!() };
        assert_eq!(missing, ["project:admin"]);
        let text = r#"{"type":"error","error":{"message":"No","detail":"Ask\nsomebody"}}"#;
        let Error::Forbidden { missing, why, .. } = refusal(403, text.as_bytes(), CALL) else { panic!() };
        assert_eq!((missing.len(), why.as_str()), (0, "No Ask somebody"));
    }

    #[test]
    fn a_removed_endpoint_is_told_with_its_notice() {
        let body =
            r#"{"type":"error","error":{"message":"CHANGE-2770 - Functionality has been deprecated"}}"#;
        let change = Some("CHANGE-2770".to_owned());
        assert_eq!(refusal(410, body.as_bytes(), CALL), Error::Gone { call: CALL, change });
        assert_eq!(refusal(410, b"gone", CALL), Error::Gone { call: CALL, change: None });
    }

    #[test]
    fn every_body_of_a_refusal_can_be_told_in_a_line() {
        for body in
            [&b""[..], b"Rate\r\nlimit", b"<html>\x07", b"\xff\xfe", b"[1]", br#"{"error":7}"#, b"null"]
        {
            for status in [400, 401, 403, 404, 410, 418, 500] {
                let text = refusal(status, body, CALL).to_string();
                assert!(!text.contains(|c: char| c.is_control()) && text.len() < 400, "{text:?}");
            }
        }
    }

    #[test]
    fn a_web_page_a_cut_answer_and_a_wrong_shape_are_three_things() {
        let read = |text: &'static str| json::<Vec<u8>>(text.as_bytes(), CALL).unwrap_err().code();
        assert_eq!(read("<!doctype html>"), "not_json");
        assert_eq!(read("[1, 2"), "cut");
        assert_eq!(read("{}"), "unexpected");
        assert_eq!(read(""), "not_json");
        assert_eq!(read("[1] trailing"), "not_json");
    }
}
