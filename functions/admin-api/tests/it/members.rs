//! Members: listed, filtered, changed, explained.

use core::time::Duration;
use std::collections::BTreeSet;

use rollcall_admin::testing::{As, Call, Deployment, START};
use rollcall_domain::bitbucket::{AccountUuid, RepositoryUuid};
use rollcall_domain::identity::Identity;
use rollcall_domain::member::{InviteEntitlement, Member, Origin, Role, SuspensionReason};
use rollcall_domain::mirror::{OwnGrants, Person, Repository, Team};
use rollcall_domain::{TeamId, WorkspaceId};
use rollcall_service::rfc3339;
use rollcall_store::{CoverageRow, Key, Record, When};
use serde_json::{Value, json};

use crate::support::{World, actions};

/// Somebody who was let in by Bitbucket, mirrored, in a team, and short of some repositories.
pub(crate) struct Mirrored {
    pub(crate) member: Member,
    pub(crate) team: TeamId,
}

pub(crate) async fn mirrored(
    deployment: &Deployment,
    workspace: WorkspaceId,
    n: u8,
    missing: u8,
) -> Mirrored {
    let store = deployment.admin.store();
    let account: AccountUuid = format!("{{00000000-0000-4000-9000-0000000000{n:02x}}}").parse().unwrap();
    let issuer = deployment.admin.config().bitbucket_url.as_str().to_owned();
    let member = Member {
        identities: vec![Identity::bitbucket(issuer, account)],
        origin: Origin::Bitbucket,
        by_bitbucket: true,
        by_invite: None,
        ..deployment.new_member(workspace, &format!("person{n}"), Role::Member)
    };
    deployment.enter(&member).await;
    let team = Team {
        id: TeamId::new(START, [7; 10]),
        slug: "developers".parse().unwrap(),
        name: "Developers".into(),
        removed: false,
    };
    let person = Person {
        uuid: account,
        account_id: None,
        display_name: format!("Person {n}"),
        nickname: String::new(),
        owner: false,
        inactive: false,
        teams: BTreeSet::from([team.id]),
        left: false,
    };
    let repositories: Vec<RepositoryUuid> = (0..missing)
        .map(|at| format!("{{00000000-0000-4000-a000-0000000000{at:02x}}}").parse().unwrap())
        .collect();
    let row = CoverageRow {
        member: member.id,
        of: 40,
        missing: repositories.len(),
        named: repositories.clone(),
        unread: 0,
    };
    let mut transaction = store.transaction();
    let mut put = |what: &str, id: String, value: &Value| {
        let key = Key::new(format!("{workspace}#{what}"), id);
        transaction.put("row", &key, value, None, When::Always).unwrap();
    };
    put("teams", team.id.to_string(), &json!(team));
    put("people", account.to_string(), &json!(person));
    put("coverage", member.id.to_string(), &json!(row));
    put(&format!("team#{}", team.id), account.to_string(), &json!({"person": account}));
    for (at, uuid) in repositories.iter().enumerate() {
        let repository = Repository {
            uuid: *uuid,
            slug: format!("secret-{at}").parse().unwrap(),
            name: String::new(),
            project: "{00000000-0000-4000-b000-000000000001}".parse().unwrap(),
            private: true,
            own: OwnGrants::default(),
            removed: false,
        };
        put("repositories", uuid.to_string(), &json!(repository));
    }
    transaction.commit().await.unwrap();
    Mirrored { member: Member { version: 1, ..member }, team: team.id }
}

fn names(answer: &rollcall_admin::testing::Answered) -> Vec<String> {
    let items = answer.json["items"].as_array().unwrap().iter();
    items.map(|item| item["display_name"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_is_shown_with_teams_coverage_and_where_they_come_from() {
    let world = World::start().await;
    let workspace = world.deployment.workspace("Acme").await;
    let somebody = mirrored(&world.deployment, workspace, 1, 3).await;
    let shown = world
        .get(&As::bootstrap(), format!("/v1/workspaces/{workspace}/members/{}", somebody.member.id))
        .await;
    assert_eq!(shown.text_at("/teams/0/name"), "Developers");
    assert_eq!(
        shown.json["coverage"],
        json!({"of": 40, "missing": 3, "unread": 0, "missing_repositories": ["secret-0", "secret-1", "secret-2"]})
    );
    assert_eq!(shown.text_at("/external_source"), "bitbucket");
    assert_eq!(shown.text_at("/external_source_id"), somebody.member.account().unwrap().to_string());
    assert_eq!(shown.header("etag"), Some("\"v1\""));

    let team =
        world.get(&As::bootstrap(), format!("/v1/workspaces/{workspace}/teams/{}", somebody.team)).await;
    assert_eq!(team.text_at("/people/items/0/member"), somebody.member.id.to_string());
    assert_eq!(team.json["members"], 1);
    let teams = world.get(&As::bootstrap(), format!("/v1/workspaces/{workspace}/teams")).await;
    assert_eq!(teams.text_at("/items/0/external_source_id"), "developers");
    let repositories = world.get(&As::bootstrap(), format!("/v1/workspaces/{workspace}/repositories")).await;
    assert_eq!(repositories.text_at("/items/2/slug"), "secret-2");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_is_walked_to_its_end_whatever_the_page_and_the_filter() {
    let world = World::start().await;
    let deployment = &world.deployment;
    let workspace = deployment.workspace("Acme").await;
    for n in 0..7_u8 {
        let somebody = mirrored(deployment, workspace, n, n % 2).await.member;
        deployment.clock.advance(Duration::from_millis(1));
        let mut changed = somebody.clone();
        match n {
            2 => changed.suspend(SuspensionReason::LeftWorkspace, None, START),
            3 => changed.disable(START),
            _ => continue,
        };
        deployment.admin.store().update_member(&changed, &somebody, None, Record::default()).await.unwrap();
    }
    deployment.member(workspace, "invited", Role::Member).await;
    let path = format!("/v1/workspaces/{workspace}/members");
    let team = TeamId::new(START, [7; 10]);
    for (filter, expected) in [
        (String::new(), vec!["person0", "person1", "person4", "person5", "person6", "invited"]),
        (
            "include=suspended".into(),
            vec!["person0", "person1", "person2", "person3", "person4", "person5", "person6", "invited"],
        ),
        ("state=suspended".into(), vec!["person2"]),
        ("state=disabled".into(), vec!["person3"]),
        ("origin=invite".into(), vec!["invited"]),
        (
            format!("team={team}&include=suspended"),
            vec!["person0", "person1", "person2", "person3", "person4", "person5", "person6"],
        ),
        ("coverage=missing".into(), vec!["person1", "person5"]),
        ("coverage=all".into(), vec!["person0", "person4", "person6"]),
        ("coverage=unknown".into(), vec!["invited"]),
    ] {
        for limit in [1, 2, 3, 100] {
            let (mut all, mut cursor, mut pages) = (Vec::new(), String::new(), 0);
            loop {
                let page =
                    world.get(&As::bootstrap(), format!("{path}?limit={limit}&{filter}{cursor}")).await;
                assert_eq!(page.status, 200, "{}", page.text);
                assert!(names(&page).len() <= limit);
                all.extend(names(&page));
                pages += 1;
                assert!(pages < 20);
                match page.json["next"].as_str() {
                    Some(next) => cursor = format!("&cursor={next}"),
                    None => break,
                }
            }
            assert_eq!(all, expected, "{filter} by {limit}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn disabling_ends_sessions_at_once_and_only_an_admin_undoes_it() {
    let world = World::start().await;
    let workspace = world.deployment.workspace("Acme").await;
    let (_, admin) = world.deployment.member(workspace, "ada", Role::Admin).await;
    let (grace, session) = world.deployment.member(workspace, "grace", Role::Admin).await;
    let members = format!("/v1/workspaces/{workspace}/members");
    let path = format!("{members}/{}", grace.id);
    assert_eq!(world.get(&session, members.clone()).await.status, 200);
    let disabled = world.patch(&admin, path.clone(), &json!({"state": "disabled"})).await;
    assert_eq!((disabled.status.as_u16(), disabled.text_at("/state")), (200, "disabled"));
    assert_eq!(world.get(&session, members).await.status, 401);
    let enabled = world.patch(&admin, path.clone(), &json!({"state": "active", "role": "member"})).await;
    assert_eq!((enabled.text_at("/state"), enabled.text_at("/role")), ("active", "member"));
    assert_eq!(world.get(&session, path).await.status, 401, "the old session stays dead");

    let trail = world.get(&As::bootstrap(), format!("/v1/workspaces/{workspace}/audit")).await;
    assert_eq!(actions(&trail), ["member.disabled", "member.enabled", "member.role_changed"]);
    let events = world.get(&As::bootstrap(), format!("/v1/events?workspace={workspace}")).await;
    let kinds: Vec<&str> =
        events.json["items"].as_array().unwrap().iter().map(|e| e["type"].as_str().unwrap()).collect();
    assert_eq!(kinds[0], "rollcall.member.disabled");
    assert_eq!(kinds.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workspace_keeps_an_admin_under_any_concurrency_unless_the_deployment_says_otherwise() {
    let world = World::start().await;
    let workspace = world.deployment.workspace("Acme").await;
    let (ada, first) = world.deployment.member(workspace, "ada", Role::Admin).await;
    let (grace, second) = world.deployment.member(workspace, "grace", Role::Admin).await;
    let path = |member: &Member| format!("/v1/workspaces/{workspace}/members/{}", member.id);
    let body = json!({"role": "member"});
    let (one, other) =
        tokio::join!(world.patch(&first, path(&grace), &body), world.patch(&second, path(&ada), &body));
    let admins = world.deployment.admin.store().active_admins(workspace).await.unwrap();
    assert_eq!(admins.len(), 1, "{} {}", one.text, other.text);
    let last = &admins[0];
    let session = if last.id == ada.id { &first } else { &second };
    let refused = world.patch(session, path(last), &json!({"state": "disabled"})).await;
    assert_eq!(refused.status, 409, "{}", refused.text);
    assert_eq!(world.patch(&As::bootstrap(), path(last), &json!({"state": "disabled"})).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_date_is_set_moved_and_taken_away_and_renewing_lets_in_again() {
    let world = World::start().await;
    let deployment = &world.deployment;
    let workspace = deployment.workspace("Acme").await;
    let mut member = deployment.new_member(workspace, "auditor", Role::Member);
    let end = START.plus(Duration::from_hours(24));
    member.by_invite = member.by_invite.map(|invite| InviteEntitlement { until: Some(end), ..invite });
    deployment.enter(&member).await;
    let path = format!("/v1/workspaces/{workspace}/members/{}", member.id);
    deployment.clock.set(end);
    let out = world.get(&As::bootstrap(), path.clone()).await;
    assert_eq!(out.json["invite"]["valid"], false);
    let before = deployment.admin.store().member(workspace, member.id).await.unwrap().unwrap();
    let mut suspended = before.clone();
    suspended.suspend(SuspensionReason::InviteEnded, None, end);
    deployment.admin.store().update_member(&suspended, &before, None, Record::default()).await.unwrap();

    let past =
        world.patch(&As::bootstrap(), path.clone(), &json!({"membership_until": rfc3339::format(end)})).await;
    assert_eq!((past.status.as_u16(), past.text_at("/errors/0/pointer")), (422, "/membership_until"));
    let later = rfc3339::format(end.plus(Duration::from_hours(24)));
    let renewed = world.patch(&As::bootstrap(), path.clone(), &json!({"membership_until": later})).await;
    assert_eq!(
        (renewed.text_at("/state"), renewed.text_at("/invite/membership_until")),
        ("active", later.as_str())
    );
    let endless = world.patch(&As::bootstrap(), path, &json!({"membership_until": null})).await;
    assert!(endless.json["invite"]["membership_until"].is_null());
    let by_bitbucket = mirrored(deployment, workspace, 1, 0).await.member;
    let nothing_to_end = format!("/v1/workspaces/{workspace}/members/{}", by_bitbucket.id);
    assert_eq!(
        world.patch(&As::bootstrap(), nothing_to_end, &json!({"membership_until": later})).await.status,
        422
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_sync_has_found_out_no_admin_overrides() {
    let world = World::start().await;
    let workspace = world.deployment.workspace("Acme").await;
    let somebody = mirrored(&world.deployment, workspace, 1, 0).await.member;
    let mut suspended = somebody.clone();
    suspended.suspend(SuspensionReason::LeftWorkspace, None, START);
    world
        .deployment
        .admin
        .store()
        .update_member(&suspended, &somebody, None, Record::default())
        .await
        .unwrap();
    let path = format!("/v1/workspaces/{workspace}/members/{}", somebody.id);
    assert_eq!(world.patch(&As::bootstrap(), path, &json!({"state": "active"})).await.status, 409);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_what_somebody_else_has_changed_is_refused_if_the_caller_says_what_they_saw() {
    let world = World::start().await;
    let workspace = world.deployment.workspace("Acme").await;
    let (member, _) = world.deployment.member(workspace, "grace", Role::Member).await;
    let path = format!("/v1/workspaces/{workspace}/members/{}", member.id);
    let change = |tag: &'static str, role: &str| {
        Call::new("PATCH", path.clone())
            .by(&As::bootstrap())
            .with("if-match", tag)
            .json(&json!({"role": role}))
    };
    let first = world.send(change("\"v1\"", "admin")).await;
    assert_eq!((first.status.as_u16(), first.header("etag")), (200, Some("\"v2\"")));
    assert_eq!(world.send(change("\"v1\"", "member")).await.status, 412);
    assert_eq!(world.send(change("*", "member")).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_explanation_says_why_in_words_and_in_data() {
    let world = World::start().await;
    let deployment = &world.deployment;
    let workspace = deployment.workspace("Acme").await;
    crate::runs::connect(&world, workspace, 1).await;
    let explain = async |member: &Member| {
        world
            .get(&As::bootstrap(), format!("/v1/workspaces/{workspace}/members/{}/explanation", member.id))
            .await
    };
    let somebody = mirrored(deployment, workspace, 1, 3).await.member;
    let inside = explain(&somebody).await;
    assert_eq!((inside.json["let_in"].as_bool(), inside.text_at("/rule")), (Some(true), "bitbucket"));
    assert!(
        inside.text_at("/text").contains("They cannot access 3 of 40 private repositories."),
        "{}",
        inside.text
    );
    assert_eq!(inside.json["coverage"]["missing_repositories"], json!(["secret-0", "secret-1", "secret-2"]));

    let run = deployment.admin.new_id(START);
    let mut suspended = somebody.clone();
    suspended.suspend(SuspensionReason::LeftWorkspace, Some(run), START);
    deployment.admin.store().update_member(&suspended, &somebody, None, Record::default()).await.unwrap();
    let outside = explain(&somebody).await;
    assert_eq!((outside.json["let_in"].as_bool(), outside.text_at("/rule")), (Some(false), "left_workspace"));
    assert_eq!(outside.text_at("/run"), run.to_string());
    assert!(outside.text_at("/text").contains("no longer in the Bitbucket workspace"));

    let (invited, _) = deployment.member(workspace, "auditor", Role::Member).await;
    let by_invite = explain(&invited).await;
    assert_eq!(by_invite.text_at("/rule"), "invite");
    assert!(by_invite.text_at("/text").contains("it has no end"), "{}", by_invite.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preview_names_whom_another_policy_would_affect_and_changes_nothing() {
    let world = World::start().await;
    let workspace = world.deployment.workspace("Acme").await;
    crate::runs::connect(&world, workspace, 1).await;
    mirrored(&world.deployment, workspace, 1, 3).await;
    mirrored(&world.deployment, workspace, 2, 0).await;
    world.deployment.member(workspace, "invited", Role::Member).await;
    let path = format!("/v1/workspaces/{workspace}/connection/preview");
    let as_it_is = world.get(&As::bootstrap(), path.clone()).await;
    assert_eq!((&as_it_is.json["considered"], &as_it_is.json["refused_at_sign_in"]), (&json!(2), &json!(1)));
    let strict = world.get(&As::bootstrap(), format!("{path}?offboard_on=lost_access")).await;
    assert_eq!(
        (&strict.json["suspended"], strict.text_at("/affected/0/display_name")),
        (&json!(1), "person1")
    );
    let lenient =
        world.get(&As::bootstrap(), format!("{path}?policy=any_repository&offboard_on=lost_access")).await;
    assert_eq!(lenient.json["suspended"], 0);
    assert!(
        world
            .deployment
            .admin
            .store()
            .all_members(workspace)
            .await
            .unwrap()
            .iter()
            .all(|m| m.is_let_in(START))
    );
}
