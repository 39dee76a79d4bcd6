//! What the client makes of answers about groups and grants.

use rollcall_bitbucket::Grantee;
use rollcall_domain::bitbucket::GroupSlug;
use rollcall_domain::mirror::{SeenProject, SeenRepository};
use serde_json::{Value, json};

use crate::support::{ACME, Reply, Server, WORKSPACE, list, not_found, once, refusal, uuid, workspace};

fn project() -> SeenProject {
    SeenProject { uuid: uuid(3, 1).parse().unwrap(), key: "MOB".parse().unwrap(), name: "Mobile".to_owned() }
}

fn repository() -> SeenRepository {
    SeenRepository {
        uuid: uuid(2, 1).parse().unwrap(),
        slug: "app".parse().unwrap(),
        name: "App".to_owned(),
        project: uuid(3, 1).parse().unwrap(),
        private: true,
    }
}

#[tokio::test]
async fn every_level_of_a_grant_is_known_or_the_grants_are_left_alone() {
    let grants = async |levels: &'static [&'static str]| {
        let server = Server::start(move |request| {
            let row =
                |(n, level): (usize, &&str)| json!({"permission": level, "group": {"slug": format!("g{n}")}});
            if request.path.ends_with("/groups") {
                list(levels.iter().enumerate().map(row))
            } else {
                list([])
            }
        })
        .await;
        server.session(once()).project_grants(&workspace(), &project()).await
    };
    let read = grants(&["read", "write", "create-repo", "admin", "none"]).await.unwrap();
    let levels: Vec<String> = read.groups.values().map(ToString::to_string).collect();
    assert_eq!(levels, ["read", "write", "write", "admin"]);
    assert!(!read.groups.contains_key(&"g4".parse::<GroupSlug>().unwrap()));
    assert_eq!(grants(&["read", "maintain"]).await.unwrap_err().code(), "malformed");
}

#[tokio::test]
async fn grants_of_a_successor_with_the_same_name_are_not_taken_over() {
    let server = Server::start(|_| {
        list([json!({
            "permission": "admin", "group": {"slug": "g"}, "user": {"uuid": uuid(1, 1)},
            "project": {"uuid": uuid(3, 2)}, "repository": {"uuid": uuid(2, 2)},
        })])
    })
    .await;
    let session = server.session(once());
    let code = |error: rollcall_bitbucket::Error| error.code();
    assert_eq!(session.project_grants(&workspace(), &project()).await.map_err(code), Err("unexpected"));
    let repository = repository();
    assert_eq!(
        session.repository_group_grants(&workspace(), &repository).await.map_err(code),
        Err("unexpected")
    );
    assert_eq!(
        session.repository_user_grants(&workspace(), &repository).await.map_err(code),
        Err("unexpected")
    );
}

#[tokio::test]
async fn a_missing_scope_is_asked_for_once_and_not_for_every_project() {
    let server = Server::start(|_| {
        let detail = json!({"granted": ["project"], "required": ["project:admin"]});
        Reply::new(403, refusal("Your credentials lack one or more required privilege scopes.", &detail))
    })
    .await;
    let projects = (1..=100).map(|n| SeenProject { uuid: uuid(3, n).parse().unwrap(), ..project() });
    let grants = server.session(once()).grants_of_projects(&workspace(), projects).await;
    assert_eq!(grants.len(), 100);
    assert!(grants.values().all(|grants| {
        grants.as_ref().is_err_and(|error| error.to_string().contains("lacks the scope project:admin"))
    }));
    assert!(server.requests().len() <= 16, "{}", server.requests().len());
}

#[tokio::test]
async fn a_group_is_kept_back_whole_if_one_of_its_members_is_not_understood() {
    let server = Server::start(|_| {
        let owner = json!({"uuid": WORKSPACE, "is_team": true});
        Reply::ok(json!([
            {"slug": "devs", "name": "Devs", "owner": owner, "members": [
                {"uuid": uuid(1, 1), "is_active": true}, {"uuid": uuid(1, 2), "is_active": false}, {"uuid": uuid(1, 3)}]},
            {"slug": "ops", "name": "Ops", "owner": owner, "members": [{"uuid": "nobody"}]},
            {"slug": "qa", "name": "QA", "owner": owner},
        ]))
    })
    .await;
    let listed = server.session(once()).groups(&workspace()).await.unwrap();
    let devs = &listed.seen().entries()[0];
    let active: Vec<bool> = devs.members.values().copied().collect();
    assert_eq!(active, [true, false, true]);
    let kept: Vec<String> = listed.into_read().kept.iter().map(ToString::to_string).collect();
    assert_eq!(kept, ["ops", "qa"]);
}

#[tokio::test]
async fn groups_that_do_not_name_the_workspace_make_the_client_ask_for_it() {
    for owner in [Value::Null, json!({"uuid": uuid(1, 1), "is_team": false})] {
        let read = async |slug: &'static str| {
            let owner = owner.clone();
            let server = Server::start(move |request| match request.path.as_str() {
                ACME => Reply::ok(json!({"uuid": WORKSPACE, "slug": slug, "name": "Acme"})),
                _ => Reply::ok(json!([{"slug": "devs", "members": [], "owner": owner}])),
            })
            .await;
            let groups = server.session(once()).groups(&workspace()).await;
            groups.map(|groups| groups.seen().len()).map_err(|error| error.code())
        };
        assert_eq!(read("acme").await, Ok(1));
        assert_eq!(read("renamed").await, Err("wrong_workspace"));
    }
}

#[tokio::test]
async fn groups_fail_in_the_same_ways_as_pages() {
    let group = || json!({"slug": "devs", "name": "Devs", "members": []});
    let foreign = json!([{"slug": "devs", "members": [], "owner": {"uuid": uuid(9, 9), "is_team": true}}]);
    for (reply, code) in [
        (Reply::new(500, ""), "unavailable"),
        (Reply::new(429, "slow"), "rate_limited"),
        (Reply::new(403, "no"), "forbidden"),
        (Reply::new(404, "no"), "not_found"),
        (Reply::new(410, "CHANGE-1"), "gone"),
        (Reply::ok("[").cut(), "cut"),
        (Reply::ok("[{"), "cut"),
        (Reply::ok("<html>"), "not_json"),
        (Reply::ok(json!({"values": []})), "unexpected"),
        (Reply::ok(json!([group(), group()])), "unproven"),
        (Reply::ok(foreign), "wrong_workspace"),
    ] {
        let server = Server::start(move |_| reply.clone()).await;
        assert_eq!(server.session(once()).groups(&workspace()).await.unwrap_err().code(), code);
    }
}

#[tokio::test]
async fn privileges_are_those_of_this_workspace_or_none() {
    let server = |repo: &'static str, privilege: &'static str| {
        Server::start(move |_| {
            Reply::ok(json!([{"repo": repo, "privilege": privilege, "group": {"slug": "devs"}}]))
        })
    };
    let read = async |repo, privilege| {
        let session = server(repo, privilege).await.session(once());
        session.group_privileges(&workspace()).await.map(|read| read.len()).map_err(|error| error.code())
    };
    assert_eq!(read("acme/app", "write").await, Ok(1));
    assert_eq!(read("evil/app", "write").await, Err("wrong_workspace"));
    assert_eq!(read("acme/app", "push").await, Err("malformed"));
    assert_eq!(read("app", "write").await, Err("malformed"));
}

#[tokio::test]
async fn a_grant_that_a_listing_lacks_is_gone_only_if_asking_for_it_by_name_finds_none() {
    let ask = async |permission: Option<&'static str>, n: u64| {
        let server = Server::start(move |request| {
            let of = if request.path.contains("/projects/") {
                ("project", uuid(3, n))
            } else {
                ("repository", uuid(2, n))
            };
            match permission {
                None => not_found(),
                Some(level) => Reply::ok(json!({"permission": level, of.0: {"uuid": of.1}})),
            }
        })
        .await;
        let group = Grantee::Group("g".parse().unwrap());
        let account = Grantee::Account(uuid(1, 1).parse().unwrap());
        let session = server.session(once());
        let (workspace, project, repository) = (workspace(), project(), repository());
        let answers = [
            session.prove_no_project_grant(&workspace, &project, &group).await,
            session.prove_no_project_grant(&workspace, &project, &account).await,
            session.prove_no_repository_grant(&workspace, &repository, &group).await,
            session.prove_no_repository_grant(&workspace, &repository, &account).await,
        ];
        answers.map(|answer| answer.map_err(|error| error.code()))
    };
    assert_eq!(ask(None, 1).await, [Ok(()); 4]);
    assert_eq!(ask(Some("none"), 1).await, [Ok(()); 4]);
    assert_eq!(ask(Some("read"), 1).await, [Err("implausible"); 4]);
    assert_eq!(ask(Some("maintain"), 1).await, [Err("unexpected"); 4]);
    assert_eq!(ask(Some("none"), 2).await, [Err("unexpected"); 4], "of a successor of the same name");
}
