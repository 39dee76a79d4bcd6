//! What the client makes of answers about people and workspaces.

use std::collections::BTreeSet;

use rollcall_bitbucket::{
    AccountStatus, OwnRepositories, Presence, Standing, Which, WorkspaceRef, WorkspaceRole,
};
use rollcall_domain::identity::EmailAddress;
use serde_json::{Value, json};

use crate::support::{
    ACME, Reply, Request, Server, WORKSPACE, account, here, list, member, not_found, once, refusal, uuid,
    workspace,
};

#[tokio::test]
async fn a_member_who_is_not_found_is_gone_only_if_the_workspace_is_there() {
    let ask = async |workspace_answers: Reply| {
        let server = Server::start(move |request| match request.path.as_str() {
            ACME => workspace_answers.clone(),
            _ => not_found(),
        })
        .await;
        server.session(once()).member(&workspace(), account(1)).await.map_err(|error| error.code())
    };
    assert_eq!(ask(here()).await, Ok(None));
    assert_eq!(ask(not_found()).await, Err("not_found"));
    assert_eq!(ask(Reply::new(500, "")).await, Err("unavailable"));
    let renamed = json!({"uuid": WORKSPACE, "slug": "acme-2", "name": "Acme"});
    assert_eq!(ask(Reply::ok(renamed)).await, Err("wrong_workspace"));
    let other = json!({"uuid": uuid(9, 9), "slug": "acme", "name": "Acme"});
    assert_eq!(ask(Reply::ok(other)).await, Err("wrong_workspace"));
}

#[tokio::test]
async fn an_answer_about_somebody_else_says_nothing() {
    let server = Server::start(|_| Reply::ok(member(2))).await;
    let session = server.session(once());
    assert_eq!(session.member(&workspace(), account(1)).await.unwrap_err().code(), "unexpected");
    let server =
        Server::start(|_| Reply::ok(json!({"uuid": uuid(1, 2), "account_status": "inactive"}))).await;
    assert_eq!(server.session(once()).account_status(account(1)).await.unwrap_err().code(), "unexpected");
}

#[tokio::test]
async fn leavers_count_only_while_a_known_member_is_still_found() {
    let server = |witness_is_there: bool| {
        Server::start(move |request| {
            let asked: String =
                request.path.rsplit('/').next().unwrap().replace("%7B", "{").replace("%7D", "}");
            match asked {
                a if a == uuid(1, 1) => not_found(),
                a if a == uuid(1, 2) => Reply::new(500, ""),
                a if a == uuid(1, 9) && !witness_is_there => not_found(),
                a => Reply::ok(json!({"user": {"uuid": a}, "workspace": {"uuid": WORKSPACE}})),
            }
        })
    };
    let asked = || (1..=3).map(account);
    let session = server(true).await.session(once());
    let presence = session.presence(&workspace(), asked(), account(9)).await.unwrap();
    assert_eq!(presence[&account(1)], Ok(Presence::Gone));
    assert_eq!(presence[&account(2)].as_ref().unwrap_err().code(), "unavailable");
    assert!(matches!(&presence[&account(3)], Ok(Presence::Member(person)) if person.uuid == account(3)));

    let session = server(false).await.session(once());
    let answer = session.presence(&workspace(), asked(), account(9)).await;
    assert_eq!(answer.unwrap_err().code(), "implausible");
}

#[tokio::test]
async fn nobody_is_asked_for_twice_when_nobody_is_gone() {
    let server = Server::start(|request| {
        let asked = request.path.rsplit('/').next().unwrap().replace("%7B", "{").replace("%7D", "}");
        Reply::ok(json!({"user": {"uuid": asked}}))
    })
    .await;
    let session = server.session(once());
    session.presence(&workspace(), (1..=20).map(account), account(9)).await.unwrap();
    assert_eq!(server.requests().len(), 20);
    assert!(server.requests().iter().all(|request| request.at_once <= 8));
}

#[tokio::test]
async fn a_pause_in_the_middle_leaves_the_rest_unasked() {
    let server = Server::start(|_| Reply::new(429, "Rate limit for this resource has been exceeded")).await;
    let session = server.session(once());
    let presence = session.presence(&workspace(), (1..=500).map(account), account(9)).await.unwrap();
    assert_eq!(presence.len(), 500);
    assert!(presence.values().all(|found| found.as_ref().is_err_and(|error| error.wait_until().is_some())));
    assert!(server.requests().len() <= 8);
}

#[tokio::test]
async fn a_listing_of_members_or_owners_without_entries_cannot_be_true() {
    let server = Server::start(|_| list([])).await;
    let session = server.session(once());
    assert_eq!(session.members(&workspace()).await.unwrap_err().code(), "implausible");
    assert_eq!(session.owners(&workspace()).await.unwrap_err().code(), "implausible");
}

#[tokio::test]
async fn a_filter_that_is_ignored_makes_nobody_an_owner() {
    let server = Server::start(|_| {
        let mut rows = [member(1), member(2)];
        rows[0]["permission"] = "owner".into();
        rows[1]["permission"] = "member".into();
        list(rows)
    })
    .await;
    assert_eq!(server.session(once()).owners(&workspace()).await.unwrap_err().code(), "malformed");
    let server = Server::start(|_| {
        let row = |private: bool| {
            json!({"uuid": uuid(2, u64::from(private)), "slug": "r", "is_private": private,
                   "project": {"uuid": uuid(3, 1), "key": "P"}})
        };
        list([row(true), row(false)])
    })
    .await;
    let session = server.session(once());
    assert_eq!(session.repositories(&workspace(), Which::Private).await.unwrap_err().code(), "unexpected");
    assert_eq!(session.repositories(&workspace(), Which::All).await.unwrap().seen().len(), 2);
}

#[tokio::test]
async fn rows_that_do_not_name_the_workspace_make_the_client_ask_for_it() {
    let server = Server::start(|request| match request.path.as_str() {
        ACME => here(),
        _ => list([json!({"user": {"uuid": uuid(1, 1)}})]),
    })
    .await;
    server.session(once()).members(&workspace()).await.unwrap();
    assert_eq!(server.requests().len(), 2);
}

#[tokio::test]
async fn one_entry_that_is_not_understood_does_not_stop_the_others() {
    let server = Server::start(|_| {
        let mut rows: Vec<Value> = (1..=5).map(member).collect();
        rows[2]["user"]["type"] = "something new".into();
        list(rows)
    })
    .await;
    let listed = server.session(once()).members(&workspace()).await.unwrap();
    assert_eq!((listed.seen().len(), listed.absence_proven()), (4, true));
    let read = listed.into_read();
    assert_eq!(read.kept, BTreeSet::from([account(3)]));
}

#[tokio::test]
async fn bots_are_told_from_people_and_new_fields_do_no_harm() {
    let server = Server::start(|_| {
        let mut rows: Vec<Value> = (1..=3).map(member).collect();
        rows[0]["user"]["type"] = "app_user".into();
        rows[1]["user"]["type"] = "team".into();
        rows[2]["user"]["favourite_colour"] = json!({"name": "green"});
        rows[2]["user"]["account_id"] = "557058:1".into();
        list(rows)
    })
    .await;
    let listed = server.session(once()).members(&workspace()).await.unwrap();
    let human: Vec<bool> = listed.seen().entries().iter().map(|person| person.human).collect();
    assert_eq!(human, [false, false, true]);
    assert!(listed.seen().entries()[2].account_id.is_some());
}

async fn permission(status: u16, body: Value) -> Result<Standing, &'static str> {
    let server = Server::start(move |_| Reply::new(status, &body)).await;
    server.session(once()).permission_in(workspace().uuid).await.map_err(|error| error.code())
}
#[tokio::test]
async fn only_a_refusal_about_the_workspace_itself_means_not_in_it() {
    let no = permission(403, refusal("You do not have access to this workspace.", &Value::Null)).await;
    assert_eq!(no, Ok(Standing::NotInWorkspace));
    for (message, detail) in [
        (
            "Your credentials lack one or more required privilege scopes.",
            json!({"granted": [], "required": ["account"]}),
        ),
        ("Your credentials lack one or more required privilege scopes.", Value::Null),
        ("This API is not accessible by this authentication mechanism", Value::Null),
        ("To access this workspace's content, you must be on an allowlisted IP address.", Value::Null),
        ("This workspace requires two-step verification.", Value::Null),
    ] {
        assert_eq!(permission(403, refusal(message, &detail)).await, Err("forbidden"), "{message}");
    }
    for (status, code) in [(401, "unauthorized"), (404, "not_found"), (410, "gone"), (500, "unavailable")] {
        assert_eq!(permission(status, Value::Null).await, Err(code));
    }
}

#[tokio::test]
async fn a_role_counts_only_in_the_workspace_that_was_asked_for() {
    let answer = |permission: &str, of: Value| json!({"permission": permission, "workspace": of});
    let here = json!({"uuid": WORKSPACE});
    let role = async |text: &str| permission(200, answer(text, here.clone())).await;
    assert_eq!(role("owner").await, Ok(Standing::In(WorkspaceRole::Owner)));
    for text in ["member", "collaborator", "create-project"] {
        assert_eq!(role(text).await, Ok(Standing::In(WorkspaceRole::Member)));
    }
    assert_eq!(role("overlord").await, Ok(Standing::In(WorkspaceRole::Other("overlord".to_owned()))));
    assert_eq!(permission(200, answer("owner", json!({"uuid": uuid(9, 9)}))).await, Err("wrong_workspace"));
    assert_eq!(permission(200, answer("owner", json!({}))).await, Err("unexpected"));
    assert_eq!(permission(200, json!({"workspace": here})).await, Err("unexpected"));
}

#[tokio::test]
async fn only_addresses_that_bitbucket_says_are_confirmed_are() {
    let server = Server::start(|_| {
        list([
            json!({"email": "a@example.com", "is_confirmed": true, "is_primary": true}),
            json!({"email": "b@example.com", "is_confirmed": false}),
            json!({"email": "c@example.com"}),
            json!({"email": "d@example.com", "is_confirmed": "true"}),
            json!({"email": "\u{e4}@example.com", "is_confirmed": true}),
        ])
    })
    .await;
    let emails = server.session(once()).emails().await.unwrap();
    let confirmed: Vec<_> =
        emails.iter().filter(|email| email.confirmed).map(|email| email.address.as_str()).collect();
    assert_eq!(confirmed, ["a@example.com"]);
}

#[tokio::test]
async fn addresses_are_looked_up_ninety_at_a_time() {
    let server = Server::start(|request: &Request| {
        let asked = request.query("q").unwrap();
        let addresses = asked.strip_prefix("user.email IN (").unwrap().strip_suffix(')').unwrap().split(',');
        let known =
            addresses.map(|address| address.trim_matches('"')).filter(|address| address.starts_with("known"));
        let row = |address: &str| {
            let n = address.trim_start_matches("known").split('@').next().unwrap().parse().unwrap();
            let mut row = member(n);
            row["user"]["email"] = address.to_uppercase().into();
            row
        };
        list(known.map(row).collect::<Vec<_>>())
    })
    .await;
    let name = |n: u64| {
        if n.is_multiple_of(2) { format!("known{n}@example.com") } else { format!("other{n}@example.com") }
    };
    let addresses: Vec<EmailAddress> = (1..=181).map(|n| name(n).parse().unwrap()).collect();
    let found = server.session(once()).members_by_email(&workspace(), &addresses).await.unwrap();
    assert_eq!(server.requests().len(), 3);
    assert_eq!(found.len(), 90);
    assert_eq!(found[&"known10@example.com".parse().unwrap()], account(10));
    assert!(server.session(once()).members_by_email(&workspace(), &[]).await.unwrap().is_empty());
    assert_eq!(server.requests().len(), 3);
}

#[tokio::test]
async fn somebody_who_was_not_asked_for_is_not_found() {
    let server = Server::start(|_| {
        let mut row = member(1);
        row["user"]["email"] = "eve@example.com".into();
        list([row])
    })
    .await;
    let asked = ["ada@example.com".parse().unwrap()];
    let found = server.session(once()).members_by_email(&workspace(), &asked).await;
    assert_eq!(found.unwrap_err().code(), "unexpected");
}
#[tokio::test]
async fn only_a_positive_sign_makes_an_account_inactive() {
    for (status, expected) in [
        (json!("active"), AccountStatus::Active),
        (json!("inactive"), AccountStatus::Inactive),
        (json!("closed"), AccountStatus::Inactive),
        (json!("hibernating"), AccountStatus::Unclear("hibernating".to_owned())),
        (Value::Null, AccountStatus::Unclear(String::new())),
    ] {
        let server =
            Server::start(move |_| Reply::ok(json!({"uuid": uuid(1, 1), "account_status": status}))).await;
        assert_eq!(server.session(once()).account_status(account(1)).await, Ok(expected));
    }
    let server = Server::start(|_| not_found()).await;
    assert_eq!(server.session(once()).account_status(account(1)).await.unwrap_err().code(), "not_found");
}

#[tokio::test]
async fn a_slug_that_now_belongs_to_somebody_else_is_noticed() {
    let server =
        Server::start(|_| Reply::ok(json!({"uuid": WORKSPACE, "slug": "other", "name": "Other"}))).await;
    let session = server.session(once());
    let by_slug: WorkspaceRef = "acme".parse().unwrap();
    assert_eq!(session.workspace(&by_slug).await.unwrap_err().code(), "wrong_workspace");
    let by_uuid: WorkspaceRef = WORKSPACE.parse().unwrap();
    assert_eq!(session.workspace(&by_uuid).await.unwrap().slug.as_str(), "other");
    assert_eq!(session.unchanged(&workspace()).await.unwrap_err().code(), "wrong_workspace");
}
#[tokio::test]
async fn own_repositories_need_no_second_page_when_the_first_is_enough() {
    let server = Server::start(|request| {
        let values: Vec<Value> = (0..100).map(|n| json!({"uuid": uuid(2, n)})).collect();
        let next = format!("http://{}{}?page=2", request.host, request.path.replace('{', "%7B"));
        Reply::ok(json!({"size": 1_000, "pagelen": 100, "page": 1, "values": values, "next": next}))
    })
    .await;
    let own = server.session(once()).own_private_repositories(workspace().uuid, |_, calls| calls > 9).await;
    assert_eq!(own, Ok(OwnRepositories::Stopped { size: 1_000, calls: 10 }));
    let requests = server.requests();
    assert_eq!(requests.len(), 1);
    assert_eq!(
        (requests[0].query("role"), requests[0].query("q")),
        (Some("member"), Some("is_private=true"))
    );
}

#[tokio::test]
async fn where_the_longest_page_is_refused_a_shorter_one_is_asked_for() {
    let server = Server::start(|request| match request.query("pagelen") {
        Some("50") => list([member(1)]),
        _ => Reply::new(400, refusal("Invalid pagelen", &Value::Null)),
    })
    .await;
    assert_eq!(server.session(once()).members(&workspace()).await.unwrap().seen().len(), 1);
    assert_eq!(server.requests().len(), 2);
}
