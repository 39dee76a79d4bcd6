//! A client in a few lines.

use reqwest::{Client, RequestBuilder, Response, StatusCode};
use serde_json::Value;
use standin_bitbucket::{
    Consumer, LOGIN_KEY, LOGIN_SECRET, Level, On, Running, SYNC_KEY, SYNC_SECRET, To, World, start,
};

pub(crate) const CALLBACK: &str = "http://localhost:8080/callback/bitbucket";
pub(crate) const TOKEN: &str = "ATCT-a-token-of-the-workspace";
pub(crate) const SYNC_SCOPES: &str = "account repository project project:admin repository:admin";

/// `ada` owns it; `grace` is in the group of developers, who may write to all of `CORE`; `linus` has one repository of his own;
/// `paula` is not in it.
pub(crate) fn world() -> World {
    World::new("acme")
        .with_owner("ada")
        .with_members(&["grace", "linus"])
        .with_person(standin_bitbucket::Person::outsider("paula", "Paula Keller"))
        .with_group("Developers", &["grace"])
        .with_project("CORE")
        .with_project("LABS")
        .with_private("CORE", &["engine", "brakes"])
        .with_public("CORE", &["handbook"])
        .with_private("LABS", &["rocket"])
        .with_grant(On::Project("CORE"), To::Group("developers"), Level::Write)
        .with_grant(On::Repository("rocket"), To::Person("linus"), Level::Admin)
        .with_consumer(Consumer::for_people(LOGIN_KEY, LOGIN_SECRET, CALLBACK))
        .with_consumer(Consumer::for_itself(SYNC_KEY, SYNC_SECRET))
        .with_access_token(TOKEN, SYNC_SCOPES)
}

pub(crate) struct Rig {
    pub(crate) bitbucket: Running,
    pub(crate) http: Client,
}

/// Who asks.
#[derive(Clone)]
pub(crate) enum By {
    Nobody,
    Bearer(String),
    Basic(&'static str, &'static str),
}

/// The workspace's token.
pub(crate) fn workspace_token() -> By {
    By::Bearer(TOKEN.to_owned())
}

pub(crate) async fn rig(world: World) -> Rig {
    let bitbucket = start(world, "127.0.0.1:0".parse().unwrap()).await.unwrap();
    let http = Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().build().unwrap();
    Rig { bitbucket, http }
}

impl Rig {
    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.bitbucket.url())
    }

    pub(crate) fn request(&self, by: &By, path: &str) -> RequestBuilder {
        let path = if path.starts_with("http") { path.to_owned() } else { self.url(path) };
        let request = self.http.get(path);
        match by {
            By::Nobody => request,
            By::Bearer(token) => request.bearer_auth(token),
            By::Basic(name, secret) => request.basic_auth(name, Some(secret)),
        }
    }

    pub(crate) async fn ask(&self, by: &By, path: &str) -> Response {
        self.request(by, path).send().await.unwrap()
    }

    pub(crate) async fn status(&self, by: &By, path: &str) -> u16 {
        self.ask(by, path).await.status().as_u16()
    }

    /// The JSON of a good answer.
    pub(crate) async fn json(&self, by: &By, path: &str) -> Value {
        let response = self.ask(by, path).await;
        let status = response.status();
        let body = response.text().await.unwrap();
        assert_eq!(status, StatusCode::OK, "{path}: {body}");
        serde_json::from_str(&body).unwrap()
    }

    /// The values at a pointer, in each row of a page.
    pub(crate) async fn column(&self, by: &By, path: &str, pointer: &str) -> Vec<String> {
        let page = self.json(by, path).await;
        let rows = page["values"].as_array().unwrap().iter();
        let mut column: Vec<String> = rows
            .map(|row| row.pointer(pointer).unwrap_or(&Value::Null).as_str().unwrap_or("-").to_owned())
            .collect();
        column.sort_unstable();
        column
    }

    /// Posts a form to the token endpoint.
    pub(crate) async fn redeem(&self, key: &str, secret: &str, form: &[(&str, &str)]) -> (u16, Value) {
        let request = self.http.post(self.url("/site/oauth2/access_token"));
        let response = request.basic_auth(key, Some(secret)).form(form).send().await.unwrap();
        (response.status().as_u16(), response.json().await.unwrap())
    }

    /// A person's token.
    pub(crate) fn person(&self, username: &str) -> By {
        By::Bearer(self.bitbucket.person_token(username, LOGIN_KEY).unwrap())
    }

    /// The sync consumer's token.
    pub(crate) async fn app(&self) -> By {
        let (_, answer) = self.redeem(SYNC_KEY, SYNC_SECRET, &[("grant_type", "client_credentials")]).await;
        By::Bearer(answer["access_token"].as_str().unwrap().to_owned())
    }

    /// The UUID of somebody, in braces and escaped for a path.
    pub(crate) fn uuid(&self, username: &str) -> String {
        self.bitbucket.read(|world| format!("%7B{}%7D", world.person(username).unwrap().uuid))
    }
}
