//! The provider's state.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard};

use crate::behaviour::Behaviour;
use crate::client::Client;
use crate::clock::Clock;
use crate::fault::{Fault, Times};
use crate::flavour::Flavour;
use crate::forgery::Forgery;
use crate::keys::Keys;
use crate::log::{Endpoint, Request};
use crate::people::Person;

/// One provider: what never changes, and the world that does.
pub(crate) struct Provider {
    pub(crate) flavour: Flavour,
    /// Scheme, host and port, without a slash at the end.
    pub(crate) origin: String,
    world: Mutex<World>,
}

/// Everything that changes, behind one lock that is never held across an await.
pub(crate) struct World {
    pub(crate) clients: Vec<Client>,
    pub(crate) people: Vec<Person>,
    pub(crate) behaviour: Behaviour,
    /// One entry per ID token to come: what will be wrong with it.
    pub(crate) forgeries: VecDeque<Vec<Forgery>>,
    pub(crate) faults: Vec<(Endpoint, Fault, Times)>,
    pub(crate) codes: HashMap<String, Grant>,
    pub(crate) access_tokens: HashMap<String, AccessToken>,
    pub(crate) keys: Keys,
    pub(crate) clock: Clock,
    pub(crate) log: Vec<Request>,
}

/// What a code stands for.
#[derive(Debug, Clone)]
pub(crate) struct Grant {
    pub(crate) client_id: String,
    pub(crate) redirect_uri: String,
    pub(crate) person: Person,
    pub(crate) scope: String,
    pub(crate) nonce: String,
    pub(crate) challenge: String,
    pub(crate) issued_at: i64,
    pub(crate) used: bool,
}

/// What an access token stands for.
#[derive(Debug, Clone)]
pub(crate) struct AccessToken {
    pub(crate) code: String,
    pub(crate) person: Person,
    pub(crate) scope: String,
    pub(crate) expires_at: i64,
}

impl Provider {
    pub(crate) fn new(
        flavour: Flavour,
        origin: String,
        clients: Vec<Client>,
        people: Vec<Person>,
        keys: Keys,
    ) -> Self {
        let world = World {
            clients,
            people,
            keys,
            behaviour: Behaviour::default(),
            forgeries: VecDeque::new(),
            faults: Vec::new(),
            codes: HashMap::new(),
            access_tokens: HashMap::new(),
            clock: Clock::default(),
            log: Vec::new(),
        };
        Self { flavour, origin, world: Mutex::new(world) }
    }

    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl World {
    pub(crate) fn now(&self) -> i64 {
        self.clock.now()
    }

    /// The trouble that an endpoint has with this request, if any.
    pub(crate) fn take_fault(&mut self, endpoint: Endpoint) -> Option<Fault> {
        let at = self.faults.iter().position(|(place, _, _)| *place == endpoint)?;
        let (_, fault, times) = &mut self.faults[at];
        let fault = fault.clone();
        match times {
            Times::Always => {}
            Times::Next(0 | 1) => {
                self.faults.remove(at);
            }
            Times::Next(left) => *left -= 1,
        }
        Some(fault)
    }
}
