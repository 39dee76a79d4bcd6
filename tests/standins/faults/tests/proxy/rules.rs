//! Each rule, proven with the real SDK before an embedded `DynamoDB`.

use std::time::{Duration, Instant};

use crate::support::{TABLE, in_batch, in_transaction, key, put, rig};
use aws_sdk_dynamodb::error::ProvideErrorMetadata as _;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::KeysAndAttributes;
use standin_faults::{Act, Matching, Outcome, Refusal, When};

/// Long enough for any machine; only what goes wrong takes so long.
const PATIENCE: Duration = Duration::from_secs(30);

#[tokio::test]
async fn without_rules_everything_passes() {
    let rig = rig().await;
    put(&rig.once, "a").await.unwrap();
    let got = rig.once.get_item().table_name(TABLE).key("pk", key("a")).send().await.unwrap();
    assert!(got.item().is_some());
    assert_eq!(rig.stored().await, ["a"]);
}

#[tokio::test]
async fn the_nth_write_is_refused_with_the_error_that_was_chosen_and_reads_pass() {
    for (refusal, code) in [
        (Refusal::Throttled, "ThrottlingException"),
        (Refusal::CapacityExceeded, "ProvisionedThroughputExceededException"),
        (Refusal::TransactionConflict, "TransactionConflictException"),
        (Refusal::ConditionFailed, "ConditionalCheckFailedException"),
        (Refusal::Broken, "InternalServerError"),
        (Refusal::Unavailable, "ServiceUnavailable"),
        (Refusal::Denied, "AccessDeniedException"),
    ] {
        let rig = rig().await;
        rig.proxy.add(Matching::writes(), When::Nth(2), Act::Refuse(refusal));
        put(&rig.once, "a").await.unwrap();
        rig.once.get_item().table_name(TABLE).key("pk", key("a")).send().await.unwrap();
        let error = put(&rig.once, "b").await.unwrap_err();
        assert_eq!(error.code(), Some(code));
        put(&rig.once, "c").await.unwrap();
        assert_eq!(rig.stored().await, ["a", "c"], "{code}");
    }
}

#[tokio::test]
async fn the_sdk_knows_the_errors_after_which_it_tries_again_and_every_attempt_is_counted() {
    for (refusal, attempts) in [
        (Refusal::Throttled, 3),
        (Refusal::CapacityExceeded, 3),
        (Refusal::Broken, 3),
        (Refusal::Unavailable, 3),
        (Refusal::ConditionFailed, 1),
        (Refusal::Denied, 1),
    ] {
        let rig = rig().await;
        rig.proxy.add(Matching::operation("PutItem"), When::First(2), Act::Refuse(refusal.clone()));
        assert_eq!(put(&rig.patient, "a").await.is_ok(), attempts == 3, "{refusal:?}");
        let totals = rig.proxy.totals_of("PutItem");
        assert_eq!((totals.calls, totals.failed), (attempts, attempts.min(2)), "{refusal:?}");
    }
}

#[tokio::test]
async fn a_transaction_is_cancelled_with_a_reason_for_each_of_its_actions() {
    let rig = rig().await;
    let transact = || {
        let items = ["a", "b", "c"].map(in_transaction).to_vec();
        rig.once.transact_write_items().set_transact_items(Some(items)).send()
    };
    rig.proxy.add(
        Matching::operation("TransactWriteItems"),
        When::Nth(1),
        Act::Refuse(Refusal::canceled_by("TransactionConflict", 1)),
    );
    let error = transact().await.unwrap_err().into_service_error();
    let TransactWriteItemsError::TransactionCanceledException(canceled) = error else { panic!("{error:?}") };
    let codes: Vec<_> = canceled.cancellation_reasons().iter().filter_map(|reason| reason.code()).collect();
    assert_eq!(codes, ["None", "TransactionConflict", "None"]);
    assert!(rig.stored().await.is_empty());
    transact().await.unwrap();
    assert_eq!(rig.stored().await, ["a", "b", "c"]);
    assert_eq!(rig.proxy.totals_of("TransactWriteItems").items, 6);
}

#[tokio::test]
async fn an_error_after_the_commit_leaves_the_write_done() {
    let rig = rig().await;
    rig.proxy.add(Matching::writes(), When::Nth(1), Act::RefuseAfterwards(Refusal::Broken));
    assert_eq!(put(&rig.once, "a").await.unwrap_err().code(), Some("InternalServerError"));
    assert_eq!(rig.stored().await, ["a"]);
    assert_eq!(rig.proxy.calls()[0].outcome, Outcome::Refused { status: 500, forwarded: true });
}

#[tokio::test]
async fn a_connection_breaks_before_or_after_the_write() {
    let rig = rig().await;
    rig.proxy.add(Matching::writes(), When::Nth(1), Act::Drop);
    rig.proxy.add(Matching::writes(), When::Nth(2), Act::DropAfterwards);
    for name in ["before", "after"] {
        let error = rig.once.put_item().table_name(TABLE).item("pk", key(name)).send().await.unwrap_err();
        assert!(error.as_service_error().is_none(), "no answer came: {error:?}");
    }
    assert_eq!(rig.stored().await, ["after"]);
    put(&rig.once, "c").await.unwrap();
    let outcomes: Vec<_> = rig.proxy.calls().iter().map(|call| call.outcome).collect();
    let dropped = |forwarded| Outcome::Dropped { forwarded };
    assert_eq!(outcomes, [dropped(false), dropped(true), Outcome::Answered(200)]);
}

#[tokio::test]
async fn a_batch_leaves_entries_unprocessed_as_often_as_told() {
    let rig = rig().await;
    rig.proxy.add(Matching::operation("BatchWriteItem"), When::First(2), Act::LeaveUnprocessed(2));
    let mut entries = ["a", "b", "c", "d"].map(in_batch).to_vec();
    let mut left = Vec::new();
    for _ in 0..3 {
        let answer = rig.once.batch_write_item().request_items(TABLE, entries).send().await.unwrap();
        entries = answer.unprocessed_items.unwrap_or_default().remove(TABLE).unwrap_or_default();
        left.push((entries.len(), rig.stored().await.len()));
        if entries.is_empty() {
            break;
        }
    }
    assert_eq!(left, [(2, 2), (2, 2), (0, 4)], "the second batch had two entries, and none was done");

    rig.proxy.heal();
    rig.proxy.add(Matching::operation("BatchGetItem"), When::Nth(1), Act::LeaveUnprocessed(3));
    let keys = ["a", "b", "c", "d"].map(|name| [("pk".to_owned(), key(name))].into());
    let wanted =
        KeysAndAttributes::builder().set_keys(Some(keys.to_vec())).consistent_read(true).build().unwrap();
    let answer = rig.once.batch_get_item().request_items(TABLE, wanted).send().await.unwrap();
    assert_eq!(answer.responses().unwrap()[TABLE].len(), 1);
    let unprocessed = &answer.unprocessed_keys().unwrap()[TABLE];
    assert_eq!((unprocessed.keys().len(), unprocessed.consistent_read()), (3, Some(true)));
}

#[tokio::test]
async fn after_a_crash_nothing_answers_until_it_is_lifted() {
    for (act, landed) in [(Act::Crash, vec!["a"]), (Act::CrashAfterwards, vec!["a", "b"])] {
        let rig = rig().await;
        rig.proxy.add(Matching::writes(), When::Nth(2), act);
        put(&rig.once, "a").await.unwrap();
        for name in ["b", "c"] {
            assert!(put(&rig.once, name).await.is_err());
        }
        assert!(rig.once.get_item().table_name(TABLE).key("pk", key("a")).send().await.is_err());
        assert!(rig.proxy.is_crashed());
        assert_eq!(rig.stored().await, landed);
        rig.proxy.lift();
        put(&rig.once, "d").await.unwrap();
        assert!(!rig.proxy.is_crashed(), "the rule was for the second write alone");
    }
}

#[tokio::test]
async fn a_call_is_delayed() {
    let rig = rig().await;
    rig.proxy.add(Matching::writes(), When::Nth(1), Act::Delay(200));
    let start = Instant::now();
    put(&rig.once, "a").await.unwrap();
    assert!(start.elapsed() >= Duration::from_millis(200));
    let [call] = &rig.proxy.calls()[..] else { panic!("one call") };
    assert!(call.ended.unwrap() >= call.began + Duration::from_millis(200));
}

#[tokio::test]
async fn a_call_waits_until_its_rule_is_gone_while_others_pass() {
    let rig = rig().await;
    let rule = rig.proxy.add(Matching::writes().containing("\"slow\""), When::Nth(1), Act::Wait);
    let (slow, ()) = tokio::join!(put(&rig.once, "slow"), async {
        rig.proxy.wait_for(PATIENCE, |proxy| (proxy.matched(rule) == 1).then_some(())).await.unwrap();
        put(&rig.once, "fast").await.unwrap();
        assert_eq!(rig.stored().await, ["fast"]);
        rig.proxy.remove(rule);
    });
    slow.unwrap();
    assert_eq!(rig.stored().await, ["fast", "slow"]);
}

#[tokio::test]
async fn rules_count_for_themselves_and_only_what_they_match() {
    let rig = rig().await;
    let b = Matching::operation("PutItem").containing("\"b\"");
    let rule = rig.proxy.add(b, When::From(2), Act::Refuse(Refusal::Throttled));
    let every_third = rig.proxy.add(Matching::writes(), When::Every(3), Act::Refuse(Refusal::Broken));
    let mut good = Vec::new();
    for name in ["a", "b", "a", "a", "b", "a", "b"] {
        good.push(put(&rig.once, name).await.is_ok());
    }
    assert_eq!(good, [true, true, false, true, false, false, false]);
    assert_eq!((rig.proxy.matched(rule), rig.proxy.matched(every_third)), (3, 7));
    assert!(rig.proxy.remove(rule) && !rig.proxy.remove(rule));
    put(&rig.once, "b").await.unwrap();
}

#[tokio::test]
async fn an_index_can_be_behind_the_table() {
    let rig = rig().await;
    put(&rig.once, "a").await.unwrap();
    let find = async || {
        let query = rig.once.query().table_name(TABLE).key_condition_expression("pk = :pk");
        query.expression_attribute_values(":pk", key("a")).send().await.unwrap().count()
    };
    let rule = rig.proxy.add(
        Matching::operation("Query").containing("\"pk = :pk\""),
        When::Always,
        Act::Refuse(Refusal::nothing_found()),
    );
    assert_eq!(find().await, 0);
    assert!(rig.once.get_item().table_name(TABLE).key("pk", key("a")).send().await.unwrap().item().is_some());
    rig.proxy.remove(rule);
    assert_eq!(find().await, 1);
}
