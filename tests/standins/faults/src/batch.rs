//! Holding back a part of a batch, as `DynamoDB` does when a partition is too hot.

use serde_json::{Map, Value, json};

use crate::operation::entries_of;

/// A batch in two parts.
pub(crate) struct Split {
    /// What is passed on. `None`: nothing is left.
    pub(crate) forwarded: Option<Value>,
    /// What is not, in the shape of `UnprocessedItems` or `UnprocessedKeys`.
    held: Map<String, Value>,
    /// The member of the answer that it belongs in.
    member: &'static str,
}

impl Split {
    /// Holds back the last `count` entries. `None` if the call is no batch.
    pub(crate) fn new(operation: &str, request: &Value, count: usize) -> Option<Self> {
        let member = match operation {
            "BatchWriteItem" => "UnprocessedItems",
            "BatchGetItem" => "UnprocessedKeys",
            _ => return None,
        };
        let mut request = request.clone();
        let tables = request.get_mut("RequestItems")?.as_object_mut()?;
        let mut held = Map::new();
        let mut left = count;
        for (table, entries) in tables.iter_mut().rev() {
            let all = entries_of(entries)?.clone();
            let (kept, back) = all.split_at(all.len().saturating_sub(left));
            left -= back.len();
            if !back.is_empty() {
                held.insert(table.clone(), with_entries(entries, back));
            }
            *entries = with_entries(entries, kept);
        }
        tables.retain(|_, entries| entries_of(entries).is_some_and(|entries| !entries.is_empty()));
        let forwarded = if tables.is_empty() { None } else { Some(request) };
        Some(Self { forwarded, held, member })
    }

    /// The answer to the whole batch, made from the service's answer to what was passed on.
    pub(crate) fn answer(self, answer: Option<Value>) -> Value {
        let mut answer = answer.unwrap_or_else(|| match self.member {
            "UnprocessedKeys" => json!({"Responses": {}}),
            _ => json!({}),
        });
        let unprocessed = answer
            .as_object_mut()
            .map(|members| members.entry(self.member).or_insert_with(|| json!({})))
            .and_then(Value::as_object_mut);
        if let Some(unprocessed) = unprocessed {
            for (table, held) in self.held {
                match unprocessed.get_mut(&table) {
                    // The service has left something undone by itself.
                    Some(known) => {
                        let mut all = entries_of(known).cloned().unwrap_or_default();
                        all.extend(entries_of(&held).cloned().unwrap_or_default());
                        *known = with_entries(known, &all);
                    }
                    None => {
                        unprocessed.insert(table, held);
                    }
                }
            }
        }
        answer
    }
}

/// The same table's part of a batch (with `ConsistentRead` and the like) with other entries.
fn with_entries(part: &Value, entries: &[Value]) -> Value {
    match part {
        Value::Object(members) => {
            let mut members = members.clone();
            members.insert("Keys".into(), entries.into());
            Value::Object(members)
        }
        _ => entries.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn writes() -> Value {
        json!({"RequestItems": {"a": [1, 2], "b": [3, 4, 5]}, "ReturnConsumedCapacity": "NONE"})
    }

    #[test]
    fn the_last_entries_are_held_back_across_tables() {
        let split = Split::new("BatchWriteItem", &writes(), 4).unwrap();
        assert_eq!(split.forwarded.as_ref().unwrap()["RequestItems"], json!({"a": [1]}));
        assert_eq!(split.forwarded.as_ref().unwrap()["ReturnConsumedCapacity"], "NONE");
        let answer = split.answer(Some(json!({"UnprocessedItems": {"a": [1]}})));
        assert_eq!(answer, json!({"UnprocessedItems": {"a": [1, 2], "b": [3, 4, 5]}}));
    }

    #[test]
    fn where_all_is_held_back_nothing_is_passed_on() {
        let split = Split::new("BatchWriteItem", &writes(), 99).unwrap();
        assert!(split.forwarded.is_none());
        assert_eq!(split.answer(None), json!({"UnprocessedItems": {"a": [1, 2], "b": [3, 4, 5]}}));
    }

    #[test]
    fn keys_are_held_back_with_what_was_asked_about_them() {
        let request = json!({"RequestItems": {"a": {"Keys": [1, 2], "ConsistentRead": true}}});
        let split = Split::new("BatchGetItem", &request, 1).unwrap();
        assert_eq!(split.forwarded.as_ref().unwrap()["RequestItems"]["a"]["Keys"], json!([1]));
        let answer = split.answer(Some(json!({"Responses": {"a": [{}]}, "UnprocessedKeys": {}})));
        assert_eq!(answer["UnprocessedKeys"], json!({"a": {"Keys": [2], "ConsistentRead": true}}));
    }

    #[test]
    fn other_calls_are_no_batches() {
        assert!(Split::new("PutItem", &json!({"TableName": "t"}), 1).is_none());
    }
}
