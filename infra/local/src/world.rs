//! The stand-in Bitbucket's world, as the stories need it.

use rollcall_domain::bitbucket::AccountUuid;
use serde_json::{Map, Value, json};
use standin_bitbucket::{Consumer, Refused, Running, SYNC_KEY, SYNC_SECRET, World, example};

use crate::browser::{Browser, BrowserError, Page};
use crate::stack::Stack;
use crate::story::{Person, StepError};

/// The example with a consumer through which people sign in here.
pub fn with_sign_in(key: &str, secret: &str, callback: &str) -> World {
    let mut world = example();
    let mut consumer = Consumer::for_people(key, secret, callback);
    "Rollcall on this machine".clone_into(&mut consumer.name);
    world.add_consumer(consumer);
    world
}

/// The connection to the example workspace, with its first owner as the first admin.
pub fn connection(stack: &Stack) -> Result<Map<String, Value>, StepError> {
    let slug = running(stack)?.read(|world| world.workspace().slug.clone());
    let connection = json!({
        "bitbucket_workspace": slug,
        "credential": { "kind": "oauth_consumer", "key": SYNC_KEY, "secret": SYNC_SECRET },
        "first_admin": person(stack, "johanna")?.uuid,
    });
    match connection {
        Value::Object(connection) => Ok(connection),
        _ => Ok(Map::new()),
    }
}

/// How large the example is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// Its groups.
    pub groups: usize,
    /// Its repositories.
    pub repositories: usize,
}

/// How large the example is.
pub fn size(stack: &Stack) -> Result<Size, StepError> {
    Ok(running(stack)?.read(|world| Size {
        groups: world.workspace().groups().len(),
        repositories: world.workspace().repositories().count(),
    }))
}

/// Somebody of the example, by their username there.
pub fn person(stack: &Stack, username: &str) -> Result<Person, StepError> {
    running(stack)?.read(|world| {
        let account = world.person(username).ok_or_else(|| unknown(username))?;
        let uuid: AccountUuid = account
            .uuid
            .to_string()
            .parse()
            .map_err(|_| StepError::Wrong(format!("{username} has no UUID")))?;
        Ok(Person {
            username: username.to_owned(),
            display_name: account.display_name.clone(),
            uuid: uuid.to_string(),
        })
    })
}

/// The private repositories that somebody cannot access, by their full names, in order.
pub fn missing(stack: &Stack, username: &str) -> Result<Vec<String>, StepError> {
    running(stack)?.read(|world| {
        let account = world.person(username).ok_or_else(|| unknown(username))?;
        let workspace = world.workspace();
        let full_name = |slug: &str| format!("{}/{slug}", workspace.slug);
        let mut missing: Vec<String> =
            workspace.missing_to(account.uuid).into_iter().map(full_name).collect();
        missing.sort();
        Ok(missing)
    })
}

/// Somebody leaves the Bitbucket workspace.
pub fn leave(stack: &Stack, username: &str) -> Result<(), StepError> {
    Ok(running(stack)?.change(|world| world.leave(username))?)
}

/// How many listings of repositories' grants were asked for, and how many of them repeated an earlier one.
pub fn grants_listings(stack: &Stack) -> Result<(usize, usize), StepError> {
    let mut paths: Vec<String> = running(stack)?
        .requests()
        .into_iter()
        .filter(|request| request.status == 200 && request.parameter("page").is_none())
        .filter(|request| {
            request.template.starts_with("/2.0/repositories/{workspace}/{repo_slug}/permissions-config/")
        })
        .map(|request| request.path)
        .collect();
    let listings = paths.len();
    paths.sort();
    paths.dedup();
    Ok((listings, listings - paths.len()))
}

/// Somebody picks who they are on the stand-in's consent page, and is sent back.
pub async fn choose(browser: &mut Browser, consent: &Page, name: &str) -> Result<Page, BrowserError> {
    browser.visit(&consent.link(name)?).await
}

fn running(stack: &Stack) -> Result<&Running, StepError> {
    stack
        .bitbucket
        .as_ref()
        .ok_or_else(|| StepError::Wrong("this Bitbucket is no stand-in of ours".to_owned()))
}

fn unknown(username: &str) -> StepError {
    StepError::World(Refused::Unknown { what: "person", name: username.to_owned() })
}
