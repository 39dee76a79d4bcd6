//! How a test changes the provider's world: in the same process with [`Control`], from another one over HTTP.
//!
//! | request | does |
//! |---|---|
//! | `GET`, `DELETE /_control/requests` | the log; empties it |
//! | `POST /_control/forge` | a list of [`Forgery`]: what is wrong with the next ID token. Called again: with the one after it |
//! | `DELETE /_control/forge` | takes back forgeries that are still due |
//! | `POST /_control/faults` | `{"endpoint": "keys", "fault": {"delay": 100}, "times": {"next": 1}}` ([`Fault`], [`Times`]) |
//! | `DELETE /_control/faults` | takes all faults away |
//! | `GET`, `PUT /_control/behaviour` | a [`Behaviour`]; members that are left out have their default |
//! | `POST /_control/keys/{step}` | `publish-next`, `sign-with-newest`, `sign-with-unpublished`, `retire-others`, `rotate` |
//! | `GET`, `POST /_control/people` | everybody; adds a [`Person`], or replaces the one with the same `sub` |
//! | `DELETE /_control/people/{sub}` | removes somebody |
//! | `GET`, `POST /_control/clients` | every [`Client`]; adds one, or replaces the one with the same id |
//! | `PUT /_control/clock` | `"system"`, `{"advance": 60}` or `{"set": 1800000000}` |

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{delete, get, post, put};
use axum::{Json, Router};
use serde::Deserialize;

use crate::behaviour::Behaviour;
use crate::client::Client;
use crate::clock::Clock;
use crate::fault::{Fault, Times};
use crate::flavour::Flavour;
use crate::forgery::Forgery;
use crate::keys::SigningKey;
use crate::log::{Endpoint, Request};
use crate::people::Person;
use crate::provider::Provider;

/// A handle on a running provider. Clones are the same provider.
#[derive(Clone)]
pub struct Control(Arc<Provider>);

impl Control {
    pub(crate) fn new(provider: Arc<Provider>) -> Self {
        Self(provider)
    }

    pub(crate) fn provider(&self) -> &Provider {
        &self.0
    }

    /// Whom it plays.
    pub fn flavour(&self) -> &Flavour {
        &self.0.flavour
    }

    /// Scheme, host and port.
    pub fn origin(&self) -> &str {
        &self.0.origin
    }

    /// One more ID token will be wrong in this way: the next one, or the one after those that are due already.
    pub fn forge_next(&self, forgery: Forgery) {
        self.forge_next_in_many_ways(vec![forgery]);
    }

    /// The same, wrong in several ways at once. An empty list stands for a good token.
    pub fn forge_next_in_many_ways(&self, forgeries: Vec<Forgery>) {
        self.0.world().forgeries.push_back(forgeries);
    }

    /// Takes back the forgeries that are still due.
    pub fn forge_nothing(&self) {
        self.0.world().forgeries.clear();
    }

    /// Puts a trouble before an endpoint. The troubles of one endpoint come one after another.
    pub fn fault(&self, endpoint: Endpoint, fault: Fault, times: Times) {
        self.0.world().faults.push((endpoint, fault, times));
    }

    /// Takes every trouble away.
    pub fn heal(&self) {
        self.0.world().faults.clear();
    }

    /// Changes how the provider answers.
    pub fn change(&self, change: impl FnOnce(&mut Behaviour)) {
        change(&mut self.0.world().behaviour);
    }

    /// How the provider answers now.
    pub fn behaviour(&self) -> Behaviour {
        self.0.world().behaviour.clone()
    }

    /// Publishes a new key beside the old one, which goes on signing.
    pub fn publish_next_key(&self) {
        let key = SigningKey::generate();
        self.0.world().keys.publish(key);
    }

    /// Signs with the newest published key from now on.
    pub fn sign_with_newest_key(&self) {
        self.0.world().keys.sign_with_newest();
    }

    /// Signs with a new key that is not published until [`Control::retire_other_keys`]: a rotation that goes wrong.
    pub fn sign_with_unpublished_key(&self) {
        let key = SigningKey::generate();
        self.0.world().keys.sign_with_unpublished(key);
    }

    /// Publishes only the key that signs.
    pub fn retire_other_keys(&self) {
        self.0.world().keys.retire_others();
    }

    /// Signs with a new key from now on, and publishes it alone: a rotation without notice.
    pub fn rotate_keys(&self) {
        let key = SigningKey::generate();
        let keys = &mut self.0.world().keys;
        keys.sign_with_unpublished(key);
        keys.retire_others();
    }

    /// The `kid` of the key that signs.
    pub fn signing_kid(&self) -> String {
        self.0.world().keys.signing().kid.clone()
    }

    /// The public half of the key that signs, as PEM: the HMAC's secret of [`Forgery::SignedWithPublicKey`].
    pub fn public_key_pem(&self) -> String {
        self.0.world().keys.signing().public_pem()
    }

    /// Everybody with an account.
    pub fn people(&self) -> Vec<Person> {
        self.0.world().people.clone()
    }

    /// Adds somebody, or replaces the person with the same `sub`.
    pub fn put_person(&self, person: Person) {
        let people = &mut self.0.world().people;
        people.retain(|known| known.sub != person.sub);
        people.push(person);
    }

    /// Removes somebody. Whether there was such a person.
    pub fn remove_person(&self, sub: &str) -> bool {
        let people = &mut self.0.world().people;
        let before = people.len();
        people.retain(|known| known.sub != sub);
        people.len() < before
    }

    /// Every registered client.
    pub fn clients(&self) -> Vec<Client> {
        self.0.world().clients.clone()
    }

    /// Registers a client, or replaces the one with the same id (another secret, another redirect URI).
    pub fn put_client(&self, client: Client) {
        let clients = &mut self.0.world().clients;
        clients.retain(|known| known.id != client.id);
        clients.push(client);
    }

    /// Lets the clock stand at a time, in seconds since 1970.
    pub fn set_clock(&self, at: i64) {
        self.0.world().clock = Clock::Standing(at);
    }

    /// Moves the clock ahead (or back) by so many seconds.
    pub fn advance_clock(&self, seconds: i64) {
        self.0.world().clock.advance(seconds);
    }

    /// Follows the machine's clock again.
    pub fn follow_system_clock(&self) {
        self.0.world().clock = Clock::System;
    }

    /// What has been asked of an endpoint so far, oldest first.
    pub fn requests(&self, endpoint: Endpoint) -> Vec<Request> {
        self.0.world().log.iter().filter(|request| request.endpoint == endpoint).cloned().collect()
    }

    /// The same for all endpoints.
    pub fn all_requests(&self) -> Vec<Request> {
        self.0.world().log.clone()
    }

    /// How often an endpoint has been asked.
    pub fn count(&self, endpoint: Endpoint) -> usize {
        self.0.world().log.iter().filter(|request| request.endpoint == endpoint).count()
    }

    /// Empties the log.
    pub fn forget_requests(&self) {
        self.0.world().log.clear();
    }
}

#[derive(Deserialize)]
struct PutFault {
    endpoint: Endpoint,
    fault: Fault,
    times: Times,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum PutClock {
    System,
    Advance(i64),
    Set(i64),
}

type Provided = State<Arc<Provider>>;

pub(crate) fn router() -> Router<Arc<Provider>> {
    Router::new()
        .route(
            "/requests",
            get(async |State(at): Provided| Json(Control(at).all_requests()))
                .delete(async |State(at): Provided| Control(at).forget_requests()),
        )
        .route(
            "/forge",
            post(async |State(at): Provided, Json(forgeries): Json<Vec<Forgery>>| {
                Control(at).forge_next_in_many_ways(forgeries);
            })
            .delete(async |State(at): Provided| Control(at).forge_nothing()),
        )
        .route(
            "/faults",
            post(async |State(at): Provided, Json(put): Json<PutFault>| {
                Control(at).fault(put.endpoint, put.fault, put.times);
            })
            .delete(async |State(at): Provided| Control(at).heal()),
        )
        .route(
            "/behaviour",
            get(async |State(at): Provided| Json(Control(at).behaviour())).put(
                async |State(at): Provided, Json(behaviour): Json<Behaviour>| {
                    Control(at).change(|now| *now = behaviour);
                },
            ),
        )
        .route("/keys/{step}", post(turn_keys))
        .route(
            "/people",
            get(async |State(at): Provided| Json(Control(at).people()))
                .post(async |State(at): Provided, Json(person): Json<Person>| Control(at).put_person(person)),
        )
        .route("/people/{sub}", delete(remove_person))
        .route(
            "/clients",
            get(async |State(at): Provided| Json(Control(at).clients()))
                .post(async |State(at): Provided, Json(client): Json<Client>| Control(at).put_client(client)),
        )
        .route("/clock", put(put_clock))
}

async fn turn_keys(State(at): Provided, Path(step): Path<String>) -> StatusCode {
    let control = Control(at);
    match step.as_str() {
        "publish-next" => control.publish_next_key(),
        "sign-with-newest" => control.sign_with_newest_key(),
        "sign-with-unpublished" => control.sign_with_unpublished_key(),
        "retire-others" => control.retire_other_keys(),
        "rotate" => control.rotate_keys(),
        _ => return StatusCode::NOT_FOUND,
    }
    StatusCode::NO_CONTENT
}

async fn remove_person(State(at): Provided, Path(sub): Path<String>) -> StatusCode {
    if Control(at).remove_person(&sub) { StatusCode::NO_CONTENT } else { StatusCode::NOT_FOUND }
}

async fn put_clock(State(at): Provided, Json(put): Json<PutClock>) -> StatusCode {
    let control = Control(at);
    match put {
        PutClock::System => control.follow_system_clock(),
        PutClock::Advance(seconds) => control.advance_clock(seconds),
        PutClock::Set(at) => control.set_clock(at),
    }
    StatusCode::NO_CONTENT
}
