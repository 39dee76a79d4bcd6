//! What is wrong between Rollcall and Bitbucket, and what to do about it: a probe's report in words, and one sentence that sums it up.

use serde_json::Value;

use crate::show;

/// Where the slug of a Bitbucket workspace is seen.
const SLUG: &str = "the slug is what follows bitbucket.org/ in the browser's address";

/// A probe's report: what works, what does not and why, and what could not be tried.
pub(crate) fn report(probe: &Value) -> String {
    let lines = || probe.get("lines").and_then(Value::as_array).into_iter().flatten();
    let mut text: Vec<String> = lines().filter_map(tried).collect();
    let rest: Vec<String> = lines()
        .filter(|line| line.get("works").is_none_or(Value::is_null))
        .map(|line| show::field(line, "/what"))
        .collect();
    if !rest.is_empty() {
        text.push(show::plan(&format!("  not tried: {}", rest.join(", "))));
    }
    text.join("\n")
}

/// A line of something that was tried.
fn tried(line: &Value) -> Option<String> {
    let what = show::field(line, "/what");
    let detail = line.get("detail").and_then(Value::as_str).map(show::plain);
    let text = match (line.get("works").and_then(Value::as_bool)?, detail) {
        (true, None) => format!("+ {what}"),
        (true, Some(but)) => format!("+ {what}, but {but}"),
        (false, detail) => format!(
            "- {what}: {}. Without it, {}.\n  {}",
            show::field(line, "/takes"),
            show::field(line, "/without"),
            detail.unwrap_or_default(),
        ),
    };
    Some(show::plan(&text))
}

/// The one thing to mend first; `None` if everything works that is worth having.
pub(crate) fn verdict(probe: &Value) -> Option<String> {
    let lines = probe.get("lines").and_then(Value::as_array)?;
    let failing: Vec<&Value> = lines
        .iter()
        .filter(|line| line.get("works").and_then(Value::as_bool) == Some(false))
        .filter(|line| line.get("need").and_then(Value::as_str) != Some("optional"))
        .collect();
    let first = failing.first()?;
    let code = first.get("code").and_then(Value::as_str).unwrap_or_default();
    Some(match code {
        "consumer_refused" | "locked_out" => {
            "Bitbucket does not accept the OAuth consumer: its key or its secret is wrong. Look them up in Bitbucket under Workspace \
             settings, OAuth consumers, and connect again. After a wrong secret, Bitbucket refuses the right one too for some minutes."
                .to_owned()
        }
        "unauthorized" => {
            "Bitbucket does not accept the token: it has expired, was revoked or is not complete. Make a new one in Bitbucket, and \
             connect again with it."
                .to_owned()
        }
        "not_found" => format!(
            "There is no such Bitbucket workspace, or the credential belongs to another one. Check the slug ({SLUG}), and of which \
             workspace the credential is."
        ),
        "forbidden" => forbidden(&failing),
        _ => show::field(first, "/detail"),
    })
}

/// Scopes are named all at once, so that nobody has to come back for the next one.
fn forbidden(failing: &[&Value]) -> String {
    let missing = failing.iter().filter_map(|line| line.get("missing_scopes").and_then(Value::as_array));
    let mut scopes: Vec<String> = missing.flatten().filter_map(Value::as_str).map(show::plain).collect();
    scopes.sort();
    scopes.dedup();
    if scopes.is_empty() {
        "The credential works, and it is not that of an administrator of the workspace: Bitbucket does not let it read everything. Let a \
         workspace administrator make one, or make its account an administrator."
            .to_owned()
    } else {
        let s = if scopes.len() == 1 { "" } else { "s" };
        format!(
            "The credential lacks the scope{s} {}. Add what is missing in Bitbucket. A token keeps the scopes it was made with: make a \
             new one, and connect again with it.",
            scopes.join(", ")
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn failing(need: &str, code: &str, scopes: &[&str]) -> Value {
        json!({
            "what": "read", "need": need, "works": false, "without": "there is nothing", "takes": "it needs more",
            "detail": "Bitbucket cannot be reached.", "code": code, "missing_scopes": scopes,
        })
    }

    #[test]
    fn what_only_saves_calls_is_shown_and_nothing_to_mend() {
        let probe = json!({"lines": [failing("optional", "forbidden", &[])]});
        assert_eq!(verdict(&probe), None);
        assert!(report(&probe).contains("- read"));
    }

    #[test]
    fn all_scopes_that_are_missing_are_named_at_once_and_once() {
        let lines = [("wanted", "project"), ("required", "repository"), ("wanted", "project")]
            .map(|(need, scope)| failing(need, "forbidden", &[scope]));
        let verdict = verdict(&json!({ "lines": lines })).unwrap();
        assert!(verdict.contains("the scopes project, repository."), "{verdict}");
    }

    #[test]
    fn a_failure_without_words_of_its_own_is_told_in_those_of_the_api() {
        let probe = json!({"lines": [failing("required", "unreachable", &[])]});
        assert_eq!(verdict(&probe).unwrap(), "Bitbucket cannot be reached.");
    }

    #[test]
    fn what_was_not_tried_is_neither_good_nor_bad() {
        let probe = json!({"lines": [{"what": "read the members", "need": "required", "works": null, "detail": "no"}]});
        assert!(report(&probe).contains("not tried: read the members"));
        assert_eq!(verdict(&probe), None);
    }
}
