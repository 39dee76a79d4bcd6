//! Webhooks over HTTP: order, signatures, failures, and what happens when a telling breaks off.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "tests say so by panicking"
)]

use core::time::Duration;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use rollcall_admin::testing::{Deployment, START};
use rollcall_delivery::webhook::{Signer, SigningSecret};
use rollcall_delivery::{Caller, Delivered, Outbox, Ports};
use rollcall_domain::event::{Event, EventKind};
use rollcall_domain::{EventId, Timestamp, WorkspaceId};
use rollcall_service::clock::Clock as _;
use rollcall_service::random::SeededRandom;
use rollcall_service::telemetry::Metrics;
use rollcall_store::Record;
use rollcall_store::deliveries::Webhook;
use serde_json::{Value, json};
use tokio::net::TcpListener;

#[derive(Clone, Default)]
struct Inbox {
    taken: Arc<Mutex<Vec<(HeaderMap, String)>>>,
    answers: Arc<Mutex<Vec<u16>>>,
}

impl Inbox {
    async fn start(self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let routes = Router::new().route("/hook", post(take)).with_state(self);
        tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
        url
    }

    /// The next answers, the first first; after them it takes everything.
    fn answer(&self, statuses: &[u16]) {
        *self.answers.lock().unwrap() = statuses.iter().rev().copied().collect();
    }

    fn numbers(&self) -> Vec<u64> {
        let taken = self.taken.lock().unwrap();
        let body = |(_, body): &(HeaderMap, String)| serde_json::from_str::<Value>(body).unwrap();
        taken.iter().map(|message| body(message)["data"]["n"].as_u64().unwrap()).collect()
    }
}

async fn take(State(inbox): State<Inbox>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let status = StatusCode::from_u16(inbox.answers.lock().unwrap().pop().unwrap_or(200)).unwrap();
    if status.is_success() {
        inbox.taken.lock().unwrap().push((headers, String::from_utf8(body.to_vec()).unwrap()));
    }
    status
}

struct Rig {
    deployment: Deployment,
    workspace: WorkspaceId,
    outbox: Outbox,
    inbox: Inbox,
    secret: SigningSecret,
}

impl Rig {
    async fn start() -> Self {
        let deployment = Deployment::with(rollcall_store::testing::store().await, &[]).await;
        let workspace = deployment.workspace("Acme").await;
        let inbox = Inbox::default();
        let url = inbox.clone().start().await;
        let keys = deployment.admin.keys().await.unwrap();
        let secret = SigningSecret::new([7; 32]);
        let webhook = Webhook {
            workspace,
            url,
            sealed_secret: secret.sealed(&keys.sealing, workspace).unwrap(),
            former: None,
            created_at: START,
            version: 0,
        };
        let rig = Self { outbox: outbox(&deployment), deployment, workspace, inbox, secret };
        // What happened before it was registered is not told.
        rig.happen(0).await;
        rig.deployment.admin.store().put_webhook(&webhook, true, Record::default()).await.unwrap();
        rig
    }

    async fn happen(&self, n: u64) {
        let mut random = [0; 10];
        random[9] = u8::try_from(n).unwrap();
        let event = Event {
            id: EventId::new(START, random),
            workspace: self.workspace,
            kind: EventKind::TeamUpdated,
            at: START,
            subject: "team_1".to_owned(),
            data: json!({ "n": n }),
        };
        let record = Record { audit: Vec::new(), events: vec![event] };
        let mut transaction = self.deployment.admin.store().transaction();
        transaction.record(record).unwrap();
        transaction.commit().await.unwrap();
    }

    async fn tell(&self) -> Delivered {
        self.outbox.deliver(self.workspace).await.unwrap()
    }

    fn now(&self) -> Timestamp {
        self.deployment.clock.now()
    }
}

fn outbox(deployment: &Deployment) -> Outbox {
    let clock = Arc::new(deployment.clock.clone());
    Outbox::new(Ports {
        store: deployment.admin.store().clone(),
        secrets: Arc::clone(&deployment.secrets),
        public_url: "https://rollcall.example.com".to_owned(),
        caller: Caller::new(Some(rollcall_service::http::client().unwrap())),
        metrics: Metrics::discarded("tests", clock.clone()),
        clock,
        random: Arc::new(SeededRandom::new(3)),
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_since_the_registration_is_told_once_in_order_and_signed() {
    let rig = Rig::start().await;
    for n in 1..=5 {
        rig.happen(n).await;
    }
    assert_eq!(rig.tell().await, Delivered::All);
    rig.happen(6).await;
    assert_eq!(rig.tell().await, Delivered::All);
    assert_eq!(rig.tell().await, Delivered::All, "nothing is left");
    assert_eq!(rig.inbox.numbers(), [1, 2, 3, 4, 5, 6]);

    let (headers, body) = rig.inbox.taken.lock().unwrap()[0].clone();
    let header = |name: &str| headers[name].to_str().unwrap().to_owned();
    assert_eq!(header("content-type"), "application/cloudevents+json");
    let event: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(event["id"], header("webhook-id"), "the same id however often it is told");
    let keys = rig.deployment.admin.keys().await.unwrap();
    let webhook = rig.deployment.admin.store().webhook(rig.workspace).await.unwrap().unwrap();
    let signer = Signer::of(&webhook, &keys.sealing, rig.now()).ok().unwrap();
    let [_, _, (_, signature)] = signer.headers(&header("webhook-id"), rig.now(), &body);
    assert_eq!(header("webhook-signature"), signature);
    assert!(!body.contains(rig.secret.shown().expose()));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_is_not_taken_holds_back_the_later_ones_until_its_next_attempt() {
    let rig = Rig::start().await;
    for n in 1..=3 {
        rig.happen(n).await;
    }
    rig.inbox.answer(&[200, 500, 500, 500]);
    assert_eq!(rig.tell().await, Delivered::All, "the rest waits");
    assert_eq!(rig.inbox.numbers(), [1]);
    let failing = rig.deployment.admin.store().progress(rig.workspace).await.unwrap().failing.unwrap();
    assert_eq!((failing.tries, failing.why.as_str()), (1, "the application answered with status 500"));
    assert_eq!(rig.tell().await, Delivered::All);
    assert_eq!(rig.inbox.numbers(), [1], "it is left alone until then");
    rig.deployment.clock.advance(Duration::from_secs(6));
    assert_eq!(rig.tell().await, Delivered::All);
    assert_eq!(rig.inbox.numbers(), [1, 2, 3]);
    assert_eq!(rig.deployment.admin.store().progress(rig.workspace).await.unwrap().failing, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_is_not_repeated_at_once() {
    let rig = Rig::start().await;
    rig.happen(1).await;
    rig.inbox.answer(&[410]);
    rig.tell().await;
    assert_eq!(rig.inbox.numbers(), Vec::<u64>::new());
    rig.deployment.clock.advance(Duration::from_secs(6));
    rig.tell().await;
    assert_eq!(rig.inbox.numbers(), [1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_who_tell_at_once_keep_the_order_and_one_who_broke_off_is_followed() {
    let rig = Rig::start().await;
    for n in 1..=20 {
        rig.happen(n).await;
    }
    let other = outbox(&rig.deployment);
    let both = futures_util::future::join(rig.tell(), other.deliver(rig.workspace)).await;
    assert!(matches!(both.0, Delivered::All | Delivered::Again), "{both:?}");
    while rig.tell().await == Delivered::Again {}
    assert_eq!(rig.inbox.numbers(), (1..=20).collect::<Vec<u64>>());

    // A claim of a process that died.
    rig.happen(21).await;
    let store = rig.deployment.admin.store();
    let progress = store.progress(rig.workspace).await.unwrap();
    store.claim_delivery(rig.workspace, &progress, Duration::from_mins(2), rig.now()).await.unwrap().unwrap();
    assert_eq!(rig.tell().await, Delivered::Again);
    rig.deployment.clock.advance(Duration::from_mins(3));
    assert_eq!(rig.tell().await, Delivered::All);
    assert_eq!(rig.inbox.numbers().last(), Some(&21));
}
