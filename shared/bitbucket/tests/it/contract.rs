//! Every request that the client makes, and every answer it gets from the stand-in, held against Atlassian's own description.

use std::collections::BTreeSet;

use rollcall_bitbucket::{Grantee, Limits, Which, WorkspaceRef};
use rollcall_domain::bitbucket::AccountUuid;
use standin_bitbucket::Request;
use standin_bitbucket::contract::{Asking, Breach, Contract};

use crate::standin::Rig;
use crate::support::{http, once};

/// The scopes that the operations' guide asks for, and no more.
const SYNC_SCOPES: [&str; 5] = ["account", "repository", "project", "project:admin", "repository:admin"];
const LOGIN_SCOPES: [&str; 3] = ["account", "email", "repository"];

/// A request as it was sent, and the scopes of the credential it was sent with.
struct Sent {
    request: Request,
    scopes: &'static [&'static str],
}

impl Sent {
    fn asking(&self) -> Asking<'_> {
        Asking::get(&self.request.template).queries(&self.request.query).scopes(self.scopes)
    }
}

/// Makes every call there is, and returns the requests under `/2.0`.
async fn every_request(rig: &Rig) -> Vec<Sent> {
    let workspace = &rig.workspace;
    let sync = rig.sync();
    let somebody: AccountUuid = sync
        .members(workspace)
        .await
        .unwrap()
        .seen()
        .entries()
        .iter()
        .find(|person| person.human)
        .unwrap()
        .uuid;
    sync.workspace(&WorkspaceRef::Uuid(workspace.uuid)).await.unwrap();
    sync.member(workspace, somebody).await.unwrap();
    sync.owners(workspace).await.unwrap();
    sync.members_by_email(workspace, &["ada@example.com".parse().unwrap()]).await.unwrap();
    sync.account_status(somebody).await.unwrap();
    sync.repositories(workspace, Which::All).await.unwrap();
    sync.repositories(workspace, Which::Private).await.unwrap();
    sync.projects(workspace).await.unwrap();
    sync.project_grants(workspace, &rig.project).await.unwrap();
    sync.repository_group_grants(workspace, &rig.repository).await.unwrap();
    sync.repository_user_grants(workspace, &rig.repository).await.unwrap();
    for grantee in [Grantee::Group("nobodies".parse().unwrap()), Grantee::Account(somebody)] {
        // What comes of it depends on the world; how it is asked does not.
        _ = sync.prove_no_project_grant(workspace, &rig.project, &grantee).await;
        _ = sync.prove_no_repository_grant(workspace, &rig.repository, &grantee).await;
    }
    sync.read_members_lane(workspace.uuid).await.unwrap();
    sync.read_structure_lane(workspace.uuid, |_| true).await.unwrap();
    let report = sync.probe(&WorkspaceRef::Slug(workspace.slug.clone())).await;
    assert!(report.usable() && report.complete(), "{report}");
    let asked = rig.bitbucket.requests();
    rig.bitbucket.forget_requests();

    let person = rig.person("person-1");
    person.user().await.unwrap();
    person.emails().await.unwrap();
    person.permission_in(workspace.uuid).await.unwrap();
    person.own_private_repositories(workspace.uuid, |_, _| false).await.unwrap();
    person.own_private_count(workspace.uuid).await.unwrap();
    person.own_permissions(workspace.uuid).await.unwrap();
    person.own_workspaces().await.unwrap();
    let sent = |scopes: &'static [&'static str]| move |request| Sent { request, scopes };
    let asked = asked.into_iter().map(sent(&SYNC_SCOPES));
    let asked = asked.chain(rig.bitbucket.requests().into_iter().map(sent(&LOGIN_SCOPES)));
    asked.filter(|sent| sent.request.path.starts_with("/2.0/")).collect()
}

fn limits() -> Limits {
    Limits { page_length: 10, ..once() }
}

#[tokio::test]
async fn every_request_agrees_with_the_official_description() {
    let rig = Rig::new(limits()).await;
    let sent = every_request(&rig).await;
    for sent in &sent {
        assert_eq!(Contract::official().check_request(&sent.asking()), [], "{:?}", sent.request);
    }
    // One for each call that the client has.
    let asked: BTreeSet<&str> = sent.iter().map(|sent| sent.request.template.as_str()).collect();
    assert_eq!(asked.len(), 20, "{asked:#?}");
}

#[tokio::test]
async fn every_answer_agrees_with_the_official_description() {
    let rig = Rig::new(limits()).await;
    let sent = every_request(&rig).await;
    let login = rig.bitbucket.person_token("person-1", "login").unwrap();
    let token =
        |body: String| serde_json::from_str::<serde_json::Value>(&body).unwrap()["access_token"].clone();
    let consumer = http().post(format!("{}/site/oauth2/access_token", rig.bitbucket.url()));
    let consumer = consumer
        .basic_auth(standin_bitbucket::SYNC_KEY, Some(standin_bitbucket::SYNC_SECRET))
        .form(&[("grant_type", "client_credentials")]);
    let sync = token(consumer.send().await.unwrap().text().await.unwrap()).as_str().unwrap().to_owned();
    for sent in &sent {
        let token = if sent.scopes == LOGIN_SCOPES { &login } else { &sync };
        let mut url: url::Url = format!("{}{}", rig.bitbucket.url(), sent.request.path).parse().unwrap();
        url.query_pairs_mut().extend_pairs(&sent.request.query);
        let response = http().get(url).bearer_auth(token).send().await.unwrap();
        let status = response.status().as_u16();
        let answer = serde_json::from_str(&response.text().await.unwrap()).unwrap();
        assert_eq!(
            Contract::official().check_answer(&sent.asking(), status, &answer),
            [],
            "{:?}",
            sent.request
        );
    }
}

#[tokio::test]
async fn a_misspelt_path_field_or_scope_of_any_request_is_noticed() {
    let rig = Rig::new(limits()).await;
    let contract = Contract::official();
    for sent in every_request(&rig).await {
        let request = &sent.request;
        // Each literal part of the path.
        let parts: Vec<&str> = request.template.split('/').collect();
        for (at, part) in
            parts.iter().enumerate().filter(|(_, part)| !part.is_empty() && !part.starts_with('{'))
        {
            let mut misspelt = parts.clone();
            let wrong = format!("{part}s");
            misspelt[at] = &wrong;
            let path = misspelt.join("/");
            let breaches = contract.check_request(&Asking::get(&path).queries(&request.query));
            assert!(!breaches.is_empty(), "{path}");
        }
        // Each field.
        let fields = request.parameter("fields").unwrap_or_default().to_owned();
        for field in fields.split(',').filter(|field| !field.is_empty()) {
            let asking = Asking::get(&request.template).query("fields", &format!("{field}x"));
            let breaches = contract.check_request(&asking);
            assert!(matches!(breaches.as_slice(), [Breach::Field { .. }]), "{}: {field}", request.template);
        }
        // Each parameter.
        for (name, value) in &request.query {
            let asking = Asking::get(&request.template).query(&format!("{name}x"), value);
            assert!(!contract.check_request(&asking).is_empty(), "{}: {name}", request.template);
        }
        // Each scope that it needs.
        for scope in contract.scopes("GET", &request.template).unwrap() {
            let misspelt = format!("{scope}s");
            let scopes: Vec<&str> = sent
                .scopes
                .iter()
                .map(|granted| if *granted == scope { &misspelt } else { *granted })
                .collect();
            let breaches = contract.check_request(&Asking::get(&request.template).scopes(&scopes));
            assert!(breaches.contains(&Breach::Scope(misspelt.clone())), "{}: {scope}", request.template);
        }
    }
}
