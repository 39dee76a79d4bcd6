//! The report on a credential.

use rollcall_bitbucket::{Outcome, ProbeReport, WorkspaceRef};
use serde_json::{Value, json};

use crate::support::{Reply, Request, Server, WORKSPACE, once, uuid};

/// A workspace in which everything may be read.
fn all(request: &Request) -> Reply {
    let place = json!({"uuid": WORKSPACE});
    let user = json!({"uuid": uuid(1, 1), "type": "user"});
    let list = |row: Value| Reply::ok(json!({"size": 1, "pagelen": 1, "values": [row]}));
    let path = request.path.strip_prefix("/2.0/").or(request.path.strip_prefix("/1.0/")).unwrap();
    match path {
        "workspaces/acme" | "workspaces/%7Baaaaaaaa-0000-0000-0000-000000000001%7D" => {
            Reply::ok(json!({"uuid": WORKSPACE, "slug": "acme", "name": "Acme"}))
                .header("x-credential-type", "workspace_access_token")
                .header("x-oauth-scopes", "account, project:admin, repository:admin")
        }
        "workspaces/acme/members" if request.query("q").is_some() => {
            Reply::ok(json!({"size": 0, "values": []}))
        }
        "workspaces/acme/members" => list(json!({"user": user, "workspace": place})),
        "workspaces/acme/permissions" => {
            list(json!({"user": user, "workspace": place, "permission": "owner"}))
        }
        "groups/acme/" => Reply::ok(json!([
            {"slug": "devs", "name": "Devs", "members": [], "owner": {"uuid": WORKSPACE, "is_team": true}},
        ])),
        "workspaces/acme/projects" => list(json!({"uuid": uuid(3, 1), "key": "MOB", "name": "Mobile"})),
        "repositories/acme" => list(json!({
            "uuid": uuid(2, 1), "slug": "app", "is_private": true, "project": {"uuid": uuid(3, 1), "key": "MOB"},
        })),
        "group-privileges/acme/" => Reply::ok("[]"),
        path if path.ends_with("/permissions-config/groups") => {
            list(json!({"permission": "write", "group": {"slug": "devs"}}))
        }
        path if path.ends_with("/permissions-config/users") => {
            list(json!({"permission": "read", "user": user}))
        }
        other => panic!("not expected: {other}"),
    }
}

async fn probe(script: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> (ProbeReport, Server) {
    let server = Server::start(script).await;
    let which: WorkspaceRef = "acme".parse().unwrap();
    (server.session(once()).probe(&which).await, server)
}

fn no(request: &Request, path: &str) -> Option<Reply> {
    request
        .path
        .ends_with(path)
        .then(|| Reply::new(403, r#"{"type":"error","error":{"message":"Not allowed"}}"#))
}

#[tokio::test]
async fn a_credential_that_may_do_everything_is_told_so_in_twelve_calls() {
    let (report, server) = probe(all).await;
    assert!(report.usable() && report.complete(), "{report}");
    assert!(report.lines.iter().all(|line| line.outcome == Outcome::Works), "{report}");
    assert_eq!(report.credential_type.as_deref(), Some("workspace_access_token"));
    assert_eq!(report.scopes, ["account", "project:admin", "repository:admin"]);
    assert_eq!(report.workspace.unwrap().uuid.to_string(), WORKSPACE);
    assert_eq!(server.requests().len(), 12);
}

#[tokio::test]
async fn what_it_cannot_do_is_said_in_words_with_what_it_takes_and_what_is_missing_without_it() {
    let (report, _) = probe(|request| no(request, "/groups/acme/").unwrap_or_else(|| all(request))).await;
    assert!(report.usable() && !report.complete());
    let line = report.lines.iter().find(|line| !line.works()).unwrap().to_string();
    let expected = "cannot read groups: it needs the scope account and a workspace admin. Without it there are no teams.";
    assert!(line.starts_with(expected), "{line}");
}

#[tokio::test]
async fn a_credential_that_cannot_read_the_members_is_of_no_use() {
    let (report, _) = probe(|request| no(request, "/members").unwrap_or_else(|| all(request))).await;
    assert!(!report.usable(), "{report}");
}

#[tokio::test]
async fn what_only_saves_calls_is_not_missed() {
    let (report, _) =
        probe(|request| no(request, "/group-privileges/acme/").unwrap_or_else(|| all(request))).await;
    assert!(report.usable() && report.complete(), "{report}");
}

#[tokio::test]
async fn without_the_workspace_nothing_else_is_tried() {
    let (report, server) = probe(|_| Reply::new(404, "{}")).await;
    assert!(!report.usable() && report.workspace.is_none());
    assert_eq!((report.lines.len(), server.requests().len()), (10, 1));
    assert!(report.lines[1..].iter().all(|line| matches!(line.outcome, Outcome::NotTried(_))));
}

#[tokio::test]
async fn a_list_of_groups_that_lacks_one_is_noticed_by_that_groups_grants() {
    let (report, _) = probe(|request| match request.path.as_str() {
        "/1.0/groups/acme/" => Reply::ok(json!([{"slug": "others", "name": "Others", "members": []}])),
        _ => all(request),
    })
    .await;
    let groups = report.lines.iter().find(|line| line.what == "read groups").unwrap();
    assert!(matches!(&groups.outcome, Outcome::WorksBut(note) if note.contains("devs")), "{report}");
    let (report, _) = probe(|request| match request.path.as_str() {
        "/1.0/groups/acme/" => Reply::ok("[]"),
        path if path.ends_with("/permissions-config/groups") => Reply::ok(json!({"size": 0, "values": []})),
        _ => all(request),
    })
    .await;
    assert!(report.to_string().contains("admin.atlassian.com"), "{report}");
}

#[tokio::test]
async fn an_empty_workspace_is_no_fault_of_the_credential() {
    let (report, _) = probe(|request| match request.path.as_str() {
        "/2.0/workspaces/acme/projects" | "/2.0/repositories/acme" => {
            Reply::ok(json!({"size": 0, "values": []}))
        }
        _ => all(request),
    })
    .await;
    assert!(report.usable(), "{report}");
    assert_eq!(report.lines.iter().filter(|line| matches!(line.outcome, Outcome::NotTried(_))).count(), 2);
}
