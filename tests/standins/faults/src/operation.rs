//! What a request asks for.

use http::{HeaderMap, Method};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Whether a call changes anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// It only reads.
    Read,
    /// It changes something.
    Write,
    /// It makes, changes or describes tables.
    Administration,
}

/// What a request asks for.
#[derive(Debug, Clone)]
pub(crate) struct Operation {
    /// `PutItem`; for what is no AWS call, `GET /path`.
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) path: String,
    pub(crate) is_dynamodb: bool,
    /// The body; `null` where it is no JSON.
    pub(crate) request: Value,
}

impl Operation {
    pub(crate) fn read(method: &Method, path: &str, headers: &HeaderMap, body: &[u8]) -> Self {
        let request = serde_json::from_slice(body).unwrap_or_default();
        let target = headers.get("x-amz-target").and_then(|target| target.to_str().ok());
        let (name, kind, is_dynamodb) =
            if let Some((service, name)) = target.and_then(|it| it.split_once('.')) {
                (name.to_owned(), kind_by_name(name), service.starts_with("DynamoDB_"))
            } else {
                let kind = if method.is_safe() { Kind::Read } else { Kind::Write };
                (format!("{method} {path}"), kind, false)
            };
        Self { name, kind, path: path.to_owned(), is_dynamodb, request }
    }

    /// The tables it touches, sorted, each once.
    pub(crate) fn tables(&self) -> Vec<String> {
        let one = self.request.get("TableName").and_then(Value::as_str);
        let batch = self.request.get("RequestItems").and_then(Value::as_object).into_iter().flatten();
        let transaction = actions(&self.request).filter_map(|action| action.get("TableName")?.as_str());
        let mut tables: Vec<String> = one
            .into_iter()
            .chain(batch.map(|(table, _)| table.as_str()))
            .chain(transaction)
            .map(str::to_owned)
            .collect();
        tables.sort();
        tables.dedup();
        tables
    }

    /// How many items it names. A query or scan names none: its answer tells.
    pub(crate) fn items(&self, answer: &Value) -> usize {
        match self.name.as_str() {
            "BatchWriteItem" | "BatchGetItem" => {
                let batch = self.request.get("RequestItems").and_then(Value::as_object).into_iter().flatten();
                batch.map(|(_, entries)| entries_of(entries).map_or(0, Vec::len)).sum()
            }
            "TransactWriteItems" | "TransactGetItems" => actions(&self.request).count(),
            "Query" | "Scan" => answer
                .get("Count")
                .and_then(Value::as_u64)
                .and_then(|count| usize::try_from(count).ok())
                .unwrap_or(0),
            "PutItem" | "UpdateItem" | "DeleteItem" | "GetItem" => 1,
            _ => 0,
        }
    }
}

/// The entries of a batch for one table: a list of writes, or the list of keys to get.
pub(crate) fn entries_of(entries: &Value) -> Option<&Vec<Value>> {
    entries.as_array().or_else(|| entries.get("Keys")?.as_array())
}

/// The single actions of a transaction.
fn actions(request: &Value) -> impl Iterator<Item = &Value> {
    let items = request.get("TransactItems").and_then(Value::as_array).into_iter().flatten();
    items.filter_map(|item| item.as_object()?.values().next())
}

fn kind_by_name(name: &str) -> Kind {
    let has = |part: &str| name.contains(part);
    if has("Table") || has("TimeToLive") || has("Backup") || name.starts_with("Tag") {
        Kind::Administration
    } else if ["Get", "BatchGet", "TransactGet", "Query", "Scan", "Describe", "List", "Receive"]
        .iter()
        .any(|prefix| name.starts_with(prefix))
    {
        Kind::Read
    } else {
        Kind::Write
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(target: &str, body: &Value) -> Operation {
        let headers = [(http::HeaderName::from_static("x-amz-target"), target.parse().unwrap())];
        Operation::read(&Method::POST, "/", &headers.into_iter().collect(), body.to_string().as_bytes())
    }

    #[test]
    fn operations_are_reads_writes_or_administration() {
        for (name, kind) in [
            ("GetItem", Kind::Read),
            ("BatchGetItem", Kind::Read),
            ("TransactGetItems", Kind::Read),
            ("Query", Kind::Read),
            ("PutItem", Kind::Write),
            ("BatchWriteItem", Kind::Write),
            ("TransactWriteItems", Kind::Write),
            ("CreateTable", Kind::Administration),
            ("DescribeTable", Kind::Administration),
        ] {
            let operation = read(&format!("DynamoDB_20120810.{name}"), &json!({}));
            assert_eq!((operation.name.as_str(), operation.kind), (name, kind));
        }
        let secret = read("secretsmanager.GetSecretValue", &json!({}));
        assert_eq!((secret.kind, secret.is_dynamodb), (Kind::Read, false));
    }

    #[test]
    fn what_is_no_aws_call_is_named_by_method_and_path() {
        let operation = Operation::read(&Method::GET, "/2.0/user", &HeaderMap::new(), b"");
        assert_eq!((operation.name.as_str(), operation.kind), ("GET /2.0/user", Kind::Read));
        assert_eq!(Operation::read(&Method::POST, "/x", &HeaderMap::new(), b"a=b").kind, Kind::Write);
    }

    #[test]
    fn items_and_tables_are_counted_in_every_shape() {
        let batch = json!({"RequestItems": {"b": [{"PutRequest": {}}, {"DeleteRequest": {}}], "a": [{"PutRequest": {}}]}});
        let batch = read("DynamoDB_20120810.BatchWriteItem", &batch);
        assert_eq!((batch.items(&Value::Null), batch.tables()), (3, vec!["a".into(), "b".into()]));
        let keys = json!({"RequestItems": {"a": {"Keys": [{}, {}], "ConsistentRead": true}}});
        assert_eq!(read("DynamoDB_20120810.BatchGetItem", &keys).items(&Value::Null), 2);
        let transaction =
            json!({"TransactItems": [{"Put": {"TableName": "t"}}, {"ConditionCheck": {"TableName": "t"}}]});
        let transaction = read("DynamoDB_20120810.TransactWriteItems", &transaction);
        assert_eq!((transaction.items(&Value::Null), transaction.tables()), (2, vec!["t".into()]));
        let query = read("DynamoDB_20120810.Query", &json!({"TableName": "t"}));
        assert_eq!((query.items(&json!({"Count": 7})), query.tables()), (7, vec!["t".into()]));
    }
}
