//! Every route, asked by everybody.

use core::time::Duration;
use std::collections::BTreeMap;

use rollcall_admin::testing::{Answered, As, Call, Deployment};
use rollcall_domain::audit::Actor;
use rollcall_domain::authority::{Access, Reach};
use rollcall_domain::identity::Provider;
use rollcall_domain::member::{Member, Role};
use rollcall_domain::mirror::Team;
use rollcall_domain::{Secret, TokenHash, WorkspaceId};
use rollcall_identity::provider::{About, Grant, Issue, Scopes};
use rollcall_store::runs::RunStatus;
use rollcall_store::{AdminToken, Key, Record, When};
use serde_json::json;

use crate::support::World;

/// What a principal is answered, as far as authority decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    /// 401: nobody.
    Unknown,
    /// 404 for everything.
    NotThere,
    /// 403.
    Forbidden,
    /// Let through: what is answered then is the route's own affair.
    Through,
}

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A workspace that the bound principals are bound to.
    Own,
    /// Another workspace, which is there.
    Other,
    /// Something of the whole deployment.
    Deployment,
    /// What each sees according to its reach.
    ByReach,
}

/// Every route of the description: its method, its path with the ids of things that are there, and what it concerns.
fn routes(own: &Things, other: &Things) -> Vec<(String, String, Kind)> {
    let description = serde_json::to_value(rollcall_admin_api::description()).unwrap();
    let mut routes = Vec::new();
    for (path, item) in description["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys().filter(|key| *key != "parameters") {
            let by_reach = matches!(path.as_str(), "/v1/workspaces" | "/v1/events") && method == "get";
            let kinds: &[(Kind, &Things)] = match (path.contains("{workspace}"), by_reach) {
                (true, _) => &[(Kind::Own, own), (Kind::Other, other)],
                (false, true) => &[(Kind::ByReach, own)],
                (false, false) => &[(Kind::Deployment, own)],
            };
            for (kind, things) in kinds {
                let path = things
                    .iter()
                    .fold(path.clone(), |path, (name, id)| path.replace(&format!("{{{name}}}"), id));
                assert!(!path.contains('{'), "{path}: there is nothing to ask for");
                routes.push((method.to_uppercase(), path, *kind));
            }
        }
    }
    // What is removed is asked for last.
    routes.sort_by_key(|(method, ..)| method == "DELETE");
    routes
}

/// The ids of what is there in a workspace, by their names in paths.
pub(crate) type Things = BTreeMap<&'static str, String>;

/// Puts one thing of each kind into a workspace.
async fn furnish(world: &World, workspace: WorkspaceId) -> Things {
    let admin = &world.deployment.admin;
    let (store, now) = (admin.store(), admin.now());
    let member = world.deployment.new_member(workspace, "somebody", Role::Member);
    let mut identified = member.clone();
    identified.identities[0].subject = member.id.to_string();
    world.deployment.enter(&identified).await;
    let team = Team {
        id: admin.new_id(now),
        slug: "developers".parse().unwrap(),
        name: "Developers".into(),
        removed: false,
    };
    let mut transaction = store.transaction();
    let key = Key::new(format!("{workspace}#teams"), team.id.to_string());
    transaction.put("team", &key, &team, None, When::Always).unwrap();
    transaction.commit().await.unwrap();
    let run = crate::runs::record(workspace, admin.new_id(now), RunStatus::Applied);
    store.put_run(&run, Record::default()).await.unwrap();
    let invite = world
        .post(
            &As::bootstrap(),
            format!("/v1/workspaces/{workspace}/invites"),
            &json!({"invites": [{"email": format!("{}@example.com", member.id)}]}),
        )
        .await;
    let token = AdminToken {
        id: admin.new_id(now),
        name: "t".into(),
        hash: TokenHash::of(&Secret::new(member.id.to_string())),
        reach: Reach::Deployment,
        access: Access::Read,
        made_by: Actor::Bootstrap,
        created_at: now,
        expires_at: None,
        used_at: None,
    };
    store.create_admin_token(&token, Record::default()).await.unwrap();
    let client = world.deployment.machine(Reach::Deployment, Access::Read).await.0;
    let webhook = json!({ "url": "https://app.example/hook" });
    world.put(&As::bootstrap(), format!("/v1/workspaces/{workspace}/webhook"), &webhook).await;
    Things::from([
        ("workspace", workspace.to_string()),
        ("member", member.id.to_string()),
        ("team", team.id.to_string()),
        ("run", run.id.to_string()),
        ("invite", invite.text_at("/items/0/invite/id").to_owned()),
        ("token", token.id.to_string()),
        ("client", client.id.to_string()),
    ])
}

/// Whether the gate let the request through: everything that is asked for is there, so that a 404 is the gate's.
fn verdict(answer: &Answered) -> Verdict {
    match answer.status.as_u16() {
        401 => Verdict::Unknown,
        403 => Verdict::Forbidden,
        404 => Verdict::NotThere,
        _ => Verdict::Through,
    }
}

/// A token whose end has come.
async fn ended_token(deployment: &Deployment) -> As {
    let admin = &deployment.admin;
    let secret = Secret::new("rca_of-yesterday");
    let token = AdminToken {
        id: admin.new_id(admin.now()),
        name: "t".into(),
        hash: TokenHash::of(&secret),
        reach: Reach::Deployment,
        access: Access::Write,
        made_by: Actor::Bootstrap,
        created_at: admin.now(),
        expires_at: Some(admin.now()),
        used_at: None,
    };
    admin.store().create_admin_token(&token, Record::default()).await.unwrap();
    As::Bearer(secret.expose().to_owned())
}

/// What an application holds after somebody has signed in there: their access token and their ID token.
async fn tokens_of_a_member(deployment: &Deployment, member: &Member) -> (As, As) {
    let admin = &deployment.admin;
    let now = admin.now();
    let (client, _) = deployment.machine(Reach::Deployment, Access::Write).await;
    let grant = Grant {
        id: admin.new_id(now),
        client: client.id,
        member: member.id,
        workspace: member.workspace,
        epoch: member.epoch,
        session: admin.new_id(now),
        provider: Provider::Google,
        auth_time: now,
        nonce: None,
        scopes: Scopes::parse("openid profile email").unwrap(),
    };
    let about =
        About { role: member.role, teams: Vec::new(), name: member.display_name.clone(), email: None };
    let issue = Issue { grant: &grant, scopes: grant.scopes, about: &about, client: &client, refresh: None };
    let keys = admin.keys().await.ok().unwrap();
    let answer = json!(keys.issuer.answer(&issue, now, [3; 16]).unwrap());
    let token = |name: &str| As::Bearer(answer[name].as_str().unwrap().to_owned());
    (token("access_token"), token("id_token"))
}

/// What somebody is to be answered: by what is asked for, and whether it is a change.
type Expected = Box<dyn Fn(Kind, bool) -> Verdict>;

/// Everybody who could ask, by what they are called.
async fn principals(
    deployment: &Deployment,
    own: WorkspaceId,
    other: WorkspaceId,
) -> Vec<(&'static str, As, Expected)> {
    use Verdict::{Forbidden, NotThere, Through, Unknown};

    let (ada, admin) = deployment.member(own, "ada", Role::Admin).await;
    let (_, member) = deployment.member(own, "grace", Role::Member).await;
    let (leaver, gone) = deployment.member(own, "linus", Role::Admin).await;
    let mut disabled = leaver.clone();
    disabled.disable(deployment.admin.now());
    deployment.admin.store().update_member(&disabled, &leaver, None, Record::default()).await.unwrap();
    let (_, machine) = deployment.machine(Reach::Workspace(own), Access::Read).await;
    let (deleted, dead) = deployment.machine(Reach::Deployment, Access::Write).await;
    deployment.admin.store().delete_client(deleted.id, Record::default()).await.unwrap();
    let (_, stranger) = deployment.member(other, "margaret", Role::Admin).await;
    let (_, strong_machine) = deployment.machine(Reach::Deployment, Access::Write).await;
    let (_, bound_machine) = deployment.machine(Reach::Workspace(own), Access::Write).await;
    let (access_token, id_token) = tokens_of_a_member(deployment, &ada).await;
    let cross = match &admin {
        As::Browser(session) => As::OtherSite(session.clone()),
        other => other.clone(),
    };

    let all = |verdict| move |_: Kind, _: bool| verdict;
    let bound = |may_write: bool| {
        move |kind: Kind, writes: bool| match kind {
            Kind::Other | Kind::Deployment => NotThere,
            Kind::Own | Kind::ByReach if writes && !may_write => Forbidden,
            Kind::Own | Kind::ByReach => Through,
        }
    };
    vec![
        ("nobody", As::Nobody, Box::new(all(Unknown))),
        ("an unknown token", As::Bearer("rca_unknown".into()), Box::new(all(Unknown))),
        ("a token in another form", As::Bearer("a.b.c".into()), Box::new(all(Unknown))),
        ("bootstrap", As::bootstrap(), Box::new(all(Through))),
        (
            "deployment, write",
            deployment.token(Reach::Deployment, Access::Write).await,
            Box::new(all(Through)),
        ),
        (
            "deployment, read",
            deployment.token(Reach::Deployment, Access::Read).await,
            Box::new(|_, writes| if writes { Forbidden } else { Through }),
        ),
        (
            "workspace, write",
            deployment.token(Reach::Workspace(own), Access::Write).await,
            Box::new(bound(true)),
        ),
        (
            "workspace, read",
            deployment.token(Reach::Workspace(own), Access::Read).await,
            Box::new(bound(false)),
        ),
        ("machine of the workspace, read", machine, Box::new(bound(false))),
        ("machine that was removed", dead, Box::new(all(Unknown))),
        ("admin", admin, Box::new(bound(true))),
        (
            "admin, from another site's page",
            cross,
            Box::new(move |kind, writes| if writes { Forbidden } else { bound(true)(kind, false) }),
        ),
        (
            "member",
            member,
            Box::new(|kind, _| match kind {
                Kind::Own | Kind::ByReach => Forbidden,
                Kind::Other | Kind::Deployment => NotThere,
            }),
        ),
        ("admin who was disabled", gone, Box::new(all(Unknown))),
        (
            "admin of the other workspace",
            stranger,
            Box::new(|kind, _| match kind {
                Kind::Own | Kind::Deployment => NotThere,
                Kind::Other | Kind::ByReach => Through,
            }),
        ),
        ("machine of the deployment, write", strong_machine, Box::new(all(Through))),
        ("machine of the workspace, write", bound_machine, Box::new(bound(true))),
        ("token past its end", ended_token(deployment).await, Box::new(all(Unknown))),
        ("access token of an admin, for an application", access_token, Box::new(all(Unknown))),
        ("ID token of an admin", id_token, Box::new(all(Unknown))),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_lets_exactly_those_through_who_may() {
    let world = World::start().await;
    let (own, other) = (world.deployment.workspace("Own").await, world.deployment.workspace("Other").await);
    crate::runs::connect(&world, own, 1).await;
    crate::runs::connect(&world, other, 2).await;
    let principals = principals(&world.deployment, own, other).await;
    let mut asked = 0;
    for (name, who, expected) in &principals {
        let (own, other) = (furnish(&world, own).await, furnish(&world, other).await);
        for (method, path, kind) in routes(&own, &other) {
            let answer = world.send(Call::new(&method, path.clone()).by(who)).await;
            let wanted = expected(kind, method != "GET");
            assert_eq!(
                verdict(&answer),
                wanted,
                "{name}: {method} {path}: {} {}",
                answer.status,
                answer.text
            );
            asked += 1;
        }
    }
    assert!(asked > principals.len() * 60, "{asked}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_yours_and_what_is_not_there_look_the_same() {
    let world = World::start().await;
    let deployment = &world.deployment;
    let own = deployment.workspace("Own").await;
    let other = deployment.workspace("Other").await;
    let theirs = deployment.member(other, "ada", Role::Member).await.0;
    let token = deployment.token(Reach::Workspace(own), Access::Write).await;
    let nowhere = WorkspaceId::new(rollcall_domain::Timestamp::EPOCH, [9; 10]);
    let same = |answer: Answered| {
        let mut json = answer.json;
        json.as_object_mut().unwrap().remove("instance");
        (answer.status.as_u16(), json)
    };
    let not_there = same(world.get(&token, format!("/v1/workspaces/{nowhere}")).await);
    assert_eq!(not_there.0, 404);
    for path in [
        format!("/v1/workspaces/{other}"),
        "/v1/workspaces/ws_1".to_owned(),
        "/v1/workspaces/..%2F..%2Fetc".to_owned(),
        format!("/v1/workspaces/{other}/members/{}", theirs.id),
        format!("/v1/workspaces/{own}/members/{}", theirs.id),
        format!("/v1/workspaces/{own}/members/mem_1"),
        format!("/v1/workspaces/{own}/connection"),
        "/v1/tokens".to_owned(),
        format!("/v1/events?workspace={other}"),
    ] {
        assert_eq!(same(world.get(&token, path.clone()).await), not_there, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_credentials_are_counted_for_an_address_and_good_ones_are_not() {
    let world = World::strict().await;
    let bad = As::Bearer("rca_guess".into());
    for _ in 0..30 {
        assert_eq!(world.get(&bad, "/v1/workspaces").await.status, 401);
    }
    let waiting = world.get(&bad, "/v1/workspaces").await;
    assert_eq!(waiting.status, 429);
    assert!(waiting.header("retry-after").unwrap().parse::<u64>().unwrap() <= 60);
    assert_eq!(world.get(&As::bootstrap(), "/v1/workspaces").await.status, 200);
    world.deployment.clock.advance(Duration::from_mins(1));
    assert_eq!(world.get(&bad, "/v1/workspaces").await.status, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_ends_with_the_member_the_idle_time_and_its_age() {
    let world = World::start().await;
    let workspace = world.deployment.workspace("Acme").await;
    let path = format!("/v1/workspaces/{workspace}/members");
    let (_, session) = world.deployment.member(workspace, "ada", Role::Admin).await;
    assert_eq!(world.get(&session, path.clone()).await.status, 200);
    world.deployment.clock.advance(Duration::from_hours(8));
    assert_eq!(world.get(&session, path.clone()).await.status, 401, "not used for eight hours");

    let (_, busy) = world.deployment.member(workspace, "grace", Role::Admin).await;
    for _ in 0..5 {
        world.deployment.clock.advance(Duration::from_hours(4));
        assert_eq!(world.get(&busy, path.clone()).await.status, 200);
    }
    world.deployment.clock.advance(Duration::from_hours(4));
    assert_eq!(world.get(&busy, path).await.status, 401, "a day old");
}
