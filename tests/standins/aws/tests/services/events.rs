//! The bus, the control API, and the events that functions are called with.

use crate::support::services;
use aws_sdk_secretsmanager::Client;
use serde_json::{Value, json};
use standin_aws::event::{HttpAnswer, HttpEvent, schedule, schedule_with_input};

#[tokio::test]
async fn events_are_put_on_a_bus_one_by_one() {
    let (aws, _config) = services().await;
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let put = async |entries: Value| -> Value {
        http.post(aws.endpoint())
            .header("x-amz-target", "AWSEvents.PutEvents")
            .header("content-type", "application/x-amz-json-1.1")
            .body(json!({ "Entries": entries }).to_string())
            .send()
            .await
            .unwrap()
            .json()
            .await
            .unwrap()
    };
    let good = json!({"Source": "rollcall", "DetailType": "member.suspended", "Detail": "{\"member\":1}", "EventBusName": "b"});
    let bad = json!({"Source": "rollcall", "DetailType": "member.suspended", "Detail": "{"});
    let answer = put(json!([good, bad])).await;
    assert_eq!(answer["FailedEntryCount"], 1);
    assert_eq!(answer["Entries"][1]["ErrorCode"], "MalformedDetail");
    aws.events().refuse_entries(1);
    assert_eq!(put(json!([good])).await["Entries"][0]["ErrorCode"], "InternalFailure");
    let events = aws.events().all();
    assert_eq!(events.len(), 1);
    assert_eq!((events[0].bus.as_str(), &events[0].detail), ("b", &json!({"member": 1})));
    assert_eq!(put(json!([])).await["__type"], "ValidationException");
}

#[tokio::test]
async fn another_process_controls_the_services_over_http() {
    let (aws, config) = services().await;
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let at = |path: &str| format!("{}/_control/{path}", aws.endpoint());
    assert!(http.put(at("secrets/s")).body("text").send().await.unwrap().status().is_success());
    let fault = json!({"operation": "GetSecretValue", "fault": {"error": {"status": 400, "kind": "InvalidRequestException", "message": "no"}}, "times": "always"});
    assert!(http.post(at("faults")).json(&fault).send().await.unwrap().status().is_success());
    let client = Client::new(&config);
    let get = || client.get_secret_value().secret_id("s").send();
    assert!(get().await.unwrap_err().into_service_error().is_invalid_request_exception());
    assert!(http.delete(at("faults")).send().await.unwrap().status().is_success());
    assert_eq!(get().await.unwrap().secret_string(), Some("text"));
    let calls: Value = http.get(at("calls")).send().await.unwrap().json().await.unwrap();
    assert_eq!(calls[0]["status"], 400);
    assert_eq!(calls[1], json!({"operation": "GetSecretValue", "request": {"SecretId": "s"}, "status": 200}));
    assert!(
        http.put(at("queues/q"))
            .json(&json!({"visibility_timeout": 5}))
            .send()
            .await
            .unwrap()
            .status()
            .is_success()
    );
    aws.queues().send("q", "body");
    let messages: Value = http.get(at("queues/q")).send().await.unwrap().json().await.unwrap();
    assert_eq!(messages[0]["body"], "body");
    assert!(http.put(at("clock")).json(&json!({"set": 1_000})).send().await.unwrap().status().is_success());
    assert_eq!(aws.now(), 1_000);
}

#[test]
fn an_http_event_has_the_shape_that_the_gateway_sends() {
    let event = HttpEvent::post("/callback/google")
        .route("POST /callback/{provider}")
        .path_parameter("provider", "google")
        .query("code", "a b")
        .query("x", "1")
        .query("x", "2")
        .header("Accept", "text/html")
        .header("X-Twice", "1")
        .header("x-twice", "2")
        .cookie("__Host-a", "1")
        .cookie("b", "2")
        .form(&[("name", "ä&b")])
        .source_ip("198.51.100.4")
        .at(1_795_406_706_123)
        .build();
    assert_eq!(event["version"], "2.0");
    assert_eq!(event["routeKey"], "POST /callback/{provider}");
    assert_eq!(event["rawQueryString"], "code=a+b&x=1&x=2");
    assert_eq!(event["queryStringParameters"], json!({"code": "a b", "x": "1,2"}));
    assert_eq!(event["pathParameters"], json!({"provider": "google"}));
    assert_eq!(event["cookies"], json!(["__Host-a=1", "b=2"]));
    assert_eq!(event["headers"]["x-twice"], "1,2");
    assert_eq!(event["headers"]["accept"], "text/html");
    assert_eq!(event["headers"]["x-forwarded-for"], "198.51.100.4");
    assert_eq!(event["body"], "name=%C3%A4%26b");
    assert_eq!(event["isBase64Encoded"], false);
    let context = &event["requestContext"];
    assert_eq!(context["http"]["sourceIp"], "198.51.100.4");
    assert_eq!(context["time"], "23/Nov/2026:04:05:06 +0000");
    assert_eq!(context["timeEpoch"], 1_795_406_706_123_i64);
    assert_eq!(context["stage"], "$default");

    let bare = HttpEvent::get("/login").build();
    for absent in ["queryStringParameters", "cookies", "pathParameters", "body"] {
        assert!(bare.get(absent).is_none(), "{absent}");
    }
    let binary = HttpEvent::post("/x").body("application/octet-stream", vec![0, 255]).build();
    assert_eq!((&binary["body"], &binary["isBase64Encoded"]), (&json!("AP8="), &json!(true)));
}

#[test]
fn an_http_answer_is_read_as_the_gateway_reads_it() {
    let answer = HttpAnswer::read(&json!({
        "statusCode": 303, "headers": {"Location": "/x"}, "multiValueHeaders": {}, "cookies": ["a=1", "b=2"],
        "body": "e30=", "isBase64Encoded": true,
    }))
    .unwrap();
    assert_eq!((answer.status, answer.header("location")), (303, Some("/x")));
    assert_eq!(answer.cookies, ["a=1", "b=2"]);
    assert_eq!(answer.json(), json!({}));
    assert!(HttpAnswer::read(&json!({"body": "x"})).is_err());
    assert!(HttpAnswer::read(&json!({"statusCode": 200, "body": "!", "isBase64Encoded": true})).is_err());
}

#[test]
fn a_schedule_calls_with_its_own_event_or_with_an_input() {
    let event = schedule("members", 1_795_406_706_000);
    assert_eq!(event["source"], "aws.scheduler");
    assert_eq!(event["time"], "2026-11-23T04:05:06Z");
    assert_eq!(event["resources"][0], "arn:aws:scheduler:eu-west-1:123456789012:schedule/default/members");
    assert_eq!(event["detail"], "{}");
    let input = r#"{"lane":"members","at":"<aws.scheduler.scheduled-time>"}"#;
    let event = schedule_with_input("members", 1_795_406_706_000, input).unwrap();
    assert_eq!(event, json!({"lane": "members", "at": "2026-11-23T04:05:06Z"}));
}

#[tokio::test]
async fn the_crates_that_functions_use_understand_the_events() {
    use lambda_http::RequestExt as _;

    let event = HttpEvent::post("/callback/google")
        .route("POST /callback/{provider}")
        .path_parameter("provider", "google")
        .query("code", "a b")
        .cookie("__Host-a", "1")
        .cookie("b", "2")
        .form(&[("name", "value")])
        .source_ip("198.51.100.4")
        .build();
    let request = lambda_http::request::from_str(&event.to_string()).unwrap();
    assert_eq!(request.method(), "POST");
    assert_eq!(request.uri().path(), "/callback/google");
    assert_eq!(request.query_string_parameters().first("code"), Some("a b"));
    assert_eq!(request.path_parameters().first("provider"), Some("google"));
    assert_eq!(request.headers()["cookie"], "__Host-a=1; b=2");
    assert_eq!(request.body().as_ref(), b"name=value");
    let lambda_http::request::RequestContext::ApiGatewayV2(context) = request.request_context() else {
        panic!("an HTTP API's event");
    };
    assert_eq!(context.http.source_ip.as_deref(), Some("198.51.100.4"));

    let (aws, _config) = services().await;
    aws.queues().create("sync", standin_aws::QueueSettings::default());
    let sent = aws.queues().send("sync", "body");
    let delivery = aws.queues().deliver("sync", 1).unwrap();
    let event: aws_lambda_events::sqs::SqsEvent = serde_json::from_value(delivery.event().clone()).unwrap();
    assert_eq!(event.records[0].message_id.as_deref(), Some(sent.as_str()));
    assert_eq!(event.records[0].body.as_deref(), Some("body"));

    let event = schedule("members", 1_795_406_706_000);
    let event: aws_lambda_events::eventbridge::EventBridgeEvent = serde_json::from_value(event).unwrap();
    assert_eq!(event.source, "aws.scheduler");
    assert_eq!(event.detail, json!("{}"));
}
