//! One call budget, several processes: together they never call more often than it allows.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot go on says so by panicking"
)]

use std::io::{BufRead as _, BufReader, Lines, Write as _};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType,
};
use axum::extract::State;
use axum::http::Uri;
use rollcall_bitbucket::{
    Bitbucket, BitbucketWorkspace, BudgetLedger as _, CallBudget, ChunkSizes, Clock, Credential, Endpoints,
    Limits, Pause, Refusal, Session,
};
use rollcall_domain::bitbucket::AccountUuid;
use rollcall_domain::budget::{Allowance, Purpose, WaitFor};
use rollcall_domain::{Secret, Timestamp};
use rollcall_store::budget::BudgetTable;
use uuid::Uuid;

/// What a process says when it may call no more at present.
const DONE: &str = "refused";

const TABLE: &str = "rollcall";
const LIMIT: u32 = 150;
const RESERVED: u32 = 30;
const WORKSPACE: Uuid = Uuid::from_u128(7);

/// Minutes of the played day at which all processes call as often as they may, and how often that is for all of them together.
const MINUTES: [(i64, usize); 7] = [(0, 150), (20, 0), (59, 0), (61, 0), (62, 150), (90, 0), (124, 150)];

fn client(endpoint: &str) -> Client {
    let config = aws_sdk_dynamodb::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-west-1"))
        .credentials_provider(Credentials::new("test", "test", None, None, "test"))
        .endpoint_url(endpoint)
        .build();
    Client::from_conf(config)
}

async fn database() -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(dynoxide::server::serve_on(listener, dynoxide::Database::memory().unwrap()));
    let key = |name: &str, kind| {
        let attribute = AttributeDefinition::builder().attribute_name(name);
        let element = KeySchemaElement::builder().attribute_name(name).key_type(kind);
        (attribute.attribute_type(ScalarAttributeType::S).build().unwrap(), element.build().unwrap())
    };
    let ((pk, partition), (sk, sort)) = (key("pk", KeyType::Hash), key("sk", KeyType::Range));
    let table = client(&endpoint).create_table().table_name(TABLE).billing_mode(BillingMode::PayPerRequest);
    let table =
        table.attribute_definitions(pk).attribute_definitions(sk).key_schema(partition).key_schema(sort);
    table.send().await.unwrap();
    endpoint
}

fn credential() -> Credential {
    Credential::WorkspaceAccessToken(Secret::new("token"))
}

fn ledger(endpoint: &str) -> BudgetTable {
    BudgetTable::new(client(endpoint), TABLE, credential().id(), Allowance::new(LIMIT, RESERVED))
}

/// A book from which no sync takes.
fn of_sign_ins(endpoint: &str) -> BudgetTable {
    let allowance = Allowance::new(LIMIT, RESERVED).for_sign_ins_only();
    BudgetTable::new(client(endpoint), TABLE, credential().id(), allowance)
}

fn at(minute: i64) -> Timestamp {
    Timestamp::from_seconds(1_700_000_040 + 60 * minute)
}

/// The account whose UUID tells the minute at which it was asked for.
fn account(minute: i64) -> AccountUuid {
    AccountUuid::new(Uuid::from_u128(u128::try_from(minute).unwrap()))
}

async fn call_until_refused(session: &Session, minute: i64) -> Option<Timestamp> {
    let workspace = BitbucketWorkspace {
        uuid: rollcall_domain::bitbucket::BitbucketWorkspaceUuid::new(WORKSPACE),
        slug: "acme".parse().unwrap(),
        name: "Acme".to_owned(),
    };
    loop {
        let calls = (0..8).map(|_| session.member(&workspace, account(minute)));
        let answers = futures_util::future::join_all(calls).await;
        if let Some(error) = answers.into_iter().find_map(Result::err) {
            assert_eq!(error.code(), "budget_exhausted", "{error}");
            return error.wait_until();
        }
    }
}

/// One of several processes; started by the test below.
#[tokio::test]
#[ignore = "is a process of its own, started by another test"]
async fn a_process_that_calls_as_often_as_it_may() {
    let database = std::env::var("TEST_DATABASE").unwrap();
    let bitbucket: url::Url = std::env::var("TEST_BITBUCKET").unwrap().parse().unwrap();
    let purpose =
        if std::env::var("TEST_PURPOSE").unwrap() == "sync" { Purpose::Sync } else { Purpose::SignIn };
    let minute = Arc::new(AtomicI64::new(0));
    let clock: Clock = Arc::new({
        let minute = Arc::clone(&minute);
        move || at(minute.load(Ordering::SeqCst))
    });
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let endpoints = Endpoints::new(bitbucket.clone(), bitbucket).unwrap();
    let budget =
        CallBudget::new(Arc::new(ledger(&database)), ChunkSizes { sign_in: 3, sync: 20 }, Arc::clone(&clock));
    let session =
        Bitbucket::new(http, endpoints, clock, Limits::default()).session(&credential(), &budget, purpose);
    for line in std::io::stdin().lines() {
        let now = line.unwrap().parse().unwrap();
        minute.store(now, Ordering::SeqCst);
        let until = call_until_refused(&session, now).await.unwrap();
        assert!(until > at(now));
        eprintln!("{DONE}");
    }
}

/// One of the processes, told minute by minute what time it is.
struct Caller {
    process: Child,
    lines: Lines<BufReader<ChildStderr>>,
}

impl Caller {
    fn start(purpose: &str, database: &str, bitbucket: &str) -> Self {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "a_process_that_calls_as_often_as_it_may", "--ignored", "--nocapture"])
            .envs([("TEST_DATABASE", database), ("TEST_BITBUCKET", bitbucket), ("TEST_PURPOSE", purpose)])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(process.stderr.take().unwrap()).lines();
        Self { process, lines }
    }

    fn tell(&mut self, minute: i64) {
        writeln!(self.process.stdin.as_mut().unwrap(), "{minute}").unwrap();
    }

    fn wait(&mut self) {
        let line =
            self.lines.find(|line| line.as_ref().is_ok_and(|line| line == DONE || line.contains("panicked")));
        assert_eq!(line.expect("the process ended").unwrap(), DONE);
    }
}

async fn bitbucket() -> (String, Arc<Mutex<Vec<i64>>>) {
    let calls: Arc<Mutex<Vec<i64>>> = Arc::default();
    let answer = |State(calls): State<Arc<Mutex<Vec<i64>>>>, uri: Uri| async move {
        let uuid = uri.path().rsplit('/').next().unwrap().replace("%7B", "").replace("%7D", "");
        calls.lock().unwrap().push(i64::try_from(Uuid::parse_str(&uuid).unwrap().as_u128()).unwrap());
        format!(r#"{{"user":{{"uuid":"{{{uuid}}}"}},"workspace":{{"uuid":"{{{WORKSPACE}}}"}}}}"#)
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let router = axum::Router::new().fallback(answer).with_state(Arc::clone(&calls));
    tokio::spawn(async move { axum::serve(listener, router).await });
    (url, calls)
}

#[tokio::test(flavor = "multi_thread")]
async fn processes_that_share_a_budget_never_exceed_it_together() {
    let (database, (bitbucket, calls)) = (database().await, bitbucket().await);
    let mut processes =
        ["sync", "sync", "sign-in"].map(|purpose| Caller::start(purpose, &database, &bitbucket));
    for (minute, expected) in MINUTES {
        processes.iter_mut().for_each(|process| process.tell(minute));
        processes = tokio::task::spawn_blocking(move || {
            processes.iter_mut().for_each(Caller::wait);
            processes
        })
        .await
        .unwrap();
        let made = calls.lock().unwrap().iter().filter(|call| **call == minute).count();
        assert_eq!(made, expected, "calls in minute {minute}");
    }
    for mut process in processes {
        drop(process.process.stdin.take());
        assert!(process.process.wait().unwrap().success());
    }
}

#[tokio::test]
async fn taking_a_chunk_costs_one_write_and_what_others_took_is_noticed() {
    let database = database().await;
    let (one, other) = (of_sign_ins(&database), of_sign_ins(&database));
    let mut taken = 0;
    for ledger in [&one, &other, &one, &one, &other, &other] {
        taken += ledger.take(Purpose::SignIn, 25, at(0)).await.unwrap().left(at(0));
    }
    assert_eq!(taken, LIMIT);
    for ledger in [&one, &other] {
        let refusal = ledger.take(Purpose::SignIn, 1, at(1)).await.unwrap_err();
        let Refusal::Wait(wait) = refusal else { panic!("{refusal:?}") };
        assert_eq!((wait.why, wait.until), (WaitFor::Allowance, at(62)));
    }
}

#[tokio::test]
async fn what_one_gives_back_or_pauses_holds_for_the_other() {
    let database = database().await;
    let (one, other) = (of_sign_ins(&database), of_sign_ins(&database));
    let chunk = one.take(Purpose::SignIn, LIMIT, at(0)).await.unwrap();
    assert!(other.take(Purpose::SignIn, 1, at(0)).await.is_err());
    one.give_back(chunk, at(0)).await.unwrap();
    other.take(Purpose::SignIn, 1, at(0)).await.unwrap();
    one.pause(Pause::Everybody(at(5)), at(0)).await.unwrap();
    let refusal = other.take(Purpose::SignIn, 1, at(0)).await.unwrap_err();
    assert!(matches!(refusal, Refusal::Wait(wait) if wait.why == WaitFor::Pause && wait.until == at(5)));
    other.take(Purpose::SignIn, 1, at(5)).await.unwrap();
}

#[tokio::test]
async fn many_who_take_at_once_each_get_their_own_calls() {
    let database = database().await;
    let takers = (0..10).map(|_| {
        let ledger = of_sign_ins(&database);
        async move {
            let mut taken = 0;
            while let Ok(chunk) = ledger.take(Purpose::SignIn, 4, at(0)).await {
                taken += chunk.left(at(0));
            }
            taken
        }
    });
    let taken: u32 = futures_util::future::join_all(takers).await.into_iter().sum();
    assert_eq!(taken, LIMIT);
}

#[tokio::test]
async fn without_the_table_nobody_may_call() {
    let ledger = ledger("http://127.0.0.1:1");
    let taken =
        tokio::time::timeout(Duration::from_secs(30), ledger.take(Purpose::Sync, 1, at(0))).await.unwrap();
    assert!(matches!(taken, Err(Refusal::Unavailable(_))));
}

#[tokio::test]
async fn a_book_that_was_thrown_away_and_begun_anew_is_not_overwritten_by_who_knew_the_old_one() {
    let endpoint = database().await;
    let (idle, busy) = (of_sign_ins(&endpoint), of_sign_ins(&endpoint));
    idle.take(Purpose::SignIn, 3, at(0)).await.unwrap();
    // As TTL does, long after the last hour that the book speaks of.
    let table = client(&endpoint);
    let item = table.scan().table_name(TABLE).send().await.unwrap().items().first().cloned().unwrap();
    let delete = table.delete_item().table_name(TABLE);
    delete.key("pk", item["pk"].clone()).key("sk", item["sk"].clone()).send().await.unwrap();

    let now = at(200);
    let first = busy.take(Purpose::SignIn, LIMIT - 20, now).await.unwrap();
    let second = idle.take(Purpose::SignIn, LIMIT, now).await.unwrap();
    assert_eq!((first.left(now), second.left(now)), (LIMIT - 20, 20));
}
