//! Secrets Manager, proven with the real SDK.

use crate::support::services;
use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::error::ProvideErrorMetadata as _;
use aws_sdk_secretsmanager::primitives::Blob;
use standin_aws::{Fault, Times};

#[tokio::test]
async fn a_secret_is_created_read_and_described() {
    let (aws, config) = services().await;
    let client = Client::new(&config);
    let created = client.create_secret().name("rollcall/prod").secret_string("one").send().await.unwrap();
    let arn = created.arn().unwrap();
    assert!(arn.starts_with("arn:aws:secretsmanager:eu-west-1:123456789012:secret:rollcall/prod-"));
    for id in ["rollcall/prod", arn, &arn[..arn.len() - 7]] {
        let read = client.get_secret_value().secret_id(id).send().await.unwrap();
        assert_eq!(read.secret_string(), Some("one"));
        assert_eq!(read.version_id(), created.version_id());
        assert_eq!(read.version_stages(), ["AWSCURRENT"]);
        assert_eq!(read.created_date().unwrap().to_millis().unwrap() / 60_000, aws.now() / 60_000);
    }
    let described = client.describe_secret().secret_id("rollcall/prod").send().await.unwrap();
    assert_eq!(described.version_ids_to_stages().unwrap().len(), 1);
    assert_eq!(aws.count("GetSecretValue"), 3);

    let again = client.create_secret().name("rollcall/prod").secret_string("two").send().await.unwrap_err();
    assert!(again.into_service_error().is_resource_exists_exception());
}

#[tokio::test]
async fn a_new_version_becomes_current_and_the_old_one_previous() {
    let (aws, config) = services().await;
    let client = Client::new(&config);
    let first = aws.secrets().put("s", "one");
    let second = client.put_secret_value().secret_id("s").secret_string("two").send().await.unwrap();
    let third = aws.secrets().put("s", "three");
    assert_eq!(aws.secrets().current("s").as_deref(), Some("three"));

    let get = || client.get_secret_value().secret_id("s");
    assert_eq!(get().send().await.unwrap().version_id(), Some(third.as_str()));
    let previous = get().version_stage("AWSPREVIOUS").send().await.unwrap();
    assert_eq!(previous.version_id(), second.version_id());
    let by_id = get().version_id(&first).send().await.unwrap();
    assert_eq!(by_id.secret_string(), Some("one"));
    assert!(by_id.version_stages().is_empty());
    let mismatched = get().version_id(&first).version_stage("AWSCURRENT").send().await.unwrap_err();
    assert!(mismatched.into_service_error().is_resource_not_found_exception());

    let pending = client.put_secret_value().secret_id("s").secret_string("next").version_stages("AWSPENDING");
    pending.send().await.unwrap();
    assert_eq!(get().send().await.unwrap().secret_string(), Some("three"));
    let pending = get().version_stage("AWSPENDING").send().await.unwrap();
    assert_eq!(pending.secret_string(), Some("next"));
}

#[tokio::test]
async fn the_same_token_writes_once_and_never_something_else() {
    let (aws, config) = services().await;
    let client = Client::new(&config);
    aws.secrets().put("s", "one");
    let token = "11111111-1111-4111-8111-111111111111";
    let put = |text: &str| {
        client.put_secret_value().secret_id("s").client_request_token(token).secret_string(text).send()
    };
    assert_eq!(put("two").await.unwrap().version_id(), Some(token));
    assert_eq!(put("two").await.unwrap().version_id(), Some(token));
    let described = client.describe_secret().secret_id("s").send().await.unwrap();
    assert_eq!(described.version_ids_to_stages().unwrap().len(), 2);
    assert!(put("three").await.unwrap_err().into_service_error().is_resource_exists_exception());
}

#[tokio::test]
async fn binary_secrets_come_back_as_they_went() {
    let (_aws, config) = services().await;
    let client = Client::new(&config);
    let bytes = Blob::new([0_u8, 255, 7]);
    client.create_secret().name("b").secret_binary(bytes.clone()).send().await.unwrap();
    let read = client.get_secret_value().secret_id("b").send().await.unwrap();
    assert_eq!(read.secret_binary(), Some(&bytes));
    assert_eq!(read.secret_string(), None);
}

#[tokio::test]
async fn a_secret_that_is_not_there_is_not_found() {
    let (_aws, config) = services().await;
    let client = Client::new(&config);
    let error = client.get_secret_value().secret_id("nope").send().await.unwrap_err().into_service_error();
    assert!(error.is_resource_not_found_exception());
    assert_eq!(error.message(), Some("Secrets Manager can't find the specified secret."));
}

#[tokio::test]
async fn troubles_pass_or_stay_as_told_and_every_attempt_is_counted() {
    let (aws, config) = services().await;
    let client = Client::new(&config);
    aws.secrets().put("s", "one");
    for trouble in [Fault::throttled(), Fault::broken()] {
        aws.forget_calls();
        aws.fault("GetSecretValue", trouble, Times::Next(2));
        assert!(client.get_secret_value().secret_id("s").send().await.is_ok());
        assert_eq!(aws.count("GetSecretValue"), 3);
    }
    aws.forget_calls();
    aws.fault("GetSecretValue", Fault::denied(), Times::Always);
    let error = client.get_secret_value().secret_id("s").send().await.unwrap_err().into_service_error();
    assert_eq!(error.code(), Some("AccessDeniedException"));
    assert_eq!(aws.count("GetSecretValue"), 1, "a refusal is not tried again");
    aws.heal();
    assert!(client.get_secret_value().secret_id("s").send().await.is_ok());
}

#[tokio::test]
async fn a_write_whose_answer_was_lost_has_happened_and_its_token_finds_it() {
    let (aws, config) = services().await;
    let client = Client::new(&config);
    aws.secrets().put("s", "one");
    aws.fault("PutSecretValue", Fault::ErrorAfterwards, Times::Next(1));
    let put = client.put_secret_value().secret_id("s").secret_string("two").send().await.unwrap();
    assert_eq!(aws.count("PutSecretValue"), 2);
    let described = client.describe_secret().secret_id("s").send().await.unwrap();
    assert_eq!(described.version_ids_to_stages().unwrap().len(), 2, "both attempts wrote version {put:?}");
}
