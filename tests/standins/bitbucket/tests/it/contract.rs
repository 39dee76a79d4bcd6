//! The stand-in against Atlassian's own description, and the check itself.

use serde_json::{Value, json};
use standin_bitbucket::contract::{Asking, Breach, Contract};
use standin_bitbucket::{Level, On, To, World, example};

use crate::support::{By, Rig, rig, world};

/// Every kind of thing, in every place where one can be.
fn full() -> World {
    world()
        .with_person(standin_bitbucket::Person::app("robot", "Robot"))
        .with_grant(On::Project("CORE"), To::Person("robot"), Level::CreateRepo)
        .with_grant(On::Repository("engine"), To::Group("developers"), Level::Read)
        .with_grant(On::Repository("engine"), To::Person("robot"), Level::Read)
}

/// A path of the description with values.
fn filled(template: &str, rig: &Rig) -> String {
    template
        .replace("{workspace}", "acme")
        .replace("{member}", &rig.uuid("grace"))
        .replace("{selected_user}", &rig.uuid("robot"))
        .replace("{project_key}", "CORE")
        .replace("{repo_slug}", "engine")
        .replace("{group_slug}", "developers")
        .replace("{selected_user_id}", &rig.uuid("grace"))
}

/// Whoever gets an answer: a person where it has to be one.
async fn asker(rig: &Rig, path: &str) -> By {
    if path.starts_with("/2.0/user/") || path == "/2.0/user" { rig.person("ada") } else { rig.app().await }
}

#[tokio::test]
async fn every_answer_agrees_with_the_description() {
    let rig = rig(full()).await;
    let contract = Contract::official();
    let mut checked = 0;
    for template in contract.paths() {
        let path = filled(&template, &rig);
        let asking = Asking::get(&template);
        let answer = rig.json(&asker(&rig, &path).await, &path).await;
        assert_eq!(contract.check_answer(&asking, 200, &answer), [], "{path}: {answer:#}");
        assert!(
            answer.get("values").is_none_or(|rows| !rows.as_array().unwrap().is_empty()),
            "{path} has no rows"
        );

        let response = rig.ask(&By::Bearer("nonsense".into()), &path).await;
        let (status, refusal) = (response.status().as_u16(), response.json::<Value>().await.unwrap());
        assert_eq!((status, contract.check_answer(&asking, status, &refusal)), (401, vec![]), "{path}");
        checked += 1;
    }
    assert_eq!(checked, 24);
}

#[tokio::test]
async fn every_answer_to_a_partial_request_agrees_too() {
    let rig = rig(full()).await;
    for (path, fields) in [
        (
            "/2.0/workspaces/acme/members",
            "next,size,values.user.uuid,values.user.nickname,values.workspace.uuid",
        ),
        ("/2.0/repositories/acme", "next,values.uuid,values.slug,values.project.key,values.updated_on"),
        ("/2.0/workspaces/acme/permissions", "values.permission,values.user.account_id"),
        ("/2.0/user/emails", "values.email,values.is_confirmed"),
    ] {
        let asking = Asking::get(path).query("fields", fields);
        assert_eq!(Contract::official().check_request(&asking), [], "{path}");
        let answer = rig.json(&asker(&rig, path).await, &format!("{path}?fields={fields}")).await;
        assert_eq!(Contract::official().check_answer(&asking, 200, &answer), [], "{path}");
    }
}

#[tokio::test]
async fn a_missing_scope_is_told_as_it_was_recorded() {
    let rig = rig(full()).await;
    let response = rig.ask(&rig.person("ada"), "/2.0/workspaces/acme/projects").await;
    let body: Value = response.json().await.unwrap();
    let asking = Asking::get("/2.0/workspaces/acme/projects");
    assert_eq!(Contract::official().check_answer(&asking, 403, &body), []);
}

#[tokio::test]
async fn every_endpoint_wants_the_scopes_that_are_described() {
    let mut world = full();
    // One token that lacks a scope, for each of the scopes there are.
    let all = ["account", "email", "project", "project:admin", "repository", "repository:admin"];
    for lacking in all {
        let rest: Vec<&str> = all.into_iter().filter(|scope| *scope != lacking).collect();
        let key = format!("without-{lacking}");
        world.add_consumer(
            standin_bitbucket::Consumer::for_people(&key, "s", "http://a.example")
                .with_scopes(&rest.join(" ")),
        );
    }
    let rig = rig(world).await;
    for template in Contract::official().paths() {
        let path = filled(&template, &rig);
        let needed = Contract::official().scopes("GET", &template).unwrap();
        for lacking in all {
            let token = rig.bitbucket.person_token("ada", &format!("without-{lacking}")).unwrap();
            let status = rig.status(&By::Bearer(token), &path).await;
            // `project` includes `repository`.
            let is_needed = needed.contains(&lacking) && lacking != "repository";
            assert_eq!(status == 403, is_needed, "{path} without {lacking}: {status}");
        }
    }
}

#[tokio::test]
async fn every_endpoint_wants_the_granular_scopes_that_are_described() {
    let all = [
        "read:user:bitbucket",
        "read:workspace:bitbucket",
        "read:repository:bitbucket",
        "read:project:bitbucket",
    ];
    let mut world = full();
    for lacking in all {
        let rest: Vec<&str> = all.into_iter().filter(|scope| *scope != lacking).collect();
        world.add_api_token("ada", lacking, &rest.join(" ")).unwrap();
    }
    let rig = rig(world).await;
    for template in Contract::official().paths() {
        let path = filled(&template, &rig);
        let needed = Contract::official().granular_scopes("GET", &template).unwrap();
        for lacking in all {
            let status = rig.status(&By::Basic("ada@example.com", lacking), &path).await;
            assert_eq!(status == 403, needed.contains(&lacking), "{path} without {lacking}: {status}");
        }
    }
}

#[tokio::test]
async fn the_example_agrees_as_a_whole() {
    let rig = rig(example()).await;
    let by = By::Bearer(standin_bitbucket::ACCESS_TOKEN.into());
    for path in
        ["/2.0/workspaces/fernweh/members", "/2.0/repositories/fernweh", "/2.0/workspaces/fernweh/projects"]
    {
        let answer = rig.json(&by, &format!("{path}?pagelen=100")).await;
        assert_eq!(Contract::official().check_answer(&Asking::get(path), 200, &answer), [], "{path}");
    }
}

#[test]
fn a_misspelt_path_parameter_field_or_scope_is_a_breach() {
    let contract = Contract::official();
    let members = || Asking::get("/2.0/workspaces/acme/members");
    let repositories = || Asking::get("/2.0/repositories/acme").query("pagelen", "100");
    for good in [
        members().query("fields", "+values.user.email").query("q", "user.email IN (\"a@b.c\")"),
        members().scopes(&["account:write"]),
        repositories().query("role", "member").query("q", "is_private=true").query("sort", "-updated_on"),
        repositories().query("fields", "next,size,values.project.key,values.*").scopes(&["repository"]),
        Asking::get("/2.0/user/workspaces").query("sort", "slug").query("administrator", "true"),
        Asking::get("/2.0/workspaces/acme/permissions")
            .query("q", "permission=\"owner\" AND user.uuid=\"{}\""),
        Asking::get("/2.0/workspaces/{workspace}/members/{member}"),
    ] {
        assert_eq!(contract.check_request(&good), [], "{good:?}");
    }
    for bad in [
        Asking::get("/2.0/workspaces/acme/memberz"),
        Asking::get("/2.0/workspaces"),
        Asking::get("/workspaces/acme"),
        Asking::get("/2.0/workspaces//members"),
        Asking::with_method("POST", "/2.0/workspaces/acme/members"),
        members().query("filter", "x"),
        members().query("sort", "user.uuid"),
        members().query("pagelen", "1000"),
        members().query("q", "user.emails IN (\"a\")"),
        members().query("fields", "values.user.uid"),
        members().query("fields", "next,value.user.uuid"),
        members().scopes(&["acount"]),
        members().scopes(&["repository"]),
        repositories().query("role", "memeber"),
        repositories().query("q", "is_privat=true"),
        repositories().query("q", "is_private"),
        repositories().query("sort", "updated"),
        Asking::get("/2.0/user").query("pagelen", "10"),
        Asking::get("/2.0/workspaces/acme/projects").query("q", "key=\"A\""),
    ] {
        assert_ne!(contract.check_request(&bad), [], "{bad:?}");
    }
}

#[tokio::test]
async fn a_wrong_answer_is_a_breach() {
    let rig = rig(full()).await;
    let asking = Asking::get("/2.0/repositories/acme");
    let good = rig.json(&rig.app().await, "/2.0/repositories/acme").await;
    let breaches = |change: &dyn Fn(&mut Value)| {
        let mut answer = good.clone();
        change(&mut answer);
        Contract::official().check_answer(&asking, 200, &answer)
    };
    assert_eq!(breaches(&|_| ()), []);
    let undescribed = |place: &str| vec![Breach::Undescribed(place.into())];
    assert_eq!(
        breaches(&|answer| answer["values"][1]["is_privat"] = true.into()),
        undescribed("values[1].is_privat")
    );
    assert_eq!(breaches(&|answer| answer["pages"] = 1.into()), undescribed("pages"));
    let missing = breaches(&|answer| drop(answer["values"][0].as_object_mut().unwrap().remove("type")));
    assert_eq!(missing, [Breach::Missing("values[0].type".into())]);
    for (pointer, wrong) in [
        ("/size", json!("4")),
        ("/size", json!(-1)),
        ("/values", json!({})),
        ("/next", json!("no address")),
        ("/values/0/is_private", json!("yes")),
        ("/values/0/fork_policy", json!("ask_first")),
        ("/values/0/updated_on", json!("yesterday")),
        ("/values/0/project/key", json!(null)),
        ("/values/0/owner/type", json!("repository")),
        ("/values/0/type", json!("project")),
    ] {
        let found = breaches(&|answer| match answer.pointer_mut(pointer) {
            Some(value) => *value = wrong.clone(),
            None => answer["next"] = wrong.clone(),
        });
        assert!(!found.is_empty(), "{pointer}: {wrong}");
    }
}

#[tokio::test]
async fn all_that_is_asked_and_answered_can_be_held_to_the_contract() {
    let rig = rig(full()).await;
    let app = rig.app().await;
    rig.status(&app, "/2.0/workspaces/acme/memberz").await;
    assert_eq!(rig.bitbucket.breaches(), [""; 0], "not before it is asked for");
    rig.bitbucket.hold_to_contract();
    for good in
        ["/2.0/workspaces/acme/members?pagelen=2&page=2&fields=next,values.user.uuid", "/1.0/groups/acme/"]
    {
        assert_eq!(rig.status(&app, good).await, 200);
    }
    assert_eq!(rig.bitbucket.breaches(), [""; 0]);
    rig.status(&app, "/2.0/workspaces/acme/memberz").await;
    rig.status(&app, "/2.0/repositories/acme?fields=values.uid").await;
    rig.status(&rig.person("ada"), "/2.0/workspaces/acme/projects").await;
    let breaches = rig.bitbucket.breaches();
    assert_eq!(breaches.len(), 3, "{breaches:#?}");
    assert!(breaches[0].starts_with("GET /2.0/repositories/acme?fields=values.uid: "));
}
