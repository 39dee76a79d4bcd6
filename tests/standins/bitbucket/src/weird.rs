//! Unheard-of things, as an API grows them without notice.

use serde_json::{Value, json};

use crate::world::Weird;

/// Puts them into an answer.
pub(crate) fn apply(weird: Weird, answer: &mut Value) {
    match answer {
        Value::Array(items) => items.iter_mut().for_each(|item| apply(weird, item)),
        Value::Object(members) => {
            for (name, member) in members.iter_mut() {
                apply(weird, member);
                if let Some(other) = other_value(weird, name, member) {
                    *member = other.into();
                }
            }
            if weird.fields {
                members.insert(
                    "unheard_of".into(),
                    json!({"type": "novelty", "values": [1, null, {"uuid": "{}"}]}),
                );
                members.insert("Ünïcode key with spaces".into(), "\u{1f9ed} \"quoted\" \\ \u{0} end".into());
            }
        }
        _ => {}
    }
}

fn other_value(weird: Weird, name: &str, value: &Value) -> Option<&'static str> {
    match (name, value.as_str()?) {
        ("fork_policy" | "forking_mode", _) if weird.values => Some("ask_first"),
        ("scm", _) if weird.values => Some("git-next"),
        ("permission", "member" | "create-project") if weird.values => Some("observer"),
        ("permission", "read") if weird.levels => Some("triage"),
        ("type", "user") if weird.kinds => Some("digital_twin"),
        _ => None,
    }
}
