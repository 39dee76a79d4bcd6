use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, join_all};
use rollcall_domain::identity::Provider;
use rollcall_domain::{Secret, Timestamp};
use rollcall_service::clock::SettableClock;
use rollcall_service::secrets::{DeploymentSecret, FetchFailed, Secrets, SecretsError, Source};
use tokio::sync::Semaphore;

use super::example;

/// A Secrets Manager that answers what it was told to, and counts.
#[derive(Clone)]
struct Fake {
    answers: Arc<Mutex<VecDeque<Result<String, FetchFailed>>>>,
    calls: Arc<Mutex<usize>>,
    /// One permit per answer that may leave.
    gate: Arc<Semaphore>,
}

impl Fake {
    fn new(answers: impl IntoIterator<Item = Result<String, FetchFailed>>) -> Self {
        Self {
            answers: Arc::new(Mutex::new(answers.into_iter().collect())),
            calls: Arc::default(),
            gate: Arc::new(Semaphore::new(1_000)),
        }
    }

    fn calls(&self) -> usize {
        *self.calls.lock().unwrap()
    }
}

impl Source for Fake {
    fn fetch(&self) -> BoxFuture<'_, Result<Secret, FetchFailed>> {
        Box::pin(async {
            *self.calls.lock().unwrap() += 1;
            self.gate.acquire().await.unwrap().forget();
            let mut answers = self.answers.lock().unwrap();
            // The last answer stays.
            let answer = if answers.len() > 1 { answers.pop_front() } else { answers.front().cloned() };
            answer.unwrap().map(Secret::new)
        })
    }
}

/// An answer with a document that is told apart by Google's client secret.
#[allow(clippy::unnecessary_wraps, reason = "it stands among answers that fail")]
fn document(client_secret: &str) -> Result<String, FetchFailed> {
    let mut document = example::document();
    document["providers"]["google"]["client_secret"] = client_secret.into();
    Ok(document.to_string())
}

fn told_apart(secret: &DeploymentSecret) -> String {
    secret.providers.get(Provider::Google).unwrap().client_secret.expose().to_owned()
}

#[allow(clippy::unnecessary_wraps, reason = "it stands among answers that succeed")]
fn unavailable() -> Result<String, FetchFailed> {
    Err(FetchFailed::Unavailable("test".into()))
}

fn cache(fake: &Fake) -> (Secrets, SettableClock) {
    let clock = SettableClock::frozen_at(Timestamp::from_seconds(1_800_000_000));
    (Secrets::from_source(fake.clone(), Arc::new(clock.clone())), clock)
}

async fn current(secrets: &Secrets) -> String {
    told_apart(&secrets.current().await.unwrap_or_else(|error| panic!("{error}")))
}

#[tokio::test]
async fn the_document_is_read_once_in_five_minutes() {
    let fake = Fake::new([document("first"), document("second")]);
    let (secrets, clock) = cache(&fake);
    assert_eq!(current(&secrets).await, "first");
    clock.advance(Duration::from_secs(299));
    assert_eq!((current(&secrets).await.as_str(), fake.calls()), ("first", 1));
    clock.advance(Duration::from_secs(1));
    assert_eq!((current(&secrets).await.as_str(), fake.calls()), ("second", 2));
}

#[tokio::test]
async fn many_at_once_cause_one_read_and_all_get_its_answer() {
    let fake = Fake::new([document("first")]);
    let (secrets, _clock) = cache(&fake);
    let all = join_all((0..50).map(|_| current(&secrets))).await;
    assert!(all.iter().all(|secret| secret == "first"));
    assert_eq!(fake.calls(), 1);
}

#[tokio::test]
async fn while_one_reads_again_the_others_go_on_with_what_there_is() {
    let fake = Fake::new([document("first"), document("second")]);
    let (secrets, clock) = cache(&fake);
    current(&secrets).await;
    clock.advance(Duration::from_mins(5));
    fake.gate.forget_permits(usize::MAX);
    let mut reading = Box::pin(secrets.current());
    assert!(reading.as_mut().now_or_never().is_none(), "it waits for Secrets Manager");
    assert_eq!(current(&secrets).now_or_never().as_deref(), Some("first"));
    fake.gate.add_permits(1);
    assert_eq!(told_apart(&reading.await.ok().unwrap()), "second");
    assert_eq!((current(&secrets).await.as_str(), fake.calls()), ("second", 2));
}

#[tokio::test]
async fn a_reader_that_gives_up_does_not_block_the_next() {
    let fake = Fake::new([document("first")]);
    let (secrets, _clock) = cache(&fake);
    fake.gate.forget_permits(usize::MAX);
    let mut reading = Box::pin(secrets.current());
    assert!(reading.as_mut().now_or_never().is_none());
    drop(reading);
    fake.gate.add_permits(1);
    assert_eq!(current(&secrets).await, "first");
}

#[tokio::test]
async fn a_failed_or_unusable_refresh_leaves_the_last_good_document_in_use() {
    let broken = Ok("{\"providers\": {}}".to_owned());
    let fake = Fake::new([document("first"), unavailable(), broken, document("second")]);
    let (secrets, clock) = cache(&fake);
    current(&secrets).await;
    clock.advance(Duration::from_hours(1));
    for expected in ["first", "first", "second"] {
        assert_eq!(current(&secrets).await, expected);
        let calls = fake.calls();
        assert_eq!(current(&secrets).await, expected);
        assert_eq!(fake.calls(), calls, "no second try before the cool-down is over");
        clock.advance(Duration::from_secs(30));
    }
}

#[tokio::test]
async fn a_first_read_that_fails_is_told_and_tried_again_by_the_next() {
    let fake = Fake::new([Err(FetchFailed::Denied), document("first")]);
    let (secrets, _clock) = cache(&fake);
    assert_eq!(secrets.current().await.err(), Some(SecretsError::Fetch(FetchFailed::Denied)));
    assert_eq!(current(&secrets).await, "first");
}

#[tokio::test]
async fn a_rotation_is_found_by_the_first_refusal_with_one_read_for_all() {
    let fake = Fake::new([document("first"), document("second")]);
    let (secrets, clock) = cache(&fake);
    let used = secrets.current().await.ok().unwrap();
    clock.advance(Duration::from_secs(60));
    let again = join_all((0..20).map(|_| secrets.refresh_once(&used))).await;
    assert!(again.iter().all(|secret| secret.as_ref().is_some_and(|secret| told_apart(secret) == "second")));
    assert_eq!(fake.calls(), 2);
    assert_eq!(current(&secrets).await, "second");
}

#[tokio::test]
async fn a_refusal_without_a_rotation_is_read_for_at_most_once_per_cool_down() {
    let unchanged = document("first");
    let fake = Fake::new([unchanged.clone(), unchanged]);
    let (secrets, clock) = cache(&fake);
    let used = secrets.current().await.ok().unwrap();
    assert!(secrets.refresh_once(&used).await.is_none());
    assert_eq!(fake.calls(), 1, "it was read a moment ago");
    clock.advance(Duration::from_secs(30));
    for _ in 0..10 {
        assert!(secrets.refresh_once(&used).await.is_none());
    }
    assert_eq!(fake.calls(), 2);
    assert!(
        Arc::ptr_eq(&used, &secrets.current().await.ok().unwrap()),
        "an unchanged document stays the same"
    );
}

#[tokio::test]
async fn an_outage_during_a_refusal_leaves_the_refusal_as_it_is() {
    let fake = Fake::new([document("first"), unavailable()]);
    let (secrets, clock) = cache(&fake);
    let used = secrets.current().await.ok().unwrap();
    clock.advance(Duration::from_secs(60));
    assert!(secrets.refresh_once(&used).await.is_none());
    assert_eq!(current(&secrets).await, "first");
}
