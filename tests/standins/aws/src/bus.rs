//! `EventBridge`: `PutEvents`.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::account::new_id;
use crate::aws::Aws;
use crate::protocol::{Answer, AwsError, read, unknown};

/// A request has at most so many entries.
const LARGEST_BATCH: usize = 10;

/// Everything that was put on a bus.
#[derive(Default)]
pub(crate) struct Bus {
    events: Vec<BusEvent>,
    refuse_entries: u32,
}

/// An event on a bus.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BusEvent {
    /// Its id.
    pub id: String,
    /// The bus, as the sender named it: a name or an ARN. `default` where it named none.
    pub bus: String,
    /// Who it comes from.
    pub source: String,
    /// What it is.
    pub detail_type: String,
    /// What it says.
    pub detail: Value,
    /// What it is about.
    pub resources: Vec<String>,
    /// When it was put, in milliseconds since 1970.
    pub put_at: i64,
}

/// The buses, seen from the same process.
pub struct Events<'a>(pub(crate) &'a Aws);

impl Events<'_> {
    /// Every event so far, oldest first.
    pub fn all(&self) -> Vec<BusEvent> {
        self.0.world().bus.events.clone()
    }

    /// The next so many entries are refused, one by one.
    pub fn refuse_entries(&self, entries: u32) {
        self.0.world().bus.refuse_entries = entries;
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Put {
    entries: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Entry {
    source: Option<String>,
    detail_type: Option<String>,
    detail: Option<String>,
    event_bus_name: Option<String>,
    #[serde(default)]
    resources: Vec<String>,
}

pub(crate) fn perform(aws: &Aws, operation: &str, request: Value) -> Answer {
    if operation != "PutEvents" {
        return Err(unknown(operation));
    }
    let request: Put = read(request)?;
    if request.entries.is_empty() || request.entries.len() > LARGEST_BATCH {
        return Err(AwsError::refused("ValidationException", "Entries must have between 1 and 10 members."));
    }
    let now = aws.now();
    let bus = &mut aws.world().bus;
    let (mut answers, mut failures) = (Vec::new(), 0);
    for entry in request.entries {
        let answer = bus.put(entry, now).unwrap_or_else(|(code, message)| {
            failures += 1;
            json!({"ErrorCode": code, "ErrorMessage": message})
        });
        answers.push(answer);
    }
    Ok(json!({"FailedEntryCount": failures, "Entries": answers}))
}

impl Bus {
    fn put(&mut self, entry: Entry, now: i64) -> Result<Value, (&'static str, &'static str)> {
        if self.refuse_entries > 0 {
            self.refuse_entries -= 1;
            return Err(("InternalFailure", "Internal failure."));
        }
        let invalid = |message| ("InvalidArgument", message);
        let source = entry.source.ok_or(invalid("Parameter Source is not valid."))?;
        let detail_type = entry.detail_type.ok_or(invalid("Parameter DetailType is not valid."))?;
        let detail = entry.detail.ok_or(invalid("Parameter Detail is not valid."))?;
        let detail: Value =
            serde_json::from_str(&detail).map_err(|_| ("MalformedDetail", "Detail is malformed."))?;
        let id = new_id();
        self.events.push(BusEvent {
            id: id.clone(),
            bus: entry.event_bus_name.unwrap_or_else(|| "default".into()),
            source,
            detail_type,
            detail,
            resources: entry.resources,
            put_at: now,
        });
        Ok(json!({ "EventId": id }))
    }
}
