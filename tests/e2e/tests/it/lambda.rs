//! The built binaries under Lambda's contract: events of API Gateway, `EventBridge` Scheduler and SQS.

use rollcall_e2e::binaries::binary;
use rollcall_e2e::deployment::{Deployment, FUNCTIONS, PATIENCE};
use rollcall_local::browser::{Browser, Page};
use rollcall_local::world;
use serde_json::{Value, json};
use standin_aws::LambdaRuntime;
use standin_aws::event::{HttpAnswer, HttpEvent, schedule_with_input};
use url::Url;

/// Somebody signs in through the gateway, in a browser of their own.
async fn sign_in(deployment: &Deployment, workspace: &str, username: &str) -> (Browser, Page) {
    let person = world::person(&deployment.stack, username).unwrap();
    let mut browser = deployment.stack.browser();
    let login: Url = format!("{}/login?workspace={workspace}", deployment.url).parse().unwrap();
    let chooser = browser.visit(&login).await.unwrap();
    let consent = browser.visit(&chooser.link("Continue with Bitbucket").unwrap()).await.unwrap();
    let page = world::choose(&mut browser, &consent, &person.display_name).await.unwrap();
    (browser, page)
}

/// A workspace that is connected and synced by the deployed functions.
async fn connected(deployment: &Deployment) -> String {
    let api = deployment.api();
    let workspace = api.post("/v1/workspaces", &json!({ "name": "Acme" })).await.unwrap();
    let workspace = workspace["id"].as_str().unwrap().to_owned();
    let connection = Value::Object(world::connection(&deployment.stack).unwrap());
    let path = format!("/v1/workspaces/{workspace}/connection");
    let answer = api.put(&path, &connection).await.unwrap();
    assert_eq!(answer["probe"]["usable"], true, "{answer}");
    let answers = deployment.work_off_the_queue().await;
    assert_eq!(answers, [json!({ "batchItemFailures": [] })], "{}", deployment.output());
    workspace
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_deployed_functions_do_the_main_job() {
    let deployment = Deployment::start().await;
    let workspace = connected(&deployment).await;
    let api = deployment.api();
    let runs = api.list(&format!("/v1/workspaces/{workspace}/sync-runs")).await.unwrap();
    assert_eq!((runs.len(), &runs[0]["state"]), (1, &json!("applied")), "{runs:?}");
    assert_eq!(api.list(&format!("/v1/workspaces/{workspace}/teams")).await.unwrap().len(), 12);

    let (mut amira, page) = sign_in(&deployment, &workspace, "amira").await;
    assert_eq!(page.heading(), "You are signed in", "{}\n{}", page.html, deployment.output());
    let (_, page) = sign_in(&deployment, &workspace, "mira").await;
    assert_eq!(page.heading(), "You cannot use Acme yet");
    assert_eq!(page.list("missing"), world::missing(&deployment.stack, "mira").unwrap());

    let (_, page) = sign_in(&deployment, &workspace, "rafael").await;
    assert_eq!(page.heading(), "You are signed in");
    world::leave(&deployment.stack, "amira").unwrap();
    let runs = format!("/v1/workspaces/{workspace}/sync-runs");
    api.post(&runs, &json!({ "mode": "apply" })).await.unwrap();
    let answers = deployment.work_off_the_queue().await;
    assert_eq!(answers, [json!({ "batchItemFailures": [] })]);
    let login: Url = format!("{}/login", deployment.url).parse().unwrap();
    assert_ne!(amira.visit(&login).await.unwrap().heading(), "You are signed in", "the session has ended");
    let (_, page) = sign_in(&deployment, &workspace, "amira").await;
    assert_eq!(page.heading(), "You cannot use Acme yet");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tick_of_the_schedule_becomes_a_message_and_the_message_a_run() {
    let deployment = Deployment::start().await;
    let workspace = connected(&deployment).await;
    let input = r#"{"time":"<aws.scheduler.scheduled-time>"}"#;
    let tick = schedule_with_input("members", deployment.stack.aws.now(), input).unwrap();
    let answer = deployment.invoke("scheduled-sync", tick.clone()).await.unwrap();
    assert_eq!(answer, json!({ "connections": 1 }));
    let queued = deployment.stack.aws.queues().messages(rollcall_local::stack::QUEUE);
    assert_eq!(queued.len(), 1);
    let message: Value = serde_json::from_str(&queued[0].body).unwrap();
    assert_eq!(message["workspace"], workspace.as_str());
    assert_eq!(deployment.work_off_the_queue().await, [json!({ "batchItemFailures": [] })]);

    // The same tick again asks for the same run.
    deployment.invoke("scheduled-sync", tick).await.unwrap();
    let again = deployment.stack.aws.queues().messages(rollcall_local::stack::QUEUE);
    let again: Value = serde_json::from_str(&again[0].body).unwrap();
    assert_eq!(again["run"], message["run"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_poisoned_message_is_named_as_failed_and_spoils_no_other() {
    let deployment = Deployment::start().await;
    connected(&deployment).await;
    let queues = deployment.stack.aws.queues();
    queues.send(rollcall_local::stack::QUEUE, "hunter2");
    deployment.api().get("/v1/workspaces").await.unwrap();
    let poisoned = queues.deliver(rollcall_local::stack::QUEUE, 10).unwrap();
    let answer = deployment.invoke("scheduled-sync", poisoned.event().clone()).await.unwrap();
    let id = &poisoned.messages()[0].id;
    assert_eq!(answer, json!({ "batchItemFailures": [{ "itemIdentifier": id }] }));
    assert!(!deployment.output().contains("hunter2"), "what a message holds is not logged");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_invite_is_issued_and_its_mail_sent() {
    let deployment = Deployment::start().await;
    let workspace = connected(&deployment).await;
    let path = format!("/v1/workspaces/{workspace}/invites");
    let invites = json!({ "invites": [{ "email": "ines.okafor@mail.example" }] });
    let answer = deployment.api().post(&path, &invites).await.unwrap();
    assert_eq!(answer["items"][0]["status"], "issued", "{answer}");
    let mails = deployment.stack.aws.mail().to("ines.okafor@mail.example");
    assert_eq!((mails.len(), mails[0].from.as_str()), (1, "rollcall@example.com"));
    assert_eq!(deployment.api().list(&path).await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_carry_the_security_headers_good_or_bad() {
    let deployment = Deployment::start().await;
    for (function, path, status) in [
        ("oauth-callback", "/login", 200),
        ("oauth-callback", "/.well-known/openid-configuration", 200),
        ("oauth-callback", "/callback/bitbucket", 400),
        ("admin-api", "/v1/workspaces", 401),
        ("admin-api", "/v1/nothing", 404),
        ("invites", "/v1/workspaces/ws_0/invites", 401),
    ] {
        let answer = deployment.invoke(function, HttpEvent::get(path).build()).await.unwrap();
        let answer = HttpAnswer::read(&answer).unwrap();
        assert_eq!(answer.status, status, "{path}: {}", answer.text());
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
            ("strict-transport-security", "max-age="),
            ("content-security-policy", "default-src 'none'"),
        ] {
            let found = answer.header(name).unwrap_or_default();
            assert!(found.contains(value), "{path}: {name}: {found}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_or_malformed_variable_ends_the_start_with_one_line_and_status_2() {
    let stack =
        rollcall_local::stack::Stack::start(&rollcall_local::settings::Settings::for_tests()).await.unwrap();
    let good = stack.environment();
    for function in FUNCTIONS {
        let mut cases = vec![
            ("ROLLCALL_PUBLIC_URL", None),
            ("ROLLCALL_TABLE", None),
            ("ROLLCALL_SECRET_ID", None),
            ("ROLLCALL_PUBLIC_URL", Some("http://rollcall.example.com")),
            ("ROLLCALL_BITBUCKET_URL", Some("hunter2")),
            ("ROLLCALL_SIGN_IN_RATE", Some("hunter2")),
        ];
        if ["admin-api", "scheduled-sync"].contains(&function) {
            cases.push(("ROLLCALL_SYNC_QUEUE_URL", None));
        }
        for (variable, value) in cases {
            let without = good.iter().filter(|(name, _)| name != variable).cloned();
            let with = value.map(|value| (variable.to_owned(), value.to_owned()));
            let lambda = LambdaRuntime::start().await.unwrap();
            let process = lambda.spawn(binary(function), without.chain(with)).unwrap();
            let status = process.exited(PATIENCE).await.and_then(|status| status.code());
            let output = process.output();
            assert_eq!(status, Some(2), "{function} without {variable}: {output}");
            let lines: Vec<&str> = output.lines().collect();
            assert!(lines.len() == 1 && lines[0].contains(variable), "{function}: {output}");
            assert!(!output.contains("hunter2"), "{output}");
        }
    }
    stack.stop().await;
}
