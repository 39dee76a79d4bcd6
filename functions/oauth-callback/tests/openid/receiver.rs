//! An application that is told of logouts: it takes what is posted, and answers as it was told to.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Form, State};
use axum::routing::post;
use http::StatusCode;
use rollcall_identity::provider::RedirectUri;
use serde::Deserialize;
use tokio::net::TcpListener;
use tokio::sync::Mutex;

#[derive(Deserialize)]
struct Posted {
    logout_token: String,
}

#[derive(Clone, Default)]
struct Inbox {
    tokens: Arc<Mutex<Vec<String>>>,
    answers: Arc<Mutex<Vec<u16>>>,
}

pub(crate) struct Receiver {
    pub(crate) uri: RedirectUri,
    inbox: Inbox,
}

impl Receiver {
    /// One that answers with these statuses in turn, and with 200 after them.
    pub(crate) async fn start(answers: &[u16]) -> Self {
        let inbox = Inbox::default();
        inbox.answers.lock().await.extend(answers.iter().rev());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let uri = format!("http://{}/logout", listener.local_addr().unwrap());
        let routes = Router::new().route("/logout", post(take)).with_state(inbox.clone());
        tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
        Self { uri: RedirectUri::parse(&uri).unwrap(), inbox }
    }

    /// Everything that has come so far.
    pub(crate) async fn tokens(&self) -> Vec<String> {
        self.inbox.tokens.lock().await.clone()
    }
}

async fn take(State(inbox): State<Inbox>, Form(posted): Form<Posted>) -> StatusCode {
    inbox.tokens.lock().await.push(posted.logout_token);
    StatusCode::from_u16(inbox.answers.lock().await.pop().unwrap_or(200)).unwrap()
}
