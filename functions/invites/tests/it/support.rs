//! A deployment with the routes of this function.

use std::sync::{Arc, Mutex};

use axum::Router;
use futures_util::future::BoxFuture;
use rollcall_admin::testing::{Answered, As, Call, Deployment, finish};
use rollcall_domain::invite::Invite;
use rollcall_domain::{Secret, TokenHash, WorkspaceId};
use rollcall_invites::mail::Mail;
use rollcall_invites::mailer::{About, Mailer, NotSent};
use rollcall_invites::{App, router};
use rollcall_store::Store;
use serde_json::{Value, json};

/// Keeps the mails, or refuses those to an address.
#[derive(Default)]
pub(crate) struct Outbox {
    pub(crate) mails: Mutex<Vec<(Mail, About)>>,
    pub(crate) refuses: Mutex<Option<String>>,
}

impl Mailer for Outbox {
    fn send<'a>(&'a self, mail: &'a Mail, about: About) -> BoxFuture<'a, Result<(), NotSent>> {
        let refused = self.refuses.lock().unwrap().as_deref() == Some(mail.to.as_str());
        if !refused {
            self.mails.lock().unwrap().push((mail.clone(), about));
        }
        Box::pin(async move {
            if refused { Err(NotSent::Refused { code: "MessageRejected".into() }) } else { Ok(()) }
        })
    }
}

pub(crate) struct World {
    pub(crate) deployment: Deployment,
    pub(crate) routes: Router,
    pub(crate) outbox: Arc<Outbox>,
    pub(crate) workspace: WorkspaceId,
}

impl World {
    /// Without a mail sender: links are returned.
    pub(crate) async fn start() -> Self {
        Self::with(rollcall_store::testing::store().await, false, "1000").await
    }

    pub(crate) async fn with_mail() -> Self {
        Self::with(rollcall_store::testing::store().await, true, "1000").await
    }

    pub(crate) async fn with(store: Store, mails: bool, rate: &str) -> Self {
        let deployment = Deployment::with(store, &[("ROLLCALL_SIGN_IN_RATE", rate)]).await;
        let workspace = deployment.workspace("Acme").await;
        let outbox = Arc::new(Outbox::default());
        let mailer = mails.then(|| Arc::<Outbox>::clone(&outbox) as Arc<dyn Mailer>);
        let routes = finish(router(App { admin: deployment.admin.clone(), mailer }));
        Self { deployment, routes, outbox, workspace }
    }

    pub(crate) fn path(&self, rest: &str) -> String {
        format!("/v1/workspaces/{}/invites{rest}", self.workspace)
    }

    pub(crate) async fn send(&self, call: Call) -> Answered {
        call.send(&self.routes).await
    }

    pub(crate) async fn invite(&self, who: &As, invites: Value) -> Answered {
        self.send(Call::new("POST", self.path("")).by(who).json(&json!({ "invites": invites }))).await
    }

    /// What the store finds by a link, as accepting it would.
    pub(crate) async fn found(&self, link: &str) -> Option<Invite> {
        let token = link.split_once("/invite#").unwrap().1;
        self.deployment.admin.store().invite_by_token(TokenHash::of(&Secret::new(token))).await.unwrap()
    }
}
