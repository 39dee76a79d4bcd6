//! The pages that people see: rendered here, no script needed, nothing from anywhere else.
//!
//! Every text that comes from outside is escaped by the template engine. The style is inline and allowed by its hash; so are the
//! invite page's few lines of script, which only move the code out of the address bar into the form.

use askama::Template;
use axum::response::{Html, IntoResponse as _, Response};
use http::header::CONTENT_SECURITY_POLICY;
use rollcall_domain::identity::Provider;
pub use rollcall_service::secrets::Application;
use rollcall_service::web::{PagePolicy, Problem, RequestId};
use url::Url;

use crate::failure::Failure;

pub(crate) const STYLE: &str = include_str!("../../templates/style.css");
const INVITE_SCRIPT: &str = include_str!("../../templates/invite.js");

/// At most this many missing repositories are named on the page.
pub const MOST_NAMED: usize = 20;

/// Renders a page. `form_targets` are places that its forms may lead on to: browsers apply `form-action` to the redirects that
/// follow a submission as well.
pub fn answer(template: &impl Template, form_targets: &[Url]) -> Result<Response, Failure> {
    let html = template.render().map_err(|error| Failure::unavailable("page", &error))?;
    let mut policy = PagePolicy::new().style(STYLE).own_images().form_to_ourselves();
    if html.contains(INVITE_SCRIPT) {
        policy = policy.script(INVITE_SCRIPT);
    }
    for target in form_targets {
        policy = policy.form_leads_to_url(target);
    }
    Ok(([(CONTENT_SECURITY_POLICY, policy.header())], Html(html)).into_response())
}

/// The page for a problem: what the shared conventions answer a browser with when something goes wrong.
pub fn problem(application: &Application, problem: &Problem, request_id: &RequestId) -> Response {
    let page = Failed {
        application,
        title: problem.title(),
        text: problem.detail_text().unwrap_or_default(),
        request_id: request_id.as_str(),
        again: Some("/login?choose=true".to_owned()),
    };
    answer(&page, &[]).unwrap_or_else(|_| problem.clone().into_response())
}

/// A choice of the visitor: where it leads and what it is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// Where it leads.
    pub href: String,
    /// What it is called.
    pub name: String,
}

/// A provider to accept an invite with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProviderChoice {
    /// As the form sends it.
    pub value: &'static str,
    /// As people call it.
    pub name: &'static str,
}

impl From<Provider> for ProviderChoice {
    fn from(provider: Provider) -> Self {
        Self { value: provider.as_str(), name: provider.name() }
    }
}

macro_rules! page {
    ($(#[$doc:meta])* $name:ident, $path:literal { $($(#[$field_doc:meta])* $field:ident: $type:ty,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Template)]
        #[template(path = $path)]
        pub struct $name<'a> {
            /// The application that people sign in to.
            pub application: &'a Application,
            $($(#[$field_doc])* pub $field: $type,)*
        }
    };
}

page! {
    /// Choosing where to sign in.
    ChooseProvider, "choose_provider.html" {
        /// The workspace, where the address names one.
        workspace: Option<String>,
        /// The providers that are configured.
        providers: Vec<Choice>,
    }
}

page! {
    /// Choosing one of several workspaces.
    ChooseWorkspace, "choose_workspace.html" {
        /// Where the visitor signed in.
        provider: &'a str,
        /// The workspaces they can use.
        workspaces: Vec<Choice>,
    }
}

/// Why somebody is refused, as the page tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// Not in the Bitbucket workspace.
    NotInWorkspace,
    /// Lacks some private repositories.
    MissingRepositories {
        /// The first of them, by full name.
        named: Vec<String>,
        /// How many are not named.
        more: usize,
        /// How many there are in all.
        of: usize,
    },
    /// Can access no private repository.
    NoRepository,
    /// Disabled by an admin.
    Disabled,
    /// Signed in with a provider by which only the invited come in.
    NotInvited,
}

impl Reason {
    /// The name of the reason, for the audit trail.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::NotInWorkspace => "not in the Bitbucket workspace",
            Self::MissingRepositories { .. } => "lacks access to private repositories",
            Self::NoRepository => "has access to no private repository",
            Self::Disabled => "disabled by an admin",
            Self::NotInvited => "nobody has invited this account",
        }
    }

    /// The missing repositories that are named.
    pub fn named(&self) -> &[String] {
        match self {
            Self::MissingRepositories { named, .. } => named,
            _ => &[],
        }
    }

    /// Names at most [`MOST_NAMED`] of the missing repositories, in the order of their names.
    pub fn missing(mut names: Vec<String>, of: usize) -> Self {
        names.sort();
        let more = names.len().saturating_sub(MOST_NAMED);
        names.truncate(MOST_NAMED);
        Self::MissingRepositories { named: names, more, of }
    }
}

page! {
    /// Refused, and why.
    Refused, "refused.html" {
        /// The workspace.
        workspace: &'a str,
        /// Where the visitor signed in.
        provider: &'a str,
        /// As whom.
        display_name: &'a str,
        /// Why.
        reason: Reason,
        /// Where to sign in with another account.
        again: String,
    }
}

page! {
    /// Neither let in nor refused.
    Later, "later.html" {
        /// The workspace.
        workspace: &'a str,
        /// Where the visitor signed in.
        provider: &'a str,
        /// What to tell whoever helps.
        request_id: &'a str,
        /// Where to try again.
        again: String,
    }
}

page! {
    /// Something went wrong, told without details that could help an attacker.
    Failed, "error.html" {
        /// What happened, in a few words.
        title: &'a str,
        /// What to do.
        text: &'a str,
        /// What to tell whoever helps.
        request_id: &'a str,
        /// Where to start again, if that helps.
        again: Option<String>,
    }
}

page! {
    /// The page an invite's link opens. The code is in the fragment, which never reaches a server.
    OpenInvite, "invite.html" {
        /// The script that moves the code into the form.
        script: &'static str,
    }
}

impl<'a> OpenInvite<'a> {
    /// The page.
    pub fn new(application: &'a Application) -> Self {
        Self { application, script: INVITE_SCRIPT }
    }
}

page! {
    /// Who invites, and where to sign in to accept.
    ChooseForInvite, "invite_choose.html" {
        /// Into which workspace.
        workspace: &'a str,
        /// Who invites.
        inviter: &'a str,
        /// Whether the invite makes an admin.
        admin: bool,
        /// What the inviter wrote.
        note: Option<&'a str>,
        /// The code, to send along.
        token: &'a str,
        /// The providers the invite allows.
        providers: Vec<ProviderChoice>,
        /// Until when, as a date.
        until: String,
    }
}

/// A session of the person, as they see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionLine {
    /// Its id, to end it by.
    pub id: String,
    /// Since when, as a date.
    pub since: String,
    /// Whether it is this browser's.
    pub current: bool,
}

/// What applications keep of a session that is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptLine {
    /// The session's id, to end it by.
    pub id: String,
    /// Since when, as a date.
    pub since: String,
    /// The applications, by name.
    pub applications: Vec<String>,
}

/// An account of the person, as they see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountLine {
    /// The provider.
    pub provider: Provider,
    /// The provider's id of the account, to take it away by.
    pub subject: String,
}

page! {
    /// Signed in, without an application waiting.
    SignedIn, "signed_in.html" {
        /// As whom.
        display_name: &'a str,
        /// To which workspace.
        workspace: &'a str,
        /// With which role.
        role: &'a str,
        /// In which teams, by name.
        teams: Vec<String>,
        /// Why they are let in, in a sentence.
        why: String,
        /// Their sessions.
        sessions: Vec<SessionLine>,
        /// What applications keep of sessions that are over.
        kept: Vec<KeptLine>,
        /// The accounts that they sign in with.
        accounts: Vec<AccountLine>,
        /// Providers that can be linked.
        link: Vec<Provider>,
    }
}

page! {
    /// Whether to sign out: asked where nothing shows that the person wants it.
    SignOut, "sign_out.html" {
        /// As whom they are signed in.
        display_name: &'a str,
        /// What an application has sent along, to be sent again.
        fields: Vec<(&'static str, String)>,
    }
}

page! {
    /// Signed out.
    SignedOut, "signed_out.html" {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt as _;

    async fn rendered(template: &impl Template) -> (String, String) {
        let response = answer(template, &[]).unwrap();
        let policy = response.headers()[CONTENT_SECURITY_POLICY].to_str().unwrap().to_owned();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (String::from_utf8(body.to_vec()).unwrap(), policy)
    }

    async fn refused(display_name: &str, reason: Reason) -> String {
        let application = Application::default();
        let (workspace, provider, again) = ("Acme", "Bitbucket", "/login".to_owned());
        rendered(&Refused { application: &application, workspace, provider, display_name, reason, again })
            .await
            .0
    }

    #[tokio::test]
    async fn a_name_is_text_whatever_it_contains() {
        let html = refused("<script>alert(1)</script>\"'&", Reason::NotInWorkspace).await;
        assert!(!html.contains("<script>"), "{html}");
        assert!(html.contains("&#60;script&#62;"), "{html}");
    }

    #[tokio::test]
    async fn at_most_twenty_missing_repositories_are_named_in_order_and_the_rest_counted() {
        let names = (0..25).rev().map(|n| format!("acme/r{n:02}")).collect();
        let html = refused("Ada", Reason::missing(names, 80)).await;
        assert!(html.contains("acme/r00") && html.contains("acme/r19"));
        assert!(!html.contains("acme/r20"));
        assert!(html.contains("and 5 more") && html.contains("all of its 80"));
    }

    #[tokio::test]
    async fn only_the_invite_page_may_run_a_script_and_only_that_one() {
        let application = Application::default();
        let (html, policy) = rendered(&OpenInvite::new(&application)).await;
        assert!(policy.contains("script-src 'sha256-") && html.contains(INVITE_SCRIPT));
        let (_, policy) = rendered(&SignedOut { application: &application }).await;
        assert!(!policy.contains("script-src") && policy.starts_with("default-src 'none'"));
    }

    #[tokio::test]
    async fn no_page_loads_anything_from_elsewhere() {
        let application = Application::default();
        let pages = [
            refused("Ada", Reason::Disabled).await,
            rendered(&OpenInvite::new(&application)).await.0,
            rendered(&SignedOut { application: &application }).await.0,
        ];
        for html in pages {
            assert!(
                !html.contains("http://") && !html.contains("https://") && !html.contains("src=\"//"),
                "{html}"
            );
        }
    }
}
