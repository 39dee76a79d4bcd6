//! From the start of a process to its first answer, its answers after that, and its memory: of each function as it is shipped, of the
//! least that a function in Rust can be, and of the same callback as most would write it in Node.js and in Python.
//!
//! As on Lambda, a process starts with a whole CPU and answers with the share that its memory buys.

mod contender;
mod others;

use core::time::Duration;
use std::collections::BTreeMap;
use std::path::Path;

use rollcall_domain::WorkspaceId;
use rollcall_service::clock::{SettableClock, Stopwatch};
use serde_json::{Value, json};
use standin_aws::event::{HttpEvent, schedule_with_input};
use standin_bitbucket::Role;

use self::contender::{Asked, Contender, Instance};
use crate::build::{self, FUNCTIONS};
use crate::process;
use crate::report::{Section, Table, median, megabytes, milliseconds, percentile, times};
use crate::size::Size;
use crate::surroundings::{Origins, Surroundings, person, world};
use crate::throttle::{SHARES, Share, Throttle};
use crate::tls::{self, Trust};

/// Time enough for any answer; only what goes wrong takes so long.
const PATIENCE: Duration = Duration::from_secs(60);
const WARM: usize = 200;
const HELLO: &str = "hello-world";
/// All of them are owners.
const OWNERS: usize = SIZE.members;
/// The workspace that people sign in to: its size hardly matters to an owner's sign-in.
const SIZE: Size = Size { name: "cold", members: 50, repositories: 50, projects: 5, groups: 5 };

/// What was measured of one contender.
#[derive(Default, serde::Serialize)]
struct Figures {
    /// From the start of the process until it asks for work, in seconds.
    init: Vec<f64>,
    /// From the first event to its answer, by per mille of a CPU.
    first: BTreeMap<u64, Vec<f64>>,
    /// Both together, with a whole CPU.
    cold: Vec<f64>,
    /// Later answers.
    warm: Vec<f64>,
    /// The CPU time of a later answer.
    own: Vec<f64>,
    /// Resident bytes after all that.
    resident: u64,
}

pub(crate) async fn measure(folder: &Path, starts: usize) -> Section {
    let mut section = Section::new("Cold starts");
    let mut world = world(SIZE, 1);
    for n in 1..=OWNERS {
        world.set_role(&person(n), Role::Owner).unwrap();
    }
    let around = Surroundings::start(world, SettableClock::running()).await;
    let workspace = around.connect().await;
    let trust = Trust::write(folder).unwrap();
    let contenders = contenders(&around, workspace, &trust, folder, &mut section).await;

    let throttles: Vec<(Share, Option<Throttle>)> = SHARES
        .iter()
        .filter(|share| share.0 < 1000)
        .filter_map(|&share| match Throttle::new(share) {
            Ok(throttle) => Some((share, Some(throttle))),
            Err(error) => {
                section
                    .say(format!("Not measured with {} of a CPU: no control group: {error}.", share.label()));
                None
            }
        })
        .collect();
    let shares: Vec<_> = std::iter::once((Share(1000), None)).chain(throttles).collect();
    let mut all: Vec<Figures> = contenders.iter().map(|_| Figures::default()).collect();
    for contender in &contenders {
        // The first start after a build reads the program from the disk.
        Instance::spawn(&contender.program, &contender.environment).await.lambda.has_started().await;
    }
    // One after the other in each round: a machine that is slower for a while is so for all of them.
    for (share, throttle) in &shares {
        println!("starts with {} of a CPU …", share.label());
        for _ in 0..starts {
            for (contender, figures) in contenders.iter().zip(&mut all) {
                let instance = one(contender, &around, workspace, (*share, throttle.as_ref()), figures).await;
                instance.process.kill().await;
            }
        }
    }
    warm(&contenders, &around, workspace, &mut all).await;
    tell(&mut section, &contenders, &all, &shares.iter().map(|(share, _)| *share).collect::<Vec<_>>());
    sizes(&mut section);
    drop((shares, contenders));
    around.stop().await;
    section
}

/// Starts it and asks it once.
async fn one(
    contender: &Contender,
    around: &Surroundings,
    workspace: WorkspaceId,
    (share, throttle): (Share, Option<&Throttle>),
    figures: &mut Figures,
) -> Instance {
    let event = contender.event(around, workspace).await;
    let start = Stopwatch::start();
    let instance = Instance::spawn(&contender.program, &contender.environment).await;
    assert!(instance.lambda.has_started().await, "{}: {}", contender.name, instance.last_words());
    let init = start.elapsed();
    let pid = instance.process.pid().unwrap();
    if let Some(throttle) = throttle {
        throttle.hold(pid).unwrap();
    }
    let asked = Stopwatch::start();
    instance.ask(event, contender.status).await;
    let first = asked.elapsed();
    figures.first.entry(share.0).or_default().push(first.as_secs_f64());
    if share.0 == 1000 {
        figures.init.push(init.as_secs_f64());
        figures.cold.push((init + first).as_secs_f64());
    }
    instance
}

/// Asks each of them again and again, in rounds as well.
async fn warm(contenders: &[Contender], around: &Surroundings, workspace: WorkspaceId, all: &mut [Figures]) {
    println!("warm answers …");
    let mut instances = Vec::new();
    for contender in contenders {
        instances.push(one(contender, around, workspace, (Share(1000), None), &mut Figures::default()).await);
    }
    for _ in 0..WARM {
        for ((contender, instance), figures) in contenders.iter().zip(&instances).zip(&mut *all) {
            let pid = instance.process.pid().unwrap();
            let event = contender.event(around, workspace).await;
            let before = process::cpu(pid).unwrap_or_default();
            let stopwatch = Stopwatch::start();
            instance.ask(event, contender.status).await;
            figures.warm.push(stopwatch.elapsed().as_secs_f64());
            let own = process::cpu(pid).unwrap_or_default().saturating_sub(before);
            figures.own.push(own.as_secs_f64());
        }
    }
    for (instance, figures) in instances.iter().zip(all) {
        figures.resident = process::resident(instance.process.pid().unwrap()).map_or(0, |(now, _)| now);
        instance.process.kill().await;
    }
}

async fn contenders(
    around: &Surroundings,
    workspace: WorkspaceId,
    trust: &Trust,
    folder: &Path,
    section: &mut Section,
) -> Vec<Contender> {
    let before = async |origin: &str| {
        let url: url::Url = origin.parse().unwrap();
        let upstream = url.socket_addrs(|| None).unwrap();
        tls::before(*upstream.first().unwrap()).await.unwrap()
    };
    let origins = Origins {
        aws: before(around.aws.endpoint()).await,
        dynamodb: before(around.dynamodb.endpoint()).await,
        bitbucket: before(&around.bitbucket.url()).await,
    };
    let mut environment = around.environment(&origins);
    environment.push(("SSL_CERT_FILE".to_owned(), trust.bundle.display().to_string()));
    let ours = |name: &'static str, what, asked, status| Contender {
        name,
        what,
        program: build::program(if name == HELLO { "rollcall-bench-hello" } else { name }),
        environment: environment.clone(),
        asked,
        status,
    };
    let begins = Instance::spawn(&build::program("oauth-callback"), &environment).await;
    let get = |path: &str| Asked::Always(HttpEvent::get(path).build());
    let members = HttpEvent::get(&format!("/v1/workspaces/{workspace}/members"))
        .route("GET /v1/workspaces/{workspace}/members")
        .header("authorization", &format!("Bearer {}", around.admin_token.expose()));
    let tick =
        schedule_with_input("members", around.aws.now(), r#"{"time":"<aws.scheduler.scheduled-time>"}"#);
    let mut all = vec![
        ours(HELLO, "an empty answer", Asked::Always(json!({})), None),
        ours("oauth-callback", "OpenID configuration", get("/.well-known/openid-configuration"), Some(200)),
        ours(
            "invites",
            "refused without a token",
            get(&format!("/v1/workspaces/{workspace}/invites")),
            Some(401),
        ),
        ours("admin-api", "refused without a token", get("/v1/workspaces"), Some(401)),
        ours("scheduled-sync", "an empty batch", Asked::Always(json!({ "Records": [] })), None),
        ours("oauth-callback", CALLBACK, Asked::Callback(begins), Some(303)),
        ours("invites", "an invite", Asked::Invite, Some(200)),
        ours("admin-api", "list of members", Asked::Always(members.build()), Some(200)),
        ours("scheduled-sync", "a tick", Asked::Always(tick.unwrap()), None),
    ];
    others::seed(around, workspace).await;
    all.extend(others::all(&environment, trust, folder, section).await);
    all
}

/// What is compared between languages.
const CALLBACK: &str = "an owner's callback";

fn tell(section: &mut Section, contenders: &[Contender], all: &[Figures], shares: &[Share]) {
    section.say(
        "*Start*: from the process to its first request for work, with a whole CPU. *First*: its first answer after that, with the share of a CPU \
         that 1,769, 512 and 256 MB buy, over TLS, connections included. *Own*: the CPU time of a warm answer. Each is started, and asked, in \
         turn with the others. The trusted authorities are all of the system's.",
    );
    let mut columns = vec!["function".to_owned(), "start".to_owned()];
    columns.extend(shares.iter().map(|share| format!("first, {}", share.label())));
    columns.extend(
        ["start + first", "of hello-world's", "warm", "warm, p99", "own", "resident"].map(str::to_owned),
    );
    let mut table = Table::new(&columns.iter().map(String::as_str).collect::<Vec<_>>());
    let hello = all.first().map_or(1.0, |figures| median(&figures.cold));
    let mut data = serde_json::Map::new();
    for (contender, figures) in contenders.iter().zip(all) {
        let mut row =
            vec![format!("{}: {}", contender.name, contender.what), milliseconds(median(&figures.init))];
        row.extend(shares.iter().map(|share| {
            figures.first.get(&share.0).map_or("–".to_owned(), |first| milliseconds(median(first)))
        }));
        row.extend([
            milliseconds(median(&figures.cold)),
            times(median(&figures.cold) / hello),
            milliseconds(median(&figures.warm)),
            milliseconds(percentile(&figures.warm, 99)),
            milliseconds(median(&figures.own)),
            megabytes(figures.resident),
        ]);
        table.row(&row);
        data.insert(
            format!("{}: {}", contender.name, contender.what),
            serde_json::to_value(figures).unwrap_or_default(),
        );
    }
    section.table(&table);
    section.data("functions", Value::Object(data));
    bars(section, contenders, all, hello);
}

fn bars(section: &mut Section, contenders: &[Contender], all: &[Figures], hello: f64) {
    let pairs = || contenders.iter().zip(all);
    let ours = || pairs().filter(|(contender, _)| FUNCTIONS.contains(&contender.name));
    for (contender, figures) in ours().take(FUNCTIONS.len()) {
        let what = format!("{}: start and first answer, of hello-world's", contender.name);
        section.bar(what, median(&figures.cold) / hello, 2.0, " ×");
    }
    for (contender, figures) in ours().skip(FUNCTIONS.len()) {
        if let Some(first) = figures.first.get(&145) {
            let what =
                format!("{}: first invocation ({}) at 14.5 % of a CPU", contender.name, contender.what);
            section.bar(what, median(first) * 1000.0, 100.0, " ms");
        }
        section.bar(format!("{}: resident", contender.name), figures.resident as f64 / 1e6, 32.0, " MB");
    }
    let of = |name: &str| pairs().find(|(contender, _)| contender.name == name && contender.what == CALLBACK);
    let Some((_, rollcall)) = of("oauth-callback") else { return };
    let own = percentile(&rollcall.own, 99) * 1000.0;
    section.bar("own time of a warm callback, 99th percentile", own, 3.0, " ms");
    for other in [others::NODE, others::PYTHON] {
        let Some((_, theirs)) = of(other) else { continue };
        let cold = median(&rollcall.cold) / median(&theirs.cold);
        section.bar(format!("cold callback, of {other}'s"), cold, 0.2, " ×");
        section.bar(
            format!("own time of a warm callback, of {other}'s"),
            median(&rollcall.own) / median(&theirs.own),
            0.2,
            " ×",
        );
        let memory = rollcall.resident as f64 / theirs.resident.max(1) as f64;
        section.bar(format!("resident, of {other}'s"), memory, 1.0 / 3.0, " ×");
    }
}

/// How large the programs are as they are uploaded.
fn sizes(section: &mut Section) {
    let mut table = Table::new(&["program", "size", "zipped"]);
    for name in FUNCTIONS {
        let program = build::program(name);
        let size = std::fs::metadata(&program).map_or(0, |found| found.len());
        let zipped = build::zipped(&program);
        table.row(&[name.to_owned(), megabytes(size), zipped.map_or("–".to_owned(), megabytes)]);
        section.bar(format!("{name}: size of the program"), size as f64 / 1e6, 8.0, " MB");
        if let Some(zipped) = zipped {
            section.bar(format!("{name}: size of the zip"), zipped as f64 / 1e6, 3.5, " MB");
        }
    }
    section.table(&table);
}
