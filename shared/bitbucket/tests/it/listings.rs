//! Every listing that the client reads, on a server that pages it in every way that Bitbucket does.

use std::sync::{Arc, Mutex};

use futures_util::future::BoxFuture;
use rollcall_bitbucket::{Error, OwnRepositories, Session, Which};
use rollcall_domain::mirror::{SeenProject, SeenRepository};
use serde_json::{Value, json};
use url::Url;

use crate::support::{Reply, Request, Server, WORKSPACE, uuid, workspace};

/// How a listing is paged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Paging {
    /// By numbers, and each page says how many entries there are.
    NumberedSized,
    /// By numbers, and no page says how many there are.
    Numbered,
    /// By opaque names, with a size.
    OpaqueSized,
    /// By opaque names, without a size.
    Opaque,
}

impl Paging {
    pub(crate) const ALL: [Self; 4] = [Self::NumberedSized, Self::Numbered, Self::OpaqueSized, Self::Opaque];

    pub(crate) fn sized(self) -> bool {
        matches!(self, Self::NumberedSized | Self::OpaqueSized)
    }

    fn name(self, page: u64) -> String {
        match self {
            Self::NumberedSized | Self::Numbered => page.to_string(),
            Self::OpaqueSized | Self::Opaque => format!("p{page}x"),
        }
    }

    fn number(request: &Request) -> u64 {
        request.query("page").map_or(1, |page| page.trim_matches(['p', 'x']).parse().unwrap())
    }
}

/// A listing: how its rows look, and how the client is asked for it.
#[derive(Clone, Copy)]
pub(crate) struct Kind {
    pub(crate) name: &'static str,
    pub(crate) row: fn(u64) -> Value,
    pub(crate) read: fn(&Session) -> BoxFuture<'_, Result<usize, Error>>,
    /// Whether its rows name the workspace.
    pub(crate) placed: bool,
}

fn place() -> Value {
    json!({"uuid": WORKSPACE, "type": "workspace"})
}

fn user(n: u64) -> Value {
    json!({"uuid": uuid(1, n), "type": "user", "display_name": format!("Person {n}"), "email": format!("p{n}@example.com")})
}

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

fn repository_row(n: u64) -> Value {
    json!({
        "uuid": uuid(2, n), "slug": format!("r{n}"), "name": format!("R {n}"), "full_name": format!("acme/r{n}"),
        "is_private": true, "project": {"uuid": uuid(3, 1), "key": "MOB"}, "updated_on": "2026-11-23T10:00:00.123456+00:00",
    })
}

pub(crate) const KINDS: [Kind; 12] = [
    Kind {
        name: "members",
        row: |n| json!({"user": user(n), "workspace": place()}),
        read: |session| Box::pin(async { Ok(session.members(&workspace()).await?.seen().len()) }),
        placed: true,
    },
    Kind {
        name: "owners",
        row: |n| json!({"user": user(n), "workspace": place(), "permission": "owner"}),
        read: |session| Box::pin(async { Ok(session.owners(&workspace()).await?.len()) }),
        placed: true,
    },
    Kind {
        name: "members by e-mail",
        row: |n| json!({"user": user(n), "workspace": place()}),
        read: |session| {
            let addresses: Vec<_> = (1..9).map(|n| format!("p{n}@example.com").parse().unwrap()).collect();
            Box::pin(async move { Ok(session.members_by_email(&workspace(), &addresses).await?.len()) })
        },
        placed: true,
    },
    Kind {
        name: "repositories",
        row: repository_row,
        read: |session| {
            Box::pin(async { Ok(session.repositories(&workspace(), Which::All).await?.seen().len()) })
        },
        placed: false,
    },
    Kind {
        name: "projects",
        row: |n| json!({"uuid": uuid(3, n), "key": format!("P{n}"), "name": "P"}),
        read: |session| Box::pin(async { Ok(session.projects(&workspace()).await?.seen().len()) }),
        placed: false,
    },
    Kind {
        name: "a project's groups",
        row: |n| json!({"permission": "read", "group": {"slug": format!("g{n}")}, "project": {"uuid": uuid(3, 1)}}),
        read: |session| {
            Box::pin(async { Ok(session.project_grants(&workspace(), &project()).await?.groups.len()) })
        },
        placed: false,
    },
    Kind {
        name: "a project's users",
        row: |n| json!({"permission": "write", "user": user(n), "project": {"uuid": uuid(3, 1)}}),
        read: |session| {
            Box::pin(async { Ok(session.project_grants(&workspace(), &project()).await?.users.len()) })
        },
        placed: false,
    },
    Kind {
        name: "a repository's groups",
        row: |n| json!({"permission": "admin", "group": {"slug": format!("g{n}")}, "repository": {"uuid": uuid(2, 1)}}),
        read: |session| {
            Box::pin(async { Ok(session.repository_group_grants(&workspace(), &repository()).await?.len()) })
        },
        placed: false,
    },
    Kind {
        name: "a repository's users",
        row: |n| json!({"permission": "read", "user": user(n), "repository": {"uuid": uuid(2, 1)}}),
        read: |session| {
            Box::pin(async { Ok(session.repository_user_grants(&workspace(), &repository()).await?.len()) })
        },
        placed: false,
    },
    Kind {
        name: "own addresses",
        row: |n| json!({"email": format!("p{n}@example.com"), "is_confirmed": true, "is_primary": n == 1}),
        read: |session| Box::pin(async { Ok(session.emails().await?.len()) }),
        placed: false,
    },
    Kind {
        name: "own private repositories",
        row: |n| json!({"uuid": uuid(2, n)}),
        read: |session| {
            Box::pin(async {
                let own = session.own_private_repositories(workspace().uuid, |_, _| false).await?;
                let OwnRepositories::All(own) = own else { panic!("stopped") };
                Ok(own.len())
            })
        },
        placed: false,
    },
    Kind {
        name: "own permissions",
        row: |n| json!({"permission": "read", "repository": {"uuid": uuid(2, n)}}),
        read: |session| Box::pin(async { Ok(session.own_permissions(workspace().uuid).await?.len()) }),
        placed: false,
    },
];

/// What happens to one page on its way out.
pub(crate) type Fault = fn(&mut Answer, Paging, u64);

/// An answer that a fault may change.
pub(crate) struct Answer {
    pub(crate) page: Value,
    pub(crate) reply: Option<Reply>,
    /// The address of another page of the same listing.
    pub(crate) other: Box<dyn Fn(u64) -> String>,
    /// The n-th row of the listing.
    pub(crate) row: fn(u64) -> Value,
}

/// What the server does at present.
#[derive(Clone, Copy)]
pub(crate) struct Scene {
    pub(crate) kind: Kind,
    pub(crate) paging: Paging,
    pub(crate) rows: u64,
    /// The most rows that the server gives in a page, whatever it is asked for.
    pub(crate) most: u64,
    pub(crate) fault: Option<(u64, Fault)>,
}

/// A server that plays a scene at a time.
pub(crate) struct Stage {
    pub(crate) server: Server,
    scene: Arc<Mutex<Option<Scene>>>,
}

impl Stage {
    pub(crate) async fn new() -> Self {
        let scene: Arc<Mutex<Option<Scene>>> = Arc::default();
        let on = Arc::clone(&scene);
        let address: Arc<Mutex<Option<Url>>> = Arc::default();
        let at = Arc::clone(&address);
        let server = Server::start(move |request| {
            let scene = on.lock().unwrap().expect("a scene");
            play(scene, request, at.lock().unwrap().as_ref().expect("an address"))
        })
        .await;
        *address.lock().unwrap() = Some(server.url.clone());
        Self { server, scene }
    }

    pub(crate) fn set(&self, scene: Scene) {
        *self.scene.lock().unwrap() = Some(scene);
    }
}

fn play(scene: Scene, request: &Request, base: &Url) -> Reply {
    // A project's grants are two listings at once: the one that is not meant has no entries.
    let meant = match scene.kind.name {
        "a project's groups" => request.path.ends_with("/groups"),
        "a project's users" => request.path.ends_with("/users"),
        _ => true,
    };
    if !meant {
        return Reply::ok(json!({"values": [], "size": 0, "pagelen": 100}));
    }
    let length = request.query("pagelen").map_or(10, |length| length.parse().unwrap()).min(scene.most);
    let number = Paging::number(request);
    let first = (number - 1) * length + 1;
    let rows: Vec<Value> = (first..first + length).filter(|n| *n <= scene.rows).map(scene.kind.row).collect();
    let mut page = json!({"values": rows, "pagelen": length});
    if scene.paging.sized() {
        page["size"] = scene.rows.into();
    }
    if matches!(scene.paging, Paging::NumberedSized | Paging::Numbered) {
        page["page"] = number.into();
    }
    let (paging, path, base) = (scene.paging, request.path.clone(), base.clone());
    let query: Vec<_> = request.query.iter().filter(|(name, _)| name != "page").cloned().collect();
    let other = move |page: u64| {
        let mut url = base.clone();
        url.set_path(&path);
        url.query_pairs_mut().extend_pairs(&query).append_pair("page", &paging.name(page));
        url.to_string()
    };
    if first + length <= scene.rows {
        page["next"] = other(number + 1).into();
    }
    let mut answer = Answer { page, reply: None, other: Box::new(other), row: scene.kind.row };
    if let Some((at, fault)) = scene.fault
        && at == number
    {
        fault(&mut answer, scene.paging, number);
    }
    let page = answer.page;
    answer.reply.unwrap_or_else(|| Reply::ok(page))
}
