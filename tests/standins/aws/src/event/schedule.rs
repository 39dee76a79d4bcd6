//! What `EventBridge` Scheduler calls a function with.

use serde_json::{Value, json};

use crate::account::{ACCOUNT, REGION, arn, new_id};
use crate::event::rfc3339;

/// The event of a schedule that has no input of its own, at a time in milliseconds since 1970.
///
/// Scheduler sends `detail` as a text, unlike `EventBridge` rules.
pub fn schedule(name: &str, at: i64) -> Value {
    json!({
        "version": "0",
        "id": new_id(),
        "detail-type": "Scheduled Event",
        "source": "aws.scheduler",
        "account": ACCOUNT,
        "time": rfc3339(at),
        "region": REGION,
        "resources": [arn("scheduler", &format!("schedule/default/{name}"))],
        "detail": "{}",
    })
}

/// The event of a schedule with an input of its own: the input as it stands in the template, with the keywords of Scheduler
/// (`<aws.scheduler.scheduled-time>` and the like) replaced.
pub fn schedule_with_input(name: &str, at: i64, input: &str) -> Result<Value, serde_json::Error> {
    let replaced = [
        ("<aws.scheduler.schedule-arn>", arn("scheduler", &format!("schedule/default/{name}"))),
        ("<aws.scheduler.scheduled-time>", rfc3339(at)),
        ("<aws.scheduler.execution-id>", new_id()),
        ("<aws.scheduler.attempt-number>", "1".to_owned()),
    ]
    .into_iter()
    .fold(input.to_owned(), |input, (keyword, value)| input.replace(keyword, &value));
    serde_json::from_str(&replaced)
}
