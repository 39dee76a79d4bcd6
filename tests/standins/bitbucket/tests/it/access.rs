//! Who may see what.

use serde_json::{Value, json};
use standin_bitbucket::{LOGIN_KEY, Role};

use crate::support::{By, SYNC_SCOPES, TOKEN, rig, workspace_token, world};

#[tokio::test]
async fn a_missing_scope_is_told_with_what_is_granted_and_what_is_required() {
    let rig = rig(world()).await;
    let response = rig.ask(&rig.person("ada"), "/2.0/workspaces/acme/projects").await;
    assert_eq!(response.status(), 403);
    let body: Value = response.json().await.unwrap();
    let detail = json!({"granted": ["account", "email", "repository"], "required": ["project"]});
    assert_eq!(body["error"]["detail"], detail);
}

#[tokio::test]
async fn no_scope_of_an_admin_includes_reading() {
    let rig = rig(world().with_access_token("ATCT-admin", "repository:admin project:admin")).await;
    let admin = By::Bearer("ATCT-admin".into());
    assert_eq!(rig.status(&admin, "/2.0/repositories/acme").await, 403);
    assert_eq!(rig.status(&admin, "/2.0/repositories/acme/engine/permissions-config/groups").await, 200);
    rig.bitbucket.change(|world| world.add_access_token("ATCT-write", "repository:write"));
    assert_eq!(rig.status(&By::Bearer("ATCT-write".into()), "/2.0/repositories/acme").await, 200);
}

#[tokio::test]
async fn the_own_permission_is_told_to_members_and_refused_to_others() {
    let rig = rig(world()).await;
    let path = "/2.0/user/workspaces/acme/permission";
    let permission = async |who: &str| rig.json(&rig.person(who), path).await["permission"].clone();
    assert_eq!(permission("ada").await, "owner");
    assert_eq!(permission("linus").await, "member");
    assert_eq!(rig.status(&rig.person("paula"), path).await, 403);
    let paula = rig.person("paula");
    assert_eq!(rig.json(&paula, "/2.0/user").await["display_name"], "Paula Keller");
    assert_eq!(rig.json(&paula, "/2.0/user/workspaces").await["size"], 0);
}

#[tokio::test]
async fn own_workspaces_have_neither_name_nor_role() {
    let rig = rig(world()).await;
    let page = rig.json(&rig.person("ada"), "/2.0/user/workspaces").await;
    assert_eq!(page["pagelen"], 25);
    let row = &page["values"][0];
    assert_eq!((&row["type"], &row["administrator"]), (&"workspace_access".into(), &true.into()));
    assert_eq!(row["workspace"]["slug"], "acme");
    assert_eq!((row.get("permission"), row["workspace"].get("name")), (None, None));
    let page = rig.json(&rig.person("grace"), "/2.0/user/workspaces?administrator=true").await;
    assert_eq!(page["size"], 0);
}

#[tokio::test]
async fn unconfirmed_addresses_are_listed_as_such() {
    let paula = standin_bitbucket::Person::outsider("mallory", "Mallory")
        .email("mallory@example.com")
        .unconfirmed_email("ada@example.com");
    let rig = rig(world().with_person(paula)).await;
    let page = rig.json(&rig.person("mallory"), "/2.0/user/emails").await;
    let row =
        page["values"].as_array().unwrap().iter().find(|row| row["email"] == "ada@example.com").unwrap();
    assert_eq!((&row["is_confirmed"], &row["is_primary"]), (&false.into(), &false.into()));
}

#[tokio::test]
async fn each_sees_the_repositories_that_were_granted_by_whichever_way() {
    let rig = rig(world()).await;
    let slugs = async |who: &str, query: &str| {
        rig.column(&rig.person(who), &format!("/2.0/repositories/acme{query}"), "/slug").await
    };
    assert_eq!(slugs("ada", "?role=member&q=is_private=true").await, ["brakes", "engine", "rocket"]);
    assert_eq!(slugs("grace", "?role=member&q=is_private=true").await, ["brakes", "engine"]);
    assert_eq!(slugs("grace", "?role=admin").await, [""; 0]);
    assert_eq!(slugs("linus", "?role=admin").await, ["rocket"]);
    assert_eq!(slugs("linus", "").await, ["handbook", "rocket"], "public ones too");
    assert_eq!(slugs("paula", "").await, ["handbook"]);
    assert_eq!(slugs("paula", "?role=member").await, [""; 0]);
    assert_eq!(rig.status(&rig.person("grace"), "/2.0/repositories/acme/rocket").await, 404);
    assert_eq!(rig.status(&rig.person("grace"), "/2.0/repositories/acme/engine").await, 200);

    let path = "/2.0/user/workspaces/acme/permissions/repositories";
    assert_eq!(rig.column(&rig.person("linus"), path, "/repository/name").await, ["rocket"]);
    assert_eq!(rig.column(&rig.person("grace"), path, "/permission").await, ["write", "write", "write"]);
    let filtered = format!("{path}?q=permission%3E%22write%22");
    assert_eq!(rig.column(&rig.person("grace"), &filtered, "/permission").await, [""; 0]);
}

#[tokio::test]
async fn what_is_granted_explicitly_is_all_that_grants_show() {
    let rig = rig(world()).await;
    let app = rig.app().await;
    let base = "/2.0/repositories/acme";
    assert_eq!(
        rig.json(&app, &format!("{base}/engine/permissions-config/groups")).await["size"],
        0,
        "inherited"
    );
    assert_eq!(
        rig.json(&app, &format!("{base}/rocket/permissions-config/users")).await["size"],
        1,
        "owners are not in it"
    );
    let project = "/2.0/workspaces/acme/projects/CORE/permissions-config/groups";
    let page = rig.json(&app, project).await;
    assert_eq!(page["values"][0]["group"]["full_slug"], "acme:developers");
    assert_eq!((&page["values"][0]["permission"], &page["pagelen"]), (&"write".into(), &10.into()));
}

#[tokio::test]
async fn what_is_for_admins_is_refused_to_others() {
    let rig = rig(world().behaving(|behaviour| behaviour.app_user_is_admin = false)).await;
    rig.bitbucket
        .change(|world| {
            world.change_consumer(LOGIN_KEY, |consumer| {
                consumer.scopes = SYNC_SCOPES.split(' ').map(str::to_owned).collect();
            })
        })
        .unwrap();
    for path in [
        "/2.0/workspaces/acme/permissions/repositories",
        "/2.0/workspaces/acme/permissions/repositories/engine",
        "/2.0/workspaces/acme/projects/CORE/permissions-config/groups",
        "/2.0/workspaces/acme/projects/CORE/permissions-config/users",
        "/2.0/repositories/acme/engine/permissions-config/groups",
        "/2.0/repositories/acme/engine/permissions-config/users",
        "/1.0/groups/acme/",
        "/1.0/group-privileges/acme/",
    ] {
        assert_eq!(rig.status(&rig.person("grace"), path).await, 403, "{path}");
        assert_eq!(rig.status(&rig.person("ada"), path).await, 200, "{path}");
        assert!(
            [403, 404].contains(&rig.status(&rig.app().await, path).await),
            "an app that is no admin: {path}"
        );
        assert_eq!(rig.status(&workspace_token(), path).await, 200, "{path}");
        assert_eq!(rig.status(&By::Nobody, path).await, 401, "{path}");
    }
    let linus = rig.person("linus");
    assert_eq!(rig.status(&linus, "/2.0/repositories/acme/rocket/permissions-config/users").await, 200);
}

#[tokio::test]
async fn owners_are_found_by_a_filter_and_roles_can_change() {
    let rig = rig(world()).await;
    let owners = "/2.0/workspaces/acme/permissions?q=permission%3D%22owner%22";
    let token = workspace_token();
    assert_eq!(rig.column(&token, owners, "/user/display_name").await, ["ada"]);
    rig.bitbucket.change(|world| world.set_role("grace", Role::Owner)).unwrap();
    assert_eq!(rig.column(&token, owners, "/user/display_name").await, ["ada", "grace"]);
    let by_uuid = rig.bitbucket.read(|world| format!("%7B{}%7D", world.workspace().uuid));
    assert_eq!(rig.status(&token, &format!("/2.0/workspaces/{by_uuid}/permissions")).await, 404);
    assert_eq!(rig.status(&token, &format!("/2.0/workspaces/{by_uuid}/members")).await, 200);
    assert_eq!(rig.status(&token, "/2.0/workspaces/ACME/members").await, 200, "in any case");
}

#[tokio::test]
async fn members_are_asked_for_by_name_and_deactivated_ones_are_still_there() {
    let rig = rig(world()).await;
    rig.bitbucket.change(|world| world.deactivate("linus")).unwrap();
    let token = workspace_token();
    let path = |who: &str| format!("/2.0/workspaces/acme/members/{}", rig.uuid(who));
    assert_eq!(rig.status(&token, &path("linus")).await, 200);
    assert_eq!(rig.status(&token, &path("paula")).await, 404);
    assert_eq!(rig.json(&token, "/2.0/workspaces/acme/members").await["size"], 3);
    let status = async |who: &str| {
        rig.json(&token, &format!("/2.0/users/{}", rig.uuid(who))).await["account_status"].clone()
    };
    assert_eq!((status("grace").await, status("linus").await), ("active".into(), "inactive".into()));
    let id = rig.bitbucket.read(|world| world.person("grace").unwrap().account_id.clone());
    assert_eq!(rig.status(&token, &format!("/2.0/workspaces/acme/members/{id}")).await, 200);
    rig.bitbucket.change(|world| world.leave("grace")).unwrap();
    assert_eq!(rig.status(&token, &path("grace")).await, 404);
}

#[tokio::test]
async fn admins_find_members_by_up_to_ninety_addresses_and_see_only_those() {
    let rig = rig(world()).await;
    let path = |addresses: &str, fields: &str| {
        format!("/2.0/workspaces/acme/members?q=user.email%20IN%20({addresses}){fields}")
    };
    let two = path("%22grace@example.com%22,%22nobody@example.com%22", "&fields=%2Bvalues.user.email");
    let token = workspace_token();
    assert_eq!(rig.column(&token, &two, "/user/email").await, ["grace@example.com"]);
    let unnamed = path("%22grace@example.com%22", "");
    assert_eq!(rig.column(&token, &unnamed, "/user/email").await, ["-"], "only if it is asked for");
    let all = "/2.0/workspaces/acme/members?fields=%2Bvalues.user.email";
    assert_eq!(rig.column(&token, all, "/user/email").await, ["-", "-", "-"], "never without the filter");
    assert_eq!(rig.status(&rig.person("grace"), &two).await, 400, "not to members");
    let many = vec!["%22a@example.com%22"; 91].join(",");
    assert_eq!(rig.status(&token, &path(&many, "")).await, 400);
}

#[tokio::test]
async fn an_access_token_is_nobody_and_says_what_it_is() {
    let rig = rig(world()).await;
    let response = rig.ask(&workspace_token(), "/2.0/user").await;
    assert_eq!(response.status(), 403);
    assert_eq!(response.headers()["x-credential-type"], "workspace_access_token");
    let body: Value = response.json().await.unwrap();
    assert_eq!(body["error"]["message"], "This API is not accessible by this authentication mechanism");
    let response = rig.ask(&workspace_token(), "/2.0/workspaces/acme").await;
    let scopes = response.headers()["x-oauth-scopes"].to_str().unwrap();
    assert!(scopes.split(", ").eq(["account", "project", "project:admin", "repository", "repository:admin"]));
    rig.bitbucket.change(|world| world.revoke_access_token(TOKEN)).unwrap();
    assert_eq!(rig.status(&workspace_token(), "/2.0/workspaces/acme").await, 401);
}

#[tokio::test]
async fn an_api_token_goes_with_its_address_and_its_scopes_stand_alone() {
    let world =
        world().with_api_token("ada", "ATATT-1", "admin:repository:bitbucket read:workspace:bitbucket");
    let rig = rig(world).await;
    let ada = By::Basic("ada@example.com", "ATATT-1");
    assert_eq!(rig.status(&ada, "/2.0/workspaces/acme/members").await, 200);
    assert_eq!(rig.status(&ada, "/1.0/groups/acme/").await, 200);
    assert_eq!(rig.status(&ada, "/2.0/repositories/acme").await, 403, "admin does not include read");
    assert_eq!(rig.status(&By::Basic("grace@example.com", "ATATT-1"), "/2.0/user").await, 401);
    let response = rig.ask(&By::Bearer("ATATT-1".into()), "/2.0/workspaces/acme/members").await;
    assert_eq!(response.status(), 401);
    let body: Value = response.json().await.unwrap();
    let message = "Token is invalid, expired, or not supported for this endpoint.";
    assert_eq!(body["error"]["message"], message);
}

#[tokio::test]
async fn credentials_of_one_workspace_do_not_reach_into_another() {
    let mut world = world();
    world.add_workspace("globex").unwrap();
    world.join("paula", Role::Owner).unwrap();
    world.add_project("X", "X").unwrap();
    world.add_repository("X", "secret", true).unwrap();
    let rig = rig(world).await;
    for by in [workspace_token(), rig.app().await, rig.person("ada")] {
        assert_eq!(rig.status(&by, "/2.0/workspaces/globex/members").await, 403);
        assert_eq!(rig.json(&by, "/2.0/repositories/globex").await["size"], 0);
    }
    assert_eq!(rig.json(&rig.person("paula"), "/2.0/repositories/globex").await["size"], 1);
}

#[tokio::test]
async fn what_was_removed_answers_410_and_names_the_change() {
    let rig = rig(world()).await;
    for path in [
        "/2.0/workspaces",
        "/2.0/user/permissions/workspaces",
        "/2.0/user/permissions/repositories",
        "/2.0/repositories",
        "/2.0/snippets",
    ] {
        let response = rig.ask(&rig.person("ada"), path).await;
        assert_eq!(response.status(), 410, "{path}");
        let body: Value = response.json().await.unwrap();
        assert!(body["error"]["message"].as_str().unwrap().starts_with("CHANGE-2770 - "));
    }
}

#[tokio::test]
async fn what_is_not_there_is_told_in_json() {
    let rig = rig(world()).await;
    let body: Value = rig.ask(&rig.person("ada"), "/2.0/workspaces/nowhere").await.json().await.unwrap();
    assert_eq!(body["error"]["message"], "No workspace with identifier 'nowhere'.");
    assert_eq!(rig.status(&rig.person("ada"), "/2.0/nothing/here").await, 404);
}
