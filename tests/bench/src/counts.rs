//! How many calls a sign-in, an invite and each lane of a sync take, beside the fewest that they could.

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

use http::StatusCode;
use rollcall_domain::plan::grants::to_read;
use rollcall_domain::{Timestamp, WorkspaceId};
use rollcall_service::clock::{SettableClock, Stopwatch};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::cost::{Cost, asked, forget};
use crate::report::{Section, Table};
use crate::size::Size;
use crate::surroundings::{Surroundings, person, world};

const START: Timestamp = Timestamp::from_seconds(1_800_000_000);
const DAY: Duration = Duration::from_hours(24);
/// After so many ticks a lap round all repositories is long over.
const MOST_TICKS: usize = 200;
const INVITES: usize = 100;

/// Something that was counted.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Counted {
    pub(crate) what: String,
    /// The fewest calls to Bitbucket that it could take.
    pub(crate) bound: Option<u64>,
    pub(crate) cost: Cost,
}

/// Everything that was counted at one size.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct AtSize {
    pub(crate) size: Size,
    pub(crate) counted: Vec<Counted>,
    /// What an unchanged run wrote, by kind of row.
    pub(crate) unchanged: BTreeMap<String, u64>,
}

impl AtSize {
    /// What was counted, by its name.
    pub(crate) fn of(&self, what: &str) -> &Counted {
        self.counted.iter().find(|counted| counted.what == what).unwrap()
    }
}

pub(crate) const MEMBERS: &str = "members lane";
pub(crate) const GROUPS: &str = "groups, of the members lane";
pub(crate) const STRUCTURE: &str = "structure lane";
pub(crate) const GRANTS: &str = "grants lane, a whole lap";
pub(crate) const UNCHANGED: &str = "unchanged run, every 15 minutes";

/// Counts at one size.
pub(crate) async fn count(size: Size) -> AtSize {
    let stopwatch = Stopwatch::start();
    let clock = SettableClock::frozen_at(START);
    let around = Surroundings::start(world(size, 2), clock).await;
    let mut all = Counting { around, size, counted: Vec::new() };
    let workspace = all.around.connect().await;

    let pages = |rows: usize| rows.div_ceil(100) as u64;
    let private = all.private();
    // Before the first run nothing is known of the workspace's repositories: they are listed as well as the person's.
    all.sign_in("sign-in, to be listed", workspace, 2, StatusCode::SEE_OTHER, 3 + pages(private)).await;
    all.sign_in("sign-in, refused", workspace, 4, StatusCode::FORBIDDEN, 3 + pages(private)).await;
    all.lanes(workspace).await;
    let unchanged = all.unchanged().await;
    all.sign_in("sign-in, an owner's first", workspace, 1, StatusCode::SEE_OTHER, 3).await;
    all.sign_in("sign-in, an owner", workspace, 1, StatusCode::SEE_OTHER, 3).await;
    all.sign_in("sign-in, verified", workspace, 2, StatusCode::SEE_OTHER, 3).await;
    all.sign_in("sign-in, compared with the lap's", workspace, 3, StatusCode::SEE_OTHER, 3 + pages(private))
        .await;
    all.invite("an invite", workspace, 1).await;
    all.invite("a hundred invites at once", workspace, INVITES).await;
    let Counting { around, counted, .. } = all;
    around.stop().await;
    println!("{}: counted in {:.1} s", size.label(), stopwatch.elapsed().as_secs_f64());
    AtSize { size, counted, unchanged }
}

struct Counting {
    around: Surroundings,
    size: Size,
    counted: Vec<Counted>,
}

impl Counting {
    fn private(&self) -> usize {
        self.around
            .bitbucket
            .read(|world| world.workspace().repositories().filter(|repository| repository.private).count())
    }

    fn put(&mut self, what: &str, bound: Option<u64>, cost: Cost) {
        self.counted.push(Counted { what: what.to_owned(), bound, cost });
    }

    async fn sign_in(&mut self, what: &str, workspace: WorkspaceId, who: usize, end: StatusCode, bound: u64) {
        self.around.advance(Duration::from_mins(2));
        // The sync has been allowed more than an hour's calls.
        self.around.forget_budgets().await;
        forget(&self.around);
        let back = self.around.login(workspace, &person(who)).await;
        let answer = self.around.come_back(&back).await;
        assert_eq!(answer.status, end, "{what}: {}", answer.body);
        let cost = Cost::of(&self.around);
        self.put(what, Some(bound), cost);
    }

    async fn invite(&mut self, what: &str, workspace: WorkspaceId, people: usize) {
        let invites: Vec<Value> =
            (0..people).map(|n| json!({ "email": format!("{people}-{n}@example.com") })).collect();
        self.around.advance(Duration::from_mins(2));
        forget(&self.around);
        let path = format!("/v1/workspaces/{workspace}/invites");
        let answer = self.around.send("POST", &path, None, Some(&json!({ "invites": invites }))).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
        let cost = Cost::of(&self.around);
        self.put(what, Some(0), cost);
    }

    /// The first runs, until everything was read once.
    async fn lanes(&mut self, workspace: WorkspaceId) {
        forget(&self.around);
        let mut by_lane = BTreeMap::new();
        let mut runs = 0;
        loop {
            let record = self.around.tick().await.expect("a run is due at every tick");
            runs += 1;
            for (lane, calls) in by_lanes(&self.around) {
                *by_lane.entry(lane).or_insert(0) += calls;
            }
            if runs == 1 {
                let cost = Cost { bitbucket: record.calls, ..Cost::of(&self.around) };
                self.put("first run", None, cost);
            }
            forget(&self.around);
            let state = self.around.store.sync_state(workspace).await.unwrap();
            if state.verified.is_some() {
                break;
            }
            assert!(runs < MOST_TICKS, "the lap does not end: {}", record.message);
        }
        let mirror = self.around.store.mirror(workspace).await.unwrap();
        let undecided: u64 = to_read(&mirror, false)
            .iter()
            .map(|repository| u64::from(repository.groups) + u64::from(repository.users))
            .sum();
        let Size { members, repositories, projects, .. } = self.size;
        let pages = |rows: usize| rows.div_ceil(100) as u64;
        let bounds = [
            (MEMBERS, pages(members) + 3),
            (STRUCTURE, pages(repositories) + pages(projects) + 2 * projects as u64 + 2),
            // And one, which asks whether the workspace still has its slug.
            (GRANTS, undecided + 1),
        ];
        // Members are read at every tick.
        *by_lane.entry(MEMBERS).or_default() /= runs as u64;
        for (lane, bound) in bounds {
            let bitbucket = by_lane.get(lane).copied().unwrap_or_default();
            self.put(lane, Some(bound), Cost { bitbucket, ..Cost::default() });
        }
    }

    /// Runs in which nothing has changed. What the first of them wrote, by kind of row.
    async fn unchanged(&mut self) -> BTreeMap<String, u64> {
        self.around.tick().await.unwrap();
        forget(&self.around);
        let record = self.around.tick().await.unwrap();
        assert_eq!(record.written, 0, "{}", record.message);
        let bound = self.size.members.div_ceil(100) as u64 + 3;
        let cost = Cost::of(&self.around);
        self.put(UNCHANGED, Some(bound), cost);
        let groups =
            asked(&self.around).iter().filter(|request| request.path.starts_with("/1.0/groups")).count();
        self.put(GROUPS, Some(1), Cost { bitbucket: groups as u64, ..Cost::default() });
        let written = rows_written(&self.around);
        self.around.advance(DAY);
        forget(&self.around);
        let record = self.around.tick().await.unwrap();
        assert_eq!(record.written, 0, "{}", record.message);
        let cost = Cost::of(&self.around);
        self.put("unchanged run of a new day", None, cost);
        written
    }
}

/// Calls to Bitbucket by lane. Each lane asks for the workspace itself: members once, structure twice, grants once.
fn by_lanes(around: &Surroundings) -> BTreeMap<&'static str, u64> {
    let mut lanes: BTreeMap<&'static str, u64> = BTreeMap::new();
    let mut workspace = 0;
    for request in asked(around) {
        let lane = match request.template.as_str() {
            "/2.0/workspaces/{workspace}" => {
                workspace += 1;
                continue;
            }
            path if path.starts_with("/2.0/repositories/{workspace}/{repo_slug}") => GRANTS,
            path if path.starts_with("/2.0/repositories") || path.contains("/projects") => STRUCTURE,
            _ => MEMBERS,
        };
        *lanes.entry(lane).or_default() += 1;
    }
    for (lane, own) in [(MEMBERS, 1), (STRUCTURE, 2), (GRANTS, u64::MAX)] {
        if let Some(calls) = lanes.get_mut(lane) {
            let own = own.min(workspace);
            *calls += own;
            workspace -= own;
        }
    }
    lanes
}

/// The rows that were written, by kind.
fn rows_written(around: &Surroundings) -> BTreeMap<String, u64> {
    let mut rows: BTreeMap<String, u64> = BTreeMap::new();
    for call in around.table.calls() {
        if call.kind != standin_faults::Kind::Write {
            continue;
        }
        let actions = call.request["TransactItems"].as_array().cloned().unwrap_or_default();
        let single = std::iter::once(&call.request).filter(|_| actions.is_empty());
        let each = actions.iter().filter_map(|action| action.as_object()?.values().next()).chain(single);
        for action in each {
            let key = if action["Key"].is_object() { &action["Key"] } else { &action["Item"] };
            let text = |name: &str| key[name]["S"].as_str().unwrap_or("?").to_owned();
            let partition = text("pk");
            let kind = partition.split('#').find(|part| !part.starts_with("ws_")).unwrap_or_default();
            let sort = text("sk");
            let sort = if sort.len() < 20 { sort } else { "…".to_owned() };
            *rows.entry(format!("{kind} {sort}").trim().to_owned()).or_default() += 1;
        }
    }
    rows
}

/// The report on all sizes.
pub(crate) fn tell(all: &[AtSize]) -> Section {
    let mut section = Section::new("Calls");
    section.say(
        "Calls to Bitbucket beside the fewest that they could be: ⌈M/100⌉ + 3 for the members lane, ⌈R/100⌉ + ⌈P/100⌉ + 2 P + 2 for the \
         structure lane, one for each kind of grant that no project decides for the grants lane, 3 for a sign-in and ⌈R/100⌉ more where the \
         person's repositories are listed, with R the private ones. A sign-in is all of it, from the login to the session; the code's own call \
         is not one of the API's. *Turns*: how many calls to the table wait for one another. Units are DynamoDB's capacity units.",
    );
    for at in all {
        section.say(format!("**{}: {}**", at.size.name, at.size.label()));
        let mut table = Table::new(&[
            "what",
            "Bitbucket",
            "fewest",
            "ratio",
            "reads",
            "items",
            "units",
            "writes",
            "items",
            "units",
            "turns",
            "kB",
        ]);
        for Counted { what, bound, cost } in &at.counted {
            let ratio = bound.filter(|bound| *bound > 0).map(|bound| cost.bitbucket as f64 / bound as f64);
            let table_of = |text: String| if cost.reads + cost.writes == 0 { "–".to_owned() } else { text };
            table.row(&[
                what.clone(),
                cost.bitbucket.to_string(),
                bound.map_or("–".to_owned(), |bound| bound.to_string()),
                ratio.map_or("–".to_owned(), |ratio| format!("{ratio:.2}")),
                table_of(cost.reads.to_string()),
                table_of(cost.items_read.to_string()),
                table_of(format!("{:.1}", cost.read_units)),
                table_of(cost.writes.to_string()),
                table_of(cost.items_written.to_string()),
                table_of(format!("{:.1}", cost.write_units)),
                table_of(cost.turns.to_string()),
                table_of(format!("{:.1}", cost.bytes as f64 / 1000.0)),
            ]);
            if let Some(ratio) = ratio {
                section.bar(format!("{what} ({}): calls, of the fewest", at.size.name), ratio, 1.0, " ×");
            }
        }
        section.table(&table);
        let kinds: Vec<_> = at.unchanged.iter().map(|(kind, times)| format!("{kind} {times}")).collect();
        section.say(format!("An unchanged run writes these rows: {}.", kinds.join(", ")));
        let kept: BTreeSet<&str> = ["lease", "state", "budget"].into();
        let new = at.unchanged.iter().filter(|(kind, _)| !kind.split(' ').any(|part| kept.contains(part)));
        let new: u64 = new.map(|(_, times)| times).sum();
        section.bar(format!("unchanged run ({}): writes of data", at.size.name), new as f64, 1.0, "");
    }
    section.data("sizes", serde_json::to_value(all).unwrap_or_default());
    section
}
