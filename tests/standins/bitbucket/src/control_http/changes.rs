//! What happens in the world, asked for over HTTP. The names in a path are those before the change.

use axum::Json;
use axum::extract::{Path, Query, State};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Done, Failed, Place};
use crate::control::Control;
use crate::rest::shape::braced;
use crate::world::{Consumer, Email, Level, On, Person, Refused, Role, To, World};

type At = State<Control>;
type In = Query<Place>;

fn nothing() -> Value {
    json!({})
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AddWorkspace {
    slug: String,
    name: Option<String>,
    owner: Option<String>,
}

pub(super) async fn add_workspace(State(control): At, Json(add): Json<AddWorkspace>) -> Done {
    Place { workspace: None }.change(&control, |world| {
        let uuid = world.add_workspace(&add.slug)?;
        if let Some(name) = &add.name {
            world.name_workspace(name);
        }
        if let Some(owner) = &add.owner {
            world.join(owner, Role::Owner)?;
        }
        Ok(json!({"uuid": braced(uuid)}))
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ChangeWorkspace {
    slug: Option<String>,
    name: Option<String>,
}

pub(super) async fn change_workspace(
    State(control): At,
    Query(place): In,
    Json(change): Json<ChangeWorkspace>,
) -> Done {
    place.change(&control, |world| {
        if let Some(slug) = &change.slug {
            world.rename_workspace(slug)?;
        }
        if let Some(name) = &change.name {
            world.name_workspace(name);
        }
        Ok(nothing())
    })
}

pub(super) async fn add_person(State(control): At, Query(place): In, Json(person): Json<Person>) -> Done {
    place.change(&control, |world| Ok(json!({"uuid": braced(world.add_person(person)?)})))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ChangePerson {
    username: Option<String>,
    name: Option<String>,
    nickname: Option<String>,
    emails: Option<Vec<Email>>,
    active: Option<bool>,
    role: Option<Role>,
}

/// A `role` takes somebody into the workspace who is not in it.
pub(super) async fn change_person(
    State(control): At,
    Query(place): In,
    Path(username): Path<String>,
    Json(change): Json<ChangePerson>,
) -> Done {
    place.change(&control, |world| {
        world.change_account(&username, |account| {
            account.display_name = change.name.unwrap_or_else(|| account.display_name.clone());
            account.nickname = change.nickname.unwrap_or_else(|| account.nickname.clone());
            account.emails = change.emails.unwrap_or_else(|| account.emails.clone());
            account.active = change.active.unwrap_or(account.active);
        })?;
        if let Some(role) = change.role {
            match world.set_role(&username, role) {
                Err(Refused::Unknown { .. }) => world.join(&username, role)?,
                done => done?,
            }
        }
        if let Some(to) = &change.username {
            world.change_username(&username, to)?;
        }
        Ok(nothing())
    })
}

#[derive(Deserialize)]
pub(super) struct RemovePerson {
    workspace: Option<String>,
    #[serde(default)]
    account: bool,
}

/// Takes somebody out of the workspace; with `account=true`, deletes the account.
pub(super) async fn remove_person(
    State(control): At,
    Query(remove): Query<RemovePerson>,
    Path(username): Path<String>,
) -> Done {
    Place { workspace: remove.workspace }.change(&control, |world| {
        let removed = if remove.account { world.delete_account(&username) } else { world.leave(&username) };
        removed.map(|()| nothing())
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AddGroup {
    name: String,
    #[serde(default)]
    members: Vec<String>,
}

pub(super) async fn add_group(State(control): At, Query(place): In, Json(add): Json<AddGroup>) -> Done {
    place.change(&control, |world| {
        let slug = world.add_group(&add.name)?;
        for username in &add.members {
            world.add_to_group(&slug, username)?;
        }
        Ok(json!({"slug": slug}))
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RenameGroup {
    name: String,
    slug: Option<String>,
}

pub(super) async fn rename_group(
    State(control): At,
    Query(place): In,
    Path(slug): Path<String>,
    Json(rename): Json<RenameGroup>,
) -> Done {
    place.change(&control, |world| {
        Ok(json!({"slug": world.rename_group(&slug, &rename.name, rename.slug.as_deref())?}))
    })
}

pub(super) async fn delete_group(State(control): At, Query(place): In, Path(slug): Path<String>) -> Done {
    place.change(&control, |world| world.delete_group(&slug).map(|()| nothing()))
}

type Membership = Path<(String, String)>;

pub(super) async fn add_to_group(State(control): At, Query(place): In, Path(of): Membership) -> Done {
    place.change(&control, |world| world.add_to_group(&of.0, &of.1).map(|()| nothing()))
}

pub(super) async fn remove_from_group(State(control): At, Query(place): In, Path(of): Membership) -> Done {
    place.change(&control, |world| world.remove_from_group(&of.0, &of.1).map(|()| nothing()))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ProjectNames {
    key: String,
    name: Option<String>,
}

pub(super) async fn add_project(State(control): At, Query(place): In, Json(add): Json<ProjectNames>) -> Done {
    place.change(&control, |world| {
        let uuid = world.add_project(&add.key, add.name.as_deref().unwrap_or(&add.key))?;
        Ok(json!({"uuid": braced(uuid)}))
    })
}

pub(super) async fn rename_project(
    State(control): At,
    Query(place): In,
    Path(key): Path<String>,
    Json(rename): Json<ProjectNames>,
) -> Done {
    place.change(&control, |world| {
        let name = rename.name.as_deref().unwrap_or(&rename.key);
        world.rename_project(&key, &rename.key, name).map(|()| nothing())
    })
}

pub(super) async fn delete_project(State(control): At, Query(place): In, Path(key): Path<String>) -> Done {
    place.change(&control, |world| world.delete_project(&key).map(|()| nothing()))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AddRepository {
    slug: String,
    project: String,
    #[serde(default)]
    public: bool,
}

pub(super) async fn add_repository(
    State(control): At,
    Query(place): In,
    Json(add): Json<AddRepository>,
) -> Done {
    place.change(&control, |world| {
        let uuid = world.add_repository(&add.project, &add.slug, !add.public)?;
        Ok(json!({"uuid": braced(uuid)}))
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ChangeRepository {
    slug: Option<String>,
    project: Option<String>,
    private: Option<bool>,
}

/// Without anything to change: somebody has pushed to it.
pub(super) async fn change_repository(
    State(control): At,
    Query(place): In,
    Path(slug): Path<String>,
    Json(change): Json<ChangeRepository>,
) -> Done {
    place.change(&control, |world| {
        world.touch_repository(&slug)?;
        if let Some(project) = &change.project {
            world.move_repository(&slug, project)?;
        }
        if let Some(private) = change.private {
            world.set_private(&slug, private)?;
        }
        if let Some(to) = &change.slug {
            world.rename_repository(&slug, to)?;
        }
        Ok(nothing())
    })
}

pub(super) async fn delete_repository(
    State(control): At,
    Query(place): In,
    Path(slug): Path<String>,
) -> Done {
    place.change(&control, |world| world.delete_repository(&slug).map(|()| nothing()))
}

/// `project` or `repository`, and `group` or `person`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct GrantEntry {
    project: Option<String>,
    repository: Option<String>,
    group: Option<String>,
    person: Option<String>,
    level: Option<Level>,
}

impl GrantEntry {
    fn parts(&self) -> Result<(On<'_>, To<'_>), Refused> {
        let on = match (&self.project, &self.repository) {
            (Some(key), None) => On::Project(key),
            (None, Some(slug)) => On::Repository(slug),
            _ => return Err(Refused::Impossible("name a project or a repository")),
        };
        let to = match (&self.group, &self.person) {
            (Some(slug), None) => To::Group(slug),
            (None, Some(username)) => To::Person(username),
            _ => return Err(Refused::Impossible("name a group or a person")),
        };
        Ok((on, to))
    }
}

pub(super) async fn grant(State(control): At, Query(place): In, Json(entry): Json<GrantEntry>) -> Done {
    place.change(&control, |world| {
        let (on, to) = entry.parts()?;
        let level = entry.level.ok_or(Refused::Impossible("name a level"))?;
        world.grant(on, to, level).map(|()| nothing())
    })
}

pub(super) async fn revoke(State(control): At, Query(place): In, Json(entry): Json<GrantEntry>) -> Done {
    place.change(&control, |world| {
        let (on, to) = entry.parts()?;
        world.revoke(on, to).map(|()| nothing())
    })
}

pub(super) async fn add_consumer(State(control): At, Query(place): In, Json(add): Json<Consumer>) -> Done {
    place.change(&control, |world: &mut World| Ok(json!({"app_user": braced(world.add_consumer(add))})))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ChangeConsumer {
    secret: Option<String>,
    callback: Option<String>,
    private: Option<bool>,
    scopes: Option<std::collections::BTreeSet<String>>,
}

pub(super) async fn change_consumer(
    State(control): At,
    Query(place): In,
    Path(key): Path<String>,
    Json(change): Json<ChangeConsumer>,
) -> Done {
    place.change(&control, |world| {
        let change = |consumer: &mut Consumer| {
            consumer.secret = change.secret.unwrap_or_else(|| consumer.secret.clone());
            consumer.callback = change.callback.or_else(|| consumer.callback.clone());
            consumer.private = change.private.unwrap_or(consumer.private);
            consumer.scopes = change.scopes.unwrap_or_else(|| consumer.scopes.clone());
        };
        world.change_consumer(&key, change).map(|()| nothing())
    })
}

pub(super) async fn delete_consumer(State(control): At, Query(place): In, Path(key): Path<String>) -> Done {
    place.change(&control, |world| world.delete_consumer(&key).map(|()| nothing()))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AskToken {
    person: String,
    consumer: String,
}

pub(super) async fn person_token(State(control): At, Json(ask): Json<AskToken>) -> Done {
    let token = control.person_token(&ask.person, &ask.consumer).map_err(Failed::from)?;
    Ok(Json(json!({"access_token": token})))
}
