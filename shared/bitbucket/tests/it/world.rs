//! A workspace of any size, answered page by page without being kept anywhere.

use serde_json::{Value, json};

use crate::support::{Reply, Request, WORKSPACE, uuid};

/// How large the workspace is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct World {
    pub(crate) members: u64,
    pub(crate) repositories: u64,
    pub(crate) projects: u64,
    pub(crate) groups: u64,
    /// Members of each group.
    pub(crate) group_size: u64,
    /// The longest page of the listing of members.
    pub(crate) most_members: u64,
}

impl World {
    /// 1,000 members and 2,000 repositories.
    pub(crate) const ORDINARY: Self = Self {
        members: 1_000,
        repositories: 2_000,
        projects: 100,
        groups: 50,
        group_size: 100,
        most_members: 100,
    };

    /// 10,000 members, 10,000 repositories, and 100,000 memberships of groups.
    pub(crate) const LARGE: Self = Self {
        members: 10_000,
        repositories: 10_000,
        projects: 500,
        groups: 200,
        group_size: 500,
        most_members: 100,
    };

    /// Answers any call of the sync.
    pub(crate) fn script(self) -> impl Fn(&Request) -> Reply + Send + Sync + 'static {
        // The one long answer is made in advance: it is not the server whose time is measured.
        let groups = (1..=self.groups).map(|n| self.group(n)).collect::<Value>().to_string();
        move |request| match request.path.as_str() {
            "/1.0/groups/acme/" => Reply::ok(&groups),
            _ => self.answer(request),
        }
    }

    fn answer(self, request: &Request) -> Reply {
        let path = request.path.as_str();
        let by_uuid = format!("/2.0/workspaces/{}", WORKSPACE.replace('{', "%7B").replace('}', "%7D"));
        if path == by_uuid {
            return Reply::ok(json!({"uuid": WORKSPACE, "slug": "acme", "name": "Acme"}));
        }
        match path {
            "/2.0/workspaces/acme/members" => page(request, self.members, self.most_members, member),
            "/2.0/workspaces/acme/permissions" => page(
                request,
                3,
                100,
                |n| json!({"permission": "owner", "user": {"uuid": uuid(1, n)}, "workspace": {"uuid": WORKSPACE}}),
            ),
            "/2.0/repositories/acme" => {
                let projects = self.projects;
                page(request, self.repositories, 100, move |n| repository(n, projects))
            }
            "/2.0/workspaces/acme/projects" => page(
                request,
                self.projects,
                100,
                |n| json!({"uuid": uuid(3, n), "key": format!("P{n}"), "name": format!("Project {n}")}),
            ),
            path if path.ends_with("/permissions-config/groups") => page(
                request,
                2,
                100,
                |n| json!({"permission": "write", "group": {"slug": format!("group-{n}")}}),
            ),
            path if path.ends_with("/permissions-config/users") => {
                page(request, 1, 100, |n| json!({"permission": "read", "user": {"uuid": uuid(1, n)}}))
            }
            _ => Reply::new(404, "{}"),
        }
    }

    fn group(self, n: u64) -> Value {
        let member = |at: u64| {
            let who = (n * self.group_size + at) % self.members + 1;
            json!({
                "account_id": format!("557058:{who:032x}"), "uuid": uuid(1, who), "nickname": format!("person{who}"),
                "display_name": format!("Person {who}"), "is_active": true, "is_staff": false, "is_team": false,
            })
        };
        json!({
            "slug": format!("group-{n}"), "name": format!("Group {n}"), "auto_add": false, "permission": null,
            "owner": {"uuid": WORKSPACE, "is_team": true},
            "members": (0..self.group_size).map(member).collect::<Vec<_>>(),
        })
    }
}

fn member(n: u64) -> Value {
    json!({
        "user": {
            "uuid": uuid(1, n), "account_id": format!("557058:{n:032x}"), "display_name": format!("Person {n}"),
            "nickname": format!("person{n}"), "type": "user",
        },
        "workspace": {"uuid": WORKSPACE},
    })
}

fn repository(n: u64, projects: u64) -> Value {
    let project = n % projects + 1;
    json!({
        "uuid": uuid(2, n), "slug": format!("repository-{n}"), "name": format!("Repository {n}"),
        "full_name": format!("acme/repository-{n}"), "is_private": !n.is_multiple_of(10), "updated_on": "2026-11-23T10:00:00+00:00",
        "project": {"uuid": uuid(3, project), "key": format!("P{project}")},
    })
}

fn page(request: &Request, size: u64, most: u64, row: impl Fn(u64) -> Value) -> Reply {
    let length = request.query("pagelen").map_or(10, |length| length.parse().unwrap()).min(most);
    let number: u64 = request.query("page").map_or(1, |page| page.parse().unwrap());
    let first = (number - 1) * length + 1;
    let last = size.min(number * length);
    let values: Vec<Value> = (first..=last).map(row).collect();
    let mut page = json!({"size": size, "pagelen": length, "page": number, "values": values});
    if last < size {
        let mut next = url::Url::parse(&format!("http://{}{}", request.host, request.path)).unwrap();
        let others = request.query.iter().filter(|(name, _)| name != "page");
        next.query_pairs_mut().extend_pairs(others).append_pair("page", &(number + 1).to_string());
        page["next"] = next.to_string().into();
    }
    Reply::ok(page)
}
