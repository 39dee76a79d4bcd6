//! Partial answers (<https://developer.atlassian.com/cloud/bitbucket/rest/intro/#partial-response>).

use serde_json::{Map, Value};

/// Members in which others stand.
const NESTED: [&str; 9] =
    ["values", "user", "workspace", "group", "project", "repository", "owner", "links", "members"];

/// What the `fields` parameter asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Fields {
    /// Only these, if there are any.
    only: Vec<Vec<String>>,
    /// These as well.
    more: Vec<Vec<String>>,
    /// Not these.
    less: Vec<Vec<String>>,
}

impl Fields {
    pub(crate) fn parse(query: &[(String, String)]) -> Self {
        let mut fields = Self::default();
        for (_, list) in query.iter().filter(|(name, _)| name == "fields") {
            for item in list.split(',').map(str::trim).filter(|item| !item.is_empty()) {
                let path = |text: &str| text.split('.').map(str::to_owned).collect();
                match item.split_at(1) {
                    ("+", rest) => fields.more.push(path(rest)),
                    ("-", rest) => fields.less.push(path(rest)),
                    _ => fields.only.push(path(item)),
                }
            }
        }
        fields
    }

    /// Whether a field that is not shown by default is asked for by name.
    pub(crate) fn names(&self, path: &str) -> bool {
        let path: Vec<&str> = path.split('.').collect();
        self.only
            .iter()
            .chain(&self.more)
            .any(|known| known.iter().map(String::as_str).eq(path.iter().copied()))
    }

    /// Whether a member of this name may be asked for, wherever it stands: what is not need not be made. When in doubt, yes.
    pub(crate) fn wants(&self, name: &str) -> bool {
        let leads_there = |path: &Vec<String>| {
            let is_whole = path.last().is_some_and(|last| NESTED.contains(&last.as_str()));
            is_whole || path.iter().any(|part| part == name || part == "*")
        };
        self.only.is_empty() || self.only.iter().chain(&self.more).any(leads_there)
    }

    /// Leaves of an answer what is asked for.
    pub(crate) fn apply(&self, mut answer: Value) -> Value {
        if !self.only.is_empty() {
            let wanted: Vec<&[String]> = self.only.iter().chain(&self.more).map(Vec::as_slice).collect();
            answer = keep(answer, &wanted);
        }
        for path in &self.less {
            remove(&mut answer, path);
        }
        answer
    }
}

/// Keeps what one of the paths leads to, and everything below it. `*` is any name.
fn keep(value: Value, wanted: &[&[String]]) -> Value {
    if wanted.iter().any(|path| path.is_empty()) {
        return value;
    }
    match value {
        Value::Array(items) => items.into_iter().map(|item| keep(item, wanted)).collect(),
        Value::Object(members) => {
            let mut kept = Map::new();
            for (name, member) in members {
                let below: Vec<&[String]> = wanted
                    .iter()
                    .filter_map(|path| path.split_first())
                    .filter(|(first, _)| **first == name || *first == "*")
                    .map(|(_, rest)| rest)
                    .collect();
                let ends_here = below.iter().any(|path| path.is_empty());
                // A path that goes on below a text or a number leads nowhere.
                let leads_on = !below.is_empty() && (member.is_object() || member.is_array());
                if ends_here || leads_on {
                    kept.insert(name, keep(member, &below));
                }
            }
            Value::Object(kept)
        }
        other => other,
    }
}

fn remove(value: &mut Value, path: &[String]) {
    let Some((first, rest)) = path.split_first() else { return };
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| remove(item, path)),
        Value::Object(members) if rest.is_empty() => {
            members.retain(|name, _| name != first && first != "*");
        }
        Value::Object(members) => {
            members.iter_mut().filter(|(name, _)| *name == first || first == "*").for_each(|(_, member)| {
                remove(member, rest);
            });
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn partial(fields: &str) -> Value {
        let answer = json!({
            "size": 2, "page": 1,
            "values": [
                {"uuid": "a", "slug": "x", "project": {"key": "K", "name": "N"}},
                {"uuid": "b", "slug": "y", "project": {"key": "L", "name": "M"}},
            ],
        });
        Fields::parse(&[("fields".into(), fields.into())]).apply(answer)
    }

    #[test]
    fn only_what_is_named_is_left() {
        let left = partial("next,size,values.uuid,values.project.key");
        let rows = json!([{"uuid": "a", "project": {"key": "K"}}, {"uuid": "b", "project": {"key": "L"}}]);
        assert_eq!(left, json!({"size": 2, "values": rows}));
        assert_eq!(partial("values.project.key.more")["values"][0], json!({"project": {}}));
    }

    #[test]
    fn without_a_plain_name_everything_is_left_but_what_is_taken_away() {
        let left = partial("+values.user.email,-values.project,-page");
        assert_eq!(
            left,
            json!({"size": 2, "values": [{"uuid": "a", "slug": "x"}, {"uuid": "b", "slug": "y"}]})
        );
        assert_eq!(partial("values.*")["values"], partial("")["values"]);
    }

    #[test]
    fn what_nobody_asks_for_need_not_be_made() {
        let wants = |fields: &str, name: &str| Fields::parse(&[("fields".into(), fields.into())]).wants(name);
        assert!(
            wants("", "links") && wants("-values.links", "owner") && wants("+values.user.email", "links")
        );
        assert!(wants("values", "links") && wants("values.*", "links") && wants("values.user", "links"));
        assert!(!wants("next,size,values.uuid", "links") && !wants("values.user.uuid", "workspace"));
        assert!(wants("values.project.key", "project"));
    }

    #[test]
    fn an_unescaped_plus_is_a_blank_and_asks_for_nothing_more() {
        let fields = Fields::parse(&[("fields".into(), " values.user.email".into())]);
        assert_eq!(fields.only.len(), 1);
        assert!(fields.more.is_empty());
    }
}
