//! Asking for runs, approving, undoing.

use std::collections::BTreeMap;

use rollcall_admin::testing::{As, START};
use rollcall_domain::audit::Actor;
use rollcall_domain::bitbucket::BitbucketWorkspaceUuid;
use rollcall_domain::connection::{Connection, CredentialKind, Health, Settings};
use rollcall_domain::plan::{Change, Lane, Plan, PlanHash};
use rollcall_domain::{RunId, WorkspaceId};
use rollcall_store::Record;
use rollcall_store::connections::Connected;
use rollcall_store::runs::{Mode, RunRecord, RunStatus};
use serde_json::json;

use crate::support::{World, actions};

/// A connection that nobody has to probe.
pub(crate) async fn connect(world: &World, workspace: WorkspaceId, n: u8) -> Connected {
    let uuid: BitbucketWorkspaceUuid =
        format!("{{00000000-0000-4000-8000-0000000000{n:02}}}").parse().unwrap();
    let connection = Connection {
        workspace,
        bitbucket: uuid,
        slug: format!("acme{n}").parse().unwrap(),
        name: "Acme".into(),
        credential: CredentialKind::OauthConsumer,
        settings: Settings::default(),
        health: Health::New,
        created_at: START,
        version: 0,
    };
    let connected = Connected { connection, sealed_credential: "sealed".into() };
    world.deployment.admin.store().connect(&connected, None, Record::default()).await.unwrap();
    connected
}

/// A run's record.
pub(crate) fn record(workspace: WorkspaceId, id: RunId, status: RunStatus) -> RunRecord {
    RunRecord {
        id,
        workspace,
        mode: Mode::Apply,
        trigger: Actor::System,
        status,
        lanes: vec![Lane::Members],
        queued_at: START,
        started_at: Some(START),
        ended_at: Some(START),
        calls: 7,
        written: 0,
        changes: BTreeMap::new(),
        kept: Vec::new(),
        evidence: Vec::new(),
        held: Vec::new(),
        plan_hash: None,
        message: String::new(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_written_down_before_it_is_asked_for_and_its_record_says_what_it_is_to_do() {
    let world = World::start().await;
    let workspace = world.deployment.workspace("Acme").await;
    let path = format!("/v1/workspaces/{workspace}/sync-runs");
    let bootstrap = As::bootstrap();
    let refused = world.post(&bootstrap, path.clone(), &json!({"mode": "apply"})).await;
    assert_eq!((refused.status.as_u16(), world.queue.asked.lock().unwrap().len()), (409, 0), "not connected");

    connect(&world, workspace, 1).await;
    let run = world.post(&bootstrap, path.clone(), &json!({"mode": "plan"})).await;
    assert_eq!(run.status, 202, "{}", run.text);
    let id: RunId = run.text_at("/id").parse().unwrap();
    assert_eq!(run.header("location"), Some(format!("{path}/{id}").as_str()));
    assert_eq!(*world.queue.asked.lock().unwrap(), [(workspace, id)]);
    let kept = world.deployment.admin.store().run(workspace, id).await.unwrap().unwrap();
    assert_eq!((kept.mode, kept.status, kept.trigger), (Mode::Plan, RunStatus::Queued, Actor::Bootstrap));
    let shown = world.get(&bootstrap, format!("{path}/{id}")).await;
    assert_eq!((shown.text_at("/state"), shown.text_at("/mode")), ("queued", "plan"));
    let trail = world.get(&bootstrap, format!("/v1/workspaces/{workspace}/audit")).await;
    assert_eq!(actions(&trail), ["sync.asked_for"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_that_takes_nothing_leaves_no_run_waiting_for_ever() {
    let world = World::start().await;
    let workspace = world.deployment.workspace("Acme").await;
    connect(&world, workspace, 1).await;
    *world.queue.broken.lock().unwrap() = true;
    let path = format!("/v1/workspaces/{workspace}/sync-runs");
    assert_eq!(world.post(&As::bootstrap(), path.clone(), &json!({"mode": "apply"})).await.status, 503);
    let runs = world.get(&As::bootstrap(), path).await;
    assert_eq!(runs.text_at("/items/0/state"), "failed");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_approval_names_exactly_what_is_held_back_and_the_plan_is_shown_like_a_diff() {
    let world = World::start().await;
    let workspace = world.deployment.workspace("Acme").await;
    connect(&world, workspace, 1).await;
    let store = world.deployment.admin.store();
    let id = RunId::new(START, [1; 10]);
    let plan = Plan {
        lane: Lane::Members,
        changes: vec![Change::SuspendMember {
            member: rollcall_domain::MemberId::new(START, [2; 10]),
            account: None,
            reason: rollcall_domain::member::SuspensionReason::LeftWorkspace,
        }],
        kept: Vec::new(),
    };
    store.put_plan(workspace, id, &plan).await.unwrap();
    let frozen = RunRecord {
        plan_hash: Some(plan.hash()),
        held: vec!["all 1 members would be removed".into()],
        ..record(workspace, id, RunStatus::Frozen)
    };
    store.put_run(&frozen, Record::default()).await.unwrap();

    let path = format!("/v1/workspaces/{workspace}/sync-runs/{id}");
    let shown = world.get(&As::bootstrap(), path.clone()).await;
    assert!(shown.text_at("/plan/text").starts_with("- member"), "{}", shown.text);
    let hash = shown.text_at("/plan/hash").to_owned();
    for wrong in ["", "0", &"0".repeat(64), &hash.to_uppercase()] {
        let refused =
            world.post(&As::bootstrap(), format!("{path}/approve"), &json!({"plan_hash": wrong})).await;
        assert_eq!(refused.status, 409, "{wrong}");
    }
    let approved = world.post(&As::bootstrap(), format!("{path}/approve"), &json!({"plan_hash": hash})).await;
    assert_eq!((approved.status.as_u16(), approved.text_at("/mode")), (202, "approve"));
    let next: RunId = approved.text_at("/id").parse().unwrap();
    assert_ne!(next, id);
    let kept = store.run(workspace, next).await.unwrap().unwrap();
    assert_eq!(kept.mode, Mode::Approve { hash: PlanHash::claimed(hash) });

    let undone = world
        .send(rollcall_admin::testing::Call::new("POST", format!("{path}/undo")).by(&As::bootstrap()))
        .await;
    assert_eq!((undone.status.as_u16(), undone.text_at("/undoes")), (202, id.to_string().as_str()));
    let waiting = world
        .post(
            &As::bootstrap(),
            format!("/v1/workspaces/{workspace}/sync-runs/{next}/approve"),
            &json!({"plan_hash": "x"}),
        )
        .await;
    assert_eq!(waiting.status, 409, "a run that has not ended holds nothing back");
}
