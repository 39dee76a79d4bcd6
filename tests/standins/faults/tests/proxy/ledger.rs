//! What the proxy writes down, and how other processes and other services use it.

use std::time::Duration;

use crate::support::{TABLE, in_batch, key, put, rig};
use serde_json::{Value, json};
use standin_faults::{Act, Kind, Matching, Outcome, Refusal, When, start};

#[tokio::test]
async fn calls_are_counted_by_operation_with_items_and_bytes() {
    let rig = rig().await;
    put(&rig.once, "a").await.unwrap();
    rig.once.batch_write_item().request_items(TABLE, ["b", "c"].map(in_batch).to_vec()).send().await.unwrap();
    rig.once
        .query()
        .table_name(TABLE)
        .key_condition_expression("pk = :pk")
        .expression_attribute_values(":pk", key("a"))
        .send()
        .await
        .unwrap();
    let by_operation = rig.proxy.totals_by_operation();
    let items: Vec<_> =
        by_operation.iter().map(|(name, totals)| (name.as_str(), totals.calls, totals.items)).collect();
    assert_eq!(items, [("BatchWriteItem", 1, 2), ("PutItem", 1, 1), ("Query", 1, 1)]);
    let totals = rig.proxy.totals();
    assert_eq!((totals.calls, totals.failed, totals.items), (3, 0, 4));
    let calls = rig.proxy.calls();
    assert!(calls.iter().all(|call| call.request_bytes > 10 && call.response_bytes >= 2));
    assert_eq!(calls[0].tables, [TABLE]);
    assert_eq!((calls[0].kind, calls[2].kind), (Kind::Write, Kind::Read));
    assert_eq!(calls[0].request["Item"], json!({"pk": {"S": "a"}}));
    rig.proxy.forget_calls();
    assert_eq!(rig.proxy.totals().calls, 0);
}

#[tokio::test]
async fn capacity_is_summed_where_it_is_asked_for_and_the_caller_does_not_notice() {
    let rig = rig().await;
    put(&rig.once, "a").await.unwrap();
    assert!(rig.proxy.totals().capacity.abs() < f64::EPSILON);
    rig.proxy.ask_for_capacity(true);
    let put = rig.once.put_item().table_name(TABLE).item("pk", key("b")).send().await.unwrap();
    assert!(put.consumed_capacity().is_none());
    rig.once.batch_write_item().request_items(TABLE, vec![in_batch("c")]).send().await.unwrap();
    assert!(rig.proxy.totals_of("PutItem").capacity >= 1.0, "{:?}", rig.proxy.calls());
    assert!(rig.proxy.totals_of("BatchWriteItem").capacity >= 1.0, "{:?}", rig.proxy.calls());
}

#[tokio::test]
async fn round_trips_one_after_another_are_told_from_parallel_ones() {
    let rig = rig().await;
    // The three meet at the proxy, whatever the machine does.
    let rule = rig.proxy.add(Matching::writes(), When::First(3), Act::Wait);
    let puts = ["a", "b", "c"].map(|name| put(&rig.once, name));
    let (outcomes, ()) = tokio::join!(futures_util::future::join_all(puts), async {
        let all_there =
            rig.proxy.wait_for(Duration::from_secs(30), |proxy| (proxy.matched(rule) == 3).then_some(()));
        all_there.await.unwrap();
        rig.proxy.remove(rule);
    });
    assert!(outcomes.iter().all(Result::is_ok));
    assert_eq!(rig.proxy.sequential_round_trips(), 1);
    put(&rig.once, "d").await.unwrap();
    put(&rig.once, "e").await.unwrap();
    assert_eq!(rig.proxy.sequential_round_trips(), 3);
}

#[tokio::test]
async fn another_process_makes_rules_over_http() {
    let rig = rig().await;
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let at = |path: &str| format!("{}/_control/{path}", rig.proxy.url());
    let rule = json!({"matching": {"kind": "write"}, "when": {"nth": 1}, "act": {"refuse": "throttled"}});
    let made = http.post(at("rules")).json(&rule).send().await.unwrap();
    assert_eq!(made.status(), 201);
    let id = made.json::<Value>().await.unwrap()["id"].as_u64().unwrap();
    assert!(put(&rig.once, "a").await.is_err());
    let gone = http.delete(at(&format!("rules/{id}"))).send().await.unwrap();
    assert_eq!(gone.status(), 200);
    assert_eq!(http.delete(at(&format!("rules/{id}"))).send().await.unwrap().status(), 404);

    let crash = json!({"when": "always", "act": "crash"});
    http.post(at("rules")).json(&crash).send().await.unwrap();
    assert!(put(&rig.once, "a").await.is_err());
    assert!(rig.proxy.is_crashed());
    http.delete(at("rules")).send().await.unwrap();
    put(&rig.once, "a").await.unwrap();

    let totals: Value = http.get(at("totals")).send().await.unwrap().json().await.unwrap();
    assert_eq!((&totals["PutItem"]["calls"], &totals["PutItem"]["failed"]), (&json!(3), &json!(2)));
    let calls: Value = http.get(at("calls")).send().await.unwrap().json().await.unwrap();
    assert_eq!(calls[0]["outcome"], json!({"refused": {"status": 400, "forwarded": false}}));
    let bad = http.post(at("rules")).json(&json!({"when": "sometimes", "act": "drop"})).send().await.unwrap();
    assert_eq!(bad.status(), 400);
    assert_eq!(http.get(at("nothing")).send().await.unwrap().status(), 404);
}

#[tokio::test]
async fn it_stands_before_any_http_service_too() {
    let rig = rig().await;
    // A second proxy stands for the other service: its control paths answer plain HTTP.
    let service = start(rig.proxy.url(), "127.0.0.1:0".parse().unwrap()).await.unwrap();
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let limited = Refusal::Plain {
        status: 429,
        headers: vec![("retry-after".into(), "60".into())],
        body: "Rate limit for this resource has been exceeded".into(),
    };
    service.add(Matching::path("/2.0/"), When::Nth(1), Act::Refuse(limited));
    let answer = http.get(format!("{}/2.0/user?fields=uuid", service.url())).send().await.unwrap();
    assert_eq!((answer.status().as_u16(), answer.headers()["retry-after"].to_str().unwrap()), (429, "60"));
    assert_eq!(answer.text().await.unwrap(), "Rate limit for this resource has been exceeded");
    http.get(format!("{}/2.0/user", service.url())).send().await.unwrap();
    let [refused, passed] = &service.calls()[..] else { panic!("two calls") };
    assert_eq!((refused.operation.as_str(), passed.kind), ("GET /2.0/user", Kind::Read));
    assert!(matches!(passed.outcome, Outcome::Answered(_)));
    assert_eq!(rig.proxy.totals_of("GET /2.0/user").calls, 1, "only the second one was passed on");
}

#[tokio::test]
async fn a_service_that_is_not_there_is_told() {
    let unused = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let proxy = start(&format!("http://{unused}"), "127.0.0.1:0".parse().unwrap()).await.unwrap();
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    assert_eq!(http.get(format!("{}/x", proxy.url())).send().await.unwrap().status(), 502);
    assert_eq!(proxy.calls()[0].outcome, Outcome::Unreachable);
    for wrong in ["127.0.0.1:8000", "https://127.0.0.1", "http://127.0.0.1/path"] {
        assert!(start(wrong, "127.0.0.1:0".parse().unwrap()).await.is_err(), "{wrong}");
    }
}
