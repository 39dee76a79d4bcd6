//! SQS, proven with the real SDK.

use std::time::Duration;

use crate::support::services;
use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{MessageAttributeValue, QueueAttributeName, SendMessageBatchRequestEntry};
use serde_json::json;
use standin_aws::{QueueSettings, Redrive};

fn entry(id: &str, body: &str) -> SendMessageBatchRequestEntry {
    SendMessageBatchRequestEntry::builder().id(id).message_body(body).build().unwrap()
}

#[tokio::test]
async fn a_message_is_sent_received_and_deleted() {
    let (aws, config) = services().await;
    let client = Client::new(&config);
    let url = client.create_queue().queue_name("sync").send().await.unwrap().queue_url.unwrap();
    assert_eq!(url, aws.queues().url("sync"));
    assert_eq!(
        client.get_queue_url().queue_name("sync").send().await.unwrap().queue_url(),
        Some(url.as_str())
    );

    let attribute =
        MessageAttributeValue::builder().data_type("String").string_value("acme").build().unwrap();
    let sent = client
        .send_message()
        .queue_url(&url)
        .message_body("{\"connection\":\"acme\"}")
        .message_attributes("workspace", attribute)
        .send()
        .await
        .unwrap();
    assert_eq!(sent.md5_of_message_body(), Some("a98b60d20ef0fb8af5d722cfcf650479"));
    let received =
        client.receive_message().queue_url(&url).message_attribute_names("All").send().await.unwrap();
    let [message] = received.messages() else { panic!("one message") };
    assert_eq!(message.message_id(), sent.message_id());
    assert_eq!(message.body(), Some("{\"connection\":\"acme\"}"));
    assert_eq!(message.message_attributes().unwrap()["workspace"].string_value(), Some("acme"));

    let none = client.receive_message().queue_url(&url).send().await.unwrap();
    assert!(none.messages().is_empty(), "it is in flight");
    client
        .delete_message()
        .queue_url(&url)
        .receipt_handle(message.receipt_handle().unwrap())
        .send()
        .await
        .unwrap();
    assert!(aws.queues().messages("sync").is_empty());
}

#[tokio::test]
async fn a_queue_that_is_not_there_is_told_so() {
    let (_aws, config) = services().await;
    let client = Client::new(&config);
    let url = "http://localhost/123456789012/nope";
    let error = client.send_message().queue_url(url).message_body("x").send().await.unwrap_err();
    assert!(error.into_service_error().is_queue_does_not_exist());
}

#[tokio::test]
async fn a_batch_can_fail_in_part_and_bad_batches_fail_as_a_whole() {
    let (aws, config) = services().await;
    let client = Client::new(&config);
    let url = aws.queues().create("sync", QueueSettings::default());
    let send = |entries: Vec<SendMessageBatchRequestEntry>| {
        client.send_message_batch().queue_url(&url).set_entries(Some(entries)).send()
    };
    aws.queues().refuse_entries("sync", 2);
    let answer = send(vec![entry("a", "1"), entry("b", "2"), entry("c", "3")]).await.unwrap();
    let failed: Vec<_> =
        answer.failed().iter().map(|failure| (failure.id(), failure.sender_fault())).collect();
    assert_eq!(failed, [("a", false), ("b", false)]);
    let [done] = answer.successful() else { panic!("one entry") };
    assert_eq!(done.id(), "c");
    assert_eq!(aws.queues().messages("sync").len(), 1);

    let empty = send(Vec::new()).await.unwrap_err().into_service_error();
    assert!(empty.is_empty_batch_request(), "{empty:?}");
    let many = send((0..11).map(|number| entry(&number.to_string(), "x")).collect()).await;
    assert!(many.unwrap_err().into_service_error().is_too_many_entries_in_batch_request());
    let same = send(vec![entry("a", "1"), entry("a", "2")]).await.unwrap_err().into_service_error();
    assert!(same.is_batch_entry_ids_not_distinct());
    assert_eq!(aws.queues().messages("sync").len(), 1);
}

#[tokio::test]
async fn a_message_that_is_not_deleted_comes_again_and_then_goes_to_the_dead_letter_queue() {
    let (aws, config) = services().await;
    let client = Client::new(&config);
    aws.queues().create("dead", QueueSettings::default());
    let redrive = Redrive { dead_letter_queue: "dead".into(), max_receive_count: 2 };
    let settings = QueueSettings { visibility_timeout: 30, redrive: Some(redrive), ..Default::default() };
    let url = aws.queues().create("sync", settings);
    aws.queues().send("sync", "poison");
    aws.set_clock(aws.now());
    let receive = async || client.receive_message().queue_url(&url).send().await.unwrap().messages().len();
    for _ in 0..2 {
        assert_eq!(receive().await, 1);
        assert_eq!(receive().await, 0);
        aws.advance_clock(Duration::from_secs(29));
        assert_eq!(receive().await, 0);
        aws.advance_clock(Duration::from_secs(1));
    }
    assert_eq!(receive().await, 0);
    assert!(aws.queues().messages("sync").is_empty());
    let [dead] = &aws.queues().messages("dead")[..] else { panic!("one message") };
    assert_eq!((dead.body.as_str(), dead.receive_count), ("poison", 2));
}

#[tokio::test]
async fn whoever_waits_gets_a_message_as_soon_as_it_comes() {
    let (aws, config) = services().await;
    let client = Client::new(&config);
    let url = aws.queues().create("sync", QueueSettings::default());
    let waiting = client.receive_message().queue_url(&url).wait_time_seconds(20).send();
    let (received, ()) = tokio::join!(waiting, async {
        aws.wait_for(Duration::from_secs(10), |aws| (aws.count("ReceiveMessage") == 1).then_some(()))
            .await
            .unwrap();
        aws.queues().send("sync", "hello");
    });
    assert_eq!(received.unwrap().messages().len(), 1);
}

#[tokio::test]
async fn attributes_count_what_is_visible_in_flight_and_delayed() {
    let (aws, config) = services().await;
    let client = Client::new(&config);
    let url = aws.queues().create("sync", QueueSettings::default());
    for body in ["a", "b", "c"] {
        aws.queues().send("sync", body);
    }
    client.send_message().queue_url(&url).message_body("d").delay_seconds(60).send().await.unwrap();
    client.receive_message().queue_url(&url).send().await.unwrap();
    let answer =
        client.get_queue_attributes().queue_url(&url).attribute_names(QueueAttributeName::All).send().await;
    let attributes = answer.unwrap().attributes.unwrap();
    let count = |name| attributes[&name].as_str();
    assert_eq!(count(QueueAttributeName::ApproximateNumberOfMessages), "2");
    assert_eq!(count(QueueAttributeName::ApproximateNumberOfMessagesNotVisible), "1");
    assert_eq!(count(QueueAttributeName::ApproximateNumberOfMessagesDelayed), "1");
    assert_eq!(count(QueueAttributeName::QueueArn), "arn:aws:sqs:eu-west-1:123456789012:sync");
}

#[tokio::test]
async fn a_function_gets_messages_as_an_event_and_its_answer_deletes_those_that_went_well() {
    let (aws, _config) = services().await;
    aws.queues().create("sync", QueueSettings::default());
    let sent: Vec<String> = ["a", "b"].iter().map(|body| aws.queues().send("sync", body)).collect();

    let delivery = aws.queues().deliver("sync", 10).unwrap();
    let records = delivery.event()["Records"].as_array().unwrap();
    assert_eq!(records.len(), 2);
    assert_eq!(records[0]["messageId"], sent[0].as_str());
    assert_eq!(records[0]["eventSourceARN"], "arn:aws:sqs:eu-west-1:123456789012:sync");
    assert_eq!(records[0]["attributes"]["ApproximateReceiveCount"], "1");
    assert_eq!(records[0]["md5OfBody"], "0cc175b9c0f1b6a831c399e269772661");

    let answer = json!({"batchItemFailures": [{"itemIdentifier": sent[1]}]});
    aws.queues().settle(&delivery, Some(&answer));
    let left: Vec<String> = aws.queues().messages("sync").into_iter().map(|message| message.body).collect();
    assert_eq!(left, ["b"]);
    assert!(aws.queues().deliver("sync", 10).is_none(), "it comes again after the visibility timeout");

    for (answer, left) in [
        (None, 1),
        (Some(json!({"batchItemFailures": [{"itemIdentifier": "unknown"}]})), 1),
        (Some(json!({"batchItemFailures": []})), 0),
    ] {
        aws.advance_clock(Duration::from_secs(30));
        let delivery = aws.queues().deliver("sync", 10).unwrap();
        aws.queues().settle(&delivery, answer.as_ref());
        assert_eq!(aws.queues().messages("sync").len(), left, "{answer:?}");
    }
}
