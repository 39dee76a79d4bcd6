//! The function as Lambda calls it.

use lambda_runtime::{Context, LambdaEvent};
use rollcall_scheduled_sync::{SyncMessage, handle};
use serde_json::{Value, json};

use crate::rig::{Rig, acme};

fn event(payload: Value) -> LambdaEvent<Value> {
    let mut context = Context::default();
    context.deadline = u64::MAX / 2;
    LambdaEvent::new(payload, context)
}

#[tokio::test]
async fn a_schedule_event_becomes_one_message_for_each_connection() {
    let rig = Rig::new(acme()).await;
    let scheduled = json!({
        "version": "0", "id": "53dc4d37", "detail-type": "Scheduled Event", "source": "aws.scheduler",
        "time": "2027-01-15T08:03:07Z", "detail": "{}",
    });
    let answer = handle(&rig.engine, event(scheduled.clone())).await.unwrap();
    assert_eq!(answer, json!({ "connections": 1 }));
    let first = rig.queued().await;
    handle(&rig.engine, event(scheduled)).await.unwrap();
    assert_eq!(rig.queued().await, first, "delivered twice, it asks for the same run");
    assert!(first[0].scheduled);
    handle(&rig.engine, event(json!({}))).await.unwrap();
    assert_eq!(rig.queued().await.len(), 1, "a schedule without a time is one for now");
}

#[tokio::test]
async fn of_a_batch_only_the_messages_that_failed_come_again() {
    let rig = Rig::new(acme()).await;
    let good = SyncMessage::scheduled(rig.workspace, crate::rig::START);
    let record = |id: &str, body: String| json!({ "messageId": id, "body": body, "eventSource": "aws:sqs" });
    let batch = json!({ "Records": [
        record("poison", "not JSON".to_owned()),
        record("good", serde_json::to_string(&good).unwrap()),
        record("foreign", json!({ "workspace": "ws_1", "run": "x" }).to_string()),
    ]});
    let answer = handle(&rig.engine, event(batch)).await.unwrap();
    let failed: Vec<&Value> = answer["batchItemFailures"]
        .as_array()
        .unwrap()
        .iter()
        .map(|failure| &failure["itemIdentifier"])
        .collect();
    assert_eq!(failed, ["poison", "foreign"]);
    assert_eq!(rig.mirror().await.people.len(), 5, "the good one was done");
}

#[tokio::test]
async fn an_event_that_nobody_sends_is_an_error_and_a_table_that_is_down_too() {
    let rig = Rig::new(acme()).await;
    assert!(handle(&rig.engine, event(json!("hello"))).await.is_err());
    rig.table.add(
        standin_faults::Matching::anything(),
        standin_faults::When::Always,
        standin_faults::Act::Drop,
    );
    assert!(handle(&rig.engine, event(json!({}))).await.is_err());
}
